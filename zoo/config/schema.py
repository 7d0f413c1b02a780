"""The shared options of all runs with defaults and limits. It needs no torch, so error messages are instant."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Annotated, Any, ClassVar, get_type_hints

from zoo.exceptions import ZooError, unknown

INITS = ("default", "kaiming", "xavier", "orthogonal")
MONITORS = (
    *("accuracy", "balanced_accuracy", "auroc", "average_precision", "nll", "perplexity"),
    *("rmse", "mae", "mse", "r2", "sse", "psnr", "elbo", "frechet_pca", "frechet_zoo_cnn", "coverage"),
)
Check = Callable[[str, object], None]
SHORT_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed", "fp16": "16-mixed"}


def check_choice(where: str, value: object, choices: Sequence[str], *, optional: bool = False) -> None:
    """Raise ZooError, with the nearest choice, unless ``value`` is one of ``choices``."""
    if value not in choices and not (optional and value is None):
        raise unknown(where, value, choices)


def check_number(
    where: str,
    value: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float | None = None,
    below: float | None = None,
    integer: bool = False,
    optional: bool = False,
) -> None:
    """Raise ZooError unless ``value`` is a finite number in [low, high], above ``above`` and below ``below``."""
    if value is None and optional:
        return
    noun = "an integer" if integer else "a number"
    limits = [f"at least {low:g}"] if low > -math.inf else []
    limits += [f"above {above:g}"] if above is not None else []
    limits += [f"at most {high:g}"] if high < math.inf else []
    limits += [f"below {below:g}"] if below is not None else []
    good = isinstance(value, int) if integer else isinstance(value, (int, float))
    if good and not isinstance(value, bool):
        number = float(value)  # type: ignore[arg-type]
        inside = low <= number <= high and (above is None or number > above) and (below is None or number < below)
        if inside and math.isfinite(number):
            return
    raise ZooError(f"{where}={value}: must be {' '.join([noun, ' and '.join(limits)]).strip()}")


def check_flag(where: str, value: object, *, optional: bool = False) -> None:
    """Raise ZooError unless ``value`` is true or false."""
    if not isinstance(value, bool) and not (optional and value is None):
        raise ZooError(f"{where}={value}: must be true or false")


def check_sizes(where: str, sizes: object) -> None:
    """Raise ZooError unless ``sizes`` is a list of positive integers."""
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        raise ZooError(f"{where}={sizes}: must be a list of integers, such as [256,256]")
    for size in sizes:
        check_number(where, size, low=1, integer=True)


# Limits as types: a constructor or a class of options that declares ``dropout: Share`` accepts only numbers in [0, 1).


def number(**limits: Any) -> Check:
    """Return ``check_number`` with these limits."""
    return partial(check_number, **limits)


def one_of(choices: Iterable[str], *, optional: bool = False) -> Check:
    """Return the check that a value is one of ``choices``."""
    return partial(check_choice, choices=tuple(choices), optional=optional)


Flag = Annotated[bool, check_flag]
Count = Annotated[int, number(low=1, integer=True)]
Natural = Annotated[int, number(low=0, integer=True)]
Sizes = Annotated[Sequence[int], check_sizes]
Positive = Annotated[float, number(above=0)]
NonNegative = Annotated[float, number(low=0)]
Share = Annotated[float, number(low=0, below=1)]
Probability = Annotated[float, number(low=0, high=1)]
OptionalCount = Annotated[int | None, number(low=1, integer=True, optional=True)]
OptionalPositive = Annotated[float | None, number(above=0, optional=True)]


def check_options(cls: type[Any], where: str, values: Mapping[str, Any]) -> None:
    """Raise ZooError if one of ``values`` is outside the limits that the constructor of ``cls`` declares by its types.

    A constructor whose annotations cannot be resolved at run time declares no limits.
    """
    for constructor in [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)]:
        with contextlib.suppress(NameError):
            for name, hint in get_type_hints(constructor, include_extras=True).items():
                for check in getattr(hint, "__metadata__", ()) if name in values else ():
                    check(where if name == "name" else f"{where}.{name}", values[name])


# The groups of options that each run has, in addition to those of its model and data
GROUPS: dict[str, type[Any]] = {}


class Options:
    """Base class of a group of options, with limits from the annotations.

    Raises:
        ZooError: a value has the wrong type or is outside its limits.
    """

    group: ClassVar[str]

    def __init_subclass__(cls, group: str) -> None:
        cls.group, GROUPS[group] = group, cls

    def __post_init__(self) -> None:
        check_options(type(self), self.group, vars(self))


@dataclass(frozen=True)
class TrainerOptions(Options, group="trainer"):
    """Device, precision and duration of training.

    Args:
        ``accelerator``: auto, cpu, cuda, gpu or mps; auto: CUDA if available, otherwise the CPU
        ``devices``: number of processes per machine that share each batch; on CUDA one per GPU
        ``num_nodes``: number of machines, where torchrun or SLURM starts the processes; null: set by the launcher
        ``max_epochs``: maximum number of epochs
        ``max_minutes``: maximum duration of training in minutes; null: no limit
        ``steps_per_epoch``: number of batches per epoch; null: one pass over the training data
        ``precision``: auto, 32-true, bf16-mixed or 16-mixed; auto: bf16-mixed if supported, 16-mixed on older GPUs
        ``tf32``: use TF32 for float32 products on CUDA (inputs rounded to 10 bits); null: only in convolutions
        ``accumulate_grad_batches``: number of batches per optimizer step
        ``gradient_clip_val``: maximum norm of the gradient of all weights; null: no clipping
    """

    accelerator: Annotated[str, one_of(("auto", "cpu", "cuda", "gpu", "mps"))] = "auto"
    devices: Count = 1
    num_nodes: OptionalCount = None
    max_epochs: Count = 20
    max_minutes: OptionalPositive = None
    steps_per_epoch: OptionalCount = None
    precision: Annotated[str, one_of(("auto", "32-true", "bf16-mixed", "16-mixed"))] = "auto"  # Lightning's names
    tf32: Annotated[bool | None, partial(check_flag, optional=True)] = None
    accumulate_grad_batches: Count = 1
    gradient_clip_val: OptionalPositive = None

    def __post_init__(self) -> None:
        if (name := SHORT_PRECISIONS.get(str(self.precision))) is not None:
            raise ZooError(f"trainer.precision={self.precision}: use {name}")
        super().__post_init__()

    @property
    def world(self) -> int:
        """The number of processes on all machines."""
        return self.devices * (self.num_nodes or 1)


@dataclass(frozen=True)
class Optimizer(Options, group="optimizer"):
    """Optimizer and its hyperparameters.

    Args:
        ``name``: sgd, adam, adamw or rmsprop
        ``lr``: learning rate; the scheduler multiplies it
        ``weight_decay``: decoupled weight decay for every optimizer (AdamW, Loshchilov & Hutter 2019), without biases
            and normalization layers; the L2 penalty is regularization.l2
        ``momentum``: momentum (sgd and rmsprop)
        ``nesterov``: use Nesterov momentum (sgd)
        ``betas``: decay rates of the two moment estimates (adam and adamw)
        ``alpha``: smoothing constant (rmsprop)
        ``eps``: added to the denominator (adam, adamw and rmsprop)
    """

    name: Annotated[str, one_of(("sgd", "adam", "adamw", "rmsprop"))] = "adamw"
    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.0
    momentum: Share = 0.0
    nesterov: Flag = False
    betas: Sequence[float] = (0.9, 0.999)
    alpha: Share = 0.99
    eps: Positive = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.betas, Sequence) or len(self.betas) != 2:
            raise ZooError(f"optimizer.betas={self.betas}: must be two numbers, such as [0.9,0.999]")
        for beta in self.betas:
            check_number("optimizer.betas", beta, low=0, below=1)
        if self.nesterov and self.momentum == 0:
            raise ZooError("optimizer.nesterov=true: needs optimizer.momentum above 0")


@dataclass(frozen=True)
class Scheduler(Options, group="scheduler"):
    """Schedule of the learning rate, as a factor of ``optimizer.lr``. Points in time are fractions of the run.

    Args:
        ``name``: constant, step, linear, cosine, one_cycle or plateau
        ``warmup_ratio``: fraction of the run with a linear warm-up of the learning rate
        ``start_factor``: factor at the first step of the warm-up
        ``end_factor``: factor at the end of the run (linear, cosine and one_cycle)
        ``milestones``: increasing fractions of the run at which the learning rate drops (step)
        ``gamma``: factor at each milestone (step)
        ``factor``: factor at each plateau (plateau)
        ``patience``: epochs without improvement of the monitored metric that make a plateau (plateau)
    """

    name: Annotated[str, one_of(("constant", "step", "linear", "cosine", "one_cycle", "plateau"))] = "constant"
    warmup_ratio: Share = 0.0
    start_factor: Probability = 0.0
    end_factor: Probability = 0.0
    milestones: Sequence[float] = (0.5, 0.75)
    gamma: Annotated[float, number(above=0, high=1)] = 0.1
    factor: Annotated[float, number(above=0, below=1)] = 0.5
    patience: Natural = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.milestones, Sequence) or list(self.milestones) != sorted(self.milestones):
            raise ZooError(f"scheduler.milestones={self.milestones}: must be increasing numbers, such as [0.5,0.75]")
        for milestone in self.milestones:
            check_number("scheduler.milestones", milestone, above=0, below=1)


@dataclass(frozen=True)
class Regularization(Options, group="regularization"):
    """Penalties on the weights, and label smoothing.

    Args:
        ``l1``: λ of the L1 penalty; adds λ·sign(w) to the gradient of each weight (not of biases and normalization)
        ``l2``: λ of the L2 penalty; adds λ·w to the same gradients (decoupled form: optimizer.weight_decay)
        ``label_smoothing``: fraction of each label that is spread over the other classes (Szegedy et al. 2016)
    """

    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    label_smoothing: Share = 0.0


@dataclass(frozen=True)
class ObjectiveOptions(Options, group="objective"):
    """Loss, monitored metric and decision threshold, instead of the defaults of the task.

    Args:
        ``monitor``: validation metric that selects the best epoch; null: the default of the task, such as accuracy
        ``class_weights``: balanced: each class has the same total weight in the loss; null: each row has
        ``threshold``: metric (accuracy, balanced_accuracy or f1) that the decision threshold of two classes maximizes
            on the validation rows; null: f1 for anomaly detection, otherwise a threshold of 0.5
        ``loss``: loss for numeric targets, mse or mae; null: mse
    """

    monitor: Annotated[str | None, one_of(MONITORS, optional=True)] = None
    class_weights: Annotated[str | None, one_of(("balanced",), optional=True)] = None
    threshold: Annotated[str | None, one_of(("accuracy", "balanced_accuracy", "f1"), optional=True)] = None
    loss: Annotated[str | None, one_of(("mse", "mae"), optional=True)] = None


@dataclass(frozen=True)
class EarlyStopping(Options, group="early_stopping"):
    """Early stopping when the monitored validation metric no longer improves.

    Args:
        ``patience``: epochs without improvement before training stops; null: no early stopping
        ``min_delta``: minimum change that counts as an improvement
    """

    patience: OptionalCount = None
    min_delta: NonNegative = 0.0


EVERY_N_SECONDS = 30.0  # default interval of last.ckpt


@dataclass(frozen=True)
class CheckpointOptions(Options, group="checkpoint"):
    """The interval of the training state in last.ckpt, and the weights in best.ckpt that are tested.

    Args:
        ``every_n_seconds``: seconds between writes of last.ckpt; null: 30
        ``every_n_steps``: optimizer steps between writes of last.ckpt, instead of seconds
        ``test_with``: weights in best.ckpt, which are tested: best (the best validation epoch) or last; null: best
    """

    every_n_seconds: OptionalPositive = None
    every_n_steps: OptionalCount = None
    test_with: Annotated[str | None, one_of(("best", "last"), optional=True)] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every_n_seconds is not None and self.every_n_steps is not None:
            raise ZooError("checkpoint.every_n_seconds and checkpoint.every_n_steps: set only one of them")


@dataclass(frozen=True)
class RunOptions:
    """Options of a run as a whole.

    Args:
        ``seed``: seed of weights, batches and augmentation; the seed of the data split is data.split_seed
        ``task``: task to train for; null: the first task of the model that the data supports
        ``run_dir``: run folder; null: runs/MODEL-DATA/TIME
        ``init``: weight initialization: default, kaiming, xavier or orthogonal
    """

    seed: int = 0
    task: str | None = None
    run_dir: str | None = None
    init: str = "default"


@dataclass(frozen=True)
class DataOptions:
    """Options of all datasets, and descriptions of options that several datasets share.

    Args:
        ``name``: name of the dataset, set by data=NAME
        ``modality``: kind of data, such as image or table; a model supports some of them
        ``tasks``: tasks that the dataset supports
        ``batch_size``: rows per training step
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``split_seed``: seed of the split into training, validation and test rows
        ``folds``: number of folds; one of them is the test set
        ``fold``: index of the fold used as the test set
        ``env``: id of a Gymnasium environment, or module:id
        ``max_train_samples``: number of training rows to use, drawn with the class proportions; null: all
        ``subset_seed``: seed that draws the rows of max_train_samples; null: 0
        ``synthetic_path``: .npz archive from `zoo sample` with images and labels to add to the training rows
        ``normal_classes``: for anomaly detection: train on these classes only; all others are anomalies
    """

    max_train_samples: int | None = None
    subset_seed: int | None = None
    synthetic_path: str | None = None
    normal_classes: Sequence[Any] | None = None


@dataclass(frozen=True)
class Learning:
    """The options of the learning algorithm: initialization, optimizer, scheduler, regularization and objective."""

    init: str = "default"
    optimizer: Optimizer = field(default_factory=Optimizer)
    scheduler: Scheduler = field(default_factory=Scheduler)
    regularization: Regularization = field(default_factory=Regularization)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = None

    def __post_init__(self) -> None:
        check_choice("init", self.init, INITS)
        TrainerOptions(accumulate_grad_batches=self.accumulate_grad_batches, gradient_clip_val=self.gradient_clip_val)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as Python primitives, which a checkpoint can contain and load safely."""
        values = asdict(self)
        for group in ("optimizer", "scheduler"):
            values[group] = {k: list(v) if isinstance(v, tuple) else v for k, v in values[group].items()}
        return values


def options(cls: type, where: str, values: Any) -> Any:
    """Return ``cls(**values)``. ``where`` is the name of the group in error messages.

    Raises:
        ZooError: an unknown key, an invalid value, or ``values`` is not a dictionary.
    """
    known = [f.name for f in fields(cls)]
    if not isinstance(values, dict):
        raise ZooError(f"{where}={values}: {where} is a group of options. Set one, such as {where}.{known[0]}={values}")
    for key in values:
        if key not in known:
            raise unknown(f"option of {where}", key, known)
    if not issubclass(cls, Options):  # Options validate themselves
        check_options(cls, where, values)
    return cls(**values)


def learning_of(values: dict[str, Any]) -> Learning:
    """Return the Learning of a composed configuration, or of the result of ``Learning.to_dict``.

    Raises:
        ZooError: a value has the wrong type or is outside its limits.
    """
    trainer = values.get("trainer", values)
    groups = ("optimizer", "scheduler", "regularization", "objective")
    return Learning(
        init=values["init"],
        **{group: options(GROUPS[group], group, {"objective": {}, **values}[group]) for group in groups},
        accumulate_grad_batches=trainer["accumulate_grad_batches"],
        gradient_clip_val=trainer["gradient_clip_val"],
    )
