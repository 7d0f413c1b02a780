"""Raw input as a model reads it, through its modality: the one home of preprocessing outside of training sets."""

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
    """Return ``raw``, a batch or one sample of it, as a batch: ``x`` float (B, *input_shape), ``lengths`` of sequences.

    Raises:
        ZooError: anything that the model cannot read: another shape or type, a column that is missing, no rows, numbers
            that are not finite, values that training rejects.
    """
    modality = registry.get_modality(spec.modality)
    if "complex" in str(getattr(raw, "dtype", "")):  # which a cast would make real without a word
        raise ZooError(f"{spec.name}: a {type(raw).__name__} of complex numbers; must be real ones")
    try:
        batch: Batch = modality.encode(spec, raw)
        _check(spec, batch)
    except ZooError as error:
        message = _line(error)
        if message == str(error):
            raise
        raise ZooError(message) from error
    except Exception as error:  # whatever pandas, NumPy and torch make of an object that is no data
        wrong = _line(error, most=100) or "no reason given"
        message = f"{spec.name}: a {type(raw).__name__} cannot be read ({type(error).__name__}: {wrong})"
        raise ZooError(f"{message}; must be {modality.raw_input}") from error
    return batch


def _line(error: Exception, most: int = 500) -> str:
    """Return what an error says as one line, of at most so many characters: it may quote what was given."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _check(spec: DataSpec, batch: Batch) -> None:
    """Refuse a batch without rows, or with numbers that are not finite.

    Raises:
        ZooError: with the place of the first such number.
    """
    x = batch["x"]
    if not len(x):
        raise ZooError(f"{spec.name}: has no rows")
    finite = x.isfinite()
    if not bool(finite.all()):
        row, *place = (~finite).nonzero()[0].tolist()
        at = f" at {tuple(place)}" if len(place) > 1 else f", number {place[0] + 1}" if place else ""
        raise ZooError(f"{spec.name}: row {row + 1}{at} is not finite, or too large for float32; mend it")


def unknown_categories(spec: DataSpec, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
    """Return the categories of ``raw``, of which ``encode`` made ``batch``, that training lacks, counted by column.

    ``zoo.data.table.read.unknown_notes`` says them.
    """
    counts: dict[str, Counter[str]] = registry.get_modality(spec.modality).unknown_categories(spec, raw, batch)
    return counts


def unknown_values(spec: DataSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Return how many values of a batch the model does not know, by column or kind of token, and of how many in all.

    These are texts of a table's columns, and tokens of a text, that training did not have.
    """
    counts: tuple[dict[str, int], int] = registry.get_modality(spec.modality).unknown_values(spec, batch)
    return counts


def unknown_warning(spec: DataSpec, batch: Mapping[str, Any]) -> str | None:
    """Return what to say of a batch of texts where most tokens are unknown to the model, None elsewhere."""
    if not spec.vocab_size:
        return None
    counts, values = unknown_values(spec, batch)
    most = [(kind, count) for kind, count in counts.items() if 2 * count > values]
    return f"warning: {most[0][1]:,} of {values:,} {most[0][0]} are unknown to the model" if most else None


def from_json(spec: DataSpec, rows: Sequence[Any]) -> Any:
    """Return the rows of a request as ``encode`` takes them.

    Raises:
        ZooError: a value that cannot be read, or a column that is missing.
    """
    return registry.get_modality(spec.modality).from_json(spec, rows)


def pieces(spec: DataSpec, places: Sequence[str]) -> Iterator[Piece]:
    """Yield the content of ``places`` (files, folders, archives, - for standard input) for a model of such data.

    A file that cannot be read is a Piece that says so, and the others go on.

    Raises:
        ZooError: there is no such file, or nothing of the modality can be read from files.
    """
    modality = registry.get_modality(spec.modality)
    if spec.target_type == "next_symbol":
        raise ZooError("predict: a language model writes, by zoo generate")
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
