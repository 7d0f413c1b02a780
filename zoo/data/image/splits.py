"""Splits of images whose files or archives name them in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zoo.data.dataset import Splits, row_place
from zoo.exceptions import ZooError


def split_by_parts(
    y: np.ndarray,
    parts: np.ndarray | None,
    names: Sequence[str],
    splits: Splits,
    *,
    place: Callable[[int], str] = row_place,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row numbers of train, validation and test.

    ``parts`` (N,) names the split of each row, None where there are none. A missing split is split off train.

    Raises:
        ZooError: a class in validation or test that train lacks.
    """
    if parts is None:
        return splits.cut(y, stratify=True, classes=names, place=place)
    train, val, test = (np.flatnonzero(parts == part) for part in ("train", "val", "test"))

    def in_train(row: int) -> str:
        return place(int(train[row]))

    for part, index in (("validation", val), ("test", test)):
        absent = set(y[index]) - set(y[train])
        if absent:
            raise ZooError(f"{part}: holds the class {names[min(absent)]!r}, which train lacks")
    if not len(test):
        fit, validate, hold_out = splits.cut(y[train], stratify=True, classes=names, place=in_train)
        if len(val):
            return train[np.sort(np.concatenate([fit, validate]))], val, train[hold_out]
        return train[fit], train[validate], train[hold_out]
    if not len(val):
        fit, validate = splits.cut_val(y[train], stratify=True, classes=names, place=in_train)
        return train[fit], train[validate], test
    return train, val, test
