"""Raw input from files as a model reads it, some rows at a time: photos, rows of a CSV, texts, recordings, series."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.spec import DataSpec

INPUT = "-"  # standard input
ROWS = {"image": 64, "table": 4096, "text": 64}  # that are read at once


@dataclass(frozen=True)
class Piece:
    """Some rows: what each is called, and the raw batch that ``predict`` takes; or what is ``wrong`` with a file.

    ``done`` is how much of all is read, from 0 to 1, where that is known. ``times`` are those of a forecast's steps.
    """

    names: Sequence[str]
    raw: Any = None
    wrong: str | None = None
    done: float | None = None
    times: Sequence[str] = ()


def pieces(spec: DataSpec, places: Sequence[str]) -> Iterator[Piece]:
    """Yield what ``places`` (files, folders, archives, - for standard input) hold for a model of such data.

    A file that cannot be read is a Piece that says so, and the others go on.

    Raises:
        ZooError: there is no such file, or nothing of the kind can be read from files.
    """
    if spec.kind not in READERS:
        raise ZooError(f"predict: a model of {spec.name} acts, zoo play shows it")
    if spec.task == "language_modeling":
        raise ZooError("predict: a language model writes, by zoo generate")
    for place in places:
        if place != INPUT and not Path(place).exists():
            raise ZooError(f"{place}: no such file or folder")
    for number, place in enumerate(places):
        try:
            for piece in READERS[spec.kind](spec, place):
                within = piece.done if piece.done is not None else 0.0
                yield Piece(piece.names, piece.raw, piece.wrong, (number + within) / len(places), piece.times)
        except ZooError as error:
            yield Piece([place], wrong=str(error), done=(number + 1) / len(places))


@contextlib.contextmanager
def _opened(place: str) -> Iterator[io.BufferedReader]:
    if place == INPUT:
        yield sys.stdin.buffer  # type: ignore[misc]
        return
    try:
        with Path(place).open("rb") as file:
            yield file
    except OSError as error:
        raise ZooError(f"{place}: cannot be read ({error.strerror})") from None


def _share(place: str, file: io.BufferedReader) -> float | None:
    """Return how much of a file is read."""
    return None if place == INPUT else file.tell() / max(Path(place).stat().st_size, 1)


def _tables(spec: DataSpec, place: str) -> Iterator[Piece]:
    from zoo.data.csvfile import stream_csv

    with _opened(place) as file:
        for table in stream_csv(
            file, "standard input" if place == INPUT else place, rows=ROWS["table"], known=spec.columns
        ):
            yield Piece([str(line) for line in table.lines], table.cells, done=_share(place, file))


def _texts(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read each line as a text."""
    names: list[str] = []
    texts: list[str] = []
    with _opened(place) as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise ZooError(f"{place}, line {number}: is not UTF-8; save it as UTF-8") from None
            if text:
                names.append(str(number))
                texts.append(text)
            if len(texts) == ROWS["text"]:
                yield Piece(names, texts, done=_share(place, file))
                names, texts = [], []
        if texts:
            yield Piece(names, texts)


def _images(spec: DataSpec, place: str) -> Iterator[Piece]:
    from zoo.decoding import contents, decode, is_archive, is_image, listing, wrong

    path = Path(place)
    if place == INPUT:
        found: list[tuple[str, Callable[[], Any]]] = [("standard input", lambda: io.BytesIO(sys.stdin.buffer.read()))]
        total = 1
    elif path.is_dir() or is_archive(path):
        try:
            files = [name for name, _, _ in listing(path) if is_image(name)]
        except Exception as error:
            raise ZooError(f"{path}: is not a whole archive ({' '.join(str(error).split())})") from None
        if not files:
            raise ZooError(f"{path}: holds no image")
        found, total = ((str(path / files[n]), opened) for n, opened in contents(path, files)), len(files)  # type: ignore[assignment]
    else:
        found, total = [(place, lambda: path)], 1
    channels, *size = spec.input_shape
    names: list[str] = []
    rows: list[np.ndarray] = []
    for number, (name, opened) in enumerate(found, start=1):
        try:
            rows.append(decode(opened(), size=(size[0], size[1]), fit="crop", channels=channels))
            names.append(name)
        except Exception as error:  # whatever a damaged file makes a decoder say
            yield Piece([name], wrong=f"{name}: is no image that can be read ({wrong(error)})", done=number / total)
        if len(rows) == ROWS["image"]:
            yield Piece(names, np.stack(rows), done=number / total)
            names, rows = [], []
    if rows:
        yield Piece(names, np.stack(rows), done=1.0)


def _recordings(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read wav files; for a model of other sequences, arrays (T, C) of .npy files."""
    path = Path(place)
    ending = ".wav" if spec.recorded else ".npy"
    files = sorted(path.rglob(f"*{ending}")) if path.is_dir() else [path]
    if not files:
        raise ZooError(f"{path}: holds no {ending} file")
    for number, file in enumerate(files, start=1):
        try:
            yield Piece([str(file)], [_frames(spec, file)], done=number / len(files))
        except ZooError as error:
            yield Piece([str(file)], wrong=str(error), done=number / len(files))


def _frames(spec: DataSpec, path: Path) -> np.ndarray:
    if not spec.recorded:
        try:
            found: np.ndarray = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ZooError(f"{path}: is no array that can be read ({error})") from None
        return found
    import torch

    from zoo.data.audio import levelled, log_mel, read_wav

    frames = log_mel(read_wav(path if str(path) != INPUT else sys.stdin.buffer.read()))[: spec.input_shape[0]]
    if spec.recorded == "levelled":
        frames = levelled(torch.from_numpy(frames)[None], torch.tensor([len(frames)]))[0].numpy()
    return frames


def _series(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read a series' last rows, and the times that come after."""
    from zoo.data.csvfile import read_csv
    from zoo.data.series import evenly, read_times, times_after
    from zoo.encode import as_numbers

    if place == INPUT:
        raise ZooError("predict: a series is read from a file")
    table = read_csv(Path(place))
    missing = [name for name in spec.columns if name not in table.cells.columns]
    if missing:
        raise ZooError(f"{place}: lacks the column {missing[0]!r}; the model reads {', '.join(spec.columns)}")
    times, clock = read_times(table, None)
    values = np.stack(
        [as_numbers(table.cells[c], lambda row: f"{place}, line {table.lines[row]}") for c in spec.columns], 1
    )
    values, whole, step = evenly(table, times, clock, values, None)
    past = spec.input_shape[0]
    if len(values) < past or np.isnan(values[-past:]).any():
        raise ZooError(f"{place}: has {len(values)} rows; the model reads the last {past}, without gaps")
    yield Piece([place], values[-past:], times=times_after(whole, step, (spec.target_shape or (0,))[0]))


READERS: dict[str, Callable[[DataSpec, str], Iterator[Piece]]] = {
    "table": _tables,
    "text": _texts,
    "image": _images,
    "sequence": _recordings,
    "series": _series,
}
