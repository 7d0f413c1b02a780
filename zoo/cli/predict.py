"""``zoo predict``: a trained model's predictions for new files."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from zoo.cli.command import Args
from zoo.exceptions import ZooError
from zoo.inference.predictions import predictions_of
from zoo.utils.atomic_io import atomic_write

Row = dict[str, Any]
FORMATS = ("table", "csv", "json")


def rows_of(spec: Any, names: Sequence[str], output: dict[str, Any], times: Sequence[str], top: int) -> Iterator[Row]:
    """Yield the columns to print of each row of a batch: a label with probabilities, or values."""
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
    """Writes rows as they come: aligned for the eye, as CSV, or each as a line of JSON.

    In a CSV each row has the columns of the first; probabilities are then of all classes.
    """

    def __init__(self, form: str, to: TextIO) -> None:
        self.form, self.to = form, to
        self.columns: list[str] = []
        self.widths: list[int] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Write some rows."""
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
    """Predict images, rows of a CSV, lines of a text, recordings, or the next steps of a series."""
    from zoo.inference.loading import open_model
    from zoo.utils.device import select_device

    if len(args.paths) < 2:
        raise ZooError("predict: takes a checkpoint or run folder, then files, folders, or - for standard input")
    place, *inputs = args.paths
    model, _ = open_model(place)
    model.to(select_device("auto"))
    form, out = args["format"], args["out"]
    top = len(model.spec.classes) if form == "csv" else args["top"]
    if out is None or (out.exists() and not out.is_file()):  # a pipe or a device takes rows as they come
        with out.open("w", newline="") if out else contextlib.nullcontext(sys.stdout) as to:
            predictor = Predictor(model, Printer(form, to), top, bar=out is not None or not sys.stdout.isatty())
            predictor.predict(inputs)
        return predictor.code
    codes = []

    def write(path: Path) -> None:
        with path.open("w", newline="") as file:
            predictor = Predictor(model, Printer(form, file), top, bar=True)
            predictor.predict(inputs)
        codes.append(predictor.code)
        if not predictor.rows:
            raise NoPredictions

    with contextlib.suppress(NoPredictions):
        atomic_write(out, write)
    return codes[0]


class NoPredictions(Exception):  # noqa: N818  (the reason was printed before)
    """No row could be read, so that there is nothing to write."""


class Predictor:
    """Predicts inputs piece by piece and writes the rows by a ``Printer``; counts errors and unknown values.

    ``bar`` lets a terminal show how much is done.
    """

    def __init__(self, model: Any, printer: Printer, top: int, *, bar: bool) -> None:
        self.model, self.printer, self.top = model, printer, top
        self.progress = _progress_bar(sys.stderr.isatty() and bar)
        self.rows = self.errors = self.values = self.unknown = 0
        self.categories: dict[str, Counter[str]] = {}

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.errors else 0

    def predict(self, inputs: Sequence[str]) -> None:
        """Write the predictions of all inputs; inputs that cannot be read and unknown values are named on stderr."""
        from zoo.data.inputs import pieces
        from zoo.data.table.read import unknown_notes

        spec = self.model.spec
        with self.progress:
            bar = self.progress.add_task("", total=1.0)
            for piece in pieces(spec, inputs):
                error = piece.wrong if piece.wrong is not None else self._piece(piece)
                if error is not None:
                    self.errors += 1
                    print(f"error: {error}", file=sys.stderr)
                self.progress.update(bar, completed=piece.done)
        for line in unknown_notes(self.categories):
            print(line, file=sys.stderr)
        if self.unknown:
            counted = f"{self.unknown:,} of {self.values:,} {spec.tokenizer}"
            print(f"note: {counted} are unknown to the model", file=sys.stderr)

    def _piece(self, piece: Any) -> str | None:
        """Write the predictions of some rows; return the error in them, or None."""
        from zoo.data.inputs import encode, unknown_categories, unknown_values

        spec = self.model.spec
        try:
            batch = encode(spec, piece.raw)
            rows = list(rows_of(spec, piece.names, self.model.answered(batch), piece.times, self.top))
        except ZooError as error:
            return str(error)
        for column, counts in unknown_categories(spec, piece.raw, batch).items():
            self.categories.setdefault(column, Counter()).update(counts)
        if spec.vocab_size:
            unknown, values = unknown_values(spec, batch)
            self.unknown, self.values = self.unknown + sum(unknown.values()), self.values + values
        self.printer.write(_in_order(rows, spec) if self.printer.form == "csv" else rows)
        self.rows += len(rows)
        return None


def _in_order(rows: Sequence[Row], spec: Any) -> list[Row]:
    """Return rows whose probabilities stand in the order of the classes, as one table needs them."""
    order = [f"p({name})" for name in spec.classes]
    return [
        {**{k: v for k, v in row.items() if k not in order}, **{k: row[k] for k in order if k in row}} for row in rows
    ]


def _progress_bar(visible: bool) -> Any:
    """Return a bar on a terminal that does not show the predictions themselves."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = BarColumn(20), TaskProgressColumn(), TimeRemainingColumn(compact=True)
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not visible)
