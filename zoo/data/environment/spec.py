"""Specs of environments: observations and actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class EnvironmentReading:
    """How the observations of an environment are read.

    ``layout`` is the axis order of images: HW, HWC, CHW, or NHWC of N stacked frames. ``""`` means HWC for three axes,
    otherwise a vector. ``scale`` is the maximum value of images.
    """

    layout: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class EnvironmentSpec(DataSpec):
    """An environment, in which x is an observation. Images are in [0, 1].

    Discrete actions are ``classes``. Continuous actions are between ``low`` and ``high``.
    """

    modality: ClassVar[str] = "environment"

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    reading: EnvironmentReading = EnvironmentReading()

    @property
    def action_space(self) -> str:
        """Action space: discrete or continuous."""
        return "continuous" if self.low else "discrete"


CARTPOLE = EnvironmentSpec(name="cartpole", task="control", input_shape=(4,), classes=("0", "1"))
PENDULUM = EnvironmentSpec(name="pendulum", task="control", input_shape=(3,), low=(-2.0,), high=(2.0,))
