"""The description of a data set: everything that a model needs to be built, and to read raw input later."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from math import prod
from typing import Any, ClassVar

from zoo import registry
from zoo.exceptions import ZooError, unknown

PADDING, UNKNOWN = 0, 1  # the first two tokens of each vocabulary


@dataclass(frozen=True)
class DataSpec:
    """The shape and meaning of one data set; each modality has a subclass with its own fields.

    ``input_shape`` has no batch dimension. ``mean`` and ``std`` are those of the training rows, per channel or per
    column; the model subtracts and divides. A regression's ``target_mean`` and ``target_std`` turn its outputs into
    original units, less ``target_offset``, which is subtracted from a target in float64 where its size would hide its
    differences in float32.

    Classes exclude each other, unless ``multilabel``: then each is true or not for itself. With two classes that
    exclude each other, number ``positive_class`` is the one whose average precision counts. ``class_counts`` are the
    rows of each class among the ``rows`` in training.

    In generation x is the data to imitate, and a network's output is its logit of being real; y may be a label of it.

    A reconstruction's target is x itself; y is then a label that nothing is learned from. Where ``normal_classes``
    names classes, training has no others, and y says of validation and test rows whether they are ``classes[1]``,
    anomalies.
    """

    modality: ClassVar[str] = ""
    spatial: ClassVar[bool] = False  # x is (C, H, W), neighboring pixels belong together; else channels come last
    bounded: ClassVar[bool] = False  # values lie in [0, 1]
    tabular: ClassVar[bool] = False  # each number of x is a column of its own
    variable_length: ClassVar[bool] = False  # the first axis of x is as long as the longest row of a batch

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
            raise ZooError(f"{self.name}: {self.task} of {self.modality} data; must be {' or '.join(supported)}")
        if self.target_type == "class" and len(self.classes) < 2 and not self.multilabel:
            raise ZooError(f"{self.name}: {self.task} needs at least two classes, found {len(self.classes)}")

    @property
    def target_type(self) -> str:
        """What the task learns from: one of the registry's TARGETS."""
        return registry.task_entry(self.task).target

    @property
    def inputs(self) -> int:
        """Numbers in one sample."""
        return prod(self.input_shape)

    @property
    def encoded_size(self) -> int:
        """Numbers in one sample once its categories, if it has some, are one-hot."""
        return self.inputs

    @property
    def vocab_size(self) -> int:
        """Number of different tokens where x holds such, else 0."""
        return 0

    @property
    def has_lengths(self) -> bool:
        """Whether a batch has ``lengths`` (B,) beside x."""
        return False

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of x where it has such."""
        return ()

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """Texts that each column may hold where x has columns, nothing for a column of numbers."""
        return ()

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of a forecast."""
        return ()

    @property
    def action_space(self) -> str:
        """Return discrete or continuous where x is an observation to act on, else nothing."""
        return ""

    @property
    def outputs(self) -> int:
        """Numbers that a network gives: one per class or token, all of a forecast or of x, or one."""
        return int(registry.get_task(self.task).output_size(self))

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of a network's output for one sample."""
        shape: tuple[int, ...] = registry.get_task(self.task).output_shape(self)
        return shape

    def to_dict(self) -> dict[str, Any]:
        """Return Python primitives alone, which a checkpoint can hold and load safely."""
        return {"modality": self.modality, **_primitives(self)}

    @staticmethod
    def of(spec: DataSpec | dict[str, Any]) -> DataSpec:
        """Return ``spec`` itself, or the spec that ``to_dict`` made it from.

        Raises:
            ZooError: an unknown modality or field.
        """
        if isinstance(spec, DataSpec):
            return spec
        values = dict(spec)
        built: DataSpec = _built(registry.get_modality(values.pop("modality", "")).spec, values)
        return built


def _built(cls: type, values: dict[str, Any]) -> Any:
    """Return a dataclass, and those in its fields, from primitives.

    Raises:
        ZooError: a key that is no field.
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
