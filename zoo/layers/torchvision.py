"""torchvision's classifiers by name, with first and last layers that fit the data."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.exceptions import ZooError, unknown

IMAGENET = "imagenet"


def torchvision_network(name: str, shape: tuple[int, ...], outputs: int, *, pretrained: str | None) -> nn.Module:
    """Return torchvision's classifier ``name``: (B, C, H, W) to (B, outputs).

    ``pretrained`` is None (random initialization), ``imagenet`` (torchvision's best weights, downloaded once), or a
    file of weights: ``.pth`` as written by torchvision, or ``.safetensors``. All layers but the last are loaded. For
    images of one channel, the first layer sums its weights over the colors.

    Raises:
        ZooError: no such network, images too small for it, or weights that are missing or do not fit.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise unknown("network torchvision/…", name, known)
    state = _pretrained_state(name, pretrained) if pretrained else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about future changes of initializations
        network: nn.Module = models.get_model(name, weights=None)
    if state is not None:
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ZooError(f"model.pretrained={pretrained}: does not fit torchvision/{name} ({reason})") from None
    _fit_first(network, shape[0])
    _fit_last(network, outputs)
    if name.startswith(("googlenet", "inception")):
        network = LogitsOnly(network)
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *shape))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:120]
        raise ZooError(
            f"torchvision/{name}: cannot read images of {shape[1]}×{shape[2]} ({reason}); try data.size=64 or 224"
        ) from None
    return network.train()


class LogitsOnly(nn.Module):
    """Wraps a network whose output in training has more parts than the logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, outputs)."""
        out = self.network(x)
        logits: Tensor = out if isinstance(out, Tensor) else out[0]
        return logits


def _pretrained_state(name: str, pretrained: str) -> dict[str, Tensor]:
    from torchvision import models

    if pretrained == IMAGENET:
        best = models.get_model_weights(name).DEFAULT
        try:
            state: dict[str, Tensor] = best.get_state_dict(progress=True, check_hash=True)
        except OSError:
            raise ZooError(
                f"model.pretrained=imagenet: no connection to download {best.url.rpartition('/')[2]}; download it "
                f"elsewhere and pass the file, as in model.pretrained=weights.pth"
            ) from None
        return state
    path = Path(pretrained)
    if not path.is_file():
        raise ZooError(f"model.pretrained={pretrained}: no such file; must be imagenet or a file of weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
        return {str(key): value for key, value in loaded.items()}
    except Exception as error:
        raise ZooError(
            f"model.pretrained={pretrained}: holds no weights that load safely ({type(error).__name__})"
        ) from None


def _parts(network: nn.Module, kind: type[nn.Module]) -> list[tuple[nn.Module, str]]:
    """Return (parent, attribute) of each module of a kind, in the order of their creation."""
    parts = []
    for path, module in network.named_modules():
        if isinstance(module, kind):
            parent, _, name = path.rpartition(".")
            parts.append((network.get_submodule(parent), name))
    return parts


def _fit_first(network: nn.Module, channels: int) -> None:
    parent, name = _parts(network, nn.Conv2d)[0]
    old: Any = getattr(parent, name)
    if old.in_channels == channels:
        return
    new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None)
    if channels == 1:
        new.weight = nn.Parameter(old.weight.detach().sum(1, keepdim=True))
        if old.bias is not None:
            new.bias = old.bias
    setattr(parent, name, new)


def _fit_last(network: nn.Module, outputs: int) -> None:
    for auxiliary in ("AuxLogits", "aux1", "aux2"):  # auxiliary heads for training, with their own classes
        if hasattr(network, auxiliary):
            setattr(network, auxiliary, None)
    if hasattr(network, "aux_logits"):
        network.aux_logits = False  # type: ignore[assignment]
    parent, name = _last_part(network)
    old: Any = getattr(parent, name)
    is_linear = isinstance(old, nn.Linear)
    new = nn.Linear(old.in_features, outputs) if is_linear else nn.Conv2d(old.in_channels, outputs, old.kernel_size)
    setattr(parent, name, new)


def _last_part(network: nn.Module) -> tuple[nn.Module, str]:
    """Return (parent, attribute) of the last linear layer; squeezenet ends with a convolution."""
    return (_parts(network, nn.Linear) or _parts(network, nn.Conv2d))[-1]


def last_layer(network: nn.Module) -> nn.Module:
    """Return the last layer, which ``torchvision_network`` replaced."""
    parent, name = _last_part(network)
    layer: nn.Module = getattr(parent, name)
    return layer
