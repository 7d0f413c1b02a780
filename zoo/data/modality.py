"""The base class of modalities, which read, describe, augment and generate one kind of data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.dataset import Augmentation, Batch, Dataset, Values
from zoo.data.input_readers import Piece, as_floats, batched
from zoo.data.labeled import Labeled
from zoo.data.spec import DataSpec
from zoo.data.subsets import trained_on
from zoo.exceptions import ZooError
from zoo.utils.console import print_note

if TYPE_CHECKING:
    from lightning import LightningDataModule

SpecT = TypeVar("SpecT", bound=DataSpec)
SMALLEST_BATCH = 4  # rows, for datasets smaller than the default batch size


class Scaler(nn.Module):
    """Standardizes x with the mean and standard deviation of the training rows. Channels come last."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std), persistent=False)

    def transform(self, x: Tensor) -> Tensor:
        """Return x (B, …) standardized, as a reconstruction target."""
        return (x - self.mean) / self.std

    def inverse_transform(self, output: Tensor) -> Tensor:
        """Convert standardized outputs to original units."""
        return output * self.std + self.mean

    def center(self, target: Tensor) -> Tensor:
        """Return the mean of the training rows as a target of the same shape."""
        return torch.zeros_like(target)


class Modality(Generic[SpecT]):
    """A kind of data. ``zoo.registry.get_modality(name)`` returns the single instance of each modality.

    A subclass sets ``spec``, the spec class whose ``modality`` is the name, and ``tasks``, the built-in tasks that it
    supports. All code that is specific to the modality is in its folder.
    """

    spec: ClassVar[type[Any]]
    tasks: ClassVar[tuple[str, ...]] = ()
    raw_input: ClassVar[str] = "arrays"  # input of ``encode``, named in errors
    scaler: ClassVar[type[Any]] = Scaler  # scales reconstruction targets
    augmentation: ClassVar[type[Any] | None] = None  # dataclass with the options of data.augment
    # Datasets that read a labeled file of the user, each with the options that a new file may override
    labeled_options: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    has_parts: ClassVar[bool] = False  # whether such a file may have train, val and test parts
    widget: ClassVar[str] = "array_file"  # input widget of the demo page

    def encode(self, spec: SpecT, raw: Any) -> Batch:
        """Return ``raw``, one sample or a batch, as a batch: ``x`` (B, *input_shape), and ``lengths`` for sequences.

        By default, ``raw`` is a numeric array.
        """
        return {"x": batched(spec, as_floats(raw))}

    def read(self, spec: SpecT, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder in pieces for ``encode``. By default, read an .npy file."""
        try:
            rows = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ZooError(f"{path}: cannot be read as an .npy file ({error})") from None
        rows = rows[None] if rows.shape == spec.input_shape else rows
        yield Piece([f"{path}:{number + 1}" for number in range(len(rows))], rows, done=1.0)

    def from_json(self, spec: SpecT, rows: Sequence[Any]) -> Any:
        """Convert the rows of a request to input for ``encode``. A deadline may interrupt the conversion."""
        return list(rows)

    def unknown_values(self, spec: SpecT, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Count the values of a batch that are unknown from training, by column or kind, and all values."""
        return {}, 0

    def unknown_categories(self, spec: SpecT, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
        """Count the categories of ``raw`` that are unknown from training, by column."""
        return {}

    def file_label(self, spec: SpecT) -> str:
        """Return the label of the demo page's file input."""
        return "an array, .npy"

    def labeled(self, spec: SpecT, data: Mapping[str, Any], part: str | None) -> Labeled:
        """Return the rows of a labeled file, or one ``part`` of it; see ``zoo.data.labeled``."""
        raise NotImplementedError

    def labeled_data(self, spec: SpecT, path: str) -> str:
        """Return the entry of ``labeled_options`` that reads a file with this path, "" if there is none."""
        return next(iter(self.labeled_options), "")

    def translate(self, dataset: Dataset, spec: SpecT) -> Dataset:
        """Re-encode a dataset with the categories and tokens of ``spec``, the spec of a trained model."""
        return dataset

    def with_statistics(self, spec: SpecT, x: Values) -> SpecT:
        """Return the spec with the mean and standard deviation of these rows."""
        return spec

    def select_rows(self, dataset: Any, data: Mapping[str, Any]) -> Any:
        """Return the dataset with the training rows that the ``data`` options select.

        Raises:
            ZooError: if this modality does not support an option.
        """
        rows, seed, synthetic = (data.get(f) for f in ("max_train_samples", "subset_seed", "synthetic_path"))
        return trained_on(dataset, rows=rows, seed=seed, synthetic=synthetic)

    def datamodule(
        self, dataset: Any, run_config: RunConfig, augment: Augmentation | None = None
    ) -> LightningDataModule:
        """Return the data module of a run. Reduce the default batch size if the dataset has few rows.

        Raises:
            ZooError: if an option of the run does not fit the data.
        """
        from zoo.data.loader import ZooData  # slow: imports lightning

        data, trainer = run_config.values["data"], run_config.trainer
        count = dataset.sizes[0]
        if count < data["batch_size"]:
            fitting = max(count // 8, min(count, SMALLEST_BATCH), trainer.world)
            if "data.batch_size" in run_config.overridden or fitting > count:
                raise ZooError(
                    f"data.batch_size={data['batch_size']}: larger than the {count} training rows; "
                    f"data.batch_size={fitting} gives about eight batches"
                )
            print_note(f"data.batch_size={fitting}, because there are only {count} training rows")
            data["batch_size"] = fitting  # recorded in the run folder
        return ZooData(
            dataset,
            batch_size=data["batch_size"],
            seed=run_config.values["seed"],
            augment=augment,
            steps_per_epoch=trainer.steps_per_epoch,
            stateful=registry.get(run_config.values["model"]["name"]).stateful,
        )

    def eval_loader(self, dataset: Any, split: str) -> Any:
        """Return the batches of ``val`` or ``test`` on the CPU, for a single process."""
        from zoo.data.loader import EvalLoader  # slow: imports lightning

        return EvalLoader(getattr(dataset, split), stride=dataset.stride)

    def without_labels(self, dataset: Dataset) -> Dataset:
        """Prepare a dataset for an unsupervised task. Its rows still have the supervised target as y."""
        return dataset

    def request_row(self, spec: SpecT) -> tuple[str, Any]:
        """Return a description and the pydantic type of a request row. The default is nested lists of numbers."""
        from zoo.data.request_types import numbers_of_shape

        return f"Arrays of shape {spec.input_shape}.", numbers_of_shape(spec, spec.input_shape)

    def request_example(self, spec: SpecT) -> Any:
        """Return an example request row, at the mean of the training data."""
        mean = torch.tensor(spec.mean).view(-1, *[1] * (len(spec.input_shape) - 1) if spec.spatial else ())
        values: Any = mean.expand(spec.input_shape).tolist()
        return values

    def action_spaces(self, supported: tuple[str, ...]) -> tuple[str, ...]:
        """Return the action spaces of a model for which an example exists. By default, there are no actions."""
        return ("",)

    def example(self, task: str, action_space: str = "") -> Any:
        """Return a small generated dataset that models learn in seconds. It is always the same."""
        raise NotImplementedError
