"""How a run learns: every shared option, its default and its limits. Needs no torch, so a typo fails at once."""

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
    noun = "a whole number" if integer else "a number"
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
    """Raise ZooError unless ``sizes`` is a list of whole numbers from 1."""
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        raise ZooError(f"{where}={sizes}: must be a list of whole numbers, such as [256,256]")
    for size in sizes:
        check_number(where, size, low=1, integer=True)


# Limits as types: a constructor, or a class of options, that declares ``dropout: Share`` takes numbers in [0, 1) alone.


def number(**limits: Any) -> Check:
    """Return the check of a number by ``check_number``'s ``limits``."""
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
    """Raise ZooError where one of ``values`` is outside the limits that its argument of a class's constructor declares.

    A constructor whose types only a type checker can resolve declares none.
    """
    for constructor in [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)]:
        with contextlib.suppress(NameError):
            for name, hint in get_type_hints(constructor, include_extras=True).items():
                for check in getattr(hint, "__metadata__", ()) if name in values else ():
                    check(where if name == "name" else f"{where}.{name}", values[name])


# The groups of options that each run has, beside those of its model and its data
GROUPS: dict[str, type[Any]] = {}


class Options:
    """Options of one group, with the limits that their types declare.

    Raises:
        ZooError: a value is of the wrong type or outside its limits.
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
        ``devices``: processes per machine that share each batch; on CUDA one per GPU
        ``num_nodes``: machines; torchrun or SLURM starts the processes on each; null: set by the launcher
        ``max_epochs``: maximum number of epochs
        ``max_minutes``: maximum duration of training in minutes; null: no limit
        ``steps_per_epoch``: batches per epoch; null: one pass over the training data
        ``precision``: auto, 32-true, bf16-mixed or 16-mixed; auto: bf16-mixed if supported, 16-mixed on older GPUs
        ``tf32``: use TF32 for float32 products on CUDA (inputs rounded to 10 bits); null: only in convolutions
        ``accumulate_grad_batches``: batches per optimizer step
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
            raise ZooError(f"trainer.precision={self.precision}: is named {name}")
        super().__post_init__()

    @property
    def world(self) -> int:
        """The number of processes on all machines."""
        return self.devices * (self.num_nodes or 1)


@dataclass(frozen=True)
class Optimizer(Options, group="optimizer"):
    """The rule that turns gradients into steps.

    Args:
        ``name``: sgd, adam, adamw or rmsprop
        ``lr``: learning rate; the scheduler multiplies it
        ``weight_decay``: decoupled decay (AdamW, Loshchilov & Hutter 2019) for every optimizer, not of biases and
            normalization; the L2 penalty is regularization.l2
        ``momentum``: of sgd and rmsprop
        ``nesterov``: Nesterov's momentum, of sgd
        ``betas``: decay rates of the two moment estimates, of adam and adamw
        ``alpha``: smoothing constant, of rmsprop
        ``eps``: added to the denominator, of adam, adamw and rmsprop
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
    """The learning rate over a run, as a factor of ``optimizer.lr``. Points in time are shares of the run.

    Args:
        ``name``: constant, step, linear, cosine, one_cycle or plateau
        ``warmup_ratio``: share of the run over which the rate rises linearly
        ``start_factor``: factor at the first step of the warm-up
        ``end_factor``: factor at the end, of linear, cosine and one_cycle
        ``milestones``: rising shares of the run at which the rate falls, of step
        ``gamma``: factor at each milestone, of step
        ``factor``: factor at each plateau, of plateau
        ``patience``: epochs without improvement of the monitored metric, of plateau
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
            raise ZooError(f"scheduler.milestones={self.milestones}: must be rising shares of the run, as [0.5,0.75]")
        for milestone in self.milestones:
            check_number("scheduler.milestones", milestone, above=0, below=1)


@dataclass(frozen=True)
class Regularization(Options, group="regularization"):
    """Penalties on the weights, and softened labels.

    Args:
        ``l1``: λ of λ·sign(w), which is added to the gradient of each weight (not of biases and normalization)
        ``l2``: λ of λ·w, which is added likewise; the decoupled form is optimizer.weight_decay
        ``label_smoothing``: share of each label that is spread over the other classes (Szegedy 2016)
    """

    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    label_smoothing: Share = 0.0


@dataclass(frozen=True)
class ObjectiveOptions(Options, group="objective"):
    """How the task measures and chooses, where its own choice does not suit.

    Args:
        ``monitor``: validation metric that picks the best epoch; null: the task's own, such as accuracy
        ``class_weights``: balanced, each class has the same weight in the loss, however rare it is
        ``threshold``: metric of two classes (accuracy, balanced_accuracy or f1) for which the threshold on the
            probability is chosen on validation; null: 0.5, of anomalies f1
        ``loss``: mse or mae, where numbers are predicted; null: mse
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
        ``test_with``: weights to keep and test: best (the best validation epoch) or last; null: best
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
        ``seed``: seed of weights, batches and augmentation; the split of the data has a seed of its own
        ``task``: null: the first of the model's tasks that the data offers
        ``run_dir``: folder of the run; null: runs/MODEL-DATA/TIME
        ``init``: initialization of weights: default, kaiming, xavier or orthogonal
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
    """All that decides how a network's weights are found, beside the network and the data."""

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
        """Return Python primitives alone, which a checkpoint can hold and load safely."""
        values = asdict(self)
        for group in ("optimizer", "scheduler"):
            values[group] = {k: list(v) if isinstance(v, tuple) else v for k, v in values[group].items()}
        return values


def options(cls: type, where: str, values: Any) -> Any:
    """Return ``cls(**values)``.

    Raises:
        ZooError: an unknown key, a value in place of the group, or one outside the limits that its type declares.
    """
    known = [f.name for f in fields(cls)]
    if not isinstance(values, dict):
        raise ZooError(f"{where}={values}: is a group of options; set one of them, such as {where}.{known[0]}={values}")
    for key in values:
        if key not in known:
            raise unknown(f"option of {where}", key, known)
    if not issubclass(cls, Options):  # which check themselves
        check_options(cls, where, values)
    return cls(**values)


def learning_of(values: dict[str, Any]) -> Learning:
    """Return the Learning of a composed configuration, or of what ``Learning.to_dict`` returned.

    Raises:
        ZooError: a value is of the wrong type or outside its limits.
    """
    trainer = values.get("trainer", values)
    groups = ("optimizer", "scheduler", "regularization", "objective")
    return Learning(
        init=values["init"],
        **{group: options(GROUPS[group], group, {"objective": {}, **values}[group]) for group in groups},
        accumulate_grad_batches=trainer["accumulate_grad_batches"],
        gradient_clip_val=trainer["gradient_clip_val"],
    )
