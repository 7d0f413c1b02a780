"""Environments of gymnasium as a modality: x is an observation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zoo.data.dataset import Batch
from zoo.data.environment import read
from zoo.data.environment.environments import Environments
from zoo.data.environment.example import example
from zoo.data.environment.spec import EnvironmentSpec
from zoo.data.input_readers import Piece
from zoo.data.modality import Modality
from zoo.exceptions import ZooError
from zoo.registry import register_modality


@register_modality
class EnvironmentModality(Modality[EnvironmentSpec]):
    """Environments of gymnasium."""

    spec = EnvironmentSpec
    tasks = ("control",)
    raw_input = "an observation of the environment, as an array"

    def encode(self, spec: EnvironmentSpec, raw: Any) -> Batch:
        """Return observations as a batch."""
        return read.encode(spec, raw)

    def read(self, spec: EnvironmentSpec, path: str) -> Iterator[Piece]:
        """Raise a ZooError: observations come from the environment alone."""
        raise ZooError(f"predict: a model of {spec.name} acts, zoo play shows it")

    def from_json(self, spec: EnvironmentSpec, rows: Sequence[Any]) -> Any:
        """Raise a ZooError: observations come from the environment alone."""
        raise ZooError(f"predict: a model of {spec.name} acts, zoo play shows it")

    def action_spaces(self, supported: tuple[str, ...]) -> tuple[str, ...]:
        """Return all of a model's."""
        return supported

    def example(self, task: str, action_space: str = "") -> Environments:
        """Return an environment with such actions."""
        return example(action_space)
