"""Checkpoints as models. Safe for files from strangers: tensors and plain values only, never code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.exceptions import ZooError

FORMAT = 1  # of checkpoints; files of another format are rejected
FOLDER = 0x10  # the bit of a zip's entry that makes torch take it for a folder, and its tensor for any memory


def load_checkpoint(path: Path) -> Any:
    """Return the model of a checkpoint file, ready to ``predict``.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    return load_weights(path) if path.suffix == ".safetensors" else _build(path, read(path))


def read(path: str | Path) -> dict[str, Any]:
    """Return the tensors and plain values of a checkpoint.

    Raises:
        ZooError: no such file, one that is damaged, or not a checkpoint.
    """
    import torch

    with _one_line_errors(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not verify the checksums of tensors
            folders = [entry.filename for entry in archive.infolist() if entry.external_attr & FOLDER]
            damaged = damaged or next(iter(folders), None)
        if damaged is not None:
            raise ZooError(f"{path}: is damaged, in {damaged}; fetch or make it again")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check_format(path, content["zoo"]["format"])
    return content


def check_format(path: str | Path, version: object) -> None:
    """Reject a checkpoint of another format.

    Raises:
        ZooError: its format is older, or newer.
    """
    if version != FORMAT:
        age = "a newer" if isinstance(version, int) and version > FORMAT else "an older"
        raise ZooError(f"{path}: was written by {age} zoo, in format {version}; this one reads {FORMAT}")


@contextlib.contextmanager
def _one_line_errors(path: str | Path) -> Iterator[None]:
    """Turn any error that a damaged file, or one of another kind, raises in its readers into one line.

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


def save_weights(model: Any, path: Path, *, half: bool = False) -> None:
    """Write a model as safetensors: its weights, all else that ``load_weights`` needs as JSON, and a digest of both.

    ``half`` stores numbers in 16 bits.
    """
    import torch
    from safetensors.torch import save

    content: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    model.on_save_checkpoint(content)
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in content["state_dict"].items()}
    if half:
        weights = {name: v.half() if v.dtype == torch.float32 else v for name, v in weights.items()}
    metadata = json.dumps({"zoo": content["zoo"], "hyper_parameters": content["hyper_parameters"]})
    path.write_bytes(save(weights, {"zoo": metadata, "digest": _digest(metadata, weights)}))


def load_weights(path: Path) -> Any:
    """Return the model of a file that ``save_weights`` wrote.

    Raises:
        ZooError: no such file, one that is damaged, or not one of the zoo.
    """
    from safetensors import safe_open

    with _one_line_errors(path):
        with safe_open(path, framework="pt") as file:
            metadata, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["digest"] != _digest(metadata["zoo"], weights):
            raise ZooError(f"{path}: is damaged; fetch or make it again")
        content = {**json.loads(metadata["zoo"]), "state_dict": weights}
        check_format(path, content["zoo"]["format"])
    return _build(path, content)


def _digest(metadata: str, weights: dict[str, Any]) -> str:
    import torch

    digest = hashlib.sha256(metadata.encode())
    for name in sorted(weights):
        digest.update(f"{name} {weights[name].dtype} {tuple(weights[name].shape)}".encode())
        digest.update(weights[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _build(path: str | Path, content: dict[str, Any]) -> Any:
    with _one_line_errors(path):
        name, weights = content["zoo"]["model"], content["state_dict"]
        # Sources named by a file are never fetched or opened: the file holds all weights itself
        arguments = {**content["hyper_parameters"], **dict.fromkeys(registry.get(name).sources)}
        if _shapes(name, arguments) not in (None, {key: value.shape for key, value in weights.items()}):
            raise ZooError(f"{path}: is damaged, its weights are not those of its options; fetch or make it again")
        model = registry.create(name, **arguments)
        model.restore_checkpoint(content)
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
