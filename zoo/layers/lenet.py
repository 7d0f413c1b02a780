"""LeNet-5: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998, figure 2.

    6 maps 5×5 → pooling by 2 → 16 maps 5×5 → pooling by 2 → 120 → 84 → output

Smaller images are padded to 32×32, as in the paper. Like most implementations, this one omits the paper's Gaussian
output units and its table of connections between maps.
"""

from __future__ import annotations

from torch import nn

from zoo.layers.blocks import activation_of

FIELD = 32


class LeNet(nn.Sequential):
    """LeNet-5: ``(B, C, H, W)`` to ``(B, outputs)``."""

    def __init__(self, shape: tuple[int, ...], outputs: int, *, activation: str) -> None:
        channels, height, width = shape
        above, left = max(FIELD - height, 0), max(FIELD - width, 0)
        height, width = (((max(side, FIELD) - 4) // 2 - 4) // 2 for side in (height, width))
        super().__init__(
            nn.ZeroPad2d((left // 2, left - left // 2, above // 2, above - above // 2)),
            nn.Conv2d(channels, 6, 5),
            activation_of(activation),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            activation_of(activation),
            nn.AvgPool2d(2),
            nn.Flatten(),  # (B, 16 · height · width)
            nn.Linear(16 * height * width, 120),
            activation_of(activation),
            nn.Linear(120, 84),
            activation_of(activation),
            nn.Linear(84, outputs),
        )
