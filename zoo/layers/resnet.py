"""Residual networks of three stages with n blocks each; a new stage halves the image and doubles the channels.

    - y = φ(F(x) + x),   F = two 3×3 convolutions    ResNet for small images: He, Zhang, Ren, Sun, CVPR 2016, section 4.2
    - y = x + F(x),      F = conv(dropout(conv(x)))  WRN: Zagoruyko, Komodakis, BMVC 2016; φ(norm(·)) before each conv

Where the shape changes, the shortcut is a 1×1 convolution (option B of He et al.). The wide residual network (WRN)
normalizes before each convolution (pre-activation, He 2016), and its layers are few and wide.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, stem_pool


def residual_stages(build_block: Callable[..., nn.Module], inputs: int, width: int, count: int) -> list[nn.Module]:
    """Return three stages of ``count`` blocks with ``width``, 2 · ``width`` and 4 · ``width`` channels."""
    blocks = []
    for stage in range(3):
        for block in range(count):
            blocks.append(build_block(inputs, width << stage, stride=2 if stage > 0 and block == 0 else 1))
            inputs = width << stage
    return blocks


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
    """ResNet of ``depth`` 6n+2: ``(B, C, H, W)`` to ``(B, outputs)``.

    The stages have ``base_width``, twice and four times as many channels. The first layer reduces the image by the
    factor ``stem_pooling``, which is 1 in the paper, for images of 32×32.

    Raises:
        ZooError: the depth is not 6n+2.
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
        build_block = partial(Block, activation=activation)
        blocks = residual_stages(build_block, base_width, base_width, (depth - 2) // 6)
        super().__init__(
            nn.Conv2d(channels, base_width, 3, padding=1, bias=False),
            *stem_pool(stem_pooling),
            nn.BatchNorm2d(base_width),
            activation_of(activation),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(4 * base_width, outputs),
        )


class WideBlock(nn.Module):
    """A pre-activation block: (B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(inputs), activation_of(activation))
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            activation_of(activation),
            nn.Dropout(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return shortcut(x) + F(x). Where the shape changes, the shortcut reads the normalized x."""
        h = self.before(x)
        out: Tensor = self.body(h) + (x if self.shortcut is None else self.shortcut(h))
        return out


class WideResNet(nn.Sequential):
    """Wide residual network of ``depth`` 6n+4: ``(B, C, H, W)`` to ``(B, outputs)``.

    The first stage has ``base_width`` channels, which is 16·k for the paper's widening factor k. The first layer
    reduces the image by the factor ``stem_pooling``, which is 1 in the paper, for images of 32×32.

    Raises:
        ZooError: the depth is not 6n+4.
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
        if depth < 10 or depth % 6 != 4:
            raise ZooError(f"model.depth={depth}: must be 6n+4, such as 10, 16, 28")
        build_block = partial(WideBlock, activation=activation, dropout=dropout)
        blocks = residual_stages(build_block, 16, base_width, (depth - 4) // 6)
        super().__init__(
            nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            *stem_pool(stem_pooling),
            *blocks,
            nn.BatchNorm2d(4 * base_width),
            activation_of(activation),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * base_width, outputs),
        )
