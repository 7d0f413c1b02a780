"""What a data set says of itself: everything that a model needs to be built, and to read raw input later."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from math import prod
from typing import Any, TypeVar

from zoo import registry
from zoo.data.reading import READINGS, Reading
from zoo.exceptions import ZooError, unknown

ReadingT = TypeVar("ReadingT", bound=Reading)

# What can be asked of each modality.
SUPPORTED_TASKS: dict[str, tuple[str, ...]] = {
    "image": ("classification", "regression", "reconstruction", "generation"),
    "table": ("classification", "regression", "reconstruction"),
    "sequence": ("classification", "regression"),
    "text": ("classification", "language_modeling"),
    "series": ("forecasting", "reconstruction"),
    "discrete": ("control",),  # environments, by the actions that they take
    "continuous": ("control",),
}
MODALITIES = tuple(SUPPORTED_TASKS)
PADDING, UNKNOWN = 0, 1  # the first two symbols of each vocabulary


@dataclass(frozen=True)
class DataSpec:
    """The shape and meaning of one data set.

    ``input_shape`` has no batch dimension: ``(C, H, W)`` for an image with values in [0, 1], ``(columns,)`` for a
    table in its own units, ``(T, C)`` for a sequence of at most T steps, shorter ones padded and told by the batch's
    ``lengths``, ``(T,)`` for a text of at most T symbols, ``(L, C)`` for the past L steps of a time series. ``mean``
    and ``std`` are those of the training rows, per channel or per column; the model subtracts and divides. A
    regression's ``target_mean`` and ``target_std`` turn its outputs into original units, less ``target_offset``, which
    is subtracted from a target in float64 where its size would hide its differences in float32.

    Classes exclude each other, unless ``multilabel``: then each is true or not for itself. Of two that exclude each
    other, number ``positive`` is the one whose average precision counts. Of the ``rows`` in
    training, ``counts`` are those of each class.

    A table's ``columns`` are its own; ``levels`` has for each the texts that it may hold, numbered from 1 in x (0:
    another text, or none), and nothing for a column of numbers. ``fills`` are what stands in x where a number is
    missing; for each of the columns ``flagged`` a further column of x, at the end, is 1 there. ``edges`` are at most 65
    of the training rows' values, from the smallest to the largest, between which a column of numbers falls into bins;
    nothing for others.

    A text's symbols are numbered by their place in ``vocabulary``, whose first two are padding and whatever is not in
    it; ``tokens`` says what a symbol is: characters or words. A language model's y is x shifted by one symbol.

    A forecast is ``target_shape`` (H, columns), of the ``columns`` with the numbers ``targets`` over the next H steps;
    ``season`` is how many steps lie between alike ones, 1 where none are known to be.

    In generation x is what there is to be more of, and a network answers how real it looks; y may be a label of it.

    In control x is an observation, images in [0, 1]; its actions are ``classes``, by their numbers, or numbers between
    ``low`` and ``high``.

    A reconstruction answers with x itself; y is then a label that nothing is learnt from. Where ``normal`` names
    classes, training has no others, and y says of validation and test rows whether they are ``classes[1]``, anomalies.

    ``reading`` says how files and raw values become numbers, a dataclass of the modality's own (see ``zoo.data.reading``).
    """

    name: str
    modality: str
    task: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    target_mean: float = 0.0
    target_std: float = 1.0
    target_offset: float = 0.0
    multilabel: bool = False
    positive: int = 1
    counts: tuple[int, ...] = ()
    rows: int = 0
    columns: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    fills: tuple[float, ...] = ()
    flagged: tuple[str, ...] = ()
    edges: tuple[tuple[float, ...], ...] = ()
    vocabulary: tuple[str, ...] = ()
    tokens: str = "characters"
    target_shape: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    season: int = 1
    normal: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    reading: Reading | None = None

    def __post_init__(self) -> None:
        registry.task_entry(self.task)
        if self.modality not in MODALITIES:
            raise unknown("modality", self.modality, MODALITIES)
        if self.task not in SUPPORTED_TASKS[self.modality]:
            raise ZooError(
                f"{self.name}: {self.task} of {self.modality} data; must be {' or '.join(SUPPORTED_TASKS[self.modality])}"
            )
        if self.task == "classification" and len(self.classes) < 2 and not self.multilabel:
            raise ZooError(f"{self.name}: classification needs at least two classes, found {len(self.classes)}")
        if self.reading is None:
            object.__setattr__(self, "reading", READINGS[self.modality]())
        elif type(self.reading) is not READINGS[self.modality]:
            raise ZooError(f"{self.name}: {type(self.reading).__name__} does not fit {self.modality} data")

    def reading_as(self, cls: type[ReadingT]) -> ReadingT:
        """Return ``reading``, which is of the class ``cls`` by the modality."""
        assert isinstance(self.reading, cls)
        return self.reading

    @property
    def inputs(self) -> int:
        """Numbers in one sample."""
        return prod(self.input_shape)

    @property
    def coded(self) -> int:
        """Numbers in one sample once each text of a table's column is a column of its own, 0 or 1."""
        return self.inputs + sum(len(known) - 1 for known in self.levels if known)

    @property
    def outputs(self) -> int:
        """Numbers that a network answers with: one per class or symbol, all of a forecast or of x, or one."""
        return {
            "classification": len(self.classes),
            "regression": 1,
            "generation": 1,  # how real it looks
            "language_modeling": len(self.vocabulary),
            "forecasting": prod(self.target_shape),
            "reconstruction": self.coded,
            "control": len(self.classes) or len(self.low),
        }[self.task]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """What a network answers with for one sample."""
        if self.task == "language_modeling":
            return (*self.input_shape, self.outputs)
        if self.task == "reconstruction" and self.modality != "table":
            return self.input_shape
        return self.target_shape if self.task == "forecasting" else (self.outputs,)

    def to_dict(self) -> dict[str, Any]:
        """Return Python primitives alone, which a checkpoint can hold and load safely."""
        return {f.name: _primitives(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def of(cls, spec: DataSpec | dict[str, Any]) -> DataSpec:
        """Return ``spec`` itself, or the DataSpec that ``to_dict`` made it from."""
        if isinstance(spec, DataSpec):
            return spec
        values = _known(cls, spec)
        if isinstance(values.get("reading"), dict):
            if values.get("modality") not in READINGS:
                raise unknown("modality", values.get("modality"), MODALITIES)
            reading = READINGS[values["modality"]]
            values["reading"] = reading(**_known(reading, values["reading"]))
        return cls(**values)


def _known(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a dataclass from primitives; a key that is none of them raises a ZooError."""
    names = {f.name for f in fields(cls)}
    for key in values:
        if key not in names:
            raise unknown("field of a data spec", key, names)
    return {key: _tuples(value) for key, value in values.items()}


def _primitives(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _primitives(getattr(value, f.name)) for f in fields(value)}
    return [_primitives(one) for one in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, (list, tuple)) else value


# What a model is built for when nothing is said: scikit-learn's digits, the zoo's default data.
DIGITS = DataSpec(
    name="digits",
    modality="image",
    task="classification",
    input_shape=(1, 8, 8),
    classes=tuple("0123456789"),
    mean=(0.305,),
    std=(0.376,),
)
UNLABELLED_DIGITS = replace(DIGITS, task="reconstruction")
REAL_DIGITS = replace(DIGITS, task="generation")
CARTPOLE = DataSpec(name="cartpole", modality="discrete", task="control", input_shape=(4,), classes=("0", "1"))
PENDULUM = DataSpec(name="pendulum", modality="continuous", task="control", input_shape=(3,), low=(-2.0,), high=(2.0,))
