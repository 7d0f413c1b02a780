"""Where an environment stands, as primitives and tensors: what it, its wrappers and their generators hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
import torch

PLAIN = (bool, int, float, str, type(None))
# What stays as it was made, or is drawn anew: spaces, descriptions, what is rendered on
CONSTANT = ("metadata", "spec", "env", "envs", "env_fns", "logger")


def snapshot(vector: Any) -> list[dict[str, Any]] | None:
    """Return what each environment of a vector and each of its wrappers holds; None where one holds something else."""
    found = []
    for part in _parts(vector):
        kept: dict[str, Any] = {}
        for name, value in vars(part).items():
            if name in CONSTANT or _constant(value):
                continue
            try:
                kept[name] = _written(value)
            except TypeError:
                return None
        found.append(kept)
    return found


def restored(vector: Any, state: list[dict[str, Any]]) -> None:
    """Have each hold what ``snapshot`` found."""
    for part, kept in zip(_parts(vector), state, strict=True):
        for name, value in kept.items():
            old = vars(part).get(name)
            if isinstance(old, np.random.Generator):
                old.bit_generator.state = _numbered(value["generator"])
            else:
                setattr(part, name, _read(value))


def _parts(vector: Any) -> Iterator[Any]:
    """Yield a vector of environments, and each of them with its wrappers from the outside in."""
    yield vector
    for one in getattr(vector, "envs", ()):
        part = one
        while part is not None:
            yield part
            part = vars(part).get("env")


def _constant(value: Any) -> bool:
    from gymnasium import Space
    from gymnasium.envs.registration import EnvSpec

    return isinstance(value, (Space, EnvSpec, Enum)) or callable(value)


def _written(value: Any) -> Any:
    """Return a value in primitives and tensors.

    Raises:
        TypeError: it is none that could be.
    """
    if isinstance(value, np.random.Generator):
        return {"generator": _spoken(value.bit_generator.state)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return {"number": torch.from_numpy(np.asarray(value).copy())}
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [_written(one) for one in value]}
    if isinstance(value, deque):
        return {"deque": [value.maxlen, *(_written(one) for one in value)]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _written(one) for key, one in value.items()}}
    raise TypeError(type(value).__name__)


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "array":
        return inside.numpy().copy()
    if kind == "number":
        return inside.numpy()[()]
    if kind == "deque":
        return deque(map(_read, inside[1:]), maxlen=inside[0])
    if kind == "dict":
        return {key: _read(one) for key, one in inside.items()}
    return (tuple if kind == "tuple" else list)(_read(one) for one in inside)


def _spoken(state: Any) -> Any:
    """Return a generator's state with its large numbers as text."""
    if isinstance(state, dict):
        return {key: _spoken(value) for key, value in state.items()}
    return f"#{state}" if isinstance(state, int) else state


def _numbered(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _numbered(value) for key, value in state.items()}
    return int(state[1:]) if isinstance(state, str) and state.startswith("#") else state
