"""Checks for Lightning callbacks passed by the user; some do not work in a run, and the error names a replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L

from zoo.data.loader import MACRO_BATCH
from zoo.exceptions import ZooError

LOGGER = "needs a Lightning logger, and a run has none. See metrics.csv or use logger=tensorboard for epoch metrics."
AVERAGE = f"would average only every {MACRO_BATCH} steps, because Lightning sees macro-batches of {MACRO_BATCH} batches"
# Lightning's classes by name; their subclasses are rejected too
REFUSED = {
    "LearningRateMonitor": LOGGER,
    "DeviceStatsMonitor": LOGGER,
    "ThroughputMonitor": LOGGER,
    "ProgressBar": "controls Lightning's progress bar, which a run replaces by its own",
    "WeightAveraging": AVERAGE,
    "StochasticWeightAveraging": AVERAGE,
    "GradientAccumulationScheduler": "has no effect with manual optimization. Set trainer.accumulate_grad_batches.",
    "BatchSizeFinder": "does not support the run's data loader. Set data.batch_size.",
    "LearningRateFinder": "does not support the run's training loop. Use zoo lr-find.",
    "ModelPruning": "renames parameters, so checkpoints of the run could not be loaded",
    "BaseFinetuning": "changes the optimizer's parameter groups, which the run manages",
    "SpikeDetection": "needs the loss of each batch, which a macro-batch does not return",
}
NEVER = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")


def check_callbacks(callbacks: Sequence[L.Callback]) -> None:
    """Check that each callback works in a run.

    Raises:
        ZooError: an object that is not a Lightning callback, an unsupported class, or a hook that is never called.
            The message suggests a replacement.
    """
    if isinstance(callbacks, L.Callback):
        raise ZooError("callbacks: must be a list, such as callbacks=[EarlyStopping(…)]")
    for callback in callbacks:
        name = type(callback).__name__
        if not isinstance(callback, L.Callback):
            raise ZooError(f"callbacks: {name} is not a lightning.pytorch.callbacks.Callback")
        for base in type(callback).__mro__:
            if base.__name__ in REFUSED and base.__module__.startswith("lightning."):
                raise ZooError(f"callbacks: {name} {REFUSED[base.__name__]}")
        hooks = [hook for hook in NEVER if _overrides(callback, hook)]
        if hooks:
            raise ZooError(
                f"callbacks: {name}.{hooks[0]} is never called, because models use manual optimization. "
                "Override optimizer_step in your own model instead."
            )


def check_monitors(callbacks: Sequence[L.Callback], known: Sequence[str]) -> None:
    """Check that each callback monitors a metric that validation logs.

    Raises:
        ZooError: a callback monitors an unknown metric; the message lists the known ones.
    """
    for callback in callbacks:
        monitor: Any = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor not in known:
            name = type(callback).__name__
            raise ZooError(f"callbacks: {name} monitors {monitor!r}; validation logs {', '.join(known)}")


def _overrides(callback: L.Callback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(L.Callback, hook)
