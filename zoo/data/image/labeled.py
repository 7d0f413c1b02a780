"""Labeled images for the evaluation of a trained model: folders, archives, arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.arrays import joined_images
from zoo.data.image.folder import match_labels, parts_of
from zoo.data.image.npz import labeled_arrays
from zoo.data.image.read import read
from zoo.data.image.spec import ImageSpec
from zoo.data.inputs import encode
from zoo.data.labeled import ABSENT, Labeled, class_numbers, left_out_notes, same_name, with_classes
from zoo.exceptions import ZooError


def labeled_folder(spec: ImageSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
    """Return the images of a folder or archive, with classes from folders or a CSV."""
    path, names, rows, bad = Path(data["path"]), [], [], []
    for piece in read(spec, str(path)):
        if piece.wrong is not None:
            bad.append(piece.wrong)
            continue
        names += [Path(name).relative_to(path).as_posix() for name in piece.names]
        rows.append(_bytes(spec, piece.raw))
    if not rows:
        raise ZooError(f"{path}: no image can be read; {bad[0]}")
    notes = left_out_notes(len(bad), f"that cannot be read; the first: {bad[0] if bad else ''}", what="images")
    index, classes, more = _folder_classes(spec, names, data, part)
    x = torch.cat(rows)[torch.tensor(index, dtype=torch.int64)]
    return with_classes(spec, {"x": x}, classes, [*notes, *more])


def _folder_classes(
    spec: ImageSpec, names: Sequence[str], data: Mapping[str, Any], part: str | None
) -> tuple[list[int], list[str], list[str]]:
    """Return the indices of the evaluated images, their classes, and notes on the others."""
    path = Path(data["path"])
    if data.get("labels") is not None:
        if part is not None:
            raise ZooError(f"rows={part}: a CSV of labels has no parts; omit rows=")
        return _listed_classes(names, data)
    folders = [Path(name).parts[:-1] for name in names]
    depth = _class_level(spec, folders)
    index = [row for row, above in enumerate(folders) if len(above) > depth]
    if part is not None:
        parts = _parts(folders, depth)
        index = [row for row in index if parts[row] == part]
        if not index:
            raise ZooError(f"rows={part}: {path} has no such part; omit rows= to evaluate all of it")
    if not index:
        raise ZooError(f"{path}: the images are not in class folders; pass a CSV of labels with data.labels=")
    loose = [row for row, above in enumerate(folders) if len(above) <= depth]
    notes = left_out_notes(
        len(loose), f"that are not in a class folder, such as {names[loose[0]] if loose else ''}", "images"
    )
    classes = [folders[row][depth] for row in index]
    return index, classes, notes


def _parts(folders: Sequence[tuple[str, ...]], depth: int) -> list[str | None]:
    """Return the split of each row, from the folder above or below its class folder."""
    for level in (depth - 1, depth + 1):
        part = parts_of({above[level] for above in folders if len(above) > level >= 0})
        if part:
            return [part.get(above[level]) if len(above) > level else None for above in folders]
    return [None] * len(folders)


def _class_level(spec: ImageSpec, folders: Sequence[tuple[str, ...]]) -> int:
    """Return the folder level, from 0, with the most names of the model's classes."""
    known = spec.normal_classes if spec.target_type == "input" and spec.normal_classes else spec.classes
    most = max(map(len, folders), default=0)
    hits = [
        sum(class_numbers([above[level] for above in folders if len(above) > level], known) != ABSENT)
        for level in range(most)
    ]
    return int(np.argmax(hits)) if any(hits) else 0


def _listed_classes(names: Sequence[str], data: Mapping[str, Any]) -> tuple[list[int], list[str], list[str]]:
    index, classes, lost = [], [], 0
    for _, _, matching, label in match_labels(names, data["labels"], data.get("target")):
        lost += not matching
        index += matching
        classes += [label] * len(matching)
    return index, classes, left_out_notes(lost, f"of {data['labels']}, whose images do not exist", what="lines")


def labeled_archive(spec: ImageSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
    """Return the images of a NumPy archive, all parts or one."""
    path = Path(data["path"])
    arrays = labeled_arrays(path)
    if part is not None and (part not in arrays or set(arrays) == {"train"}):
        raise ZooError(f"rows={part}: {path} has no such part; omit rows= to evaluate all of it")
    chosen = [arrays[name] for name in arrays if part in (None, name)]
    x = _bytes(spec, joined_images([images for images, _ in chosen], str(path)))
    labels = np.concatenate([y.reshape(len(y)) for _, y in chosen])
    return with_classes(spec, {"x": x}, _array_classes(spec, labels, data), [])


def _array_classes(spec: ImageSpec, labels: np.ndarray, data: Mapping[str, Any]) -> list[str]:
    """Return labels as class names. If training renamed the labels with ``classes``, use the new names."""
    texts = [str(label) for label in labels]
    numbers = spec.reading.labels
    if not numbers:
        return texts
    names = dict(zip(map(same_name, numbers), spec.classes, strict=False))
    return [names.get(same_name(text), text) for text in texts]


def _bytes(spec: ImageSpec, raw: Any) -> Tensor:
    """Preprocess images for the model. uint8 images stay uint8 to save memory."""
    x = encode(spec, raw)["x"]
    array = np.asarray(raw)
    return torch.from_numpy(array) if array.dtype == np.uint8 and array.shape == tuple(x.shape) else x
