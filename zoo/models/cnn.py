"""The convolutional network: small filters slide over the image, and pooling shrinks the resulting maps.

    hᵢ = φ(norm(pool(Wᵢ ∗ hᵢ₋₁))),   output = W φ(W' flatten(hₙ) + b') + b

LeCun et al., Gradient-based learning applied to document recognition, 1998, with rectifiers, batch normalization and
dropout (2010 to 2015). Pooling precedes normalization, which then processes a quarter of the values. The order does not
matter to an increasing nonlinearity, which commutes with the maximum. zoo/layers/ has the other networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zoo.config.schema import Count, Learning, OptionalCount, Share, Sizes, check_choice, check_number, number, one_of
from zoo.data.image.spec import DIGITS
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.alexnet import AlexNet
from zoo.layers.blocks import activation_of, stem_pooling_for
from zoo.layers.lenet import LeNet
from zoo.layers.resnet import ResNet, WideResNet
from zoo.layers.torchvision import last_layer, torchvision_network
from zoo.models.base import ZooModule
from zoo.registry import register

TORCHVISION = "torchvision/"
TTA = ("hflip",)


class PlainCNN(nn.Sequential):
    """The plain stack of an introductory course: ``(B, C, H, W)`` to ``(B, outputs)``.

    It has a 3×3 convolution per entry of ``channels``. Pooling by 2 follows each one while the image is larger than 1
    pixel. A dense layer of ``head_hidden_size`` units (0: none) precedes the output layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        channels: Sequence[int],
        head_hidden_size: int,
        dropout: float,
        activation: str,
    ) -> None:
        layers: list[nn.Module] = []
        in_channels, height, width = shape
        for out_channels in channels:
            layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False))
            if min(height, width) > 1:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
            layers += [nn.BatchNorm2d(out_channels), activation_of(activation)]
            in_channels = out_channels
        layers += [nn.Flatten(), nn.Dropout(dropout)]  # (B, channels[-1] · height · width)
        features = in_channels * height * width
        if head_hidden_size:
            layers += [nn.Linear(features, head_hidden_size), activation_of(activation), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(head_hidden_size or features, outputs))


@register("cnn")
class CNN(ZooModule):
    """A convolutional network over images of any size and number of channels, for classification and regression.

    Convolutions detect local patterns with the same weights at each position, ``h = φ(norm(pool(W ∗ x)))``, and pooling
    makes the maps smaller. ``forward`` maps ``(B, C, H, W)`` in [0, 1] to logits ``(B, classes)`` or to standardized
    values ``(B, 1)``. Papers: LeCun et al. 1998 (plain, lenet), Krizhevsky et al. 2012 (alexnet), He et al. 2016
    (resnet) and Zagoruyko & Komodakis 2016 (wide_resnet).

    Args:
        network: plain, lenet, alexnet, resnet, wide_resnet, or a torchvision classifier such as
            torchvision/mobilenet_v3_small.
        channels: for plain, output channels of each convolution.
        head_hidden_size: for plain (0: none) and alexnet, size of the dense layers before the output layer.
        depth: number of layers: 6n+2 for resnet, 6n+4 for wide_resnet.
        base_width: for resnet and wide_resnet, channels of the first stage (16 times the paper's widening factor).
        stem_pooling: for resnet and wide_resnet, factor by which the first layer reduces the image; null: to about 16
            pixels a side.
        activation: relu, gelu, silu, elu, tanh or sigmoid.
        dropout: dropout rate before the dense layers; in wide_resnet, between the convolutions of a block.
        pretrained: for torchvision/NAME, imagenet or a file of weights; null: random initialization.
        freeze_epochs: for torchvision/NAME, number of first epochs that train the new last layer only.
        tta: test-time augmentation: hflip averages the outputs for an image and its mirror image; null: none.

    Raises:
        ZooError: an option is outside its limits, or the data is not images.
    """

    tasks = ("classification", "regression")
    modalities = ("image",)
    sources = ("pretrained",)

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        network: str = "plain",
        channels: Sizes = (32, 64, 128, 128),
        head_hidden_size: int = 512,
        depth: Annotated[int, number(low=8, integer=True)] = 20,
        base_width: Count = 16,
        stem_pooling: OptionalCount = None,
        activation: str = "relu",
        dropout: Share = 0.5,
        pretrained: str | None = None,
        freeze_epochs: Annotated[int, number(low=0, integer=True)] = 0,
        tta: Annotated[str | None, one_of(TTA, optional=True)] = None,
    ) -> None:
        super().__init__(spec=spec)
        check_number("model.head_hidden_size", head_hidden_size, low=int(network == "alexnet"), integer=True)
        if network == "plain" and not channels:
            raise ZooError("model.channels=[]: must be at least one number where model.network=plain")
        shape, outputs = self.spec.input_shape, self.spec.outputs
        head: dict[str, Any] = {"activation": activation, "dropout": dropout}
        residual: dict[str, Any] = {"depth": depth, "base_width": base_width}
        residual["stem_pooling"] = stem_pooling or stem_pooling_for(shape)
        networks: dict[str, Callable[[], nn.Module]] = {
            "plain": lambda: PlainCNN(shape, outputs, channels=channels, head_hidden_size=head_hidden_size, **head),
            "lenet": lambda: LeNet(shape, outputs, activation=activation),
            "alexnet": lambda: AlexNet(shape, outputs, head_hidden_size=head_hidden_size, **head),
            "resnet": lambda: ResNet(shape[0], outputs, **residual, **head),
            "wide_resnet": lambda: WideResNet(shape[0], outputs, **residual, **head),
        }
        if network.startswith(TORCHVISION):
            net = torchvision_network(network.removeprefix(TORCHVISION), shape, outputs, pretrained=pretrained)
            self.hparams["pretrained"] = None  # the checkpoint holds these weights, so loading it needs no other file
        elif pretrained is not None or freeze_epochs:
            message = "model.pretrained, model.freeze_epochs: require a torchvision network"
            raise ZooError(f"{message}, not {network!r}")
        else:
            check_choice("model.network", network, [*networks, f"{TORCHVISION}…"])
            net = networks[network]()
        self.pretrained, self.freeze_epochs, self.tta = pretrained is not None, freeze_epochs, tta
        self.learns_in_parts = freeze_epochs > 0
        # Channels last: the memory layout of the fastest convolution kernels.
        self.network: nn.Module = net.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes), or standardized values (B, 1), for raw images ``x`` (B, C, H, W) in [0, 1]."""
        x = self.normalize(x).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.network(x)
        if self.tta == "hflip" and not self.training:
            out = (out + self.network(x.flip(3))) / 2
        return out

    def configure(self, learning: Learning) -> None:
        """Set the training options.

        Raises:
            ZooError: ``init`` would replace pretrained weights.
        """
        if self.pretrained and learning.init != "default":
            advice = "would replace the weights of model.pretrained; leave out one of the two"
            raise ZooError(f"init={learning.init}: {advice}")
        super().configure(learning)

    def on_train_epoch_start(self) -> None:
        """Freeze all layers but the last during the first ``freeze_epochs`` epochs, then unfreeze them."""
        if self.freeze_epochs:
            freeze = self.loop.epochs < self.freeze_epochs
            self.network.requires_grad_(not freeze).train(not freeze)  # evaluation mode also freezes batch statistics
            last_layer(self.network).requires_grad_(True)
