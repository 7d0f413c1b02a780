"""The built-in models, data, modalities and tasks: names, where their classes are, what they fit. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TARGETS = ("class", "number", "next_symbol", "future", "input", "none", "reward")


@dataclass(frozen=True)
class Entry:
    """A registered model, task or modality: where its class is and what it is for.

    ``action_spaces`` are those of environments, discrete and continuous, in which a model acts. ``target`` is one of
    TARGETS, from which a task learns. ``modalities`` of a task are those that it adds itself to; the built-in
    modalities name the built-in ``tasks`` themselves. ``cls`` is None until it was imported.
    """

    module: str
    attribute: str
    tasks: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    action_spaces: tuple[str, ...] = ()
    target: str = ""
    cls: Any = None

    @property
    def unsupervised(self) -> bool:
        """Whether a task takes any data of a modality, whatever its labels are."""
        return self.target in ("input", "none")


@dataclass(frozen=True)
class DataEntry:
    """A registered data set: the function that loads it and what it offers."""

    load: Callable[..., Any]
    tasks: tuple[str, ...]
    modality: str
    action_space: str | None = None


TASKS = {
    name: Entry(f"zoo.tasks.{name}", name.title().replace("_", ""), target=target)
    for name, target in (
        ("classification", "class"),
        ("regression", "number"),
        ("generation", "none"),
        ("language_modeling", "next_symbol"),
        ("forecasting", "future"),
        ("reconstruction", "input"),
        ("control", "reward"),
    )
}
SEQUENCE_TASKS = ("classification", "regression", "language_modeling", "forecasting")
SEQUENCE_MODALITIES = ("image", "sequence", "text", "series")
CODED_MODALITIES = ("image", "table", "series")
MODELS: dict[str, Entry] = {
    "fnn": Entry("zoo.models.fnn", "FNN", ("classification", "regression"), ("image", "table")),
    "cnn": Entry("zoo.models.cnn", "CNN", ("classification", "regression"), ("image",)),
    "rnn": Entry("zoo.models.rnn", "RNN", SEQUENCE_TASKS, SEQUENCE_MODALITIES),
    "lstm": Entry("zoo.models.lstm", "LSTM", SEQUENCE_TASKS, SEQUENCE_MODALITIES),
    "gru": Entry("zoo.models.gru", "GRU", SEQUENCE_TASKS, SEQUENCE_MODALITIES),
    "transformer": Entry("zoo.models.transformer", "Transformer", SEQUENCE_TASKS, SEQUENCE_MODALITIES),
    "autoencoder": Entry("zoo.models.autoencoder", "Autoencoder", ("reconstruction",), CODED_MODALITIES),
    "gan": Entry("zoo.models.gan", "GAN", ("generation",), ("image",)),
    "ppo": Entry("zoo.models.ppo", "PPO", ("control",), ("environment",), ("discrete", "continuous")),
    "a2c": Entry("zoo.models.a2c", "A2C", ("control",), ("environment",), ("discrete", "continuous")),
    "reinforce": Entry("zoo.models.reinforce", "REINFORCE", ("control",), ("environment",), ("discrete", "continuous")),
    "dqn": Entry("zoo.models.dqn", "DQN", ("control",), ("environment",), ("discrete",)),
    "sac": Entry("zoo.models.sac", "SAC", ("control",), ("environment",), ("continuous",)),
    "vae": Entry("zoo.models.vae", "VAE", ("reconstruction",), CODED_MODALITIES),
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
MODALITIES: dict[str, Entry] = {
    name: Entry(f"zoo.data.{name}.modality", f"{name.capitalize()}Modality", tasks)
    for name, tasks in (
        ("image", ("classification", "regression", "reconstruction", "generation")),
        ("table", ("classification", "regression", "reconstruction")),
        ("sequence", ("classification", "regression")),
        ("text", ("classification", "language_modeling")),
        ("series", ("forecasting", "reconstruction")),
        ("environment", ("control",)),
    )
}
# Modalities some of whose options follow from others: the module, without torch, whose ``complete_options`` sets them
OPTION_MODULES = {"environment": "zoo.data.environment.spaces"}
