"""A checkpoint, which may come from anyone, as a model: weights and primitives alone, never code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.config.schema import learning_of
from zoo.exceptions import ZooError
from zoo.hub import found

if TYPE_CHECKING:
    from zoo.models.base import ZooModule


def check_format(path: str | Path, written: object) -> None:
    """Refuse a checkpoint that another version of the zoo wrote in another way.

    Raises:
        ZooError: its format is older, or newer.
    """
    from zoo.models.base import FORMAT

    if written != FORMAT:
        by = "a newer" if isinstance(written, int) and written > FORMAT else "an older"
        raise ZooError(f"{path}: was written by {by} zoo, in format {written}; this one reads {FORMAT}")


FOLDER = 0x10  # the bit of a zip's entry by which torch takes it for a folder, and a tensor as it finds memory


def read(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint holds: tensors and primitives.

    Raises:
        ZooError: no such file, one that is damaged, or not a checkpoint.
    """
    import torch

    with _refusing(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch takes tensors without a look at their checksums
            folders = [entry.filename for entry in archive.infolist() if entry.external_attr & FOLDER]
            damaged = damaged or next(iter(folders), None)
        if damaged is not None:
            raise ZooError(f"{path}: is damaged, in {damaged}; fetch or make it again")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check_format(path, content["zoo"]["format"])
    return content


@contextlib.contextmanager
def _refusing(path: str | Path) -> Iterator[None]:
    """Have whatever a damaged file, or one of another kind, makes its readers say be one line.

    Raises:
        ZooError: in place of it.
    """
    try:
        yield
    except ZooError:
        raise
    except FileNotFoundError:
        raise ZooError(f"{path}: no such file") from None
    except Exception as error:
        raise ZooError(f"{path}: not a checkpoint of the zoo ({type(error).__name__})") from None


def save_weights(model: ZooModule, path: Path, *, half: bool = False) -> None:
    """Write a model as safetensors: its weights, and as JSON all else that ``load`` needs, with a digest of both.

    ``half`` keeps numbers in 16 bits.
    """
    import torch
    from safetensors.torch import save

    kept: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    model.on_save_checkpoint(kept)
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in kept["state_dict"].items()}
    if half:
        weights = {name: v.half() if v.dtype == torch.float32 else v for name, v in weights.items()}
    about = json.dumps({"zoo": kept["zoo"], "hyper_parameters": kept["hyper_parameters"]})
    path.write_bytes(save(weights, {"zoo": about, "digest": _digest(about, weights)}))


def load_weights(path: Path) -> ZooModule:
    """Return the model of such a file.

    Raises:
        ZooError: no such file, one that is damaged, or not one of the zoo.
    """
    from safetensors import safe_open

    with _refusing(path):
        with safe_open(path, framework="pt") as file:
            about, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["digest"] != _digest(about["zoo"], weights):
            raise ZooError(f"{path}: is damaged; fetch or make it again")
        content = {**json.loads(about["zoo"]), "state_dict": weights}
        check_format(path, content["zoo"]["format"])
    return _made(path, content)


def _digest(about: str, weights: dict[str, Any]) -> str:
    import torch

    found = hashlib.sha256(about.encode())
    for name in sorted(weights):
        found.update(f"{name} {weights[name].dtype} {tuple(weights[name].shape)}".encode())
        found.update(weights[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def load(path: str | Path) -> ZooModule:
    """Return the model of a checkpoint, ready to ``predict``; loads weights and primitives alone, never code.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    place = found(path)
    return load_weights(place) if place.suffix == ".safetensors" else _made(place, read(place))


def _made(path: str | Path, content: dict[str, Any]) -> ZooModule:
    with _refusing(path):
        made_by, weights = content["zoo"], content["state_dict"]
        # What a file asks for is never fetched or opened: it holds all weights itself
        arguments = {**content["hyper_parameters"], **dict.fromkeys(registry.get(made_by["model"]).sources)}
        if _shapes(made_by["model"], arguments) not in (None, {name: value.shape for name, value in weights.items()}):
            raise ZooError(f"{path}: is damaged, its weights are not those of its options; fetch or make it again")
        model = registry.create(made_by["model"], **arguments)
        model.configure(learning_of(dict(made_by["learning"])))
        model.load_state_dict(weights)
        model.on_load_checkpoint(content)
    return model.eval()


def _shapes(name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Return the shapes of a model's weights without their memory, or None where its code needs values.

    A stranger's few bytes could ask for all memory.
    """
    import torch

    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            model = registry.create(name, **arguments)
    except ZooError:
        raise
    except Exception:
        return None
    return {key: value.shape for key, value in model.state_dict().items()}
