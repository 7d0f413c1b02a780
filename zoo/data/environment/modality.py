"""The environment modality, in which x is an observation of a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.dataset import Augmentation
from zoo.data.environment.environments import Environments, check_replay, environments
from zoo.data.environment.loaders import EnvironmentData, EpisodeLoader
from zoo.data.environment.spec import EnvironmentSpec
from zoo.data.environment.vector import encode
from zoo.data.example import TRAIN
from zoo.data.input_readers import Piece
from zoo.data.modality import Modality
from zoo.exceptions import ZooError
from zoo.registry import register_modality
from zoo.utils.console import print_note


@register_modality
class EnvironmentModality(Modality[EnvironmentSpec]):
    """Gymnasium environments, where x is an observation."""

    spec = EnvironmentSpec
    tasks = ("control",)
    raw_input = "an observation of the environment, as an array"

    encode = staticmethod(encode)

    def read(self, spec: EnvironmentSpec, path: str) -> Iterator[Piece]:
        """Raise a ZooError, because observations only come from the environment."""
        raise ZooError(f"predict: does not support {spec.name}; use zoo play")

    def from_json(self, spec: EnvironmentSpec, rows: Sequence[Any]) -> Any:
        """Raise a ZooError, because observations only come from the environment."""
        raise ZooError(f"predict: does not support {spec.name}; use zoo play")

    def select_rows(self, dataset: Environments, data: Mapping[str, Any]) -> Environments:
        """Return the environments unchanged. Raise a ZooError for options of rows or another action space."""
        space = dataset.spec.action_space
        if data.get("action_space") not in (None, space):
            raise ZooError(f"data={data['name']}: the environment has {space} actions; set data.action_space={space}")
        for option in ("max_train_samples", "subset_seed", "synthetic_path"):
            if data.get(option) is not None:
                raise ZooError(f"data.{option}: needs data with rows; {dataset.spec.name} is an environment")
        return dataset

    def datamodule(
        self, dataset: Environments, run_config: RunConfig, augment: Augmentation | None = None
    ) -> EnvironmentData:
        """Return the data module of a run, with its rollouts and episodes."""
        values, trainer = run_config.values, run_config.trainer
        if dataset.num_envs % trainer.world:
            raise ZooError(
                f"trainer.devices={trainer.devices}: {trainer.world} processes must share "
                f"data.num_envs={dataset.num_envs} evenly"
            )
        if trainer.steps_per_epoch is not None:
            steps = dataset.steps_per_epoch
            print_note(f"trainer.steps_per_epoch needs data with rows; an epoch has data.steps_per_epoch={steps} steps")
        off_policy = registry.get(values["model"]["name"]).off_policy
        if off_policy:
            check_replay(dataset, n_step=values["model"].get("n_step", 1))
        batch_size = values["data"]["batch_size"]
        return EnvironmentData(dataset, batch_size=batch_size, seed=values["seed"], off_policy=off_policy)

    def eval_loader(self, dataset: Environments, split: str) -> EpisodeLoader:
        """Return the episodes of ``val`` or ``test``."""
        return EpisodeLoader(dataset, split)

    def action_spaces(self, supported: tuple[str, ...]) -> tuple[str, ...]:
        """Return all action spaces of a model."""
        return supported

    def example(self, task: str, action_space: str = "") -> Environments:
        """Return a generated environment with the given action space."""
        return generated_example(action_space)


def generated_example(action_space: str) -> Environments:
    """Return a small environment whose epochs have as many steps as the other examples have rows."""
    env_id = f"zoo.data.environment.generated:zoo-{action_space}-v0"
    options: dict[str, Any] = {"num_envs": 4, "num_steps": 4, "steps_per_epoch": TRAIN // 4, "vectorization": "sync"}
    options |= {"n_val_episodes": 8, "n_test_episodes": 15, "buffer_size": 2000, "learning_starts": 32}
    return environments(f"generated {action_space} actions", env_id, action_space, **options)
