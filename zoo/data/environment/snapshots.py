"""The state of environments as primitives and tensors: that of each, of its wrappers, and of their generators."""

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
    """Return the state of each environment of a vector and of its wrappers; None where one cannot be stored."""
    from gymnasium import Space
    from gymnasium.envs.registration import EnvSpec

    def varies(name: str, value: Any) -> bool:
        return not (name in CONSTANT or isinstance(value, (Space, EnvSpec, Enum)) or callable(value))

    try:
        return [{k: _encode(v) for k, v in vars(part).items() if varies(k, v)} for part in _parts(vector)]
    except TypeError:
        return None


def restore(vector: Any, states: list[dict[str, Any]]) -> None:
    """Set the state of each to what ``snapshot`` returned."""
    for part, state in zip(_parts(vector), states, strict=True):
        for name, value in state.items():
            old = vars(part).get(name)
            if isinstance(old, np.random.Generator):
                old.bit_generator.state = _decode(value["generator"])
            else:
                setattr(part, name, _decode(value))


def _parts(vector: Any) -> Iterator[Any]:
    """Yield a vector of environments, and each of them with its wrappers from the outside in."""
    yield vector
    for one in getattr(vector, "envs", ()):
        part = one
        while part is not None:
            yield part
            part = vars(part).get("env")


def _encode(value: Any) -> Any:
    """Return a value in primitives and tensors.

    Raises:
        TypeError: it is none that could be.
    """
    if isinstance(value, np.random.Generator):
        return {"generator": _encode(value.bit_generator.state)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return {"number": torch.from_numpy(np.asarray(value).copy())}
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [_encode(one) for one in value]}
    if isinstance(value, deque):
        return {"deque": [value.maxlen, *(_encode(one) for one in value)]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode(one) for key, one in value.items()}}
    raise TypeError(type(value).__name__)


def _decode(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return content.numpy().copy()
    if kind == "number":
        return content.numpy()[()]
    if kind == "deque":
        return deque(map(_decode, content[1:]), maxlen=content[0])
    if kind == "dict":
        return {key: _decode(one) for key, one in content.items()}
    return (tuple if kind == "tuple" else list)(map(_decode, content))
