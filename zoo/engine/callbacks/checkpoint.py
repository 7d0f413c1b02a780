"""The checkpoints of a run: best.ckpt holds the selected weights, last.ckpt the training state to resume from."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from zoo.checkpoint import read
from zoo.config.schema import EVERY_N_SECONDS, CheckpointOptions
from zoo.engine.signals import Signals
from zoo.exceptions import Stopped, ZooError
from zoo.models.base import ZooModule
from zoo.reporting.results import RunContext, read_results
from zoo.utils.atomic_io import atomic_write


class Checkpoints(L.Callback):
    """Writes best.ckpt and last.ckpt atomically.

    ``best.ckpt`` holds the weights of the epoch with the best monitored validation metric, or the later of two equal
    epochs. With ``test_with: last``, the end of the run replaces it by the final weights. ``last.ckpt`` holds the
    training state. It is written at the intervals of CheckpointOptions, at the end, and when the run stops early. A
    signal, or ``loop.stop_after``, stops a run after a batch of training or validation.

    Args:
        folder: the folder of both files.
        signals: the signal handler of the run.
        options: when to write; None: the defaults.
        resumed: content of the last.ckpt to resume from.
    """

    def __init__(
        self,
        folder: Path,
        signals: Signals,
        *,
        options: CheckpointOptions | None = None,
        resumed: dict[str, Any] | None = None,
    ) -> None:
        self.options = options or CheckpointOptions()
        self.best, self.last = folder / "best.ckpt", folder / "last.ckpt"
        self.best_figure: float | None = None
        self.monitor: str | None = None  # the metric of best_figure
        self.resumed, self.signals = resumed, signals
        self._written, self._steps = time.monotonic(), 0  # time and step of the latest last.ckpt

    def state_dict(self) -> dict[str, Any]:
        """Return the monitored metric and its best value so far."""
        return {"best_figure": self.best_figure, "monitor": self.monitor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the monitored metric and its best value."""
        self.best_figure, self.monitor = state["best_figure"], state.get("monitor")

    def on_train_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Restore the training state of a resumed run and start to listen for signals."""
        if module.off_policy:
            module.loader.folder = self.last.parent / "replay"  # type: ignore[attr-defined]
        if self.resumed is not None:
            state = self.resumed["processes"][trainer.global_rank]
            for optimizer, optimizer_state in zip(trainer.optimizers, self.resumed["optimizer_states"], strict=True):
                optimizer.load_state_dict(optimizer_state)
            module.load_training_state(state["training"])
            if state["random"] is not None:  # None if the number of processes changed
                torch.set_num_threads(self.resumed["threads"])  # the number of threads affects rounding of sums
                set_random_state(state["random"])
            self.resumed = None  # frees its memory
        self._steps = module.steps
        module.count_global_step()
        self._listen(trainer, module)

    def on_test_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Listen for signals during the test."""
        self._listen(trainer, module)

    def _listen(self, trainer: L.Trainer, module: ZooModule) -> None:
        """Let a signal stop the training loop; several processes stop together, at the end of a macro-batch."""
        self.signals.wait(*([module.loop.stop] if trainer.world_size == 1 else []))

    def on_train_batch_end(self, trainer: L.Trainer, module: ZooModule, *_: Any) -> None:  # type: ignore[override]
        """Write last.ckpt if it is due, and stop if a stop was requested."""
        self._write_if_due(trainer, module)

    def on_train_epoch_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Write last.ckpt if it became due during the previous validation."""
        self._write_if_due(trainer, module)

    def on_validation_batch_end(self, trainer: L.Trainer, module: ZooModule, *_: Any) -> None:  # type: ignore[override]
        """Stop if a stop was requested; the resumed run starts with this validation."""
        if self._stops(trainer, module):
            self._stop(trainer, module)

    def on_test_batch_end(self, trainer: L.Trainer, module: ZooModule, *_: Any) -> None:  # type: ignore[override]
        """Stop if a stop was requested; training is complete, so the resumed run starts with the test."""
        if self._stops(trainer):
            raise self._stopped(trainer, "in the test")

    def on_train_epoch_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Write best.ckpt if the epoch is the best so far."""
        monitor = module.task.monitor
        figure = float(trainer.callback_metrics[f"val/{monitor}"])
        old = self.best_figure if self.monitor in (monitor, None) else None
        better = old is None or (figure >= old if module.task.mode == "max" else figure <= old)
        if better:
            self.best_figure, self.monitor = figure, monitor
            self._save(trainer, self.best, weights_only=True)

    def on_train_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Write last.ckpt, and before it best.ckpt if ``test_with`` is ``last``."""
        if self.options.test_with == "last":
            self._save(trainer, self.best, weights_only=True)
        self._save_last(trainer, module)

    def on_save_checkpoint(self, trainer: L.Trainer, module: ZooModule, checkpoint: dict[str, Any]) -> None:  # type: ignore[override]
        """Add the training state of each process; only last.ckpt contains it."""
        checkpoint["ended"] = trainer.should_stop  # by early stopping or by trainer.max_minutes
        checkpoint["threads"] = torch.get_num_threads()
        local = {"training": module.training_state(), "random": random_state()}
        checkpoint["processes"] = [local]
        if trainer.world_size > 1:
            checkpoint["processes"] = [None] * trainer.world_size
            torch.distributed.all_gather_object(checkpoint["processes"], local)

    def _write_if_due(self, trainer: L.Trainer, module: ZooModule) -> None:
        due = time.monotonic() - self._written > (self.options.every_n_seconds or EVERY_N_SECONDS)
        if self.options.every_n_steps is not None:
            due = module.steps >= self._steps + self.options.every_n_steps
        if trainer.world_size > 1:  # all processes write together
            due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if self._stops(trainer, module):
            self._stop(trainer, module)
        if due:
            self._save_last(trainer, module)
            self._written, self._steps = time.monotonic(), module.steps

    def _stops(self, trainer: L.Trainer, module: ZooModule | None = None) -> bool:
        """Return whether a stop was requested; a signal to one process stops all processes."""
        stop = self.signals.number is not None or (module is not None and module.loop.stopping)
        return trainer.strategy.reduce_boolean_decision(stop, all=False) if trainer.world_size > 1 else stop

    def _stop(self, trainer: L.Trainer, module: ZooModule) -> None:
        self._save_last(trainer, module)
        place = f"in epoch {module.loop.epochs + 1} of {module.loop.max_epochs}, after {module.steps:,} steps"
        raise self._stopped(trainer, place)

    def _stopped(self, trainer: L.Trainer, place: str) -> Stopped:
        number, folder = self.signals.number, self.last.parent.parent
        by = f"by {signal.Signals(number).name} " if number else ""
        message = f"stopped {by}{place}. Resume with: zoo train resume={folder}"
        return Stopped(message, folder, number, common=trainer.world_size > 1)

    def _save_last(self, trainer: L.Trainer, module: ZooModule) -> None:
        """Write new steps of a replay buffer, then last.ckpt, then delete the replay files that are no longer needed."""
        loader: Any = module.loader
        if module.off_policy:
            loader.write_replay()
        self._save(trainer, self.last)
        if module.off_policy:
            trainer.strategy.barrier()  # rank zero has written last.ckpt
            loader.drop_replay()

    def _save(self, trainer: L.Trainer, path: Path, *, weights_only: bool = False) -> None:
        if trainer.is_global_zero:
            atomic_write(path, lambda to: trainer.save_checkpoint(to, weights_only=weights_only))
        else:
            trainer.save_checkpoint(path, weights_only=weights_only)  # Lightning writes in rank zero only


def random_state() -> dict[str, Any]:
    """Return the state of the global random generators of torch, Python and NumPy, as primitives and tensors."""
    name, key, *rest = np.random.get_state()
    state = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": [str(name), torch.from_numpy(np.asarray(key, dtype=np.int64)), *(float(v) for v in rest)],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the global random generators from the result of ``random_state``."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    name, key, place, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, key.numpy().astype(np.uint32), int(place), int(has_gauss), gauss))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def load_training_state(context: RunContext, report: bool) -> dict[str, Any] | None:
    """Restore weights and counters from last.ckpt and return its content, or None if there is no last.ckpt yet.

    A finished run continues only if parts of its ``report`` are missing.

    Raises:
        ZooError: the run has finished, the file is damaged, or the data has changed.
    """
    run_config, model = context.run_config, context.model
    path, folder, max_epochs = run_config.checkpoints / "last.ckpt", run_config.folder, run_config.trainer.max_epochs
    if not path.exists():
        return None
    content = read(path)
    try:
        spec, processes = content["hyper_parameters"]["spec"], content["processes"]
    except (KeyError, TypeError) as error:
        raise ZooError(f"{path}: contains no training state ({type(error).__name__})") from None
    if spec != context.dataset.spec.to_dict():
        name = context.dataset.spec.name
        raise ZooError(f"{folder}: the data {name!r} differs from the data that the run started with")
    if len(processes) != run_config.trainer.world:
        content["processes"] = processes = reshard_states(processes, context)
    model.load_state_dict(content["state_dict"])
    model.on_load_checkpoint(content)
    epochs = model.loop.epochs = processes[0]["training"]["loop"]["epochs"]
    if (monitor := processes[0]["training"]["loop"].get("monitor")) is not None:
        model.watch(monitor)
    if epochs > max_epochs:
        raise ZooError(f"trainer.max_epochs={max_epochs}: the run has already trained {epochs} epochs")
    ended = epochs == max_epochs or (content["ended"] and not run_config.changed)
    results = read_results(folder, steps=model.steps)
    if ended and results is not None and not (report and results.get("missing")):
        longer = f"To train longer, set trainer.max_epochs={2 * epochs}."
        raise ZooError(f"{folder}: has finished after {epochs} epochs. {longer}")
    return content


def reshard_states(processes: list[dict[str, Any]], context: RunContext) -> list[dict[str, Any]]:
    """Return the training states for a different number of processes.

    Each process gets the accumulated gradients of all processes. Rank zero gets the running sums of the epoch.

    Raises:
        ZooError: the processes have separate states, such as environments or hidden states.
    """
    run_config, states = context.run_config, [process["training"] for process in processes]
    first, shared = states[0], {"loader", "loop", "gradients", "plateau", "scaler"}
    separate = [key for state in states for key, value in state.items() if key not in shared and value is not None]
    if separate or set(first["loader"]) != {"epoch", "batch"}:
        raise ZooError(
            f"trainer.devices={run_config.trainer.devices}: the run needs as many processes as before ({len(states)}), "
            f"because model={run_config.recipe} keeps a separate state in each process"
        )
    loops = [state["loop"] for state in states]
    sums = {key: sum(loop["sums"].get(key, 0) for loop in loops) for key in loops[0]["sums"]}
    zeros = {key: torch.zeros_like(value) for key, value in sums.items()}
    if context.is_rank_zero:
        world = run_config.trainer.world
        print(f"note: resuming with {world} processes instead of {len(states)}; sums may round differently")
    resharded = []
    for rank in range(run_config.trainer.world):
        counted = {"sums": zeros, "rows": 0} if rank else {"sums": sums, "rows": sum(loop["rows"] for loop in loops)}
        resharded.append({"training": {**first, "loop": {**first["loop"], **counted}}, "random": None})
    return resharded
