"""Processes of a run that another program started, on one machine or several: torchrun, or SLURM's srun."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.config.schema import TrainerOptions
from zoo.engine.run_config import RunConfig
from zoo.exceptions import ZooError


@dataclass(frozen=True)
class Group:
    """The processes that one run has: this one's number, how many there are, and on how many machines."""

    by: str
    rank: int
    world: int
    nodes: int

    def checked(self, asked: TrainerOptions) -> TrainerOptions:
        """Return the trainer's options, with as many machines as there are.

        Raises:
            ZooError: other processes were asked for than were started.
        """
        if (asked.num_nodes or self.nodes) != self.nodes:
            raise ZooError(f"trainer.num_nodes={asked.num_nodes}: {self.by} started processes on {self.nodes}")
        if asked.devices * self.nodes != self.world:
            each = self.world // self.nodes
            raise ZooError(f"trainer.devices={asked.devices}: {self.by} started {each} on each machine")
        return replace(asked, num_nodes=self.nodes)

    @contextlib.contextmanager
    def shared(self, run_config: RunConfig, device: str) -> Iterator[RunConfig]:
        """Join the processes, and yield the plan with the folder that the first one of them has claimed."""
        import torch

        from zoo.engine.distributed import leave

        _meet(self, device)
        try:
            if self.rank:
                told: list[str | None] = [None]
                torch.distributed.broadcast_object_list(told)
                yield replace(run_config, folder=Path(str(told[0])))
            else:
                with run_config.create_run_dir() as create_run_dir:
                    torch.distributed.broadcast_object_list([str(create_run_dir.folder)])
                    yield create_run_dir
        finally:
            leave()


def group() -> Group | None:
    """Return the processes that this one was started with by another program; None: it was started alone."""
    known = os.environ
    if "TORCHELASTIC_RUN_ID" in known:
        world = int(known["WORLD_SIZE"])
        return Group("torchrun", int(known["RANK"]), world, world // int(known["LOCAL_WORLD_SIZE"]))
    many, interactive = int(known.get("SLURM_NTASKS", 1)), known.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if many > 1 and "SLURM_PROCID" in known and not interactive:  # as Lightning tells
        return Group("srun", int(known["SLURM_PROCID"]), many, int(known.get("SLURM_NNODES", 1)))
    return None


def rank() -> int:
    """Return the number of this process among those of its run, from 0."""
    found = group()
    return found.rank if found is not None else int(os.environ.get("LOCAL_RANK", 0))


def _meet(found: Group, device: str) -> None:
    """Open the connection that Lightning will use."""
    import torch
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    environment = TorchElasticEnvironment() if found.by == "torchrun" else SLURMEnvironment()
    os.environ |= {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
    if device == "cuda":
        torch.cuda.set_device(environment.local_rank())
    backend = "nccl" if device == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, rank=found.rank, world_size=found.world)
