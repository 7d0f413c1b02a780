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
    states = []
    for part in _parts(vector):
        state: dict[str, Any] = {}
        for name, value in vars(part).items():
            if name in CONSTANT or _constant(value):
                continue
            try:
                state[name] = _encode(value)
            except TypeError:
                return None
        states.append(state)
    return states


def restore(vector: Any, states: list[dict[str, Any]]) -> None:
    """Set the state of each to what ``snapshot`` returned."""
    for part, state in zip(_parts(vector), states, strict=True):
        for name, value in state.items():
            old = vars(part).get(name)
            if isinstance(old, np.random.Generator):
                old.bit_generator.state = _decode_state(value["generator"])
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


def _constant(value: Any) -> bool:
    from gymnasium import Space
    from gymnasium.envs.registration import EnvSpec

    return isinstance(value, (Space, EnvSpec, Enum)) or callable(value)


def _encode(value: Any) -> Any:
    """Return a value in primitives and tensors.

    Raises:
        TypeError: it is none that could be.
    """
    if isinstance(value, np.random.Generator):
        return {"generator": _encode_state(value.bit_generator.state)}
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
    ((kind, inside),) = value.items()
    if kind == "array":
        return inside.numpy().copy()
    if kind == "number":
        return inside.numpy()[()]
    if kind == "deque":
        return deque(map(_decode, inside[1:]), maxlen=inside[0])
    if kind == "dict":
        return {key: _decode(one) for key, one in inside.items()}
    return (tuple if kind == "tuple" else list)(_decode(one) for one in inside)


def _encode_state(state: Any) -> Any:
    """Return a generator's state with its large numbers as text."""
    if isinstance(state, dict):
        return {key: _encode_state(value) for key, value in state.items()}
    return f"#{state}" if isinstance(state, int) else state


def _decode_state(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _decode_state(value) for key, value in state.items()}
    return int(state[1:]) if isinstance(state, str) and state.startswith("#") else state
