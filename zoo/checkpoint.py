"""Read and write checkpoints. Safe to load from untrusted sources: tensors and plain values only, no pickle."""

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

FORMAT = 1  # version of the checkpoint format; other versions are rejected
FOLDER = 0x10  # zip attribute of a folder; torch returns uninitialized memory for a tensor in such an entry


def load_checkpoint(path: Path) -> Any:
    """Return the model of a checkpoint file in evaluation mode.

    Raises:
        ZooError: the file does not exist or is not a checkpoint of the zoo.
    """
    return load_weights(path) if path.suffix == ".safetensors" else _build(path, read(path))


def read(path: str | Path) -> dict[str, Any]:
    """Return the tensors and plain values of a checkpoint.

    Raises:
        ZooError: the file does not exist, is damaged or is not a checkpoint.
    """
    import torch

    with _one_line_errors(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not verify the checksums of tensors
            folders = [entry.filename for entry in archive.infolist() if entry.external_attr & FOLDER]
            damaged = damaged or next(iter(folders), None)
        if damaged is not None:
            raise ZooError(f"{path}: damaged file (in {damaged}). Download or create it again.")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check_format(path, content["zoo"]["format"])
    return content


def check_format(path: str | Path, version: object) -> None:
    """Reject a checkpoint with another version of the format.

    Raises:
        ZooError: the format is older or newer than FORMAT.
    """
    if version != FORMAT:
        age = "a newer" if isinstance(version, int) and version > FORMAT else "an older"
        raise ZooError(f"{path}: written by {age} version of zoo in format {version}; this version reads {FORMAT}")


@contextlib.contextmanager
def _one_line_errors(path: str | Path) -> Iterator[None]:
    """Convert any error that a reader raises for a damaged or foreign file into a ZooError of one line.

    Raises:
        ZooError: in place of the original error.
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
    """Write a model as safetensors: the weights, the metadata for ``load_weights`` as JSON, and a digest of both.

    ``half`` stores float32 weights as float16.
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
        ZooError: the file does not exist, is damaged or was not written by the zoo.
    """
    from safetensors import safe_open

    with _one_line_errors(path):
        with safe_open(path, framework="pt") as file:
            metadata, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["digest"] != _digest(metadata["zoo"], weights):
            raise ZooError(f"{path}: damaged file. Download or create it again.")
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
        # Sources that a checkpoint names are never downloaded or opened: the checkpoint contains all weights
        arguments = {**content["hyper_parameters"], **dict.fromkeys(registry.get(name).sources)}
        if _shapes(name, arguments) not in (None, {key: value.shape for key, value in weights.items()}):
            raise ZooError(f"{path}: damaged file (weights do not match the options). Download or create it again.")
        model = registry.create(name, **arguments)
        model.restore_checkpoint(content)
    return model.eval()


def _shapes(name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Return the shapes of a model's weights from the meta device, or None if its code needs values.

    Otherwise a small malicious file could allocate all memory.
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
