"""Classes that generative models are told, or that their codes are tried on."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.config.schema import check_choice
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError


def labelled(spec: DataSpec) -> bool:
    """Tell whether rows have classes that exclude each other, and are what they say (no mark of anomalies)."""
    return len(spec.classes) > 1 and not spec.normal_classes and not spec.multilabel


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
