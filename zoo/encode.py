"""Raw input to what a network reads: the one home of preprocessing outside of the data sets themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.errors import ZooError
from zoo.spec import DataSpec


def to_float(x: Tensor) -> Tensor:
    """Return images of uint8 as float in [0, 1], anything else unchanged."""
    return x * (1 / 255) if x.dtype == torch.uint8 else x


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return ``raw``, a batch or one sample of it, as a batch: ``x`` float (B, *input_shape), ``lengths`` of sequences.

    Images may lack the channel where there is one, be uint8 or float in [0, 1]; a data frame's columns are taken by
    name; sequences may be a list of arrays (T, C), each with a T of its own.

    Raises:
        ZooError: another shape than ``spec.input_shape``, or a column that is missing.
    """
    if spec.kind == "sequence":
        return _sequences(spec, raw)
    if spec.columns and hasattr(raw, "columns"):
        missing = [c for c in spec.columns if c not in raw.columns]
        if missing:
            raise ZooError(f"{spec.name}: the columns {', '.join(missing)} are missing")
        raw = raw[list(spec.columns)]
    x = _floats(to_float(_tensor(raw)) if spec.kind == "image" else raw)
    shape = spec.input_shape
    if spec.kind == "image" and shape[0] == 1 and tuple(x.shape[-2:]) == shape[1:] and x.shape[-3:-2] != (1,):
        x = x.unsqueeze(-3)
    if tuple(x.shape) == shape:
        x = x.unsqueeze(0)
    if tuple(x.shape[1:]) != shape:
        raise ZooError(f"{spec.name}: input of shape {tuple(x.shape)}; must be (batch, {', '.join(map(str, shape))})")
    return {"x": x}


def _sequences(spec: DataSpec, raw: Any) -> Batch:
    listed = isinstance(raw, Sequence)
    parts = [_floats(part) for part in raw] if listed else [_floats(raw)]
    if not listed and parts[0].ndim == 3:
        parts = list(parts[0])
    for part in parts:
        if part.ndim != 2 or part.shape[1] != spec.input_shape[1] or not len(part):
            raise ZooError(f"{spec.name}: a sequence of shape {tuple(part.shape)}; must be (T, {spec.input_shape[1]})")
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), "lengths": lengths}


def _tensor(raw: Any) -> Tensor:
    return raw if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw))


def _floats(raw: Any) -> Tensor:
    return _tensor(raw).float()
