"""The wide residual network: Zagoruyko, Komodakis, BMVC 2016.

    y = x + F(x),   F = conv(dropout(conv(φ(norm(x))))) with φ(norm(·)) before each; three stages of n blocks

Normalization comes before the convolution (He 2016, identity mappings), and the layers are few and wide.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, stem_pool


class WideBlock(nn.Module):
    """(B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""

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
        """Return shortcut(x) + F(x); where the shape changes, the shortcut sees the normalized x."""
        h = self.before(x)
        out: Tensor = self.body(h) + (x if self.shortcut is None else self.shortcut(h))
        return out


class WideResNet(nn.Sequential):
    """WRN of ``depth`` 6n+4; ``base_width`` is the first stage's, 16·k in the paper: (B, C, H, W) to (B, outputs).

    ``stem_pooling`` is how many times smaller the first layer leaves the image; the paper's 1 is for 32×32.

    Raises:
        ZooError: a depth that is not 6n+4.
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
        blocks: list[nn.Module] = []
        inputs = 16
        for stage in range(3):
            for block in range((depth - 4) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                width = base_width << stage
                blocks.append(WideBlock(inputs, width, stride=stride, activation=activation, dropout=dropout))
                inputs = width
        super().__init__(
            nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            *stem_pool(stem_pooling),
            *blocks,
            nn.BatchNorm2d(inputs),
            activation_of(activation),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(inputs, outputs),
        )
