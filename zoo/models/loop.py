"""The loop around the training step of every model: counters, validation, test, and the state for resuming."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn

from zoo.config.schema import Learning
from zoo.data.dataset import Batch
from zoo.data.loader import Loader
from zoo.exceptions import TrainingError
from zoo.optim.schedulers import PlateauScheduler, lr_factor
from zoo.tasks.base import Metrics, Task
from zoo.utils.device import to_widest_dtype, widest_dtype

STATE = ("epochs", "waiting", "waiting_rows", "rows", "sums", "monitor")  # attributes of a Loop that a checkpoint holds


@dataclass(slots=True)
class Loop:
    """The progress of training. It is separate from the module, whose attributes are slow to set in a hot loop.

    ``steps`` of the optimizer, ``samples`` and finished ``epochs`` of ``max_epochs`` are the only measures of progress.
    This process has ``local_rows`` of the ``batch_rows`` rows of the current batch. ``waiting`` batches with
    ``waiting_rows`` rows have gradients that await an optimizer step. ``sums`` and ``rows`` belong to the epoch.

    ``weights`` has the decaying weights of each parameter group. ``scaler`` is the gradient scaler for float16.
    Training stops, in a state that can be resumed, once ``batches`` in this process reach ``stop_after``. ``monitor``
    is the validation metric that replaces the task's monitor.
    """

    steps: int = 0
    samples: int = 0
    epochs: int = 0
    max_epochs: int = 0
    total_steps: int = 0
    batches: int = 0
    stop_after: int | None = None
    local_rows: int = 0
    batch_rows: int = 0
    waiting: int = 0
    waiting_rows: int = 0
    rows: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    parameters: list[nn.Parameter] = field(default_factory=list)
    weights: list[list[nn.Parameter]] = field(default_factory=list)
    scaler: torch.amp.GradScaler | None = None
    last_loss: Tensor | None = None
    monitor: str | None = None

    @property
    def stopping(self) -> bool:
        """Whether training must stop here."""
        return self.stop_after is not None and self.batches >= self.stop_after

    def stop(self) -> None:
        """Stop training after the current batch."""
        self.stop_after = 0


class LoopModule(L.LightningModule):
    """The loop around a model's training step. ``ZooModule`` adds the step itself."""

    task: Task
    training_attributes: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.learning, self.loop = Learning(), Loop()
        self.plateau: PlateauScheduler | None = None
        self.metrics: dict[str, Metrics] = {}
        self.test_outputs: list[Tensor] = []
        self.testing = False
        self.stage = "test"  # "val" while a test on validation rows chooses a threshold

    def eval_step(self, batch: Batch) -> Any:
        """Return the output of a validation or test batch for the metrics. Batches come in order."""
        raise NotImplementedError

    def begin_evaluation(self, stage: str) -> None:
        """Prepare for the first batch of ``val`` or ``test``."""
        self.testing = stage == "test"

    @property
    def steps(self) -> int:
        """Number of optimizer steps so far."""
        return self.loop.steps

    @property
    def loader(self) -> Loader:
        """The training loader of the current fit."""
        loader: Loader = self.trainer.train_dataloader  # type: ignore[assignment]
        return loader

    # --- training ---

    def count_global_step(self) -> None:
        """Set ``trainer.global_step``, which callbacks read, to the number of optimizer steps."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.total.completed = self.loop.steps

    def _check_finite(self, losses: Tensor, steps: list[int]) -> None:
        """Raise TrainingError if a loss is not finite, in all processes with the same message."""
        finite = torch.isfinite(losses)
        if self.trainer.world_size == 1 and finite.all():
            return
        first = int((~finite).nonzero()[0]) if not finite.all() else len(losses)
        value, process = float(losses[first]) if first < len(losses) else 0.0, ""
        if self.trainer.world_size > 1:
            local = torch.tensor([first, value], dtype=torch.float64, device=losses.device)
            gathered = [torch.empty_like(local) for _ in range(self.trainer.world_size)]
            torch.distributed.all_gather(gathered, local)
            rank = min(range(len(gathered)), key=lambda number: float(gathered[number][0]))
            first, value = int(gathered[rank][0]), float(gathered[rank][1])
            process = f" in process {rank} of {len(gathered)}"
            if first == len(losses):
                return
        raise TrainingError(
            f"the loss became {value} at step {steps[first]}{process} (learning rate {self.lr_at(steps[first]):.3g}); "
            f"try a smaller optimizer.lr, trainer.gradient_clip_val=1 or a longer scheduler.warmup_ratio",
            common=self.trainer.world_size > 1,
        )

    def lr_at(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0."""
        scale = self.plateau.scale if self.plateau is not None else 1.0
        return self.learning.optimizer.lr * scale * lr_factor(self.learning.scheduler, step, self.loop.total_steps)

    def train_metrics(self) -> dict[str, float]:
        """Return the epoch's training means. This synchronizes with the device, so it is called once per epoch."""
        rows = torch.tensor(self.loop.rows, device=self.device)
        totals = torch.stack([to_widest_dtype(value) for value in (*self.loop.sums.values(), rows)])
        *sums, count = self.trainer.strategy.reduce(totals, reduce_op="sum").tolist()
        return {f"train/{key}": value / count for key, value in zip(self.loop.sums, sums, strict=True)}

    # --- validation and test ---

    def on_validation_start(self) -> None:
        """Broadcast the buffers of rank zero, which a checkpoint holds, to all processes."""
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, 0)
        self.begin_evaluation("val")

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add a validation batch to the metrics."""
        self.task.update(self.metrics["val"], self.eval_step(batch), batch)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's validation metrics, which callbacks monitor, and step the plateau scheduler."""
        metrics = self._compute("val")
        self._watch_defined(metrics)
        self.log_dict(metrics)
        if self.plateau is not None:
            self.plateau.step(float(metrics[f"val/{self.task.monitor}"]))

    def _watch_defined(self, metrics: dict[str, Tensor]) -> None:
        """Monitor the fallback metric if the monitored one is undefined on the validation rows.

        Raises:
            TrainingError: the fallback metric is undefined too, for example because weights are not finite.
        """
        task, common = self.task, self.trainer.world_size > 1
        if f"val/{task.fallback_monitor}" not in metrics:
            if all(bool(torch.isfinite(p).all()) for p in self.parameters()):
                problem = f"{task.fallback_monitor} is not a number on the validation rows"
            else:
                problem = f"the weights are not finite after step {self.steps - 1}"
            advice = "try a smaller optimizer.lr, trainer.gradient_clip_val=1 or a longer scheduler.warmup_ratio"
            raise TrainingError(f"epoch {self.loop.epochs + 1}: {problem}; {advice}", common=common)
        if f"val/{task.monitor}" in metrics:
            return
        if self.trainer.is_global_zero:
            problem = f"{task.monitor} is not defined on the validation rows"
            print(f"note: {problem}; {task.fallback_monitor} picks the best epoch", file=sys.stderr, flush=True)
        self.watch(task.fallback_monitor)
        if self.plateau is not None:
            self.plateau.reset()

    def watch(self, monitor: str) -> None:
        """Monitor another validation metric, which selects the best epoch and drives the plateau scheduler."""
        self.task.watch(monitor)
        self.loop.monitor = monitor
        if self.plateau is not None:
            self.plateau.mode = self.task.mode

    def on_test_start(self) -> None:
        """Create the metrics of the test."""
        self.metrics["test"] = self.task.metrics(self.stage).to(self.device)
        self.test_outputs = []
        self.begin_evaluation(self.stage)

    def test_step(self, batch: Batch, index: int) -> None:
        """Add a test batch to the metrics, and its output to ``test_outputs`` if the task collects it."""
        output = self.eval_step(batch)
        self.task.update(self.metrics["test"], output, batch)
        outputs = self.task.collect(output, batch)
        if outputs is not None:
            self.test_outputs.append(outputs.float().cpu())

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test."""
        self.log_dict(self._compute("test"))

    def _compute(self, stage: str) -> dict[str, Tensor]:
        values = self.metrics[stage].compute()
        self.metrics[stage].reset()
        # omit metrics that are undefined on these rows
        wide = widest_dtype(self.device)
        return {f"{stage}/{key}": value.to(wide) for key, value in values.items() if not torch.isnan(value)}

    # --- resuming ---

    def training_state(self) -> dict[str, Any]:
        """Return the state of training without weights and optimizers, as primitives and tensors.

        It includes the model's ``training_attributes``, such as a hidden state.
        """
        loop, waiting = self.loop, self.loop.waiting > 0
        return {
            "loader": self.loader.state_dict(),
            "loop": {key: getattr(loop, key) for key in STATE},
            "gradients": {name: p.grad for name, p in self.named_parameters() if waiting and p.grad is not None},
            "plateau": self.plateau.state_dict() if self.plateau is not None else None,
            "scaler": loop.scaler.state_dict() if loop.scaler is not None else None,
            **{name: attrgetter(name)(self) for name in self.training_attributes},
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore the state returned by ``training_state``."""
        self.loader.load_state_dict(self._loader_state(state))
        for key, value in state["loop"].items():
            setattr(self.loop, key, value)
        if self.loop.monitor is not None:
            self.watch(self.loop.monitor)
        for name, gradient in state["gradients"].items():
            self.get_parameter(name).grad = gradient.to(self.device)
        for name in self.training_attributes:
            module, _, attribute = name.rpartition(".")
            setattr(self.get_submodule(module), attribute, move_data_to_device(state[name], self.device))
        self.loop.sums = {key: value.to(self.device) for key, value in self.loop.sums.items()}
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            scaler.load_state_dict(state["scaler"])

    def _loader_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the loader's state, at the epoch's end if its last batch was done but its validation was not.

        Training then continues with that validation, not with the first batch of the next epoch.
        """
        loader_state: dict[str, Any] = state["loader"]
        if loader_state["epoch"] <= state["loop"]["epochs"]:
            return loader_state
        return {**loader_state, "epoch": state["loop"]["epochs"], "batch": self.loader.batches}
