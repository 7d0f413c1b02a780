"""The suite ``scaling``: the cost of training as a function of one size, and the exponent of a power law.

    cost = a · size^b,   b: slope of the least-squares line through (log size, log cost)

The cost is the training time in seconds, without validation, per epoch, per step, or per rollout with its updates. All
sizes of an axis are measured in turn, several times. The cost of a size is the median.
"""

from __future__ import annotations

import contextlib
import io
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.arguments import take_budget, take_flag, take_nothing_else, take_number
from benchmarks.jobs import Job
from zoo.exceptions import unknown


@dataclass(frozen=True)
class Axis:
    """A size that varies: runs of ``model`` on ``data`` with the options ``args(size)``.

    ``per`` is the unit of the cost, and ``most`` the maximum exponent.
    """

    model: str
    data: str
    sizes: tuple[int, ...]
    args: Callable[[int], dict[str, Any]]
    per: str = "step"
    most: float | None = None


STEPS = {"trainer.max_epochs": 1, "trainer.steps_per_epoch": 60}
PLAIN = {f"data.augment.{kind}": 0.0 for kind in ("degrees", "translate", "scale", "shear")}
EPOCHS = {**PLAIN, "trainer.max_epochs": 3}
LENGTHS = (32, 64, 128, 256)
ROLLOUT = 32  # steps of each environment per rollout
# The number of units in a run, from its results and the size
UNITS: dict[str, Callable[[dict[str, Any], int], float]] = {
    "epoch": lambda results, _: results["epochs"],
    "step": lambda results, _: results["steps"],
    "rollout with its updates": lambda results, envs: results["samples"] / (envs * ROLLOUT),
}
AXES: dict[str, Axis] = {
    "rows": Axis(
        "fnn", "mnist", (4000, 8000, 16000, 32000), lambda n: {**EPOCHS, "data.max_train_samples": n}, "epoch", 1.1
    ),
    "batch": Axis(
        "fnn", "mnist", (64, 128, 256, 512, 1024), lambda n: {**PLAIN, **STEPS, "data.batch_size": n}, most=1.1
    ),
    "width": Axis("fnn", "mnist", (128, 256, 512, 1024), lambda n: {**PLAIN, **STEPS, "model.hidden_sizes": [n, n]}),
    "length, lstm": Axis("lstm", "text_file", LENGTHS, lambda n: {**STEPS, "data.block_size": n}, most=1.1),
    "length, transformer": Axis("transformer", "text_file", LENGTHS, lambda n: {**STEPS, "data.block_size": n}, most=2),
    "environments": Axis(
        "ppo",
        "cartpole",
        (16, 32, 64, 128, 256),
        lambda n: {
            "data.num_envs": n,
            "data.num_steps": ROLLOUT,
            "data.steps_per_epoch": n * ROLLOUT * 4,
            "trainer.max_epochs": 2,
        },
        "rollout with its updates",
        1.1,
    ),
    "processes": Axis("fnn", "mnist", (1, 2), lambda n: {**EPOCHS, "trainer.devices": n}, "epoch"),
}


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each axis, or for ``axis=``. An exponent above the maximum is a failed row."""
    repeats = take_number(args, "repeats", 1 if take_budget(args) == "quick" else 3)
    axis, fresh = args.pop("axis", None), take_flag(args, "fresh")
    take_nothing_else(args, "scaling")
    if axis is not None and axis not in AXES:
        raise unknown("axis", axis, AXES)
    done = set() if fresh else {row["what"] for row in earlier if not row.get("failed")}
    return [
        Job(f"cost by {name}", partial(_measured, name, AXES[name], repeats))
        for name in (AXES if axis is None else [axis])
        if name not in done
    ]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return b of cost = a · size^b by least squares on the logarithms."""
    return statistics.linear_regression([math.log(s) for s in sizes], [math.log(c) for c in costs]).slope


def _measured(name: str, axis: Axis, repeats: int) -> Iterator[dict[str, Any]]:
    costs: dict[int, list[float]] = {size: [] for size in axis.sizes}
    for repeat in range(repeats + 1):
        for size in axis.sizes:
            cost, results = _cost(axis, size, repeat)
            if repeat:  # the first round warms up
                costs[size].append(cost)
    medians = [statistics.median(costs[size]) for size in axis.sizes]
    slope = exponent(axis.sizes, medians)
    row = {
        "what": name,
        "model": axis.model,
        "data": axis.data,
        "per": axis.per,
        "sizes": axis.sizes,
        "seconds": medians,
        "spread": [[min(costs[size]), max(costs[size])] for size in axis.sizes],
        "exponent": slope,
        "most": axis.most,
        "repeats": repeats,
        **{key: results[key] for key in ("device", "precision", "threads", "versions", "commit")},
    }
    if axis.most is not None and slope > axis.most:
        row["failed"] = [f"{name}: the exponent of the cost is {slope:.2f}; the maximum is {axis.most}"]
    timings = ", ".join(f"{s:,}: {1000 * c:.1f} ms" for s, c in zip(axis.sizes, medians, strict=True))
    print(f"    {axis.per} of {timings}; exponent {slope:.2f}", flush=True)
    yield row


def _cost(axis: Axis, size: int, seed: int) -> tuple[float, dict[str, Any]]:
    """Return the training seconds per unit of the axis, and the results of the run."""
    import zoo

    with tempfile.TemporaryDirectory() as above, contextlib.redirect_stdout(io.StringIO()):
        args = {**axis.args(size), "seed": seed, "run_dir": f"{above}/run"}
        results = zoo.train(axis.model, axis.data, report=False, **args).results
    units = UNITS[axis.per](results, size)
    return (results["train_seconds"] - results["validation_seconds"]) / units, results
