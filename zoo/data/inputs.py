"""Preprocessing of raw input for a trained model, by its modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.data.dataset import Batch
from zoo.data.input_readers import INPUT, Piece
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return ``raw``, one sample or a batch, as a batch: ``x`` float (B, *input_shape), and ``lengths`` for sequences.

    Raises:
        ZooError: if the model cannot read the input. Examples are a wrong shape or type, a missing column, no rows,
            and values that are not finite or that training rejects.
    """
    modality = registry.get_modality(spec.modality)
    if "complex" in str(getattr(raw, "dtype", "")):  # a cast would silently drop the imaginary part
        raise ZooError(f"{spec.name}: a {type(raw).__name__} of complex numbers; must be real")
    try:
        batch: Batch = modality.encode(spec, raw)
        _check(spec, batch)
    except ZooError as error:
        message = _line(error)
        if message == str(error):
            raise
        raise ZooError(message) from error
    except Exception as error:  # any error that pandas, NumPy or torch raise for unsupported objects
        wrong = _line(error, most=100) or "no reason given"
        message = f"{spec.name}: a {type(raw).__name__} cannot be read ({type(error).__name__}: {wrong})"
        raise ZooError(f"{message}; must be {modality.raw_input}") from error
    return batch


def _line(error: Exception, most: int = 500) -> str:
    """Return an error message as one line of at most ``most`` characters, since it may quote long input."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _check(spec: DataSpec, batch: Batch) -> None:
    """Raise an error for a batch without rows, or with values that are not finite.

    Raises:
        ZooError: with the position of the first invalid value.
    """
    x = batch["x"]
    if not len(x):
        raise ZooError(f"{spec.name}: has no rows")
    finite = x.isfinite()
    if not bool(finite.all()):
        row, *place = (~finite).nonzero()[0].tolist()
        at = f" at {tuple(place)}" if len(place) > 1 else f", number {place[0] + 1}" if place else ""
        raise ZooError(f"{spec.name}: row {row + 1}{at} is not finite, or too large for float32; correct it")


def unknown_categories(spec: DataSpec, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
    """Count the categories of ``raw`` that are unknown from training, by column. ``batch`` is the encoded input.

    ``zoo.data.table.read.unknown_notes`` formats the counts.
    """
    counts: dict[str, Counter[str]] = registry.get_modality(spec.modality).unknown_categories(spec, raw, batch)
    return counts


def unknown_values(spec: DataSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Count the values of a batch that are unknown from training, by column or kind of token, and all values.

    Values are categories of a table or tokens of a text.
    """
    counts: tuple[dict[str, int], int] = registry.get_modality(spec.modality).unknown_values(spec, batch)
    return counts


def unknown_warning(spec: DataSpec, batch: Mapping[str, Any]) -> str | None:
    """Return a warning for a batch of texts in which most tokens are unknown to the model, otherwise None."""
    if not spec.vocab_size:
        return None
    counts, values = unknown_values(spec, batch)
    most = [(kind, count) for kind, count in counts.items() if 2 * count > values]
    return f"warning: {most[0][1]:,} of {values:,} {most[0][0]} are unknown to the model" if most else None


def from_json(spec: DataSpec, rows: Sequence[Any]) -> Any:
    """Convert the rows of a request to input for ``encode``.

    Raises:
        ZooError: if a value cannot be read, or a column is missing.
    """
    return registry.get_modality(spec.modality).from_json(spec, rows)


def pieces(spec: DataSpec, places: Sequence[str]) -> Iterator[Piece]:
    """Yield the content of files, folders, archives or standard input (-) for a model of this kind of data.

    An unreadable file yields a Piece with the error, and reading continues with the next file.

    Raises:
        ZooError: if a file does not exist, or the modality cannot be read from files.
    """
    modality = registry.get_modality(spec.modality)
    if spec.target_type == "next_symbol":
        raise ZooError("predict: does not support language models; use zoo generate")
    for place in places:
        if place != INPUT and not Path(place).exists():
            raise ZooError(f"{place}: no such file or folder")
    for number, place in enumerate(places):
        rows = 0
        try:
            for piece in modality.read(spec, place):
                rows += len(piece.names)
                within = piece.done if piece.done is not None else 0.0
                yield Piece(piece.names, piece.raw, piece.wrong, (number + within) / len(places), piece.times)
        except ZooError as error:
            yield Piece([place], wrong=str(error), done=(number + 1) / len(places))
            continue
        if not rows:
            named = "standard input" if place == INPUT else place
            yield Piece([place], wrong=f"{named}: has no rows", done=(number + 1) / len(places))
