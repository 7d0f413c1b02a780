"""Time series as a modality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo.data.dataset import Batch, Dataset
from zoo.data.input_readers import Piece
from zoo.data.labelled import Labelled
from zoo.data.modality import Modality
from zoo.data.series import read
from zoo.data.series.example import example
from zoo.data.series.labelled import labelled_series
from zoo.data.series.spec import SeriesSpec
from zoo.data.series.unlabelled import without_forecasts
from zoo.registry import register_modality


@register_modality
class SeriesModality(Modality[SeriesSpec]):
    """Time series."""

    spec = SeriesSpec
    tasks = ("forecasting", "reconstruction")
    raw_input = "the last steps of a series as an array, a data frame or a path"
    labelled_options = {  # noqa: RUF012
        "series": ("time_column", "dayfirst", "fill_method", "anomaly_windows", "delimiter", "header")
    }
    widget = "series_file"

    def encode(self, spec: SeriesSpec, raw: Any) -> Batch:
        """Return raw input as a batch."""
        return read.encode(spec, raw)

    def read(self, spec: SeriesSpec, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder."""
        return read.read(spec, path)

    def from_json(self, spec: SeriesSpec, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them."""
        return read.from_json(spec, rows)

    def labelled(self, spec: SeriesSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
        """Return all windows of a series."""
        return labelled_series(spec, data, part)

    def without_labels(self, dataset: Dataset) -> Dataset:
        """Return windows that lie in one part each."""
        return without_forecasts(dataset)

    def request_row(self, spec: SeriesSpec) -> tuple[str, Any]:
        """Return the type of the last steps of a series."""
        from zoo.data.request_types import list_of, numbers_of_shape

        steps = spec.input_shape[0]
        about = f"The last {steps} steps of a series, each with {', '.join(spec.columns)} in this order."
        return about, list_of(numbers_of_shape(spec, spec.input_shape[-1:]), steps, steps)

    def request_example(self, spec: SeriesSpec) -> list[list[float]]:
        """Return steps at the mean."""
        from zoo.data.request_types import step_examples

        return step_examples(spec, spec.input_shape[0])

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return two waves."""
        return example()
