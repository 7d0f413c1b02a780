"""AlexNet: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks, 2012.

Five convolutions have 64, 192, 384, 256 and 256 output channels (the one-tower form, Krizhevsky 2014). Overlapping
pooling (3×3, stride 2) follows the first, the second and the last. Two dense layers with dropout precede the output.
The first convolution is 11×11 with stride 4 for images of 224 pixels; kernel and stride are smaller for smaller images.
Batch normalization replaces the paper's local response normalization.
"""

from __future__ import annotations

from torch import nn

from zoo.layers.blocks import activation_of

CHANNELS = (64, 192, 384, 256, 256)
POOLED = (0, 1, 4)


def first_layer(side: int) -> tuple[int, int, int]:
    """Return kernel size, stride and padding of the first convolution for images whose smaller side is ``side``."""
    if side >= 128:
        return 11, 4, 2
    return (7, 2, 3) if side >= 64 else (3, 1, 1)


class AlexNet(nn.Sequential):
    """AlexNet: ``(B, C, H, W)`` to ``(B, outputs)``.

    ``head_hidden_size`` is the size of the two dense layers, 4096 in the paper.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, head_hidden_size: int, dropout: float, activation: str
    ) -> None:
        inputs, height, width = shape
        layers: list[nn.Module] = []
        for index, maps in enumerate(CHANNELS):
            kernel, stride, padding = (5 if index == 1 else 3, 1, 2 if index == 1 else 1)
            if index == 0:
                kernel, stride, padding = first_layer(min(height, width))
            layers += [nn.Conv2d(inputs, maps, kernel, stride, padding, bias=False)]
            height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
            layers += [nn.BatchNorm2d(maps), activation_of(activation)]
            if index in POOLED and min(height, width) >= 3:
                layers.append(nn.MaxPool2d(3, 2))
                height, width = ((side - 3) // 2 + 1 for side in (height, width))
            inputs = maps
        super().__init__(
            *layers,
            nn.Flatten(),  # (B, channels · height · width)
            nn.Dropout(dropout),
            nn.Linear(inputs * height * width, head_hidden_size),
            activation_of(activation),
            nn.Dropout(dropout),
            nn.Linear(head_hidden_size, head_hidden_size),
            activation_of(activation),
            nn.Linear(head_hidden_size, outputs),
        )
