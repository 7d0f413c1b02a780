"""The zoo: classic neural networks that train well today, behind one name and one trainer.

>>> import zoo
>>> run = zoo.train("cnn", data="digits")  # doctest: +SKIP
>>> run.metrics["test/accuracy"]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.errors import Stopped, TrainingError, ZooError
from zoo.registry import create, get, list_data, list_models, register, register_data
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from zoo.checkpoints import load
    from zoo.data import Dataset
    from zoo.exporting import export
    from zoo.models.autoencoder import Autoencoder
    from zoo.models.cnn import CNN
    from zoo.models.dqn import DQN
    from zoo.models.fnn import FNN
    from zoo.models.gan import GAN
    from zoo.models.policy import Policy
    from zoo.models.recurrent import GRU, LSTM, RNN
    from zoo.models.sac import SAC
    from zoo.models.transformer import Transformer
    from zoo.models.vae import VAE
    from zoo.module import ZooModule
    from zoo.pretrained import list_weights, push_to_hub
    from zoo.training import Run, resume, train

__version__ = "0.1.0"
__all__ = [
    "CNN",
    "DQN",
    "FNN",
    "GAN",
    "GRU",
    "LSTM",
    "RNN",
    "SAC",
    "VAE",
    "Autoencoder",
    "DataSpec",
    "Dataset",
    "Policy",
    "Run",
    "Stopped",
    "TrainingError",
    "Transformer",
    "ZooError",
    "ZooModule",
    "create",
    "export",
    "get",
    "list_data",
    "list_models",
    "list_weights",
    "load",
    "push_to_hub",
    "register",
    "register_data",
    "resume",
    "train",
]

# What needs torch is imported when it is first asked for, so that `import zoo` is instant.
_LAZY = {
    "Autoencoder": "zoo.models.autoencoder",
    "Policy": "zoo.models.policy",
    "DQN": "zoo.models.dqn",
    "SAC": "zoo.models.sac",
    "CNN": "zoo.models.cnn",
    "FNN": "zoo.models.fnn",
    "GAN": "zoo.models.gan",
    "GRU": "zoo.models.recurrent",
    "LSTM": "zoo.models.recurrent",
    "RNN": "zoo.models.recurrent",
    "Transformer": "zoo.models.transformer",
    "VAE": "zoo.models.vae",
    "Dataset": "zoo.data",
    "Run": "zoo.training",
    "ZooModule": "zoo.module",
    "export": "zoo.exporting",
    "list_weights": "zoo.pretrained",
    "load": "zoo.checkpoints",
    "push_to_hub": "zoo.pretrained",
    "resume": "zoo.training",
    "train": "zoo.training",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
