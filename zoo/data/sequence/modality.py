"""The sequence modality."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.example import NOISE, ROWS, has_classes, row_dataset, statistics
from zoo.data.modality import Modality
from zoo.data.sequence.augment import SequenceAugment
from zoo.data.sequence.read import encode, from_json, read
from zoo.data.sequence.spec import SequenceSpec
from zoo.registry import register_modality


@register_modality
class SequenceModality(Modality[SequenceSpec]):
    """Sequences of numbers, or audio recordings."""

    spec = SequenceSpec
    tasks = ("classification", "regression")
    raw_input = "sequences of steps as arrays, or paths"
    augmentation = SequenceAugment

    encode = staticmethod(encode)
    read = staticmethod(read)
    from_json = staticmethod(from_json)

    def request_row(self, spec: SequenceSpec) -> tuple[str, Any]:
        """Return the type of a sequence."""
        from zoo.data.request_types import list_of, numbers_of_shape

        longest, width = spec.input_shape
        about = f"Sequences of 1 to {longest} steps of {width} numbers each."
        return about, list_of(numbers_of_shape(spec, spec.input_shape[-1:]), 1, longest)

    def request_example(self, spec: SequenceSpec) -> list[list[float]]:
        """Return two steps at the mean."""
        from zoo.data.request_types import step_examples

        return step_examples(spec, min(spec.input_shape[0], 2))

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return generated sequences with two pulses."""
        return generated_example(task)

    def file_label(self, spec: SequenceSpec) -> str:
        """Return a wav file or an array of steps, as in training."""
        return "a wav file" if spec.reading.frames else "an array of steps, .npy"


def generated_example(task: str) -> Dataset:
    """Return sequences of 4 to 12 steps with two pulses.

    The class is which pulse is first. The regression target is the sum of their heights.
    """
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 13, ROWS)
    x = rng.normal(size=(ROWS, 12, 3)) * NOISE
    height = rng.uniform(0.5, 1.5, (ROWS, 2))
    first = rng.integers(0, 2, ROWS)
    for row, length in enumerate(lengths):
        early, late = np.sort(rng.choice(length, 2, replace=False))
        x[row, early, first[row]] += height[row, 0]
        x[row, late, 1 - first[row]] += height[row, 1]
        x[row, length:] = 0
    y = first if has_classes(task) else 1000 + 100 * height.sum(1)
    return row_dataset(SequenceSpec, task, x, y, lengths, **statistics(x, (0, 1)))
