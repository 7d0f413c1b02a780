"""The conformance checks that start processes: stop and resume, and training with two processes."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor

from zoo.data.environment.replay_buffer import joined
from zoo.exceptions import Stopped
from zoo.models.base import ZooModule
from zoo.reporting.evaluation import evaluate_split
from zoo.testing.subject import BATCH, Children, Subject

# Resuming must restore the order of batches, random states, accumulated gradients, the scheduler and early stopping.
# The patience values are short, so that both take effect within a few epochs.
ACCUMULATE = 3
STOPPING: dict[str, Any] = {
    "trainer.max_epochs": 5,
    "trainer.accumulate_grad_batches": ACCUMULATE,
    "scheduler": "plateau",
    "scheduler.patience": 0,
    "scheduler.warmup_ratio": 0.3,
    "early_stopping.patience": 3,
}


class StopAfter(L.Callback):
    """Stops a run after a number of batches, as a signal would."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Set the number of batches in the training loop."""
        assert isinstance(module, ZooModule)
        module.loop.stop_after = self.batches


# --- 7: stop and resume ---


def check_resume(subject: Subject) -> None:
    """Check that stopping and resuming does not change the result, within an epoch and after its last batch."""
    groups = subject.dataset.sizes[0] // BATCH // ACCUMULATE  # steps in an epoch
    drawn = int(subject.random.integers(1, groups))
    amid = ACCUMULATE * (groups + drawn) + 2  # with accumulated gradients
    check_stops(subject, [amid, 2 * ACCUMULATE * groups])


def check_stops(subject: Subject, points: Sequence[int] | int) -> list[int]:
    """Check that stopping after each number of batches in ``points`` does not change the result.

    An integer ``points`` selects as many random numbers. Return the numbers used.

    Raises:
        ConformanceError: a resumed run differs from the uninterrupted one.
    """
    reference = subject.folder()
    with Children(subject.name) as children:
        model = subject.name, subject.case, subject.device
        uninterrupted = children.call(_run, *model, reference, None)
        if isinstance(points, int):
            chosen = subject.random.choice(np.arange(1, uninterrupted.result()), points, replace=False)
            points = sorted(chosen.tolist())
        folders = [subject.folder() for _ in points]
        pairs = list(zip(points, folders, strict=True))
        stopped = [children.call(_run, *model, folder, point) for point, folder in pairs]
        resumed = [_then(children, done, subject, folder) for done, folder in zip(stopped, folders, strict=True)]
        uninterrupted.result()
        for (point, folder), done in zip(pairs, resumed, strict=True):
            done.result()
            compare_runs(subject, f"stopped after {point} batches", reference, folder)
    return list(points)


def _then(children: Children, before: Future[Any], subject: Subject, folder: Path) -> Future[Any]:
    before.result()
    return children.call(resume_case, subject.case, folder)


def _run(name: str, case: Any, device: str, folder: Path, stop: int | None) -> int:
    subject = Subject(name, case, device)
    callbacks = (StopAfter(stop),) if stop else ()
    try:
        run = subject.train(callbacks=callbacks, run_dir=str(folder), **STOPPING)
    except Stopped:
        return stop or 0
    if stop:
        raise subject.fail(f"did not stop after {stop} batches. Its training step must not replace ZooModule's loop.")
    return run.model.loop.batches


def resume_case(case: Any, folder: Path) -> None:
    """Resume a stopped run on the data of a case."""
    from zoo.engine.train import resume

    resume(folder, case.dataset, report=False)


def compare_runs(subject: Subject, how: str, reference: Path, folder: Path) -> None:
    """Check that two runs have equal checkpoints and metrics; ``how`` describes the second run in the message.

    Raises:
        ConformanceError: the runs differ.
    """
    for name in ("last", "best"):
        states = [torch.load(f / "checkpoints" / f"{name}.ckpt", weights_only=True) for f in (reference, folder)]
        _read_replay(states, [reference, folder])
        parts = ("state_dict", "optimizer_states", "processes")
        here, there = ({key: state.get(key) for key in parts} for state in states)
        for different in _differences(here, there):
            raise subject.fail(
                f"{how} and resumed, {name}.ckpt differs from the uninterrupted run, "
                f"first in {different}. Training state must be a buffer or part of training_state()."
            )
    rows = [_figures(f / "metrics.csv") for f in (reference, folder)]
    if rows[0] != rows[1]:
        raise subject.fail(f"{how} and resumed, metrics.csv differs: {rows[0]}, {rows[1]}")


def _read_replay(states: Sequence[dict[str, Any]], folders: Sequence[Path]) -> None:
    """Replace the segments of replay buffers by their steps; the segments depend on when last.ckpt was written."""
    for rank in range(len(states[0].get("processes", ()))):
        loaders = [state["processes"][rank]["training"]["loader"] for state in states]
        if all("replay" in loader for loader in loaders):
            read = [
                joined(loader["replay"]["segments"], folder / "checkpoints" / "replay", rank=rank)
                for loader, folder in zip(loaders, folders, strict=True)
            ]
            for loader, steps in zip(loaders, read, strict=True):  # compare the steps that both still hold
                last = {name: min(len(one[name]) for one in read) for name in steps}
                steps = {name: value[len(value) - last[name] :] for name, value in steps.items()}
                loader["replay"] = {**loader["replay"], "segments": steps}


def _differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    if isinstance(one, Tensor):
        if not (isinstance(other, Tensor) and torch.equal(one.cpu(), other.cpu())):
            yield where
    elif isinstance(one, dict):
        for key in {**one, **other}:
            yield from _differences(one.get(key), other.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(one, (list, tuple)):
        yield from _differences(dict(enumerate(one)), dict(enumerate(other)), where)
    elif one != other:
        yield where


def _figures(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


# --- 9: processes ---


def keep_weights(folder: Path, trainer: L.Trainer, module: L.LightningModule) -> None:
    """Write the weights of each process to ``folder``."""
    torch.save(dict(module.named_parameters()), folder / f"{trainer.global_rank}.pt")


def check_processes(subject: Subject) -> None:
    """Check that two processes on the CPU keep equal weights, count each row once, and report correct metrics."""
    folder = subject.folder()
    folder.mkdir()
    keep = LambdaCallback(on_train_end=partial(keep_weights, folder))
    run = subject.train(callbacks=(keep,), **{"trainer.max_epochs": 3, "trainer.devices": 2})
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, value in first.items():
        if not torch.equal(value, second[name]):
            raise subject.fail(
                f"{name} differs between the two processes of a run. Compute gradients with "
                f"self.accumulate_gradients(loss), not with loss.backward()."
            )
    rows, samples_per_epoch = subject.dataset.sizes[0], run.results["samples"] / run.results["epochs"]
    if samples_per_epoch != rows:
        raise subject.fail(
            f"two processes counted {samples_per_epoch:g} samples in an epoch of {rows} rows. Leave counters to ZooModule."
        )
    for name, value in evaluate_split(run.model, subject.dataset)[0].items():
        reported = run.metrics[f"test/{name}"]
        if not torch.allclose(torch.tensor(reported), torch.tensor(value), **subject.close):
            raise subject.fail(
                f"two processes report {name} {reported:.6f}, but a single process gets {value:.6f}. "
                f"Leave metrics to the task, which counts each row once."
            )
