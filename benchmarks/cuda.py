"""The suite ``cuda``: all checks that need a CUDA device, in at most eight minutes.

Each model trains for a few steps on synthetic data: in float32, bf16 and fp16, stopped and resumed, and with DDP over
NCCL in a process group of one process. The losses of the precisions must agree. A resumed run must end with the
weights of an uninterrupted run. The speed is compared with a plain loop over the same loss.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from benchmarks.arguments import take_nothing_else, take_number
from benchmarks.jobs import Job
from zoo.exceptions import Stopped, ZooError
from zoo.registry import entry, list_models

SECONDS = 440.0  # no job starts later, so the suite ends within eight minutes; the remaining jobs are failed rows
STEPS, STOP = 8, 11  # steps per epoch; number of batches before a stop, in the second epoch
TIMED, ROWS = 200, 64  # number of timed steps, and rows per batch
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}  # by name in a row
CLOSE = {"bf16": 0.02, "fp16": 0.02}  # maximum relative difference of a loss from float32


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return two jobs for each model, or for ``model=``: correctness and speed.

    Raises:
        ZooError: no CUDA device was found.
    """
    import torch

    model, repeats = args.pop("model", None), take_number(args, "repeats", 2)
    take_nothing_else(args, "cuda")
    if not torch.cuda.is_available():
        raise ZooError("suite=cuda: no CUDA device was found. Use pytest -m accelerator without one.")
    names = list_models() if model is None else [model]
    for name in names:
        entry(name)  # reject unknown names
    end = time.monotonic() + SECONDS
    work: dict[str, Callable[[str], dict[str, Any]]] = {"runs": runs, "speed": partial(speed, repeats=repeats)}
    return [
        Job(f"{name}: {what}", partial(_within, end, name, what, run)) for what, run in work.items() for name in names
    ]


def _within(end: float, name: str, what: str, run: Callable[[str], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the row of a job with its duration, or a failed row."""
    from zoo.reporting.results import origin

    started = time.monotonic()
    row: dict[str, Any] = {"model": name, "what": what}
    if started > end:
        row["failed"] = [f"not started within {SECONDS:.0f} s"]
    else:
        try:
            row |= run(name)
        except Exception as error:  # any error of a library is a failed row
            row["failed"] = [f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"]
    row |= {"seconds": round(time.monotonic() - started, 1), **origin("cuda")}
    print(f"    {row.get('failed') or row}", flush=True)
    yield row


def runs(name: str, *, grouped: bool = True) -> dict[str, Any]:
    """Return the losses of a model in each precision, and the failures of stop, resume and DDP.

    ``grouped=False`` skips DDP, which a simulated device does not support.
    """
    import torch

    from zoo.engine import build as parts

    failed: list[str] = []
    with tempfile.TemporaryDirectory() as above:
        loss = {way: _trained(name, f"{above}/{way}", way) for way in PRECISIONS}
        for way, close in CLOSE.items():
            if not abs(loss[way] - loss["32"]) <= close * abs(loss["32"]):
                failed.append(f"{way}: loss {loss[way]:.4f}, in float32 {loss['32']:.4f}")
        for way in ("32", "fp16"):
            _trained(name, f"{above}/stopped-{way}", way, stop=STOP)
            once, twice = (
                torch.load(f"{above}/{run}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
                for run in (way, f"stopped-{way}")
            )
            different = [key for key, value in once.items() if not torch.equal(value, twice[key])]
            if different:
                failed.append(f"resumed in {way}: different weights, first {different[0]}")
        if grouped:
            strategy = parts._strategy
            with mock.patch.object(parts, "_strategy", lambda context, _: strategy(context, 2)):  # as for two
                loss["ddp"] = _trained(name, f"{above}/ddp", "32")
            if not abs(loss["ddp"] - loss["32"]) <= 1e-3 * abs(loss["32"]):
                failed.append(f"ddp: loss {loss['ddp']:.4f}, without DDP {loss['32']:.4f}")
    return {"losses": loss, **({"failed": failed} if failed else {})}


def _trained(name: str, folder: str, precision: str, *, stop: int | None = None) -> float:
    """Return the last training loss of a short run, including its test. An uninterrupted float32 run draws plots, too."""
    from lightning.pytorch.callbacks import LambdaCallback

    import zoo
    from zoo.testing.checks import without_dropout
    from zoo.testing.runs import StopAfter

    options = {"trainer.max_epochs": 2, "trainer.steps_per_epoch": STEPS, "optimizer.lr": 1e-4, "logger": "csv"}
    options |= {"trainer.accelerator": "cuda", "trainer.precision": PRECISIONS[precision], "data.batch_size": 16}
    plain = LambdaCallback(on_fit_start=without_dropout)
    callbacks = (plain, *((StopAfter(stop),) if stop else ()))
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            report = stop is None and precision == "32"
            run = zoo.train(name, _dataset(name), run_dir=folder, report=report, callbacks=callbacks, **options)
        except Stopped:
            run = zoo.resume(folder, _dataset(name), report=False, callbacks=(plain,))
    return float(run.results["metrics"]["train/loss"])


def _dataset(name: str) -> Any:
    from zoo.testing.subject import cases_of

    return cases_of(entry(name))[0].dataset


def speed(name: str, *, repeats: int) -> dict[str, Any]:
    """Return the time of a step relative to a plain loop over the model's loss; for policies without the plain loop."""
    import zoo

    plain: list[float] = []
    ours: list[float] = []
    dataset, options = _dataset(name), {"trainer.max_epochs": 1, "trainer.steps_per_epoch": TIMED, "logger": "csv"}
    options |= {"trainer.accelerator": "cuda", "data.batch_size": ROWS}
    acting = dataset.spec.target_type == "reward"
    for repeat in range(repeats + 1):
        seconds = 0.0 if acting else _bare(name, dataset)
        with tempfile.TemporaryDirectory() as above, contextlib.redirect_stdout(io.StringIO()):
            results = zoo.train(name, dataset, report=False, run_dir=str(Path(above) / "run"), **options).results
        if repeat:  # the first pair warms up
            plain.append(seconds)
            ours.append(results["train_seconds"])
    row = {"samples_per_second": results["samples_per_second"], "precision": results["precision"], "repeats": repeats}
    if acting:
        return row
    ratios = [zoo_seconds / plain_seconds for zoo_seconds, plain_seconds in zip(ours, plain, strict=True)]
    return row | {
        "step_ratio": statistics.median(ours) / statistics.median(plain),
        "ratio_spread": [min(ratios), max(ratios)],
        "step_seconds": statistics.median(ours) / TIMED,
        "bare_step_seconds": statistics.median(plain) / TIMED,
    }


def _bare(name: str, dataset: Any) -> float:
    """Return the seconds of TIMED steps in a fast hand-written loop."""
    import torch

    from zoo import registry
    from zoo.config.schema import Learning
    from zoo.data.loader import batches
    from zoo.data.transfer import to_device
    from zoo.layers.blocks import frozen
    from zoo.models.gan import GAN
    from zoo.optim.optimizers import build_optimizer
    from zoo.utils.device import select_device, select_precision

    device = select_device("cuda")
    model = registry.create(name, spec=dataset.spec)
    model.configure(Learning())
    model._trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]  # which some losses ask
    model.loop.total_steps = TIMED
    model.to(device).train()
    split = to_device(dataset.train, torch.device(device, 0))
    optimizer = build_optimizer(model.parameter_groups(), model.learning.optimizer)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=TIMED, cycle_momentum=False)
    precision = select_precision("auto", device)
    half = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    scaler = torch.amp.GradScaler(device, enabled=precision == "16-mixed")
    index = torch.randint(len(split["x"]), (TIMED, ROWS), device=torch.device(device, 0))

    def step(compute_loss: Callable[[Any], Any], batch: Any) -> None:
        with torch.autocast(device, half, enabled=precision != "32-true"):
            loss = compute_loss(batch)
        optimizer.zero_grad()
        scaler.scale(loss[0] if isinstance(loss, tuple) else loss).backward()
        scaler.step(optimizer)
        scaler.update()

    torch.cuda.synchronize()
    started = time.perf_counter()
    for rows in index:
        batch = next(batches(split, [rows], [None], split["x"].device))
        if isinstance(model, GAN):
            step(model.discriminator_loss, batch)
            with frozen(model.discriminator):
                step(model.generator_loss, batch)
        else:
            step(model.compute_loss, batch)
        schedule.step()
    torch.cuda.synchronize()
    return time.perf_counter() - started
