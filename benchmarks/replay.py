"""The suite ``replay``: memory and checkpoint size of a full replay buffer of the default size, and killed runs.

The environment is synthetic. Its frames have 84×84 bytes, and an observation has the last four frames.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job
from benchmarks.runs import ROOT, called, trained
from zoo.exceptions import unknown

CAPACITY, ENVS = 100_000, 8
SMALL = 2_000  # buffer size of the reference run for the memory
EPOCH, EPOCHS = 20_000, 6  # the ring buffer is full in the last epoch
LARGEST_BUFFER = 0.8e9  # maximum size in bytes
WORDS = [
    "model=dqn",
    "data=gym",
    "data.env=benchmarks.frames:zoo-frames-v0",
    f"data.num_envs={ENVS}",
    "data.num_steps=50",
]
WORDS += [f"data.steps_per_epoch={EPOCH}", "data.n_val_episodes=4", "data.n_test_episodes=4", "data.batch_size=16"]
WORDS += [f"trainer.max_epochs={EPOCHS}", "trainer=cpu", "model.replay_ratio=0.01", "model.channels=[4]"]
WORDS += ["model.hidden_sizes=[16]", "logger=csv", "checkpoint.every_n_steps=25"]


def jobs(options: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return the job that measures the buffer and kills ``kills=3`` runs with a full buffer."""
    kills = int(options.pop("kills", 3))
    if options:
        raise unknown("option of suite=replay", next(iter(options)), ["kills"])
    return [Job(f"replay buffer of {CAPACITY:,} steps", partial(_measured, kills))]


def _measured(kills: int) -> Iterator[dict[str, Any]]:
    """Yield the row of the suite."""
    from zoo.reporting.results import origin

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as above:
        full, watched = Path(above) / "full", Watch(Path(above) / "full")
        with watched:
            peak = called([str(ROOT / "train.py"), *WORDS, f"data.buffer_size={CAPACITY}", f"run_dir={full}"])[1]
        small = trained([*WORDS, f"data.buffer_size={SMALL}", "trainer.max_epochs=1"], Path(above) / "small")
        row: dict[str, Any] = {"what": f"replay buffer of {CAPACITY:,} steps", "steps": CAPACITY, "frame": [84, 84]}
        row |= {"stack": 4, "buffer_mb": round(held(full) / 1e6, 1)}
        row |= {"peak_mb": round(peak, 1), "peak_mb_of_small": small["peak_memory_mb"], "steps_of_small": SMALL}
        written, new = max(watched.written)
        row |= {"new_steps": new, "written_mb": round(written / 1e6, 2)}
        sizes = {name: (full / "checkpoints" / f"{name}.ckpt").stat().st_size / 1e6 for name in ("best", "last")}
        row |= {f"{name}_mb": round(size, 2) for name, size in sizes.items()}
        row |= {"killed": kills, "equal": sum(_goes_on(full, Path(above) / str(n), n) for n in range(kills))}
    missed = [f"{row['buffer_mb']} MB in memory"] if row["buffer_mb"] > LARGEST_BUFFER / 1e6 else []
    missed += [f"{kills - row['equal']} of {kills} killed runs differ"] if row["equal"] < kills else []
    row |= {"failed": missed} if missed else {}
    row |= {"seconds": round(time.perf_counter() - started, 1)} | origin("cpu")
    print(
        f"    {row['buffer_mb']} MB, {row['written_mb']} MB for a checkpoint with {row['new_steps']:,} new steps, "
        f"best.ckpt {row['best_mb']} MB, {row['equal']} of {kills} killed runs bit-equal",
        flush=True,
    )
    yield row


def held(folder: Path) -> int:
    """Return the memory in bytes of a run's replay buffer after a resume from its last checkpoint."""
    import torch

    from zoo.data.environment.replay_buffer import ReplayBuffer

    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    replay = state["processes"][0]["training"]["loader"]["replay"]
    buffer = ReplayBuffer(CAPACITY, ENVS, frame_channels=1)
    buffer.load(replay, folder / "checkpoints" / "replay")
    assert len(buffer) == CAPACITY
    return sum(part.nbytes for part in (*buffer.rings.values(), buffer.frames, buffer.valid_steps))


class Watch:
    """A context manager that sums the bytes and steps of the new segments of each last.ckpt."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.written = folder / "checkpoints", [(0, 0)]

    def __enter__(self) -> None:
        code = "import sys; from benchmarks.replay import watch; watch(sys.argv[1], sys.argv[2])"
        self.out = self.folder.parent.with_suffix(".sizes")
        known = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen([sys.executable, "-c", code, str(self.folder), str(self.out)], env=known)

    def __exit__(self, *raised: object) -> None:
        self.process.terminate()
        self.process.wait()
        for line in self.out.read_text().splitlines():
            written, new = map(int, line.split())
            self.written.append((written, new))


def watch(folder: str, out: str) -> None:
    """Write the bytes and steps of the new segments of each last.ckpt, until this process or its parent ends."""
    known: dict[str, int] = {}
    stamp, parent = 0, os.getppid()
    while os.getppid() == parent:
        time.sleep(0.01)
        try:
            now = (Path(folder) / "last.ckpt").stat().st_mtime_ns
            names = {path.name: path.stat().st_size for path in (Path(folder) / "replay").glob("*.safetensors")}
        except OSError:
            continue
        if now != stamp:
            stamp, new = now, {name: size for name, size in names.items() if name not in known}
            known |= new
            with Path(out).open("a") as file:
                spans = [Path(name).stem.split("-")[1:] for name in new]
                file.write(f"{sum(new.values())} {ENVS * sum(int(end) - int(begin) for begin, end in spans)}\n")


def _goes_on(reference: Path, folder: Path, number: int) -> bool:
    """Kill a run with a full buffer, resume it, and return whether it ends with the same weights and buffer."""
    import numpy as np

    typed = [sys.executable, str(ROOT / "train.py"), *WORDS, f"data.buffer_size={CAPACITY}", f"run_dir={folder}"]
    process = subprocess.Popen(typed, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    metrics = folder / "metrics.csv"
    while process.poll() is None and (not metrics.exists() or len(metrics.read_text().splitlines()) < EPOCHS):
        time.sleep(0.02)
    time.sleep(float(np.random.default_rng(number).uniform(0, 2)))
    process.send_signal(signal.SIGKILL)
    process.wait()
    if (folder / "results.json").exists():
        return False  # the run ended before the kill
    called([str(ROOT / "train.py"), f"resume={folder}"])
    return alike(reference, folder)


def alike(one: Path, other: Path) -> bool:
    """Return whether two runs end with the same weights, optimizer state and replay buffer."""
    import torch

    from zoo.data.environment.replay_buffer import joined

    states = [torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in (one, other)]
    flat = []
    for folder, state in zip((one, other), states, strict=True):
        optimizer = state["optimizer_states"][0]["state"]
        tensors = {f"{n}.{name}": value for n, of in optimizer.items() for name, value in of.items()}
        replay = state["processes"][0]["training"]["loader"]["replay"]
        steps = joined(replay["segments"], folder / "checkpoints" / "replay")
        flat.append({**state["state_dict"], **tensors, **steps})
    for name, value in flat[0].items():
        other_value = flat[1][name]
        last = min(len(value), len(other_value)) if value.ndim else None
        if last is not None:  # compare the steps that both have
            value, other_value = value[len(value) - last :], other_value[len(other_value) - last :]
        if not torch.equal(value, other_value):
            return False
    return True
