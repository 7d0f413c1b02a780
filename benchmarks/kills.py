"""Runs that are killed at random moments of training and then resumed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import LambdaCallback

from zoo import registry
from zoo.engine.distributed import context
from zoo.testing.runs import STOPPING, compare_runs, resume_case
from zoo.testing.subject import Children, Subject, alone

# Frequent writes, so that some kills happen during a write
KILLED: dict[str, Any] = {**STOPPING, "checkpoint.every_n_steps": 2}


def check_kills(subject: Subject, count: int) -> list[float]:
    """Check ``count`` kills by SIGKILL at random moments, and return the moments as fractions of the training time.

    Raises:
        ConformanceError: a killed and resumed run ends with another result than an uninterrupted run.
    """
    random = subject.random
    reference = subject.folder()
    seconds = _killed(subject, reference, None)
    moments: list[float] = []
    with Children(subject.name) as children:
        while len(moments) < count:
            share, folder = float(random.uniform()), subject.folder()
            moment = _killed(subject, folder, share * seconds)
            if moment < share * seconds or (folder / "results.json").exists():
                continue  # the run ended before the kill
            children.call(resume_case, subject.case, folder).result()
            compare_runs(subject, f"killed after {share:.0%} of its time", reference, folder)
            moments.append(share)
    return moments


def _killed(subject: Subject, folder: Path, after: float | None) -> float:
    """Train in a process, kill it ``after`` seconds of training, and return the seconds until it ended."""
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
        raise subject.fail("the process failed before training; its error is printed above") from None
    began = time.perf_counter()
    process.join(after)
    seconds = time.perf_counter() - began
    process.kill()
    process.join()
    return seconds


def _run_telling(there: Any, name: str, case: Any, device: str, folder: Path) -> None:
    subject = Subject(name, case, device)
    began = LambdaCallback(on_train_start=lambda trainer, module: there.send(True))
    subject.train(callbacks=(began,), run_dir=str(folder), **KILLED)
