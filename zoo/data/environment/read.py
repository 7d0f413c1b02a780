"""Observations of an environment, as a policy's network reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.environment.spaces import channels_first_array
from zoo.data.environment.spec import EnvironmentSpec
from zoo.data.input_readers import as_floats, to_float
from zoo.exceptions import ZooError

if TYPE_CHECKING:
    from zoo.data.dataset import Batch


def layout(spec: EnvironmentSpec) -> str:
    """Return the order of an observation's axes; nothing for vectors."""
    return spec.reading.layout or ("HWC" if len(spec.input_shape) == 3 else "")


def observation_axes(spec: EnvironmentSpec) -> int:
    """Return how many axes an environment's observation has."""
    return len(layout(spec)) or len(spec.input_shape)


def observations(spec: EnvironmentSpec, observed: np.ndarray) -> Tensor:
    """Return an environment's observations (N, …) as they are kept: (N, *input_shape), bytes as they are, all others
    as float32, images among them in [0, 1]. ``to_float`` of it is what a network reads.
    """
    ordered = channels_first_array(observed, layout(spec))
    if ordered.dtype == np.uint8:
        return torch.from_numpy(np.array(ordered, order="C"))
    scale = spec.reading.scale
    with np.errstate(over="ignore"):  # infinity is rejected by whoever asks
        x = torch.from_numpy(np.array(ordered, np.float32, order="C"))
    return x if scale == 1 else x / scale


def encode(spec: EnvironmentSpec, raw: Any) -> Batch:
    """Return observations as ``x`` float (B, *input_shape); images are in [0, 1].

    They are as the environment shows them, or, where their axes tell, as a network reads them.

    Raises:
        ZooError: another shape.
    """
    observed = raw.cpu().numpy() if isinstance(raw, Tensor) else np.asarray(raw)
    axes, shape = observation_axes(spec), spec.input_shape
    if observed.dtype.kind in "buif":
        many = observed[None] if observed.ndim == axes else observed
        x = to_float(observations(spec, many)) if many.ndim == axes + 1 else None
        if x is not None and tuple(x.shape[1:]) == shape:
            return {"x": x}
        many = observed[None] if observed.shape == shape else observed
        if many.shape[1:] == shape:
            return {"x": as_floats(to_float(torch.from_numpy(np.array(many))))}
    shape_text = f"must be (batch, {', '.join(map(str, shape))})"
    raise ZooError(f"{spec.name}: observations of shape {tuple(observed.shape)}; {shape_text}")
