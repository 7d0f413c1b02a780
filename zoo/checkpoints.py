"""A checkpoint, which may come from anyone, as a model: weights and primitives alone, never code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry
from zoo.errors import ZooError
from zoo.options import learning_of

if TYPE_CHECKING:
    from zoo.module import ZooModule


def load(path: str | Path) -> ZooModule:
    """Return the model of a checkpoint, ready to ``predict``; loads weights and primitives alone, never code.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        made_by, arguments = content["zoo"], content["hyper_parameters"]
        learning = dict(made_by["learning"])
    except FileNotFoundError:
        raise ZooError(f"{path}: no such file") from None
    except Exception as error:
        raise ZooError(f"{path}: not a checkpoint of the zoo ({type(error).__name__})") from None
    model = registry.create(made_by["model"], **arguments)
    model.configure(learning_of(learning))
    model.load_state_dict(content["state_dict"])
    model.on_load_checkpoint(content)
    return model.eval()
