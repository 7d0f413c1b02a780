"""The zoo: classic neural networks that train well today, behind one name and one trainer.

>>> import zoo
>>> run = zoo.train("cnn", data="digits")  # doctest: +SKIP
>>> run.metrics["test/accuracy"]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.data.spec import DataSpec
from zoo.exceptions import Stopped, TrainingError, ZooError
from zoo.registry import create, get, list_data, list_models, list_tasks, register, register_data, register_task
from zoo.utils.entries import MODELS
from zoo.utils.version import __version__ as __version__

if TYPE_CHECKING:
    from zoo.data import Dataset
    from zoo.data.modality import Modality
    from zoo.engine.train import Run, resume, train
    from zoo.hub import list_weights, load, push_to_hub
    from zoo.inference.export import export
    from zoo.models.a2c import A2C
    from zoo.models.autoencoder import Autoencoder
    from zoo.models.base import ZooModule
    from zoo.models.cnn import CNN
    from zoo.models.dqn import DQN
    from zoo.models.fnn import FNN
    from zoo.models.gan import GAN
    from zoo.models.gru import GRU
    from zoo.models.lstm import LSTM
    from zoo.models.ppo import PPO
    from zoo.models.reinforce import REINFORCE
    from zoo.models.rnn import RNN
    from zoo.models.sac import SAC
    from zoo.models.transformer import Transformer
    from zoo.models.vae import VAE
    from zoo.registry import list_modalities, register_modality
    from zoo.tasks.base import Task

__all__ = [
    "A2C",
    "CNN",
    "DQN",
    "FNN",
    "GAN",
    "GRU",
    "LSTM",
    "PPO",
    "REINFORCE",
    "RNN",
    "SAC",
    "VAE",
    "Autoencoder",
    "DataSpec",
    "Dataset",
    "Modality",
    "Run",
    "Stopped",
    "Task",
    "TrainingError",
    "Transformer",
    "ZooError",
    "ZooModule",
    "create",
    "export",
    "get",
    "list_data",
    "list_modalities",
    "list_models",
    "list_tasks",
    "list_weights",
    "load",
    "push_to_hub",
    "register",
    "register_data",
    "register_modality",
    "register_task",
    "resume",
    "train",
]

# Names that need torch are imported when they are first read, so that `import zoo` is instant.
_LAZY = {entry.attribute: entry.module for entry in MODELS.values()}
_LAZY |= {"Dataset": "zoo.data.dataset", "Modality": "zoo.data.modality"}
_LAZY |= dict.fromkeys(("list_modalities", "register_modality"), "zoo.registry")
_LAZY |= {"Task": "zoo.tasks.base", "ZooModule": "zoo.models.base"}
_LAZY |= dict.fromkeys(("Run", "resume", "train"), "zoo.engine.train")
_LAZY |= dict.fromkeys(("list_weights", "load", "push_to_hub"), "zoo.hub")
_LAZY |= {"export": "zoo.inference.export"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
