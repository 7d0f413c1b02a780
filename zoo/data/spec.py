"""The description of a dataset, from which models are built and raw input is preprocessed."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from math import prod
from typing import Any, ClassVar

from zoo import registry
from zoo.exceptions import ZooError, unknown

PADDING, UNKNOWN = 0, 1  # ids of the first two tokens in each vocabulary


@dataclass(frozen=True)
class DataSpec:
    """Shape and meaning of one dataset. Each modality adds its own fields in a subclass.

    ``input_shape`` has no batch dimension. ``mean`` and ``std`` are statistics of the training rows, per channel or
    per column. The model standardizes its input with them.

    In regression, ``target_mean`` and ``target_std`` convert outputs to original units. ``target_offset`` is
    subtracted from targets in float64, where float32 would round away the differences between large values.

    Classes are mutually exclusive unless ``multilabel`` is set. In binary classification, average precision is
    computed for the class with index ``positive_class``. ``class_counts`` has the number of training rows of each
    class, and ``rows`` their total.

    In generation, x is the data to imitate, and the output of the network is the discriminator's logit. y may hold
    class labels.

    In reconstruction, the target is x itself, and y is a label that the loss does not use. If ``normal_classes`` is
    set, training has rows of these classes only. In validation and test, y is 0 for normal rows and 1 for anomalies.
    """

    modality: ClassVar[str] = ""
    spatial: ClassVar[bool] = False  # x is (C, H, W) with spatial structure; otherwise channels come last
    bounded: ClassVar[bool] = False  # values are in [0, 1]
    tabular: ClassVar[bool] = False  # each value of x is a separate column
    variable_length: ClassVar[bool] = False  # the first axis of x has the length of the longest sequence in the batch

    name: str
    task: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    target_mean: float = 0.0
    target_std: float = 1.0
    target_offset: float = 0.0
    multilabel: bool = False
    positive_class: int = 1
    class_counts: tuple[int, ...] = ()
    rows: int = 0
    normal_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.modality not in registry.list_modalities():
            raise ZooError(f"{self.name}: {type(self).__name__} has no registered modality; use a modality's own spec")
        registry.task_entry(self.task)
        supported = registry.supported_tasks(self.modality)
        if self.task not in supported:
            raise ZooError(
                f"{self.name}: {self.modality} data does not support {self.task}; must be {' or '.join(supported)}"
            )
        if self.target_type == "class" and len(self.classes) < 2 and not self.multilabel:
            raise ZooError(f"{self.name}: {self.task} needs at least two classes, found {len(self.classes)}")

    @property
    def target_type(self) -> str:
        """Type of the target: one of the registry's TARGETS."""
        return registry.task_entry(self.task).target

    @property
    def inputs(self) -> int:
        """Number of values in one sample."""
        return prod(self.input_shape)

    @property
    def encoded_size(self) -> int:
        """Number of values in one sample after one-hot encoding of the categories."""
        return self.inputs

    @property
    def vocab_size(self) -> int:
        """Number of tokens in the vocabulary, 0 for data without tokens."""
        return 0

    @property
    def has_lengths(self) -> bool:
        """Whether batches have ``lengths`` (B,) in addition to x."""
        return False

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names of x, empty for data without columns."""
        return ()

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """Categories of each column of x, empty for numeric columns."""
        return ()

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of a forecast."""
        return ()

    @property
    def action_space(self) -> str:
        """Action space of an environment (discrete or continuous), empty for other data."""
        return ""

    @property
    def outputs(self) -> int:
        """Number of network outputs: classes, tokens, forecast values, values of x, or one."""
        return int(registry.get_task(self.task).output_size(self))

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the network output for one sample."""
        shape: tuple[int, ...] = registry.get_task(self.task).output_shape(self)
        return shape

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain Python values, which a checkpoint stores and loads safely."""
        return {"modality": self.modality, **_primitives(self)}

    @staticmethod
    def of(spec: DataSpec | dict[str, Any]) -> DataSpec:
        """Return ``spec`` itself, or rebuild the spec from the dictionary of ``to_dict``.

        Raises:
            ZooError: if the modality or a field is unknown.
        """
        if isinstance(spec, DataSpec):
            return spec
        values = dict(spec)
        built: DataSpec = _built(registry.get_modality(values.pop("modality", "")).spec, values)
        return built


def _built(cls: type, values: dict[str, Any]) -> Any:
    """Rebuild a dataclass, including nested dataclasses, from plain values.

    Raises:
        ZooError: if a key is not a field of the dataclass.
    """
    known = {f.name: f for f in fields(cls)}
    for key in values:
        if key not in known:
            raise unknown("field of a data spec", key, known)
    return cls(
        **{
            key: _built(type(known[key].default), value) if isinstance(value, dict) else _tuples(value)
            for key, value in values.items()
        }
    )


def _primitives(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _primitives(getattr(value, f.name)) for f in fields(value)}
    return [_primitives(item) for item in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value
