"""Raw input as a model reads it: a module per kind of data, the one home of preprocessing outside of training sets.

Each module has ``encode(spec, raw)`` (whatever a caller has, to a batch), ``read(spec, place)`` (a file, in pieces
that ``encode`` takes) and ``from_json(spec, rows)`` (a request's rows). How values are read is the model's:
``spec.reading``.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.inputs.base import INPUT, Piece
from zoo.spec import PADDING, UNKNOWN, DataSpec

if TYPE_CHECKING:
    from zoo.data.dataset import Batch

MODULES = {kind: f"zoo.inputs.{kind}" for kind in ("image", "table", "text", "sequence", "series")}


def modality(spec: DataSpec) -> Any:
    """Return the module that reads such data.

    Raises:
        ZooError: a policy, whose input is what its environment shows.
    """
    if spec.kind not in MODULES:
        raise ZooError(f"predict: a model of {spec.name} acts, zoo play shows it")
    return importlib.import_module(MODULES[spec.kind])


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return ``raw``, a batch or one sample of it, as a batch: ``x`` float (B, *input_shape), ``lengths`` of sequences.

    Raises:
        ZooError: another shape than ``spec.input_shape``, a column that is missing, a value that training rejects.
    """
    if spec.task == "control":
        from zoo.inputs.environment import encode as observations

        return observations(spec, raw)
    batch: Batch = modality(spec).encode(spec, raw)
    return batch


def unknown_categories(spec: DataSpec, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
    """Return the categories of ``raw``, of which ``encode`` made ``batch``, that training lacks, counted by column.

    ``zoo.inputs.table.unknown_notes`` says them.
    """
    count = getattr(modality(spec), "unknown_categories", None) if spec.kind in MODULES else None
    counts: dict[str, Counter[str]] = count(spec, raw, batch) if count is not None else {}
    return counts


def unknown_values(spec: DataSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Return how many values of a batch the model does not know, by column or kind of token, and of how many in all.

    These are texts of a table's columns, and tokens of a text, that training did not have.
    """
    x = batch["x"]
    if spec.kind == "table":
        columns = [n for n, known in enumerate(spec.levels) if known]
        counts = {spec.columns[n]: int((x[:, n] == 0).sum()) for n in columns}
        return {name: count for name, count in counts.items() if count}, len(x) * len(columns)
    if spec.kind == "text":
        count = int((x == UNKNOWN).sum())
        return {spec.tokens: count} if count else {}, int((x != PADDING).sum())
    return {}, 0


def from_json(spec: DataSpec, rows: Sequence[Any]) -> Any:
    """Return the rows of a request as ``encode`` takes them.

    Raises:
        ZooError: a value that cannot be read, or a column that is missing.
    """
    return modality(spec).from_json(spec, rows)


def pieces(spec: DataSpec, places: Sequence[str]) -> Iterator[Piece]:
    """Yield the content of ``places`` (files, folders, archives, - for standard input) for a model of such data.

    A file that cannot be read is a Piece that says so, and the others go on.

    Raises:
        ZooError: there is no such file, or nothing of the kind can be read from files.
    """
    read = modality(spec).read
    if spec.task == "language_modeling":
        raise ZooError("predict: a language model writes, by zoo generate")
    for place in places:
        if place != INPUT and not Path(place).exists():
            raise ZooError(f"{place}: no such file or folder")
    for number, place in enumerate(places):
        try:
            for piece in read(spec, place):
                within = piece.done if piece.done is not None else 0.0
                yield Piece(piece.names, piece.raw, piece.wrong, (number + within) / len(places), piece.times)
        except ZooError as error:
            yield Piece([place], wrong=str(error), done=(number + 1) / len(places))
