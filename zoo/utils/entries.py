"""The built-in models, data, modalities and tasks: names, where their classes are, what they fit. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelEntry:
    """A registered model: where its class is and what it can do. ``cls`` is None until it was imported.

    ``action_spaces`` are those of environments, discrete and continuous, in which it acts.
    """

    module: str
    attribute: str
    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    action_spaces: tuple[str, ...] = ()
    cls: type[Any] | None = None


@dataclass(frozen=True)
class DataEntry:
    """A registered data set: the function that loads it and what it offers."""

    load: Callable[..., Any]
    tasks: tuple[str, ...]
    modality: str
    action_space: str | None = None


@dataclass(frozen=True)
class ModalityEntry:
    """A registered modality: where its class is and which built-in tasks its data can be for."""

    module: str
    attribute: str
    tasks: tuple[str, ...]
    instance: Any | None = None  # None until it was imported


TARGETS = ("class", "number", "next_symbol", "future", "input", "none", "reward")


@dataclass(frozen=True)
class TaskEntry:
    """A registered task: where its class is, and which type of target it learns from.

    ``target`` is one of TARGETS. ``modalities`` are those that the task adds itself to; the built-in modalities name
    the built-in tasks themselves. ``cls`` is None until it was imported.
    """

    name: str
    module: str
    attribute: str
    target: str
    modalities: tuple[str, ...] = ()
    cls: type[Any] | None = None

    @property
    def unsupervised(self) -> bool:
        """Whether any data of a modality will do, whatever its labels are."""
        return self.target in ("input", "none")


TASKS = {
    entry.name: entry
    for entry in (
        TaskEntry("classification", "zoo.tasks.classification", "Classification", "class"),
        TaskEntry("regression", "zoo.tasks.regression", "Regression", "number"),
        TaskEntry("generation", "zoo.tasks.generation", "Generation", "none"),
        TaskEntry("language_modeling", "zoo.tasks.language_modeling", "LanguageModeling", "next_symbol"),
        TaskEntry("forecasting", "zoo.tasks.forecasting", "Forecasting", "future"),
        TaskEntry("reconstruction", "zoo.tasks.reconstruction", "Reconstruction", "input"),
        TaskEntry("control", "zoo.tasks.control", "Control", "reward"),
    )
}
SEQUENCETASKS = ("classification", "regression", "language_modeling", "forecasting")
SEQUENCE_KINDS = ("image", "sequence", "text", "series")
CODED_KINDS = ("image", "table", "series")
MODELS: dict[str, ModelEntry] = {
    "fnn": ModelEntry("zoo.models.fnn", "FNN", ("classification", "regression"), ("image", "table")),
    "cnn": ModelEntry("zoo.models.cnn", "CNN", ("classification", "regression"), ("image",)),
    "rnn": ModelEntry("zoo.models.rnn", "RNN", SEQUENCETASKS, SEQUENCE_KINDS),
    "lstm": ModelEntry("zoo.models.lstm", "LSTM", SEQUENCETASKS, SEQUENCE_KINDS),
    "gru": ModelEntry("zoo.models.gru", "GRU", SEQUENCETASKS, SEQUENCE_KINDS),
    "transformer": ModelEntry("zoo.models.transformer", "Transformer", SEQUENCETASKS, SEQUENCE_KINDS),
    "autoencoder": ModelEntry("zoo.models.autoencoder", "Autoencoder", ("reconstruction",), CODED_KINDS),
    "gan": ModelEntry("zoo.models.gan", "GAN", ("generation",), ("image",)),
    "ppo": ModelEntry("zoo.models.ppo", "PPO", ("control",), ("environment",), ("discrete", "continuous")),
    "a2c": ModelEntry("zoo.models.a2c", "A2C", ("control",), ("environment",), ("discrete", "continuous")),
    "reinforce": ModelEntry(
        "zoo.models.reinforce", "REINFORCE", ("control",), ("environment",), ("discrete", "continuous")
    ),
    "dqn": ModelEntry("zoo.models.dqn", "DQN", ("control",), ("environment",), ("discrete",)),
    "sac": ModelEntry("zoo.models.sac", "SAC", ("control",), ("environment",), ("continuous",)),
    "vae": ModelEntry("zoo.models.vae", "VAE", ("reconstruction",), CODED_KINDS),
}
# Other names of models
SYNONYMS = {"policy": "ppo", "mlp": "fnn", "ae": "autoencoder"}
# The built-in data sets by the module that registers functions of these names, after a colon the class that declares
# their options where the functions do not. Their tasks stand in conf/data/.
DATA_BY_MODULE = {
    "zoo.data.image.datasets": ("digits", "mnist", "fashion_mnist", "cifar10", "pets"),
    "zoo.data.image.binarized_mnist": ("binarized_mnist",),
    "zoo.data.image.folder": ("image_folder",),
    "zoo.data.image.npz": ("npz",),
    "zoo.data.table.datasets": ("csv", "adult", "california_housing", "breast_cancer", "wine", "diabetes"),
    "zoo.data.text.datasets": ("text_file", "shakespeare", "text", "sentiment"),
    "zoo.data.series.datasets": ("series", "etth1"),
    "zoo.data.sequence.datasets": ("spoken_digits",),
    "zoo.data.environment.environments:EnvironmentOptions": (
        *("cartpole", "acrobot", "mountain_car", "pendulum", "lunar_lander", "mujoco", "gym"),
    ),
}
DATA_MODULES = {name: module for module, names in DATA_BY_MODULE.items() for name in names}
MODALITIES: dict[str, ModalityEntry] = {
    name: ModalityEntry(f"zoo.data.{name}.modality", f"{name.capitalize()}Modality", tasks)
    for name, tasks in (
        ("image", ("classification", "regression", "reconstruction", "generation")),
        ("table", ("classification", "regression", "reconstruction")),
        ("sequence", ("classification", "regression")),
        ("text", ("classification", "language_modeling")),
        ("series", ("forecasting", "reconstruction")),
        ("environment", ("control",)),
    )
}
