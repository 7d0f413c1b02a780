"""Time series as a modality."""

from __future__ import annotations

from typing import Any

from zoo.data.dataset import Dataset
from zoo.data.modality import Modality
from zoo.data.series.example import example
from zoo.data.series.labeled import labeled_series
from zoo.data.series.read import encode, from_json, read
from zoo.data.series.spec import SeriesSpec
from zoo.data.series.unlabeled import without_forecasts
from zoo.registry import register_modality


@register_modality
class SeriesModality(Modality[SeriesSpec]):
    """Time series."""

    spec = SeriesSpec
    tasks = ("forecasting", "reconstruction")
    raw_input = "the last steps of a series as an array, a data frame or a path"
    labeled_options = {  # noqa: RUF012
        "series": ("time_column", "dayfirst", "fill_method", "anomaly_windows", "delimiter", "header")
    }
    widget = "series_file"

    encode = staticmethod(encode)
    read = staticmethod(read)
    from_json = staticmethod(from_json)
    labeled = staticmethod(labeled_series)
    without_labels = staticmethod(without_forecasts)

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
