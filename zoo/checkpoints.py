"""A checkpoint, which may come from anyone, as a model: weights and primitives alone, never code."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.errors import ZooError
from zoo.options import learning_of

if TYPE_CHECKING:
    from zoo.module import ZooModule


FOLDER = 0x10  # the bit of a zip's entry by which torch takes it for a folder, and a tensor as it finds memory


def read(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint holds: tensors and primitives.

    Raises:
        ZooError: no such file, one that is damaged, or not a checkpoint.
    """
    import torch

    from zoo.module import FORMAT

    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch takes tensors without a look at their checksums
            folders = [entry.filename for entry in archive.infolist() if entry.external_attr & FOLDER]
            damaged = damaged or next(iter(folders), None)
        if damaged is not None:
            raise ZooError(f"{path}: is damaged, in {damaged}; fetch or make it again")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written = content["zoo"]["format"]
        if written != FORMAT:
            by = "a newer" if isinstance(written, int) and written > FORMAT else "an older"
            raise ZooError(f"{path}: was written by {by} zoo, in format {written}; this one reads {FORMAT}")
    except FileNotFoundError:
        raise ZooError(f"{path}: no such file") from None
    except ZooError:
        raise
    except Exception as error:  # whatever a damaged file, or one of another kind, makes the two say
        raise ZooError(f"{path}: not a checkpoint of the zoo ({type(error).__name__})") from None
    return content


def load(path: str | Path) -> ZooModule:
    """Return the model of a checkpoint, ready to ``predict``; loads weights and primitives alone, never code.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    content = read(path)
    try:
        made_by, arguments, weights = content["zoo"], content["hyper_parameters"], content["state_dict"]
        if _shapes(made_by["model"], arguments) not in (None, {name: value.shape for name, value in weights.items()}):
            raise ZooError(f"{path}: is damaged, its weights are not those of its options; fetch or make it again")
        model = registry.create(made_by["model"], **arguments)
        model.configure(learning_of(dict(made_by["learning"])))
        model.load_state_dict(weights)
        model.on_load_checkpoint(content)
    except ZooError:
        raise
    except Exception as error:  # primitives and tensors that no run of the zoo wrote
        raise ZooError(f"{path}: not a checkpoint of the zoo ({type(error).__name__})") from None
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
