"""Data loaders of environments: training rollouts, and validation and test episodes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.data.environment.environments import Environments
from zoo.data.environment.replay_buffer import ReplayBuffer
from zoo.data.environment.spaces import episode_seeds
from zoo.data.environment.vector import VectorEnvironment
from zoo.data.environment.video import Actor
from zoo.data.input_readers import to_float
from zoo.data.loader import SINGLE, Shard
from zoo.exceptions import TrainingError
from zoo.utils.device import widest_dtype

MAX_EPISODE_STEPS = 100_000  # in evaluation; longer episodes count as an error
# Maps the environments, the number of steps and the replay buffer to a rollout of the model
Collect = Callable[[VectorEnvironment, int, ReplayBuffer | None], Batch]


class Rollout:
    """One training batch, collected on demand. It is empty if a resumed epoch has already used it."""

    def __init__(self, loader: RolloutLoader, rows: int) -> None:
        self.loader, self.sizes = loader, [rows] if rows else []

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batch."""
        loader = self.loader
        for _ in self.sizes:
            batch = loader.next_rollout()
            loader.epoch, loader.batch = divmod(loader.epoch * loader.batches + loader.batch + 1, loader.batches)
            yield batch


class RolloutLoader:
    """Yields training batches of ``data.num_steps`` steps per environment, collected by the model in training.

    Each process has its own environments. An ``off_policy`` model has a ``replay`` buffer.
    """

    def __init__(
        self,
        dataset: Environments,
        *,
        seed: int,
        batch_size: int,
        off_policy: bool = False,
        shard: Shard = SINGLE,
        device: torch.device | str = "cpu",
    ) -> None:
        self.dataset, self.seed, self.shard, self.batch_size = dataset, seed, shard, batch_size
        self.batches, self.rows = dataset.batches, dataset.num_envs * dataset.num_steps
        self.num_envs = dataset.num_envs // shard.world  # environments of this process
        self.epoch = self.batch = 0
        self.collect: Collect | None = None
        self.replay: ReplayBuffer | None = None
        if off_policy:
            options: dict[str, Any] = {"frame_channels": dataset.frame_channels, "device": device}
            self.replay = ReplayBuffer(dataset.buffer_size, self.num_envs, **options)
        self.folder: Path | None = None  # of the replay buffer's segments
        self._environments: VectorEnvironment | None = None

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Rollout]:
        """Yield the batches of the epoch. Those before the start position are empty."""
        begin = self.batch
        for number in range(self.batches):
            yield Rollout(self, self.rows if number >= begin else 0)

    @property
    def environments(self) -> VectorEnvironment:
        """The environments, created on first use."""
        if self._environments is None:
            seeds = episode_seeds("train", self.dataset.num_envs, seed=self.seed)
            self._environments = self.dataset.vector(seeds[self.num_envs * self.shard.rank :][: self.num_envs])
        return self._environments

    def close(self) -> None:
        """Close the environments."""
        if self._environments is not None:
            self._environments.close()

    def next_rollout(self) -> Batch:
        """Collect a batch."""
        assert self.collect is not None
        return self.collect(self.environments, self.dataset.num_steps, self.replay)

    def write_replay(self) -> None:
        """Write new steps of the replay buffer to ``folder``. ``state_dict`` then lists them."""
        if self.replay is not None and self.folder is not None:
            self.replay.write(self.folder, rank=self.shard.rank)

    def drop_replay(self) -> None:
        """Delete segments that the checkpoint just written does not list."""
        if self.replay is not None and self.folder is not None:
            self.replay.drop(self.folder, rank=self.shard.rank)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the next batch, the state of the environments, and the segments of the buffer."""
        state: dict[str, Any] = {"epoch": self.epoch, "batch": self.batch}
        state["environments"] = self._environments.state_dict() if self._environments else None
        return state | ({"replay": self.replay.state_dict()} if self.replay is not None else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state. Start new episodes for environments whose state could not be saved.

        Raises:
            ZooError: if a segment of the replay buffer is missing or damaged.
        """
        self.epoch, self.batch = state["epoch"], state["batch"]
        environments = state.get("environments")
        if environments and self.replay is not None and self.folder is not None:
            self.replay.load(state["replay"], self.folder, rank=self.shard.rank)
        if environments and environments["snapshot"] is not None:
            self.environments.load_state_dict(environments)
        elif environments:
            if self.replay is not None:
                self.replay.truncate(environments["observation"])
            print(f"note: {self.dataset.env_id} cannot resume its episodes; new episodes start", flush=True)


class EpisodeLoader:
    """The validation or test episodes, each with its own seed.

    The only batch has the indices of the episodes (``row``), their number over all processes (``count``), and
    ``evaluate_policy(actor)``.
    """

    def __init__(
        self, dataset: Environments, part: str, *, shard: Shard = SINGLE, device: torch.device | str = "cpu"
    ) -> None:
        self.count = {"val": dataset.n_val_episodes, "test": dataset.n_test_episodes}[part]
        self.dataset, self.device = dataset, torch.device(device)
        self.rows = torch.arange(shard.rank, self.count, shard.world)
        self.seeds = episode_seeds(part, self.count)[shard.rank :: shard.world]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield {"row": self.rows, "count": self.count, "evaluate_policy": self.evaluate_policy}

    def evaluate_policy(self, actor: Actor, *, stop: Callable[[], bool] = lambda: False) -> dict[str, Tensor]:
        """Run the episodes with the actions of ``actor``, and return their ``return`` and ``length`` (E,).

        Stop early if ``stop`` returns true.

        Raises:
            TrainingError: if an episode does not end.
        """
        returns = lengths = np.zeros(0)
        if self.seeds:  # there may be more processes than episodes
            with contextlib.closing(self.dataset.vector(self.seeds)) as environments:
                returns, lengths = self._episodes(environments, actor, stop)
        episodes = {"return": torch.from_numpy(returns), "length": torch.from_numpy(lengths)}
        return {name: value.to(widest_dtype(self.device)).to(self.device) for name, value in episodes.items()}

    def _episodes(self, environments: VectorEnvironment, actor: Actor, stop: Callable[[], bool]) -> np.ndarray:
        done = np.zeros(environments.num_envs, bool)
        returns, lengths = episodes = np.zeros((2, environments.num_envs))
        while not done.all() and not stop():
            environments.step(actor(to_float(environments.observation.to(self.device)))["action"].cpu().numpy())
            ending = environments.reset_mask & ~done
            returns[ending], lengths[ending] = environments.returns[ending], environments.lengths[ending]
            done |= ending
            if environments.steps > MAX_EPISODE_STEPS:
                raise TrainingError(
                    f"environment {self.dataset.env_id}: an episode exceeds {MAX_EPISODE_STEPS:,} steps; register "
                    f"it with max_episode_steps"
                )
        return episodes


class EnvironmentData(L.LightningDataModule):
    """The LightningDataModule of environments. Training, validation and test use separate environments."""

    def __init__(self, dataset: Environments, *, batch_size: int, seed: int, off_policy: bool = False) -> None:
        super().__init__()
        self.dataset = dataset
        self.options: dict[str, Any] = {"batch_size": batch_size, "seed": seed, "off_policy": off_policy}
        self._training: RolloutLoader | None = None

    @property
    def _process(self) -> dict[str, Any]:
        if not self.trainer:
            return {}
        shard = Shard(self.trainer.global_rank, self.trainer.world_size)
        return {"shard": shard, "device": self.trainer.strategy.root_device}

    def train_dataloader(self) -> RolloutLoader:
        """Return the training loader."""
        self._training = RolloutLoader(self.dataset, **self.options, **self._process)
        return self._training

    def teardown(self, stage: str) -> None:
        """Close the training environments."""
        if stage == "fit" and self._training is not None:
            self._training.close()

    def on_exception(self, exception: BaseException) -> None:
        """Close the training environments."""
        self.teardown("fit")

    def val_dataloader(self) -> EpisodeLoader:
        """Return the validation episodes."""
        return EpisodeLoader(self.dataset, "val", **self._process)

    def test_dataloader(self) -> EpisodeLoader:
        """Return the test episodes."""
        return EpisodeLoader(self.dataset, "test", **self._process)

    def first_batch(self) -> Batch:
        """Return example observations."""
        return self.dataset.train

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the batch unchanged."""
        return batch
