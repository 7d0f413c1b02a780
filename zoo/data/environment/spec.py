"""Environments: what an observation is, and which actions there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class EnvironmentReading:
    """How an environment's observations are read.

    Images have their axes in the order ``layout`` (HW, HWC, CHW, or NHWC of N stacked frames) and values up to
    ``scale``; ``""`` stands for HWC where there are three axes, and for vectors.
    """

    layout: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class EnvironmentSpec(DataSpec):
    """An environment: x is an observation, images in [0, 1].

    Discrete actions are ``classes``, by their numbers; continuous ones lie between ``low`` and ``high``.
    """

    modality: ClassVar[str] = "environment"

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    reading: EnvironmentReading = EnvironmentReading()

    @property
    def action_space(self) -> str:
        """Return discrete or continuous."""
        return "continuous" if self.low else "discrete"


CARTPOLE = EnvironmentSpec(name="cartpole", task="control", input_shape=(4,), classes=("0", "1"))
PENDULUM = EnvironmentSpec(name="pendulum", task="control", input_shape=(3,), low=(-2.0,), high=(2.0,))
