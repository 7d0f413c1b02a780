"""The command ``zoo predict``: predictions of a trained model for new files."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from zoo.cli.command import Args
from zoo.exceptions import ZooError
from zoo.utils.atomic_io import atomic_write

Row = dict[str, Any]


def rows_of(spec: Any, names: Sequence[str], output: dict[str, Any], times: Sequence[str], top: int) -> Iterator[Row]:
    """Yield the output columns of each row of a batch: a label with probabilities, or values."""
    from zoo.inference.loading import predictions_of

    for name, one in zip(names, predictions_of(spec, output), strict=True):
        row: Row = {"input": name}
        if "label" in one:
            row["label"] = "+".join(one["label"]) if isinstance(one["label"], list) else one["label"]
        shares = sorted(one.get("probability", {}).items(), key=lambda share: -share[1])[:top]
        row |= {f"p({name})": round(share, 6) for name, share in shares}
        row |= {key: value for key, value in one.items() if key not in ("label", "probability", "value")}
        if spec.target_type != "future":
            yield row | ({"value": one["value"]} if "value" in one else {})
            continue
        columns = [spec.columns[k] for k in spec.targets]
        for time, values in zip(times, one["value"], strict=True):
            yield {**row, "time": time, **dict(zip(columns, values, strict=True))}


class Printer:
    """A streaming writer of rows: an aligned table, CSV, or JSON Lines.

    All rows of a CSV have the columns of the first row, with the probabilities of all classes.
    """

    def __init__(self, form: str, to: TextIO) -> None:
        self.form, self.to = form, to
        self.columns: list[str] = []
        self.widths: list[int] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows and flush the stream."""
        if self.form == "json":
            self.to.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        elif self.form == "csv":
            writer = csv.writer(self.to, lineterminator="\n")
            if not self.columns and rows:
                self.columns = list(rows[0])
                writer.writerow(self.columns)
            writer.writerows([row.get(column, "") for column in self.columns] for row in rows)
        else:
            self._aligned(rows)
        self.to.flush()

    def _aligned(self, rows: Sequence[Row]) -> None:
        cells = [[self._cell(key, value) for key, value in row.items()] for row in rows]
        if not self.widths and cells:
            count = max(map(len, cells))
            self.widths = [max(len(row[n]) for row in cells if n < len(row)) for n in range(count)]
        for row in cells:
            self.to.write("  ".join(f"{c:<{w}}" for c, w in zip(row, self.widths, strict=False)).rstrip() + "\n")

    @staticmethod
    def _cell(key: str, value: Any) -> str:
        if key in ("input", "label", "time"):
            return str(value)
        name = key.removeprefix("p(").removesuffix(")")
        if key.startswith("p("):
            return f"{name} {value:.1%}"
        return f"{name} {value:.2f}" if 1e6 <= abs(value) < 1e15 else f"{name} {value:.6g}"


def run_predict(args: Args) -> int:
    """Predict images, CSV rows, lines of text, recordings, or the next steps of a time series."""
    if len(args.paths) < 2:
        raise ZooError("predict: needs a checkpoint or run folder, then files, folders, or - for standard input")
    from zoo.inference.loading import open_model
    from zoo.utils.device import select_device

    place, *inputs = args.paths
    model, _ = open_model(place)
    model.to(select_device("auto"))
    form, out = args["format"], args["out"]
    top = len(model.spec.classes) if form == "csv" else args["top"]
    if out is None or (out.exists() and not out.is_file()):  # stream rows to a pipe or a device
        with out.open("w", newline="") if out else contextlib.nullcontext(sys.stdout) as to:
            bar = out is not None or not sys.stdout.isatty()
            return int(_predict(model, inputs, Printer(form, to), top, bar=bar)[1] > 0)
    counts: list[int] = []

    def write(path: Path) -> None:
        with path.open("w", newline="") as file:
            counts.extend(_predict(model, inputs, Printer(form, file), top, bar=True))
        if not counts[0]:
            raise NoPredictions

    with contextlib.suppress(NoPredictions):
        atomic_write(out, write)
    return int(counts[1] > 0)


class NoPredictions(Exception):  # noqa: N818  (the cause is already printed)
    """Raised if no input row is readable, so the output file is not written."""


def _predict(model: Any, inputs: Sequence[str], printer: Printer, top: int, *, bar: bool) -> tuple[int, int]:
    """Write the predictions of the inputs batch by batch, and return the number of rows and of errors.

    Unreadable inputs and unknown values are reported on stderr. ``bar`` shows a progress bar on a terminal.
    """
    from zoo.data.inputs import encode, pieces, unknown_categories, unknown_values
    from zoo.data.table.read import unknown_notes

    spec, rows, errors, values = model.spec, 0, 0, 0
    unknown, categories = Counter[str](), defaultdict[str, Counter[str]](Counter)
    with _progress_bar(sys.stderr.isatty() and bar) as progress:
        task = progress.add_task("", total=1.0)
        for piece in pieces(spec, inputs):
            progress.update(task, completed=piece.done)
            try:
                if piece.wrong is not None:
                    raise ZooError(piece.wrong)
                batch = encode(spec, piece.raw)
                written = list(rows_of(spec, piece.names, model.answered(batch), piece.times, top))
            except ZooError as error:
                errors += 1
                print(f"error: {error}", file=sys.stderr)
                continue
            for column, counts in unknown_categories(spec, piece.raw, batch).items():
                categories[column].update(counts)
            if spec.vocab_size:
                strange, count = unknown_values(spec, batch)
                unknown.update(strange)
                values += count
            printer.write(_in_order(written, spec) if printer.form == "csv" else written)
            rows += len(written)
    for line in unknown_notes(categories):
        print(line, file=sys.stderr)
    if unknown:
        print(f"note: {unknown.total():,} of {values:,} {spec.tokenizer} are unknown to the model", file=sys.stderr)
    return rows, errors


def _in_order(rows: Sequence[Row], spec: Any) -> list[Row]:
    """Return the rows with their probabilities in the order of the classes, so that all rows have the same columns."""
    order = [f"p({name})" for name in spec.classes]
    return [
        {**{k: v for k, v in row.items() if k not in order}, **{k: row[k] for k in order if k in row}} for row in rows
    ]


def _progress_bar(visible: bool) -> Any:
    """Return a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = BarColumn(20), TaskProgressColumn(), TimeRemainingColumn(compact=True)
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not visible)
