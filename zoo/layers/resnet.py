"""The residual network for small images: He, Zhang, Ren, Sun, CVPR 2016, section 4.2.

    y = φ(F(x) + x),   F two 3×3 convolutions; three stages of n such blocks, halving the size and doubling the width

Where the size changes, x is brought along by a 1×1 convolution (their option B).
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, stem_pool


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut: (B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, activation: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            activation_of(activation),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.activation = activation_of(activation)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return φ(F(x) + shortcut(x))."""
        out: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return out


class ResNet(nn.Sequential):
    """ResNet of ``depth`` 6n+2 with ``base_width`` channels, twice and four times as many: (B, C, H, W) to (B, outputs).

    ``stem_pooling`` is how many times smaller the first layer leaves the image; the paper's 1 is for 32×32.

    Raises:
        ZooError: a depth that is not 6n+2.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        depth: int,
        base_width: int,
        stem_pooling: int,
        activation: str,
        dropout: float,
    ) -> None:
        if depth < 8 or depth % 6 != 2:
            raise ZooError(f"model.depth={depth}: must be 6n+2, such as 8, 14, 20")
        blocks = []
        inputs = base_width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Block(inputs, base_width << stage, stride=stride, activation=activation))
                inputs = base_width << stage
        super().__init__(
            nn.Conv2d(channels, base_width, 3, padding=1, bias=False),
            *stem_pool(stem_pooling),
            nn.BatchNorm2d(base_width),
            activation_of(activation),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(inputs, outputs),
        )
