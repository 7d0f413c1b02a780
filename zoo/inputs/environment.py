"""Observations of an environment, as a policy's network reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.inputs.base import as_floats, batched
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from zoo.data.dataset import Batch


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return observations as ``x`` float (B, *input_shape); images are in [0, 1]."""
    return {"x": batched(spec, as_floats(raw))}
