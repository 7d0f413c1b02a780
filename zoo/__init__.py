"""Classic neural networks in PyTorch: one registry, one trainer and one configuration for all of them.

>>> import zoo
>>> run = zoo.train("cnn", data="digits")  # doctest: +SKIP
>>> run.metrics["test/accuracy"]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.data.spec import DataSpec as DataSpec
from zoo.exceptions import Stopped as Stopped
from zoo.exceptions import TrainingError as TrainingError
from zoo.exceptions import ZooError as ZooError
from zoo.registry import create as create
from zoo.registry import get as get
from zoo.registry import list_data as list_data
from zoo.registry import list_modalities as list_modalities
from zoo.registry import list_models as list_models
from zoo.registry import list_tasks as list_tasks
from zoo.registry import register as register
from zoo.registry import register_data as register_data
from zoo.registry import register_modality as register_modality
from zoo.registry import register_task as register_task
from zoo.utils.entries import MODELS
from zoo.utils.version import __version__ as __version__

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset as Dataset
    from zoo.data.modality import Modality as Modality
    from zoo.engine.train import Run as Run
    from zoo.engine.train import resume as resume
    from zoo.engine.train import train as train
    from zoo.hub import list_weights as list_weights
    from zoo.hub import load as load
    from zoo.hub import push_to_hub as push_to_hub
    from zoo.inference.export import export as export
    from zoo.models.a2c import A2C as A2C
    from zoo.models.autoencoder import Autoencoder as Autoencoder
    from zoo.models.base import ZooModule as ZooModule
    from zoo.models.cnn import CNN as CNN
    from zoo.models.dqn import DQN as DQN
    from zoo.models.fnn import FNN as FNN
    from zoo.models.gan import GAN as GAN
    from zoo.models.gru import GRU as GRU
    from zoo.models.lstm import LSTM as LSTM
    from zoo.models.ppo import PPO as PPO
    from zoo.models.reinforce import REINFORCE as REINFORCE
    from zoo.models.rnn import RNN as RNN
    from zoo.models.sac import SAC as SAC
    from zoo.models.transformer import Transformer as Transformer
    from zoo.models.vae import VAE as VAE
    from zoo.tasks.base import Task as Task

# Names that need torch are imported on first access, so `import zoo` is instant.
_LAZY = {entry.attribute: entry.module for entry in MODELS.values()}
_LAZY |= {"Dataset": "zoo.data.dataset", "Modality": "zoo.data.modality"}
_LAZY |= {"Task": "zoo.tasks.base", "ZooModule": "zoo.models.base"}
_LAZY |= dict.fromkeys(("Run", "resume", "train"), "zoo.engine.train")
_LAZY |= dict.fromkeys(("list_weights", "load", "push_to_hub"), "zoo.hub")
_LAZY |= {"export": "zoo.inference.export"}
_HERE = [name for name, value in globals().items() if getattr(value, "__module__", "").startswith("zoo.")]
__all__ = sorted([*_LAZY, *_HERE])


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
