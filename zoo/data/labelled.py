"""Labelled data of the user's own as a trained model reads it: all rows of a file, beside their truth.

A function per modality goes from a model's spec and the options of ``data=`` to ``Labelled``. Inputs are read as
``predict`` reads them, and classes are matched by their names. Nothing is learned from the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo import registry
from zoo.data.dataset import Rows, Split, picked
from zoo.data.inputs import encode, unknown_values
from zoo.data.spec import UNKNOWN, DataSpec
from zoo.exceptions import ZooError

if TYPE_CHECKING:
    import pandas as pd

NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d+)?")
ABSENT = -1  # the number of a class that the model does not have


@dataclass(frozen=True)
class Labelled:
    """Rows as a model reads them.

    ``split`` has x, y (by the model's classes) and lengths of the rows whose class the model has, None where there is
    no such row; ``strangers`` counts the others by their class. ``unknown`` counts values that the model does not know,
    by column, of ``values`` in all. ``notes`` say what was left out. Of a long text ``stride`` is that of a Dataset.
    """

    split: Split | None
    strangers: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    values: int = 0
    notes: Sequence[str] = ()
    stride: int | None = None

    @property
    def rows(self) -> int:
        """Rows that are measured, of classes that the model has or not; of a text its windows."""
        known = 0 if self.split is None else -(-len(self.split["x"]) // (self.stride or 1))
        return known + sum(self.strangers.values())


def labelled(spec: DataSpec, data: Mapping[str, Any], part: str | None = None) -> Labelled:
    """Return all rows of ``data`` (its options, with ``name`` and ``path``) as a model of ``spec`` reads them.

    ``part`` (train, val or test) takes the rows that folders or arrays so name.

    Raises:
        ZooError: the data cannot be read, is of another modality, or lacks what the model reads or its target.
    """
    name = data["name"]
    modality, read = READERS[name]
    task = "language_modeling" if name == "text_file" else None
    if modality != spec.modality or (modality == "text" and (spec.target_type == "next_symbol") != (task is not None)):
        raise ZooError(f"data={name}: is {modality} data; the model does {spec.task} of {spec.modality} data")
    if part is not None and name not in PARTED:
        raise ZooError(f"rows={part}: {data['path']} is not cut into parts; leave rows out, and all of it is measured")
    return read(replace(spec, name=str(data["path"])), data, part)  # errors name the file


# --- classes by name ---


def same_name(text: str) -> str:
    """Return a class's name in the form that all ways of writing it share: 3.0 and 3 are one, quotes do not count."""
    text = text.strip().strip("'\"")
    if NUMBER.fullmatch(text):
        number = Decimal(text)
        return f"{number.normalize() + 0:f}" if number else "0"
    return text


def class_numbers(names: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Return the places of names in ``classes`` (N,), ABSENT where there is none; the exact name comes first."""
    alike = {same_name(name): number for number, name in reversed(list(enumerate(classes)))}
    known = {name: number for number, name in enumerate(classes)}
    names = list(names)
    places = {name: known.get(name, alike.get(same_name(name), ABSENT)) for name in set(names)}
    return np.array([places[name] for name in names], dtype=np.int64)


def _classified(spec: DataSpec, split: dict[str, Any], names: Sequence[str], notes: Sequence[str]) -> Labelled:
    """Return rows with y by the names of their classes.

    Where anomalies are looked for, y says whether a row is one; where nothing is predicted, y may be ABSENT.
    """
    unknown, values = unknown_values(spec, split)
    if spec.normal_classes and spec.target_type == "input":
        y = torch.from_numpy((class_numbers(names, spec.normal_classes) == ABSENT).astype(np.int64))
        return Labelled({**split, "y": y}, unknown=unknown, values=values, notes=notes)
    numbers = class_numbers(names, spec.classes)
    if spec.task in registry.unsupervised_tasks():
        return Labelled({**split, "y": torch.from_numpy(numbers)}, unknown=unknown, values=values, notes=notes)
    strangers = Counter(name for name, number in zip(names, numbers, strict=True) if number == ABSENT)
    known = torch.from_numpy(np.flatnonzero(numbers != ABSENT))
    rows = picked(split, known) | {"y": torch.from_numpy(numbers)[known]}
    return Labelled(rows if len(known) else None, strangers, unknown, values, notes)


# --- tables ---


def table(spec: DataSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
    """Return the rows of a CSV."""
    import pandas as pd

    from zoo.data.table.read import read

    reading = spec.reading
    spec = replace(spec, reading=replace(reading, **_options(data, "delimiter", "quoting", "header")))
    frames, parts, lines = [], [], []
    for piece in read(spec, str(data["path"])):
        parts.append(encode(spec, piece.raw)["x"])
        frames.append(piece.raw)
        lines += list(piece.names)
    if not parts:
        raise ZooError(f"{data['path']}: has a header and no rows")
    frame = pd.concat(frames, ignore_index=True)
    source = _Cells(Path(data["path"]), frame, lines)
    split = {"x": torch.cat(parts)}
    target = _targets(spec, source, data.get("target"))
    if not target:
        unknown, values = unknown_values(spec, split)
        return Labelled(split, unknown=unknown, values=values)
    missing = _gaps(spec, frame, target)
    notes = _left_out(int(missing.sum()), f"without a value in {', '.join(target)}")
    present = np.flatnonzero(~missing)
    source = _Cells(source.path, frame.iloc[present], [lines[row] for row in present])
    split = picked(split, torch.from_numpy(present))
    if (spec.target_type == "class" and not spec.multilabel) or spec.normal_classes:
        from zoo.data.table.read import as_texts

        return _classified(spec, split, list(as_texts(source.frame[target[0]])), notes)
    y = _truth(spec, source, target)
    unknown, values = unknown_values(spec, split)
    return Labelled({**split, "y": y} if len(y) else None, unknown=unknown, values=values, notes=notes)


@dataclass(frozen=True)
class _Cells:
    """A file's cells, and the line that each row stands in."""

    path: Path
    frame: pd.DataFrame
    lines: Sequence[str]

    def at(self, column: str, row: int) -> str:
        """Return the words for a cell."""
        return f"{self.path}, line {self.lines[row]}, column {column!r}"


def _targets(spec: DataSpec, source: _Cells, chosen: Any) -> list[str]:
    """Return the columns of the truth: as chosen, else the model's own, else the only one that it does not read.

    Raises:
        ZooError: there are none, and the task needs them.
    """
    from zoo.data.table.csv_file import Table, column_named

    names = [str(name) for name in source.frame.columns]
    if chosen is not None:
        several = chosen if isinstance(chosen, Sequence) and not isinstance(chosen, str) else [chosen]
        cells = Table(source.path, source.frame, np.array(source.lines))
        return [column_named(cells, one, "data.target") for one in several]
    target = list(spec.reading.target) or (list(spec.classes) if spec.multilabel else [])
    if target and set(target) <= set(names):
        return target
    if spec.target_type == "input" and not spec.normal_classes:
        return []
    others = [name for name in names if name not in spec.columns]
    if not target and len(others) == 1:
        return others
    lacking = f"lacks the column {', '.join(map(repr, target))}" if target else "does not say which column is the truth"
    raise ZooError(f"{source.path}: {lacking}; name it by data.target=, its columns are {', '.join(names[:20])}")


def _gaps(spec: DataSpec, frame: pd.DataFrame, target: Sequence[str]) -> np.ndarray:
    """Return which rows (N,) have no truth."""
    from zoo.data.table.numbers import MARKS
    from zoo.data.table.read import as_texts

    gaps = np.zeros(len(frame), dtype=bool)
    for column in target:
        texts = as_texts(frame[column], missing=spec.reading.missing)
        gaps |= (texts == "").to_numpy()
        if spec.target_type == "number":
            gaps |= texts.str.lower().isin(MARKS).to_numpy()
    return gaps


def _truth(spec: DataSpec, source: _Cells, target: Sequence[str]) -> Tensor:
    """Return numbers, or several labels at once, as training read them."""
    from zoo.data.table.frames import Source, as_target, learnt_of, targets

    cells = Source(str(source.path), source.frame, np.array(source.lines))
    return as_target(spec, targets(cells, target, learnt_of(spec)))


# --- texts ---


def texts(spec: DataSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
    """Return the texts of a table, or of a folder with a folder of texts per class."""
    from zoo.data.text.datasets import read_labelled

    reading = spec.reading
    reading = replace(reading, **_options(data, "delimiter", "quoting", "header"))
    column = data.get("text_column") if data.get("text_column") is not None else reading.text_column or None
    target = data.get("target") if data.get("target") is not None else reading.target or None
    content = read_labelled(Path(data["path"]), column, target, reading)
    return _classified(spec, dict(encode(spec, list(content.texts))), content.labels, [])


def long_text(spec: DataSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
    """Return the windows of a text, all of it."""
    from zoo.data.text.datasets import read_text, windows
    from zoo.data.text.tokenizer import to_ids, token_ids, tokenize

    tokens = to_ids(tokenize(read_text(Path(data["path"])), spec.tokenizer), token_ids(spec.vocabulary))
    if len(tokens) < 2:
        raise ZooError(f"{data['path']}: holds one token; there must be a next one to predict")
    window = spec.input_shape[0]
    count = int((tokens == UNKNOWN).sum())
    unknown = {spec.tokenizer: count} if count else {}
    split = windows(torch.from_numpy(tokens), window, whole=True)
    return Labelled(split, unknown=unknown, values=len(tokens), stride=window)


# --- time series ---


def series(spec: DataSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
    """Return all windows of a series; those with a gap in them are left out."""
    from zoo.data.dataset import Windows
    from zoo.data.series.regular_grid import read_series, with_options
    from zoo.data.series.source import open_series, source_of

    path = Path(data["path"])
    reading = replace(spec.reading, **_options(data, "delimiter", "header"))
    table = open_series(path, reading, spec.columns)
    reading = with_options(reading, table, **_options(data, "time_column", "dayfirst", "fill_method"))
    recorded = read_series(source_of(table), spec.columns, reading, last=0)
    values = recorded.values
    past = spec.input_shape[0]
    horizon = spec.target_shape[0] if spec.target_type == "future" else 0
    base = torch.from_numpy(values.astype(np.float32))
    split: dict[str, Any] = {"x": Windows(base, past, drop=horizon)}
    if horizon:
        split["y"] = Windows(base[:, list(spec.targets)], horizon, first=past)
    elif spec.normal_classes:
        split["y"] = _marked(path, data, recorded, past)
    gap = np.isnan(values).any(1)
    clean = _without(gap, past + horizon)
    if not clean.any():
        raise ZooError(f"{path}: has {len(values)} rows; a window takes {past + horizon} without a gap")
    if clean.all():
        return Labelled(split)
    index = torch.from_numpy(np.flatnonzero(clean))
    split = {key: value[index] if isinstance(value, Tensor) else Rows(value, index) for key, value in split.items()}
    return Labelled(split, notes=_left_out(int((~clean).sum()), "with a gap", what="windows"))


def _without(gap: np.ndarray, length: int) -> np.ndarray:
    """Return for each stretch of ``length`` rows whether none of them is a ``gap``."""
    sums = np.concatenate([[0], np.cumsum(gap)])
    clean: np.ndarray = sums[length:] == sums[: max(len(sums) - length, 0)]
    return clean


def _marked(path: Path, data: Mapping[str, Any], recorded: Any, past: int) -> Tensor:
    """Return for each window whether one of its rows is an anomaly."""
    from zoo.data.series.anomaly_windows import in_anomaly_windows

    if data.get("anomaly_windows") is None:
        raise ZooError(
            f"{path}: does not say which rows are anomalies; name the file that does by data.anomaly_windows="
        )
    anomalous = in_anomaly_windows(Path(data["anomaly_windows"]), path, recorded.grid.times, recorded.times)
    return torch.from_numpy((~_without(anomalous, past)).astype(np.int64))


# --- images ---


def image_folder(spec: DataSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
    """Return the images of a folder or an archive, with the classes that folders or a CSV say."""
    from zoo.data.image.read import read

    path, names, rows, bad = Path(data["path"]), [], [], []
    for piece in read(spec, str(path)):
        if piece.wrong is not None:
            bad.append(piece.wrong)
            continue
        names += [Path(name).relative_to(path).as_posix() for name in piece.names]
        rows.append(_bytes(spec, piece.raw))
    if not rows:
        raise ZooError(f"{path}: none of its images can be read; {bad[0]}")
    notes = _left_out(len(bad), f"that cannot be read; the first: {bad[0] if bad else ''}", what="images")
    index, classes, more = _folder_classes(spec, names, data, part)
    x = torch.cat(rows)[torch.tensor(index, dtype=torch.int64)]
    return _classified(spec, {"x": x}, classes, [*notes, *more])


def _folder_classes(
    spec: DataSpec, names: Sequence[str], data: Mapping[str, Any], part: str | None
) -> tuple[list[int], list[str], list[str]]:
    """Return which images are measured, the class of each, and what to say of those that are not."""
    path = Path(data["path"])
    if data.get("labels") is not None:
        if part is not None:
            raise ZooError(f"rows={part}: a list of labels has no parts; leave rows out")
        return _listed_classes(names, data)
    folders = [Path(name).parts[:-1] for name in names]
    depth = _class_level(spec, folders)
    index = [row for row, above in enumerate(folders) if len(above) > depth]
    if part is not None:
        parts = _parts(folders, depth)
        index = [row for row in index if parts[row] == part]
        if not index:
            raise ZooError(f"rows={part}: {path} has no such part; leave rows out, and all of it is measured")
    if not index:
        raise ZooError(f"{path}: its images lie in no class folders; name each file's class in a CSV by data.labels=")
    loose = [row for row, above in enumerate(folders) if len(above) <= depth]
    notes = _left_out(len(loose), f"that lie in no class folder, such as {names[loose[0]] if loose else ''}", "images")
    classes = [folders[row][depth] for row in index]
    return index, classes, notes


def _parts(folders: Sequence[tuple[str, ...]], depth: int) -> list[str | None]:
    """Return the part that the folder above each row's class folder says, or the one below."""
    from zoo.data.image.folder import parts_of

    for level in (depth - 1, depth + 1):
        part = parts_of({above[level] for above in folders if len(above) > level >= 0})
        if part:
            return [part.get(above[level]) if len(above) > level else None for above in folders]
    return [None] * len(folders)


def _class_level(spec: DataSpec, folders: Sequence[tuple[str, ...]]) -> int:
    """Return which level of folders, from 0, names most of the model's classes."""
    known = spec.normal_classes if spec.target_type == "input" and spec.normal_classes else spec.classes
    most = max(map(len, folders), default=0)
    hits = [
        sum(class_numbers([above[level] for above in folders if len(above) > level], known) != ABSENT)
        for level in range(most)
    ]
    return int(np.argmax(hits)) if any(hits) else 0


def _listed_classes(names: Sequence[str], data: Mapping[str, Any]) -> tuple[list[int], list[str], list[str]]:
    from zoo.data.table.csv_file import read_labels

    by_name: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        for key in {name, Path(name).name, Path(name).stem}:
            by_name.setdefault(key, []).append(row)
    index, classes, lost = [], [], 0
    for line, file, label in read_labels(Path(data["labels"]), data.get("target"), set(by_name)):
        matching = by_name.get(file, [])
        if len(matching) > 1:
            raise ZooError(f"{data['labels']}, line {line}: {file!r}: {len(matching)} files are so named")
        lost += not matching
        index += matching
        classes += [label] * len(matching)
    return index, classes, _left_out(lost, f"of {data['labels']}, whose images are not there", what="lines")


def npz(spec: DataSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
    """Return the images of a NumPy archive, all of its parts or one."""
    from zoo.data.arrays import joined_images
    from zoo.data.image.npz import labelled_arrays

    path = Path(data["path"])
    arrays = labelled_arrays(path)
    if part is not None and (part not in arrays or set(arrays) == {"train"}):
        raise ZooError(f"rows={part}: {path} has no such part; leave rows out, and all of it is measured")
    chosen = [arrays[name] for name in arrays if part in (None, name)]
    x = _bytes(spec, joined_images([images for images, _ in chosen], str(path)))
    labels = np.concatenate([y.reshape(len(y)) for _, y in chosen])
    return _classified(spec, {"x": x}, _array_classes(spec, labels, data), [])


def _array_classes(spec: DataSpec, labels: np.ndarray, data: Mapping[str, Any]) -> list[str]:
    """Return labels as names: as they are, or the names that ``classes`` gave to their numbers in training."""
    texts = [str(label) for label in labels]
    numbers = spec.reading.labels
    if not numbers:
        return texts
    names = dict(zip(map(same_name, numbers), spec.classes, strict=False))
    return [names.get(same_name(text), text) for text in texts]


def _bytes(spec: DataSpec, raw: Any) -> Tensor:
    """Return images as the model reads them; bytes stay bytes, which are a quarter."""
    x = encode(spec, raw)["x"]
    array = np.asarray(raw)
    return torch.from_numpy(array) if array.dtype == np.uint8 and array.shape == tuple(x.shape) else x


# --- what they share ---


def _options(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those options that a user gave; the others are the model's."""
    return {name: data[name] for name in names if data.get(name) is not None}


def _left_out(count: int, why: str, what: str = "rows") -> list[str]:
    return [f"left out {count:,} {what} {why}"] if count else []


Reader = Callable[[DataSpec, Mapping[str, Any], "str | None"], Labelled]
READERS: dict[str, tuple[str, Reader]] = {
    "csv": ("table", table),
    "text": ("text", texts),
    "text_file": ("text", long_text),
    "series": ("series", series),
    "image_folder": ("image", image_folder),
    "npz": ("image", npz),
}
PARTED = ("image_folder", "npz")
