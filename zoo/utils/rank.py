"""The processes of one run and their ranks. This module needs no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """The processes that a launcher started for one run: the launcher, the rank, the world size and the machines."""

    launcher: str
    rank: int
    world_size: int
    num_nodes: int


def find_launch() -> Launch | None:
    """Return the launch of this process by torchrun or SLURM's srun, or None if it was started without a launcher."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        world_size = int(env["WORLD_SIZE"])
        return Launch("torchrun", int(env["RANK"]), world_size, world_size // int(env["LOCAL_WORLD_SIZE"]))
    tasks, interactive = int(env.get("SLURM_NTASKS", 1)), env.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if tasks > 1 and "SLURM_PROCID" in env and not interactive:  # Lightning's rule
        return Launch("srun", int(env["SLURM_PROCID"]), tasks, int(env.get("SLURM_NNODES", 1)))
    return None


def rank() -> int:
    """Return the rank of this process in its run, from 0."""
    launch = find_launch()
    return launch.rank if launch is not None else int(os.environ.get("LOCAL_RANK", 0))
