"""Raw input to what a network reads: the one home of preprocessing outside of the data sets themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.errors import ZooError
from zoo.spec import PADDING, DataSpec
from zoo.tokens import cut, encoded, numbers

if TYPE_CHECKING:
    import pandas as pd  # slow to import, and for tables alone


def to_float(x: Tensor) -> Tensor:
    """Return images of uint8 as float in [0, 1], anything else unchanged."""
    return x * (1 / 255) if x.dtype == torch.uint8 else x


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return ``raw``, a batch or one sample of it, as a batch: ``x`` float (B, *input_shape), ``lengths`` of sequences.

    Images may lack the channel where there is one, be uint8 or float in [0, 1], or PIL's, which are brought to size;
    a data frame's columns are taken by
    name; sequences may be a list of arrays (T, C), each with a T of its own; a text is a string, or a list of such;
    the past of a time series (L, C) may be a data frame's last rows.

    Raises:
        ZooError: another shape than ``spec.input_shape``, or a column that is missing.
    """
    if spec.kind == "sequence":
        return _sequences(spec, raw)
    if spec.kind == "text":
        return _texts(spec, raw)
    if spec.kind == "series":
        return _series(spec, raw)
    if spec.columns and hasattr(raw, "columns"):
        raw = encode_frame(spec, raw)
    if spec.kind == "image":
        raw = _pictures(spec, raw)
    x = _floats(to_float(_tensor(raw)) if spec.kind == "image" else raw)
    shape = spec.input_shape
    if spec.kind == "image" and shape[0] == 1 and tuple(x.shape[-2:]) == shape[1:] and x.shape[-3:-2] != (1,):
        x = x.unsqueeze(-3)
    if tuple(x.shape) == shape:
        x = x.unsqueeze(0)
    if tuple(x.shape[1:]) != shape:
        raise ZooError(f"{spec.name}: input of shape {tuple(x.shape)}; must be (batch, {', '.join(map(str, shape))})")
    return {"x": x}


def _pictures(spec: DataSpec, raw: Any) -> Any:
    """Return PIL's image, or a list of such, as uint8 (B, C, H, W); anything else as it is."""
    many = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if not many or not all(hasattr(image, "getexif") for image in many):
        return raw
    from zoo.decoding import fitted

    channels, height, width = spec.input_shape
    return np.stack([fitted(image, size=(height, width), fit="crop", channels=channels) for image in many])


def coded(spec: DataSpec, x: Tensor, standard: Tensor) -> Tensor:
    """Return a table's rows (B, spec.coded): ``standard``, the standardised numbers of ``x``, then each text as 0 or 1.

    A text that training lacks is 0 throughout.
    """
    text = {n: len(known) for n, known in enumerate(spec.levels) if known}
    parts = [standard[:, [n for n in range(spec.inputs) if n not in text]]]
    for n, count in text.items():
        parts.append((x[:, n : n + 1] == torch.arange(1, count + 1, device=x.device)).to(standard.dtype))
    return torch.cat(parts, 1)


def encode_frame(spec: DataSpec, frame: pd.DataFrame) -> np.ndarray:
    """Return the columns of a table as x (N, inputs): texts numbered, missing numbers filled and flagged.

    Raises:
        ZooError: a column that is missing, text or infinity in a column of numbers.
    """
    missing = [c for c in spec.columns if c not in frame.columns]
    if missing:
        raise ZooError(f"{spec.name}: the columns {', '.join(missing)} are missing")
    levels = spec.levels or ((),) * len(spec.columns)
    fills = spec.fills or (0.0,) * len(spec.columns)
    made, flags = [], {}
    for name, known, fill in zip(spec.columns, levels, fills, strict=True):
        if known:
            numbers = {text: float(number) for number, text in enumerate(known, start=1)}
            made.append(as_texts(frame[name]).map(numbers).fillna(0.0).to_numpy(float))
            continue
        values = as_numbers(frame[name], lambda row, name=name: f"{spec.name}, row {row + 1}, column {name!r}")
        flags[name] = np.isnan(values)
        made.append(np.where(flags[name], fill, values))
    made += [flags[name].astype(float) for name in spec.flagged]
    return np.stack(made, axis=1)


def as_text(value: Any) -> str:
    """Return a cell as the text that a level is, nothing where it is missing: 3.0 and 3 are one."""
    if value is None or value != value:
        return ""
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value).strip()


def as_texts(column: pd.Series) -> pd.Series:
    """Return a column's cells as texts; each different one is looked at once."""
    import pandas as pd

    codes, seen = column.factorize(use_na_sentinel=False)
    return pd.Series(np.array([as_text(value) for value in seen], dtype=object)[codes], index=column.index)


def as_numbers(cells: pd.Series, place: Callable[[int], str], advice: str = "") -> np.ndarray:
    """Return a column as float64, NaN where a value is missing; ``place`` says where a row is.

    Raises:
        ZooError: text or infinity, with its place.
    """
    import pandas as pd

    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    stray = np.flatnonzero(np.isnan(values) & cells.notna().to_numpy())
    if len(stray):
        text = str(cells.iloc[stray[0]])[:40]
        raise ZooError(f"{place(stray[0])}: {text!r} is text in a column of numbers; mend or empty it{advice}")
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise ZooError(f"{place(endless[0])}: is infinite; mend or empty it")
    return values


def _sequences(spec: DataSpec, raw: Any) -> Batch:
    listed = isinstance(raw, Sequence)
    parts = [_floats(part) for part in raw] if listed else [_floats(raw)]
    if not listed and parts[0].ndim == 3:
        parts = list(parts[0])
    for part in parts:
        if part.ndim != 2 or part.shape[1] != spec.input_shape[1] or not len(part):
            raise ZooError(f"{spec.name}: a sequence of shape {tuple(part.shape)}; must be (T, {spec.input_shape[1]})")
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), "lengths": lengths}


def _texts(spec: DataSpec, raw: Any) -> Batch:
    """Return texts as numbers (B, T), of a classification with ``lengths``; numbers are taken as they are."""
    if isinstance(raw, str):
        raw = [raw]
    if not isinstance(raw, (list, Tensor)) and getattr(raw, "dtype", None) in (object, "str"):  # a frame's column
        raw = raw.tolist()
    if len(raw) and isinstance(raw[0], str):
        known = numbers(spec.vocabulary)
        parts = [torch.from_numpy(encoded(cut(text, spec.tokens), known)).long() for text in raw]
    else:
        parts = [_tensor(part).long() for part in (raw if _tensor(raw[0]).ndim else [raw])]
    for number, part in enumerate(parts):
        if not len(part):
            raise ZooError(f"{spec.name}: text {number + 1} is empty")
    whole = spec.task == "language_modeling"
    parts = parts if whole else [part[: spec.input_shape[0]] for part in parts]
    x = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDING)
    return {"x": x} if whole else {"x": x, "lengths": torch.tensor([len(part) for part in parts])}


def _series(spec: DataSpec, raw: Any) -> Batch:
    if hasattr(raw, "columns"):
        missing = [c for c in spec.columns if c not in raw.columns]
        if missing:
            raise ZooError(f"{spec.name}: the columns {', '.join(missing)} are missing")
        raw = raw[list(spec.columns)].to_numpy(float)[-spec.input_shape[0] :]
    x = _floats(raw)
    x = x.unsqueeze(0) if x.ndim == 2 else x
    if tuple(x.shape[1:]) != spec.input_shape:
        said = f"the last {spec.input_shape[0]} steps of {', '.join(spec.columns)}"
        raise ZooError(f"{spec.name}: input of shape {tuple(x.shape)}; must be {spec.input_shape}, {said}")
    return {"x": x}


def _tensor(raw: Any) -> Tensor:
    return raw if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw))


def _floats(raw: Any) -> Tensor:
    return _tensor(raw).float()
