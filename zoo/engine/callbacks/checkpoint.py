"""best.ckpt, what the model can do; last.ckpt, with all that training goes on from, and the way back from it."""

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
    """Writes both files whole or not at all.

    ``best.ckpt`` is the epoch with the best monitored validation figure, the later of two equal ones; with
    ``test_with: last`` it is the last one once the run has ended. ``last.ckpt`` is written now and then (see CheckpointOptions), at the end,
    and where the run is asked to stop, after a batch of training or validation: by ``signals``, or because
    ``loop.stop_after`` batches are done. ``resumed`` is the content of a ``last.ckpt`` to go on from.
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
        self.monitor: str | None = None  # whose best_figure that is
        self.resumed, self.signals = resumed, signals
        self._written, self._steps = time.monotonic(), 0  # when, and after which step, last.ckpt was written

    def state_dict(self) -> dict[str, Any]:
        """Return what best.ckpt was chosen by."""
        return {"best_figure": self.best_figure, "monitor": self.monitor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it up."""
        self.best_figure, self.monitor = state["best_figure"], state.get("monitor")

    def on_train_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Go on from where the run was, and listen to signals."""
        if module.off_policy:
            module.loader.folder = self.last.parent / "replay"  # type: ignore[attr-defined]
        if self.resumed is not None:
            state = self.resumed["processes"][trainer.global_rank]
            for optimizer, optimizer_state in zip(trainer.optimizers, self.resumed["optimizer_states"], strict=True):
                optimizer.load_state_dict(optimizer_state)
            module.load_training_state(state["training"])
            if state["random"] is not None:  # of as many processes as before
                torch.set_num_threads(self.resumed["threads"])  # sums over other threads round otherwise
                set_random_state(state["random"])
            self.resumed = None  # and its memory
        self._steps = module.steps
        module.count_global_step()
        self._listen(trainer, module)

    def on_test_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Listen to signals."""
        self._listen(trainer, module)

    def _listen(self, trainer: L.Trainer, module: ZooModule) -> None:
        """Have a signal stop the module; several processes stop together, at the end of a macro-batch."""
        self.signals.wait(*([module.loop.stop] if trainer.world_size == 1 else []))

    def on_train_batch_end(self, trainer: L.Trainer, module: ZooModule, *_: Any) -> None:  # type: ignore[override]
        """Write what is due; stop where that was asked for."""
        self._write_if_due(trainer, module)

    def on_train_epoch_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Write what became due in the validation of the epoch before."""
        self._write_if_due(trainer, module)

    def on_validation_batch_end(self, trainer: L.Trainer, module: ZooModule, *_: Any) -> None:  # type: ignore[override]
        """Stop where that was asked for: the run goes on with this validation."""
        if self._stops(trainer, module):
            self._stop(trainer, module)

    def on_test_batch_end(self, trainer: L.Trainer, module: ZooModule, *_: Any) -> None:  # type: ignore[override]
        """Stop where that was asked for: training is over, and the run goes on with the test."""
        if self._stops(trainer):
            raise self._stopped(trainer, "in the test")

    def on_train_epoch_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Write best.ckpt where the epoch was."""
        monitor = module.task.monitor
        figure = float(trainer.callback_metrics[f"val/{monitor}"])
        old = self.best_figure if self.monitor in (monitor, None) else None
        better = old is None or (figure >= old if module.task.mode == "max" else figure <= old)
        if better:
            self.best_figure, self.monitor = figure, monitor
            self._save(trainer, self.best, weights_only=True)

    def on_train_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Write the end; with ``test_with: last`` best.ckpt too, before the state that says so."""
        if self.options.test_with == "last":
            self._save(trainer, self.best, weights_only=True)
        self._save_last(trainer, module)

    def on_save_checkpoint(self, trainer: L.Trainer, module: ZooModule, checkpoint: dict[str, Any]) -> None:  # type: ignore[override]
        """Add what each process goes on from; last.ckpt alone has it."""
        checkpoint["ended"] = trainer.should_stop  # early, or by its time
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
        if trainer.world_size > 1:  # a clock of one process is all processes' affair
            due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if self._stops(trainer, module):
            self._stop(trainer, module)
        if due:
            self._save_last(trainer, module)
            self._written, self._steps = time.monotonic(), module.steps

    def _stops(self, trainer: L.Trainer, module: ZooModule | None = None) -> bool:
        """Tell whether the run is to stop here; a signal to one process is all processes' affair."""
        stop = self.signals.number is not None or (module is not None and module.loop.stopping)
        return trainer.strategy.reduce_boolean_decision(stop, all=False) if trainer.world_size > 1 else stop

    def _stop(self, trainer: L.Trainer, module: ZooModule) -> None:
        self._save_last(trainer, module)
        place = f"in epoch {module.loop.epochs + 1} of {module.loop.max_epochs}, after {module.steps:,} steps"
        raise self._stopped(trainer, place)

    def _stopped(self, trainer: L.Trainer, place: str) -> Stopped:
        number, folder = self.signals.number, self.last.parent.parent
        by = f"by {signal.Signals(number).name} " if number else ""
        message = f"stopped {by}{place}; go on with python train.py resume={folder}"
        return Stopped(message, folder, number, common=trainer.world_size > 1)

    def _save_last(self, trainer: L.Trainer, module: ZooModule) -> None:
        """Write last.ckpt; a replay buffer's new steps before it, and away with old ones once it is there."""
        loader: Any = module.loader
        if module.off_policy:
            loader.write_replay()
        self._save(trainer, self.last)
        if module.off_policy:
            trainer.strategy.barrier()  # the first process has it by now
            loader.drop_replay()

    def _save(self, trainer: L.Trainer, path: Path, *, weights_only: bool = False) -> None:
        if trainer.is_global_zero:
            atomic_write(path, lambda to: trainer.save_checkpoint(to, weights_only=weights_only))
        else:
            trainer.save_checkpoint(path, weights_only=weights_only)  # which writes in the first process alone


def random_state() -> dict[str, Any]:
    """Return the state of all global random generators, as primitives and tensors."""
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
    """Set all global random generators to what ``random_state`` returned."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    name, key, place, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, key.numpy().astype(np.uint32), int(place), int(has_gauss), gauss))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def load_training_state(context: RunContext, report: bool) -> dict[str, Any] | None:
    """Return the content of last.ckpt and restore its weights and counters in the model; None: there is none yet.

    A run that has finished continues only where parts of its ``report`` are missing.

    Raises:
        ZooError: the run has finished, the file is damaged, or the data is not what it was.
    """
    run_config, model = context.run_config, context.model
    path, folder, max_epochs = run_config.checkpoints / "last.ckpt", run_config.folder, run_config.trainer.max_epochs
    if not path.exists():
        return None
    content = read(path)
    try:
        spec, processes = content["hyper_parameters"]["spec"], content["processes"]
    except (KeyError, TypeError) as error:
        raise ZooError(f"{path}: holds no training state ({type(error).__name__})") from None
    if spec != context.dataset.spec.to_dict():
        raise ZooError(f"{folder}: the data of {context.dataset.spec.name} is not what the run began with")
    if len(processes) != run_config.trainer.world:
        content["processes"] = processes = reshard_states(processes, context)
    model.load_state_dict(content["state_dict"])
    model.on_load_checkpoint(content)
    epochs = model.loop.epochs = processes[0]["training"]["loop"]["epochs"]
    if (monitor := processes[0]["training"]["loop"].get("monitor")) is not None:
        model.watch(monitor)
    if epochs > max_epochs:
        raise ZooError(f"trainer.max_epochs={max_epochs}: {epochs} epochs of the run are done")
    ended = epochs == max_epochs or (content["ended"] and not run_config.changed)
    results = read_results(folder, steps=model.steps)
    if ended and results is not None and not (report and results.get("missing")):
        raise ZooError(f"{folder}: has finished, after {epochs} epochs; trainer.max_epochs={2 * epochs} would train on")
    return content


def reshard_states(processes: list[dict[str, Any]], context: RunContext) -> list[dict[str, Any]]:
    """Return the training states of another number of processes.

    Each has the accumulated gradients of all; rank zero has the epoch's sums.

    Raises:
        ZooError: each process has a state of its own, such as environments or a hidden state.
    """
    run_config, states = context.run_config, [process["training"] for process in processes]
    first, shared = states[0], {"loader", "loop", "gradients", "plateau", "scaler"}
    separate = [key for state in states for key, value in state.items() if key not in shared and value is not None]
    if separate or set(first["loader"]) != {"epoch", "batch"}:
        raise ZooError(
            f"trainer.devices={run_config.trainer.devices}: each of {len(states)} processes has a state of its own, "
            f"which others cannot go on from; {run_config.recipe} goes on with as many as before"
        )
    loops = [state["loop"] for state in states]
    sums = {key: sum(loop["sums"].get(key, 0) for loop in loops) for key in loops[0]["sums"]}
    zeros = {key: torch.zeros_like(value) for key, value in sums.items()}
    if context.is_rank_zero:
        print(f"note: {run_config.trainer.world} processes resume the work of {len(states)}; sums round otherwise")
    resharded = []
    for rank in range(run_config.trainer.world):
        counted = {"sums": zeros, "rows": 0} if rank else {"sums": sums, "rows": sum(loop["rows"] for loop in loops)}
        resharded.append({"training": {**first, "loop": {**first["loop"], **counted}}, "random": None})
    return resharded
