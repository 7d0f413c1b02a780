"""The base class of modalities: how one kind of data is read, described, augmented and generated."""

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
SMALLEST_BATCH = 4  # rows, of data that is smaller than the default batch


class Scaler(nn.Module):
    """Standardizes x by the training rows' mean and deviation; channels come last."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std), persistent=False)

    def transform(self, x: Tensor) -> Tensor:
        """Return x (B, …) as a target."""
        return (x - self.mean) / self.std

    def inverse_transform(self, output: Tensor) -> Tensor:
        """Return such outputs in original units."""
        return output * self.std + self.mean

    def center(self, target: Tensor) -> Tensor:
        """Return the training rows' mean as a target of the same shape."""
        return torch.zeros_like(target)


class Modality(Generic[SpecT]):
    """A kind of data; there is one object of each, ``zoo.registry.get_modality(name)``.

    A subclass names its ``spec`` class (whose ``modality`` is its name) and the built-in ``tasks`` that its data can
    be for. Nothing else that knows the modality lies outside of its folder.
    """

    spec: ClassVar[type[Any]]
    tasks: ClassVar[tuple[str, ...]] = ()
    raw_input: ClassVar[str] = "arrays"  # what ``encode`` takes, for errors
    scaler: ClassVar[type[Any]] = Scaler  # of reconstructions
    augmentation: ClassVar[type[Any] | None] = None  # dataclass of the options of data.augment
    # The data sets that read a labeled file of the user's own, with those of their options that a new file may set
    labeled_options: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    has_parts: ClassVar[bool] = False  # such a file may be cut into train, val and test
    widget: ClassVar[str] = "array_file"  # what takes an input on the page of a demo

    def encode(self, spec: SpecT, raw: Any) -> Batch:
        """Return ``raw``, a batch or one sample of it, as a batch: ``x`` (B, *input_shape), ``lengths`` of sequences.

        By default ``raw`` is an array of numbers.
        """
        return {"x": batched(spec, as_floats(raw))}

    def read(self, spec: SpecT, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder in pieces that ``encode`` takes; by default an array in an .npy file."""
        try:
            rows = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ZooError(f"{path}: cannot be read as an .npy file ({error})") from None
        rows = rows[None] if rows.shape == spec.input_shape else rows
        yield Piece([f"{path}:{number + 1}" for number in range(len(rows))], rows, done=1.0)

    def from_json(self, spec: SpecT, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them; reading them may end by a deadline."""
        return list(rows)

    def unknown_values(self, spec: SpecT, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Return how many values of a batch training did not have, by column or kind, and of how many in all."""
        return {}, 0

    def unknown_categories(self, spec: SpecT, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
        """Return the categories of ``raw`` that training did not have, counted by column."""
        return {}

    def file_label(self, spec: SpecT) -> str:
        """Return what a file with an input holds, for the page of a demo."""
        return "an array, .npy"

    def labeled(self, spec: SpecT, data: Mapping[str, Any], part: str | None) -> Labeled:
        """Return the rows of a labeled file, ``part`` of it where it has such; see ``zoo.data.labeled``."""
        raise NotImplementedError

    def labeled_data(self, spec: SpecT, path: str) -> str:
        """Return the name in ``labeled_options`` that reads a file of this path, "" where there is none."""
        return next(iter(self.labeled_options), "")

    def translate(self, dataset: Dataset, spec: SpecT) -> Dataset:
        """Return a data set in the numbers of a model of ``spec``: its categories and tokens rather than the set's."""
        return dataset

    def with_statistics(self, spec: SpecT, x: Values) -> SpecT:
        """Return the spec with mean and standard deviation of these rows."""
        return spec

    def select_rows(self, dataset: Any, data: Mapping[str, Any]) -> Any:
        """Return a data set with the training rows that ``data``'s options select.

        Raises:
            ZooError: an option that such data does not have.
        """
        rows, seed, synthetic = (data.get(f) for f in ("max_train_samples", "subset_seed", "synthetic_path"))
        return trained_on(dataset, rows=rows, seed=seed, synthetic=synthetic)

    def datamodule(
        self, dataset: Any, run_config: RunConfig, augment: Augmentation | None = None
    ) -> LightningDataModule:
        """Return the batches of a run; a batch size that nobody set becomes one that fits few rows.

        Raises:
            ZooError: an option of the run that does not go with the data.
        """
        from zoo.data.loader import ZooData  # imports lightning, which is slow

        data, trainer = run_config.values["data"], run_config.trainer
        count = dataset.sizes[0]
        if count < data["batch_size"]:
            fitting = max(count // 8, min(count, SMALLEST_BATCH), trainer.world)
            if "data.batch_size" in run_config.overridden or fitting > count:
                raise ZooError(
                    f"data.batch_size={data['batch_size']}: more than the {count} rows to train on; "
                    f"data.batch_size={fitting} would make about eight batches of them"
                )
            print_note(f"data.batch_size={fitting}, since there are {count} rows to train on")
            data["batch_size"] = fitting  # so that the run's folder records it
        return ZooData(
            dataset,
            batch_size=data["batch_size"],
            seed=run_config.values["seed"],
            augment=augment,
            steps_per_epoch=trainer.steps_per_epoch,
            stateful=registry.get(run_config.values["model"]["name"]).stateful,
        )

    def eval_loader(self, dataset: Any, split: str) -> Any:
        """Return the batches of ``val`` or ``test`` as a single process has them, on the CPU."""
        from zoo.data.loader import EvalLoader  # imports lightning, which is slow

        return EvalLoader(getattr(dataset, split), stride=dataset.stride)

    def without_labels(self, dataset: Dataset) -> Dataset:
        """Return a data set of an unsupervised task, whose rows still have the target of its supervised one."""
        return dataset

    def request_row(self, spec: SpecT) -> tuple[str, Any]:
        """Return a description of a request's rows, and the pydantic type of one; by default nested lists of numbers."""
        from zoo.data.request_types import numbers_of_shape

        return f"Arrays of shape {spec.input_shape}.", numbers_of_shape(spec, spec.input_shape)

    def request_example(self, spec: SpecT) -> Any:
        """Return a row that a model of such data answers: near the mean of its training data."""
        mean = torch.tensor(spec.mean).view(-1, *[1] * (len(spec.input_shape) - 1) if spec.spatial else ())
        values: Any = mean.expand(spec.input_shape).tolist()
        return values

    def action_spaces(self, supported: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of a model's action spaces in which there is an example; by default there are no actions."""
        return ("",)

    def example(self, task: str, action_space: str = "") -> Any:
        """Return generated data with a structure that can be learned in seconds, the same each time."""
        raise NotImplementedError
