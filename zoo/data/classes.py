"""Classes that generative models are told, or that their codes are tried on."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.config.schema import check_choice, check_flag
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError


def labeled(spec: DataSpec) -> bool:
    """Tell whether rows have classes that exclude each other, and are what they say (no mark of anomalies)."""
    return len(spec.classes) > 1 and not spec.normal_classes and not spec.multilabel


def conditional_classes(spec: DataSpec, *, conditional: bool) -> int:
    """Return how many classes a model is conditioned on: all where it is ``conditional``, else none.

    Raises:
        ZooError: a conditional model of rows without classes.
    """
    check_flag("model.conditional", conditional)
    if conditional and not labeled(spec):
        raise ZooError(f"model.conditional=true: needs rows with classes, which {spec.name} has not")
    return len(spec.classes) if conditional else 0


def labels_of(
    spec: DataSpec, count: int, label: str | None, *, conditional: bool, device: torch.device | str
) -> Tensor | None:
    """Return classes (count,) for samples: of ``label``, or all in turn; None of a model that is not ``conditional``.

    Raises:
        ZooError: no such class, or a model that is not conditional.
    """
    if not conditional:
        if label is not None:
            raise ZooError(f"label={label}: is for a model that was trained with model.conditional=true")
        return None
    every = torch.arange(count, device=device) % len(spec.classes)
    if label is None:
        return every
    check_choice("label", label, spec.classes)
    return torch.full_like(every, spec.classes.index(label))
