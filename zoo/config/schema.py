"""How a run learns: every shared option, its default and its limits. Needs no torch, so a typo fails at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from zoo.exceptions import ZooError, unknown

INITS = ("default", "kaiming", "xavier", "orthogonal")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULERS = ("constant", "step", "linear", "cosine", "one_cycle", "plateau")
MONITORS = (
    *("accuracy", "balanced_accuracy", "auroc", "average_precision", "nll", "perplexity"),
    *("rmse", "mae", "mse", "r2", "sse", "psnr", "elbo", "frechet_pca", "frechet_zoo_cnn", "coverage"),
)
LOSSES = ("mse", "mae")
THRESHOLDS = ("accuracy", "balanced_accuracy", "f1")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")  # Lightning's names
SHORT_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed", "fp16": "16-mixed"}
ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")


def check_choice(where: str, value: object, choices: Sequence[str]) -> None:
    """Raise ZooError, with the nearest choice, unless ``value`` is one of ``choices``."""
    if value not in choices:
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


def check_flag(where: str, value: object) -> None:
    """Raise ZooError unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise ZooError(f"{where}={value}: must be true or false")


@dataclass(frozen=True)
class Optimizer:
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

    name: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    betas: Sequence[float] = (0.9, 0.999)
    alpha: float = 0.99
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_choice("optimizer", self.name, OPTIMIZERS)
        check_number("optimizer.lr", self.lr, above=0)
        check_number("optimizer.weight_decay", self.weight_decay, low=0)
        check_number("optimizer.momentum", self.momentum, low=0, below=1)
        check_flag("optimizer.nesterov", self.nesterov)
        check_number("optimizer.alpha", self.alpha, low=0, below=1)
        check_number("optimizer.eps", self.eps, above=0)
        if not isinstance(self.betas, Sequence) or len(self.betas) != 2:
            raise ZooError(f"optimizer.betas={self.betas}: must be two numbers, such as [0.9,0.999]")
        for beta in self.betas:
            check_number("optimizer.betas", beta, low=0, below=1)
        if self.nesterov and self.momentum == 0:
            raise ZooError("optimizer.nesterov=true: needs optimizer.momentum above 0")


@dataclass(frozen=True)
class Scheduler:
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

    name: str = "constant"
    warmup_ratio: float = 0.0
    start_factor: float = 0.0
    end_factor: float = 0.0
    milestones: Sequence[float] = (0.5, 0.75)
    gamma: float = 0.1
    factor: float = 0.5
    patience: int = 5

    def __post_init__(self) -> None:
        check_choice("scheduler", self.name, SCHEDULERS)
        check_number("scheduler.warmup_ratio", self.warmup_ratio, low=0, below=1)
        check_number("scheduler.start_factor", self.start_factor, low=0, high=1)
        check_number("scheduler.end_factor", self.end_factor, low=0, high=1)
        check_number("scheduler.gamma", self.gamma, above=0, high=1)
        check_number("scheduler.factor", self.factor, above=0, below=1)
        check_number("scheduler.patience", self.patience, low=0, integer=True)
        if not isinstance(self.milestones, Sequence) or list(self.milestones) != sorted(self.milestones):
            raise ZooError(f"scheduler.milestones={self.milestones}: must be rising shares of the run, as [0.5,0.75]")
        for milestone in self.milestones:
            check_number("scheduler.milestones", milestone, above=0, below=1)


@dataclass(frozen=True)
class Regularization:
    """Penalties on the weights, and softened labels.

    Args:
        ``l1``: λ of λ·sign(w), which is added to the gradient of each weight (not of biases and normalization)
        ``l2``: λ of λ·w, which is added likewise; the decoupled form is optimizer.weight_decay
        ``label_smoothing``: share of each label that is spread over the other classes (Szegedy 2016)
    """

    l1: float = 0.0
    l2: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_number("regularization.l1", self.l1, low=0)
        check_number("regularization.l2", self.l2, low=0)
        check_number("regularization.label_smoothing", self.label_smoothing, low=0, below=1)


@dataclass(frozen=True)
class ObjectiveOptions:
    """How the task measures and chooses, where its own choice does not suit.

    Args:
        ``monitor``: validation metric that picks the best epoch; null: the task's own, such as accuracy
        ``class_weights``: balanced, each class has the same weight in the loss, however rare it is
        ``threshold``: metric of two classes (accuracy, balanced_accuracy or f1) for which the threshold on the
            probability is chosen on validation; null: 0.5, of anomalies f1
        ``loss``: mse or mae, where numbers are predicted; null: mse
    """

    monitor: str | None = None
    class_weights: str | None = None
    threshold: str | None = None
    loss: str | None = None

    def __post_init__(self) -> None:
        for value, name, choices in (
            (self.monitor, "monitor", MONITORS),
            (self.class_weights, "class_weights", ("balanced",)),
            (self.threshold, "threshold", THRESHOLDS),
            (self.loss, "loss", LOSSES),
        ):
            if value is not None:
                check_choice(f"objective.{name}", value, choices)


@dataclass(frozen=True)
class EarlyStopping:
    """Stop a run when the monitored metric no longer improves.

    Args:
        ``patience``: epochs without improvement on validation; null: never stop early
        ``min_delta``: smallest change that counts as an improvement
    """

    patience: int | None = None
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        check_number("early_stopping.patience", self.patience, low=1, integer=True, optional=True)
        check_number("early_stopping.min_delta", self.min_delta, low=0)


EVERY_N_SECONDS = 30.0  # seconds between two writes of last.ckpt


@dataclass(frozen=True)
class CheckpointOptions:
    """How often last.ckpt is written, from which a killed run resumes, and which weights are tested.

    Args:
        ``every_n_seconds``: seconds between two writes of last.ckpt; null: 30
        ``every_n_steps``: optimizer steps between two writes, in place of seconds
        ``test_with``: best or last, the epoch whose weights are tested and kept; null: best
    """

    every_n_seconds: float | None = None
    every_n_steps: int | None = None
    test_with: str | None = None

    def __post_init__(self) -> None:
        check_number("checkpoint.every_n_seconds", self.every_n_seconds, above=0, optional=True)
        check_number("checkpoint.every_n_steps", self.every_n_steps, low=1, integer=True, optional=True)
        if self.every_n_seconds is not None and self.every_n_steps is not None:
            raise ZooError("checkpoint.every_n_seconds and checkpoint.every_n_steps: give one of them")
        if self.test_with is not None:
            check_choice("checkpoint.test_with", self.test_with, ("best", "last"))


@dataclass(frozen=True)
class TrainerOptions:
    """Where and how long a run trains.

    Args:
        ``accelerator``: auto, cpu, cuda, gpu or mps; auto: CUDA where it is available, else the CPU
        ``devices``: processes on a machine that share each batch; on CUDA one per device
        ``num_nodes``: machines, on each of which torchrun or SLURM starts the processes; null: as many as did
        ``max_epochs``: passes over the training data
        ``max_minutes``: minutes of training; null: no limit
        ``steps_per_epoch``: batches that count as an epoch; null: one pass over the data
        ``precision``: auto, 32-true, bf16-mixed or 16-mixed; auto: bf16 where the processor has it, 16 on older CUDA devices
        ``tf32``: round the inputs of float32 products on CUDA to 10 bits; null: torch's choice, convolutions alone
        ``accumulate_grad_batches``: batches per optimizer step
        ``gradient_clip_val``: largest norm of the whole gradient; null: no limit
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int | None = None
    max_epochs: int = 20
    max_minutes: float | None = None
    steps_per_epoch: int | None = None
    precision: str = "auto"
    tf32: bool | None = None
    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = None

    def __post_init__(self) -> None:
        if self.tf32 is not None:
            check_flag("trainer.tf32", self.tf32)
        check_choice("trainer.accelerator", self.accelerator, ACCELERATORS)
        check_number("trainer.devices", self.devices, low=1, integer=True)
        check_number("trainer.num_nodes", self.num_nodes, low=1, integer=True, optional=True)
        check_number("trainer.max_epochs", self.max_epochs, low=1, integer=True)
        check_number("trainer.max_minutes", self.max_minutes, above=0, optional=True)
        check_number("trainer.steps_per_epoch", self.steps_per_epoch, low=1, integer=True, optional=True)
        if (name := SHORT_PRECISIONS.get(str(self.precision))) is not None:
            raise ZooError(f"trainer.precision={self.precision}: is named {name}")
        check_choice("trainer.precision", self.precision, PRECISIONS)
        _check_gradients(self.accumulate_grad_batches, self.gradient_clip_val)

    @property
    def world(self) -> int:
        """How many processes share a batch, on all machines."""
        return self.devices * (self.num_nodes or 1)


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
    """Options that any data has, whatever its own are.

    Args:
        ``max_train_samples``: train on so many rows, with the shares of the classes; null: on all
        ``subset_seed``: which rows; null: 0
        ``synthetic_path``: an .npz of images and labels, as `zoo sample` writes it, to train on in addition
        ``normal_classes``: find anomalies: train on these classes alone, count all others as anomalies
    """

    max_train_samples: int | None = None
    subset_seed: int | None = None
    synthetic_path: str | None = None
    normal_classes: Sequence[Any] | None = None


def _check_gradients(accumulate_grad_batches: int, gradient_clip_val: float | None) -> None:
    check_number("trainer.accumulate_grad_batches", accumulate_grad_batches, low=1, integer=True)
    check_number("trainer.gradient_clip_val", gradient_clip_val, above=0, optional=True)


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
        _check_gradients(self.accumulate_grad_batches, self.gradient_clip_val)

    def to_dict(self) -> dict[str, Any]:
        """Return Python primitives alone, which a checkpoint can hold and load safely."""
        values = asdict(self)
        for group in ("optimizer", "scheduler"):
            values[group] = {k: list(v) if isinstance(v, tuple) else v for k, v in values[group].items()}
        return values


# The groups of options that each run has, beside those of its model and its data
GROUPS: dict[str, type[Any]] = {
    "trainer": TrainerOptions,
    "optimizer": Optimizer,
    "scheduler": Scheduler,
    "regularization": Regularization,
    "objective": ObjectiveOptions,
    "early_stopping": EarlyStopping,
    "checkpoint": CheckpointOptions,
}


def options(cls: type, where: str, values: dict[str, Any]) -> Any:
    """Return ``cls(**values)``; an unknown key raises ZooError with the nearest."""
    known = [f.name for f in fields(cls)]
    for key in values:
        if key not in known:
            raise unknown(f"option of {where}", key, known)
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
