"""Lightning callbacks that a caller brings: which of them work in a run, and what to use in place of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L

from zoo.data.loader import MACRO_BATCH
from zoo.exceptions import ZooError

LOGGER = "needs a Lightning logger, and a run has none; metrics.csv and logger=tensorboard have each epoch's figures"
AVERAGE = f"would average once in {MACRO_BATCH} steps, since a batch of Lightning's is up to {MACRO_BATCH} batches here"
# By the names of Lightning's classes, of which a callback may be a subclass
REFUSED = {
    "LearningRateMonitor": LOGGER,
    "DeviceStatsMonitor": LOGGER,
    "ThroughputMonitor": LOGGER,
    "ProgressBar": "is for Lightning's bar; a run draws one of its own",
    "WeightAveraging": AVERAGE,
    "StochasticWeightAveraging": AVERAGE,
    "GradientAccumulationScheduler": "has no effect on manual optimization; set trainer.accumulate_grad_batches",
    "BatchSizeFinder": "does not know a run's loader; set data.batch_size",
    "LearningRateFinder": "does not know a run's loop; zoo lr-find suggests a rate",
    "ModelPruning": "changes the names of weights, which the run's checkpoints could not be loaded with",
    "BaseFinetuning": "changes the optimizer's groups, which a run makes itself",
    "SpikeDetection": "reads the loss of each batch, which a macro-batch does not return",
}
NEVER = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")


def check_callbacks(callbacks: Sequence[L.Callback]) -> None:
    """Refuse callbacks that would not work.

    Raises:
        ZooError: one that is no callback of ``lightning``, a kind that does not work here, or a hook that is not
            called; names it and what to use instead.
    """
    if isinstance(callbacks, L.Callback):
        raise ZooError("callbacks: must be a list of callbacks, as callbacks=[EarlyStopping(…)]")
    for callback in callbacks:
        name = type(callback).__name__
        if not isinstance(callback, L.Callback):
            raise ZooError(f"callbacks: {name} is no lightning.pytorch.callbacks.Callback")
        for base in type(callback).__mro__:
            if base.__name__ in REFUSED and base.__module__.startswith("lightning."):
                raise ZooError(f"callbacks: {name} {REFUSED[base.__name__]}")
        hooks = [hook for hook in NEVER if _overrides(callback, hook)]
        if hooks:
            raise ZooError(
                f"callbacks: {name}.{hooks[0]} is never called, since a model takes its optimizer's steps itself; "
                "override optimizer_step in a model of your own"
            )


def check_monitors(callbacks: Sequence[L.Callback], known: Sequence[str]) -> None:
    """Refuse callbacks that watch a figure which no validation logs.

    Raises:
        ZooError: such a callback, with the figures that there are.
    """
    for callback in callbacks:
        monitor: Any = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor not in known:
            name = type(callback).__name__
            raise ZooError(f"callbacks: {name} watches {monitor!r}; a run's validation has {', '.join(known)}")


def _overrides(callback: L.Callback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(L.Callback, hook)
