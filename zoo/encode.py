"""Raw input to what a network reads: the one home of preprocessing outside of the data sets themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.spec import DataSpec


def to_float(x: Tensor) -> Tensor:
    """Return images of uint8 as float in [0, 1], anything else unchanged."""
    return x * (1 / 255) if x.dtype == torch.uint8 else x


def encode(spec: DataSpec, raw: Any) -> Tensor:
    """Return ``raw``, a batch or one sample of it, as float (B, *input_shape).

    Images may lack the channel where there is one, be uint8 or float in [0, 1]; a data frame's columns are taken by
    name.

    Raises:
        ZooError: another shape than ``spec.input_shape``, or a column that is missing.
    """
    if spec.columns and hasattr(raw, "columns"):
        missing = [c for c in spec.columns if c not in raw.columns]
        if missing:
            raise ZooError(f"{spec.name}: the columns {', '.join(missing)} are missing")
        raw = raw[list(spec.columns)]
    x = raw if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw))
    x = to_float(x) if spec.kind == "image" else x
    x = x.float()
    shape = spec.input_shape
    if spec.kind == "image" and shape[0] == 1 and tuple(x.shape[-2:]) == shape[1:] and x.shape[-3:-2] != (1,):
        x = x.unsqueeze(-3)
    if tuple(x.shape) == shape:
        x = x.unsqueeze(0)
    if tuple(x.shape[1:]) != shape:
        raise ZooError(f"{spec.name}: input of shape {tuple(x.shape)}; must be (batch, {', '.join(map(str, shape))})")
    return x
