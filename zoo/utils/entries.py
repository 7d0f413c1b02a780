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
# The built-in data sets: name -> module that registers a function of that name, and after a colon the class that
# declares its options where the function does not. Their tasks stand in conf/data/.
DATA_MODULES = {
    "digits": "zoo.data.image.datasets",
    "mnist": "zoo.data.image.datasets",
    "fashion_mnist": "zoo.data.image.datasets",
    "cifar10": "zoo.data.image.datasets",
    "binarized_mnist": "zoo.data.image.binarized_mnist",
    "pets": "zoo.data.image.datasets",
    "image_folder": "zoo.data.image.folder",
    "npz": "zoo.data.image.npz",
    "csv": "zoo.data.table.datasets",
    "adult": "zoo.data.table.datasets",
    "california_housing": "zoo.data.table.datasets",
    "breast_cancer": "zoo.data.table.datasets",
    "wine": "zoo.data.table.datasets",
    "diabetes": "zoo.data.table.datasets",
    "text_file": "zoo.data.text.datasets",
    "shakespeare": "zoo.data.text.datasets",
    "text": "zoo.data.text.datasets",
    "sentiment": "zoo.data.text.datasets",
    "series": "zoo.data.series.datasets",
    "etth1": "zoo.data.series.datasets",
    "spoken_digits": "zoo.data.sequence.datasets",
    "cartpole": "zoo.data.environment.environments:EnvironmentOptions",
    "acrobot": "zoo.data.environment.environments:EnvironmentOptions",
    "mountain_car": "zoo.data.environment.environments:EnvironmentOptions",
    "pendulum": "zoo.data.environment.environments:EnvironmentOptions",
    "lunar_lander": "zoo.data.environment.environments:EnvironmentOptions",
    "mujoco": "zoo.data.environment.environments:EnvironmentOptions",
    "gym": "zoo.data.environment.environments:EnvironmentOptions",
}
MODALITIES: dict[str, ModalityEntry] = {
    "image": ModalityEntry(
        "zoo.data.image.modality", "ImageModality", ("classification", "regression", "reconstruction", "generation")
    ),
    "table": ModalityEntry(
        "zoo.data.table.modality", "TableModality", ("classification", "regression", "reconstruction")
    ),
    "sequence": ModalityEntry("zoo.data.sequence.modality", "SequenceModality", ("classification", "regression")),
    "text": ModalityEntry("zoo.data.text.modality", "TextModality", ("classification", "language_modeling")),
    "series": ModalityEntry("zoo.data.series.modality", "SeriesModality", ("forecasting", "reconstruction")),
    "environment": ModalityEntry("zoo.data.environment.modality", "EnvironmentModality", ("control",)),
}
