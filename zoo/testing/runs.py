"""The checks that need processes of their own: a run that is stopped and goes on, a run that two processes share."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zoo import registry
from zoo.data.environment.replay_buffer import joined
from zoo.data.from_config import eval_loader
from zoo.engine.distributed import context
from zoo.exceptions import Stopped
from zoo.models.base import ZooModule
from zoo.testing.subject import BATCH, Children, Subject, alone

# The order of batches, random states, waiting gradients, the place in the schedule, plateau and early stopping all have
# to come back. Plateau and patience are so short that both come into play within few epochs.
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
    """Has a run stop after a number of batches, as a signal would."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Set the number."""
        assert isinstance(module, ZooModule)
        module.loop.stop_after = self.batches


# --- 7: stop and resume ---


def check_resume(subject: Subject) -> None:
    """Check that a run stopped amid an epoch, and in an epoch's last batch, ends as if it never had been."""
    groups = subject.dataset.sizes[0] // BATCH // ACCUMULATE  # steps in an epoch
    drawn = int(np.random.default_rng(sum(map(ord, subject.name))).integers(1, groups))
    amid = ACCUMULATE * (groups + drawn) + 2  # with gradients that wait
    check_stops(subject, [amid, 2 * ACCUMULATE * groups])


def check_stops(subject: Subject, points: Sequence[int] | int) -> list[int]:
    """Check stops after each of the numbers of batches, or after so many random ones; return the numbers.

    Raises:
        ConformanceError: a run that went on ended otherwise than the one that was never stopped.
    """
    reference = subject.folder()
    with Children(subject.name) as children:
        uninterrupted = children.call(_run, subject.name, subject.case, subject.device, reference, None)
        if isinstance(points, int):
            random = np.random.default_rng(sum(map(ord, subject.name)))
            chosen = random.choice(np.arange(1, uninterrupted.result()), points, replace=False)
            points = sorted(int(point) for point in chosen)
        stopped: list[tuple[int, Path, Future[Any]]] = []
        for point in points:
            folder = subject.folder()
            stopped.append(
                (point, folder, children.call(_run, subject.name, subject.case, subject.device, folder, point))
            )
        resumed = [(p, f, _then(children, done, subject, f)) for p, f, done in stopped]
        uninterrupted.result()
        for point, folder, done in resumed:
            done.result()
            _compare(subject, f"stopped after {point} batches", reference, folder)
    return list(points)


# Written so often that kills fall within writing too
KILLED: dict[str, Any] = {**STOPPING, "checkpoint.every_n_steps": 2}


class Began(L.Callback):
    """Tells the process above that training begins."""

    def __init__(self, there: Any) -> None:
        self.there = there

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Tell."""
        self.there.send(True)


def check_kills(subject: Subject, count: int) -> list[float]:
    """Check ``count`` kills by SIGKILL at random moments of training; return them, in shares of its time.

    Raises:
        ConformanceError: a run that was killed and went on ended otherwise than the one that never was.
    """
    random = np.random.default_rng(sum(map(ord, subject.name)))
    reference = subject.folder()
    seconds = _killed(subject, reference, None)
    moments: list[float] = []
    with Children(subject.name) as children:
        while len(moments) < count:
            share, folder = float(random.uniform()), subject.folder()
            moment = _killed(subject, folder, share * seconds)
            if moment < share * seconds or (folder / "results.json").exists():
                continue  # it had ended before
            children.call(_resume, subject.case, subject.device, folder).result()
            _compare(subject, f"killed after {share:.0%} of its time", reference, folder)
            moments.append(share)
    return moments


def _killed(subject: Subject, folder: Path, after: float | None) -> float:
    """Run in a process, kill it ``after`` seconds of training; return after how many it ended."""
    processes: Any = context()
    here, there = processes.Pipe(duplex=False)
    home = registry.entry(subject.name).module
    arguments = (home, _run_telling, (there, subject.name, subject.case, subject.device, folder))
    process = processes.Process(target=alone, args=arguments, daemon=True)
    process.start()
    there.close()
    try:
        here.recv()
    except EOFError:
        raise subject.fail("a process could not begin to train; its own message stands above") from None
    began = time.perf_counter()
    process.join(after)
    seconds = time.perf_counter() - began
    process.kill()
    process.join()
    return seconds


def _run_telling(there: Any, name: str, case: Any, device: str, folder: Path) -> None:
    subject = Subject(name, case, device)
    subject.train(callbacks=(Began(there),), run_dir=str(folder), **KILLED)


def _then(children: Children, before: Future[Any], subject: Subject, folder: Path) -> Future[Any]:
    before.result()
    return children.call(_resume, subject.case, subject.device, folder)


def _run(name: str, case: Any, device: str, folder: Path, stop: int | None) -> int:
    subject = Subject(name, case, device)
    callbacks = (StopAfter(stop),) if stop else ()
    try:
        run = subject.train(callbacks=callbacks, run_dir=str(folder), **STOPPING)
    except Stopped:
        return stop or 0
    if stop:
        raise subject.fail(f"did not stop after {stop} batches; its update must leave the loop to ZooModule")
    return run.model.loop.batches


def _resume(case: Any, device: str, folder: Path) -> None:
    from zoo.engine.train import resume

    resume(folder, case.dataset, report=False)


def _compare(subject: Subject, how: str, reference: Path, folder: Path) -> None:
    for name in ("last", "best"):
        states = [torch.load(f / "checkpoints" / f"{name}.ckpt", weights_only=True) for f in (reference, folder)]
        _read_replay(states, [reference, folder])
        compared = [
            {k: v for k, v in s.items() if k in ("state_dict", "optimizer_states", "processes")} for s in states
        ]
        different = next(_differences(compared[0], compared[1]), None)
        if different:
            raise subject.fail(
                f"{how} and resumed, {name}.ckpt ends otherwise than without the stop, "
                f"first in {different}; what training goes on from must be a buffer, or be in training_state()"
            )
    rows = [_figures(f / "metrics.csv") for f in (reference, folder)]
    if rows[0] != rows[1]:
        raise subject.fail(f"{how} and resumed, metrics.csv differs: {rows[0]}, {rows[1]}")


def _read_replay(states: Sequence[dict[str, Any]], folders: Sequence[Path]) -> None:
    """Put the steps of replay buffers in the place of their segments, which are cut where last.ckpt was written."""
    for rank in range(len(states[0].get("processes", ()))):
        loaders = [state["processes"][rank]["training"]["loader"] for state in states]
        if all("replay" in loader for loader in loaders):
            read = [
                joined(loader["replay"]["segments"], folder / "checkpoints" / "replay", rank=rank)
                for loader, folder in zip(loaders, folders, strict=True)
            ]
            for loader, steps in zip(loaders, read, strict=True):  # as far as both go back
                last = {name: min(len(one[name]) for one in read) for name in steps}
                steps = {name: value[len(value) - last[name] :] for name, value in steps.items()}
                loader["replay"] = {**loader["replay"], "segments": steps}


def _differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    if isinstance(one, Tensor):
        if not (isinstance(other, Tensor) and torch.equal(one.cpu(), other.cpu())):
            yield where
    elif isinstance(one, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            yield from _differences(one.get(key), other.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(one, (list, tuple)):
        if len(one) != len(other):
            yield where
        for number, pair in enumerate(zip(one, other, strict=False)):
            yield from _differences(*pair, f"{where}[{number}]")
    elif one != other:
        yield where


def _figures(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


# --- 9: processes ---


class Keep(L.Callback):
    """Writes each process's weights at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write."""
        torch.save(dict(module.named_parameters()), self.folder / f"{trainer.global_rank}.pt")


def check_processes(subject: Subject) -> None:
    """Check that two processes on the CPU train one network, count each row once, and learn."""
    folder = subject.folder()
    folder.mkdir()
    run = subject.train(callbacks=(Keep(folder),), **{"trainer.max_epochs": 3, "trainer.devices": 2})
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, value in first.items():
        if not torch.equal(value, second[name]):
            raise subject.fail(
                f"{name} differs between two processes that share a run; have gradients come from "
                f"self.accumulate_gradients(loss), never from loss.backward()"
            )
    rows, samples_per_epoch = subject.dataset.sizes[0], run.results["samples"] / run.results["epochs"]
    if samples_per_epoch != rows:
        raise subject.fail(
            f"two processes counted {samples_per_epoch:g} samples an epoch of {rows}; leave the counters to ZooModule"
        )
    reference = _figures_of(run.model, subject)
    for name, value in reference.items():
        if not torch.allclose(torch.tensor(run.metrics[name]), torch.tensor(value), **subject.close):
            raise subject.fail(
                f"two processes report {name} {run.metrics[name]:.6f}, and all test rows at once give {value:.6f}; "
                f"leave metrics to the objective, which counts each row once"
            )


@torch.no_grad()
def _figures_of(model: ZooModule, subject: Subject) -> dict[str, float]:
    """Return the test figures of a model over all rows in one process."""
    metrics = model.task.metrics("test").to(model.device)
    model.eval().begin_evaluation("test")
    for batch in eval_loader(subject.dataset, "test"):
        here = {key: value.to(model.device) if isinstance(value, Tensor) else value for key, value in batch.items()}
        model.task.update(metrics, model.eval_step(here), here)
    return {f"test/{key}": float(value) for key, value in metrics.compute().items()}
