"""The convolutional network: small filters that slide over the image, pooling between them, a dense layer at the end.

    hᵢ = φ(norm(pool(Wᵢ ∗ hᵢ₋₁))),   answer = W φ(W' flatten(hₙ) + b') + b

LeCun et al., Gradient-based learning applied to document recognition, 1998, with the rectifiers, batch normalisation
and dropout of 2010 to 2015. Pooling comes before the normalisation: the same work on a quarter of the numbers, and a
rising nonlinearity commutes with the maximum. The other networks are in zoo/layers/, a file each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.config.schema import Learning, check_number
from zoo.data.image.spec import DIGITS
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError, unknown
from zoo.layers.alexnet import AlexNet
from zoo.layers.blocks import activation_of, pool_for
from zoo.layers.lenet import LeNet
from zoo.layers.resnet import ResNet
from zoo.layers.wide_resnet import WideResNet
from zoo.models.base import ZooModule
from zoo.registry import register

NETWORKS = ("plain", "lenet", "alexnet", "resnet", "wide_resnet")
LIBRARY = "torchvision/"


class Plain(nn.Sequential):
    """The stack that every introduction shows: (B, C, H, W) to (B, outputs).

    A 3×3 convolution per entry of ``channels``, each with pooling by 2 for as long as the image is larger than 1,
    then a dense layer of ``hidden`` (0: none).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        channels: Sequence[int],
        hidden: int,
        dropout: float,
        activation: str,
    ) -> None:
        layers: list[nn.Module] = []
        inputs, height, width = shape
        for size in channels:
            layers.append(nn.Conv2d(inputs, size, 3, padding=1, bias=False))
            if min(height, width) > 1:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
            layers += [nn.BatchNorm2d(size), activation_of(activation)]
            inputs = size
        layers += [nn.Flatten(), nn.Dropout(dropout)]  # (B, inputs · height · width)
        features = inputs * height * width
        if hidden:
            layers += [nn.Linear(features, hidden), activation_of(activation), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(hidden or features, outputs))


@register("cnn")
class CNN(ZooModule):
    """A convolutional network over images of any size and number of channels.

    ``network`` is plain (with ``channels`` and ``hidden``), lenet, alexnet (``hidden``), resnet (``depth`` 6n+2,
    ``width``), wide_resnet (``depth`` 6n+4, ``width``), or any of torchvision's classifiers, as
    ``torchvision/mobilenet_v3_small``. ``pool`` is how many times smaller a residual network's first layer leaves the
    image (None: so that about 16 pixels a side remain). ``weights`` is for torchvision's: ``imagenet``, or a file; for
    the first ``freeze`` of the run only the new last layer learns then. ``mirror`` answers, once trained, with the mean
    over the image and its mirror image, where left and right mean the same.

    Raises:
        ZooError: an option outside its limits, or data that is not images.
    """

    tasks = ("classification", "regression")
    modalities = ("image",)
    sources = ("weights",)

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        network: str = "plain",
        channels: Sequence[int] = (32, 64, 128, 128),
        hidden: int = 512,
        depth: int = 20,
        width: int = 16,
        pool: int | None = None,
        activation: str = "relu",
        dropout: float = 0.5,
        weights: str | None = None,
        freeze: float = 0.0,
        mirror: bool = False,
    ) -> None:
        super().__init__(spec=spec)
        check_number("model.dropout", dropout, low=0, below=1)
        check_number("model.hidden", hidden, low=0, integer=True)
        check_number("model.pool", pool, low=1, integer=True, optional=True)
        check_number("model.freeze", freeze, low=0, below=1)
        if not network.startswith(LIBRARY) and (weights is not None or freeze):
            raise ZooError(f"model.weights, model.freeze: are for torchvision's networks, not for {network!r}")
        shape, outputs = self.spec.input_shape, self.spec.outputs
        residual = {"pool": pool or pool_for(shape), "activation": activation, "dropout": dropout}
        if network == "plain":
            if not isinstance(channels, Sequence) or isinstance(channels, str) or not channels:
                raise ZooError(f"model.channels={channels}: must be a list of whole numbers, such as [32,64]")
            for size in channels:
                check_number("model.channels", size, low=1, integer=True)
            net: nn.Module = Plain(
                shape, outputs, channels=channels, hidden=hidden, dropout=dropout, activation=activation
            )
        elif network == "lenet":
            net = LeNet(shape, outputs, activation=activation)
        elif network == "alexnet":
            check_number("model.hidden", hidden, low=1, integer=True)
            net = AlexNet(shape, outputs, hidden=hidden, dropout=dropout, activation=activation)
        elif network in ("resnet", "wide_resnet"):
            check_number("model.depth", depth, low=8, integer=True)
            check_number("model.width", width, low=1, integer=True)
            made = ResNet if network == "resnet" else WideResNet
            net = made(shape[0], outputs, depth=depth, width=width, **residual)
        elif network.startswith(LIBRARY):
            from zoo.layers.torchvision import torchvision_network

            net = torchvision_network(network.removeprefix(LIBRARY), shape, outputs, weights=weights)
            self.hparams["weights"] = None  # they are in the state from now on: a checkpoint needs no other file
        else:
            raise unknown("model.network", network, [*NETWORKS, f"{LIBRARY}…"])
        self.freeze, self.mirror, self.pretrained = freeze, mirror, weights is not None
        # Channels innermost: the layout that convolution kernels compute in.
        self.network = net.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) for raw images ``x`` (B, C, H, W) in [0, 1]."""
        x = self.normalize(x).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.network(x)
        if self.mirror and not self.training:
            out = (out + self.network(x.flip(3))) / 2
        return out

    def configure(self, learning: Learning) -> None:
        """Set how this model learns.

        Raises:
            ZooError: weights would be drawn anew that were read from a file.
        """
        if self.pretrained and learning.init != "default":
            raise ZooError(f"init={learning.init}: would replace the weights of model.weights; leave out one of both")
        super().configure(learning)

    @property
    def learns_in_parts(self) -> bool:
        """Whether all but the last layer stay as they are for a while."""
        return self.freeze > 0

    def on_train_epoch_start(self) -> None:
        """Freeze all but the last layer in the first epochs, release it afterwards."""
        if self.freeze:
            from zoo.layers.torchvision import last_layer

            frozen = self.loop.epochs < self.freeze * self.loop.max_epochs
            self.network.requires_grad_(not frozen).train(not frozen)  # its statistics stay as they are, too
            last_layer(self.network).requires_grad_(True)
