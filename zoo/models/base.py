"""The base class of models and the training loop that they share.

A ZooModule overrides ``compute_loss``, or ``training_step_on_batch`` for another order of updates.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.checkpoint import FORMAT
from zoo.config.schema import Learning, check_options, learning_of
from zoo.data.dataset import Batch, Dataset
from zoo.data.loader import MacroBatch
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.models.loop import LoopModule
from zoo.optim.optimizers import build_optimizer
from zoo.optim.schedulers import PlateauScheduler
from zoo.optim.weights import add_penalties, decay_parameters, decay_weights, initialize
from zoo.tasks import build_task
from zoo.utils.device import to_widest_dtype
from zoo.utils.eval_mode import eval_mode


class ZooModule(LoopModule):
    """The base class of models: a network, its task, and a shared training loop.

    A subclass declares its ``tasks`` and ``modalities`` and calls ``super().__init__(spec=spec)`` first. Its
    ``forward(x)`` maps raw ``x`` (images in [0, 1], columns in their own units) to the output that the task expects. It
    starts with ``self.normalize(x)``. Sequences are passed as ``forward(x, lengths)``.

    Constructor options must be Python primitives, since a checkpoint stores them. Their type annotations may set limits
    (``zoo.config.schema``). ``zoo.testing`` checks these rules. A subclass may also declare:

    - ``derived_modules``: modules that follow others instead of being trained, such as a target network or a moving
      average. It maps their attribute names to those of the modules that initialize them.
    - ``stateful``: training carries a hidden state from one window of a text to the next.
    - ``off_policy``: the model learns from a replay buffer of all steps in an environment.
    - ``training_attributes``: attributes to restore on resume, tensors or collections of tensors.
    - ``sources``: options that name a file or a download of initial weights. A checkpoint is loaded without them.

    A module with a weight matrix outside torch's layers names it in its ``matrices``, so that weight decay applies to
    it.
    """

    name: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = ()
    modalities: ClassVar[tuple[str, ...]] = ()
    action_spaces: ClassVar[tuple[str, ...]] = ()
    derived_modules: ClassVar[Mapping[str, str]] = {}
    sources: ClassVar[tuple[str, ...]] = ()
    stateful: ClassVar[bool] = False
    off_policy: ClassVar[bool] = False
    learns_in_parts = False  # True: some parameters have no gradient in some steps, which DDP must detect
    mean: Tensor
    scale: Tensor
    counters: Tensor

    def __init__(self, *, spec: DataSpec | dict[str, Any]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_hyperparameters(logger=False)  # also collects the subclass's arguments
        self.spec = DataSpec.of(spec)
        name, actions = type(self).__name__, self.spec.action_space
        if self.spec.task not in self.tasks or self.spec.modality not in self.modalities:
            able = f"{name} does {' and '.join(self.tasks)} of {' or '.join(self.modalities)} data"
            raise ZooError(f"{able}; {self.spec.name} is {self.spec.task} of {self.spec.modality} data")
        if actions and actions not in self.action_spaces:
            able = f"{name} takes {' or '.join(self.action_spaces)} actions"
            raise ZooError(f"{able}; {self.spec.name} has {actions} ones")
        self.hparams["spec"] = self.spec.to_dict()
        for option, value in self.hparams.items():
            if not _is_primitive(value):
                problem = f"{name}: its option {option!r} is a {type(value).__name__}"
                raise ZooError(f"{problem}; a checkpoint holds numbers, text, flags, lists and dictionaries of these")
        check_options(type(self), "model", self.hparams)
        self.task = build_task(self.spec)
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (self.spec.mean, self.spec.std))
        shape = (-1, 1, 1) if self.spec.spatial else (-1,)  # channels first for images, last otherwise
        self.register_buffer("mean", mean.float().view(shape))
        self.register_buffer("scale", (1 / std).float().view(shape))  # multiplying is cheaper than dividing
        self.register_buffer("counters", torch.zeros(2, dtype=torch.int64))

    # --- methods that a model may override ---

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a batch's mean loss, and sums over the batch that are reported as training means."""
        output = self.output(batch)
        return self.task.loss(output, batch), self.task.batch_statistics(output.detach(), batch)

    def training_step_on_batch(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from one batch: add its gradient, and step once ``accumulate_grad_batches`` batches are complete."""
        loss, counts = self.compute_loss(batch)
        self.accumulate_gradients(loss)
        if self.group_complete:
            self.optimizer_step()
        return loss, counts

    def output(self, batch: Batch) -> Tensor:
        """Return ``forward(x)``, or ``forward(x, lengths)`` for sequences."""
        out: Tensor = self(batch["x"], batch["lengths"]) if "lengths" in batch else self(batch["x"])
        return out

    def eval_step(self, batch: Batch) -> Any:
        """Return the output of a validation or test batch for the metrics. Batches come in order."""
        return self.output(batch)

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """Return named prediction tensors for a batch; an exported file returns the same."""
        return self.task.predictions(self.output(batch))

    def normalize(self, x: Tensor) -> Tensor:
        """Return ``x`` less the training mean, divided by the training standard deviation; tokens are unchanged."""
        return (x - self.mean) * self.scale if x.is_floating_point() else x

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return named tensors for plots of the trained model, from a training batch or the whole dataset."""
        return {}

    def record_video(self, dataset: Dataset) -> Tensor | None:
        """Return video frames (T, H, W, 3) of the trained model as bytes, or None if it has no video."""
        return None

    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return further named metrics of the trained model that are not means over test batches."""
        return {}

    # --- shared training loop ---

    def accumulate_gradients(self, loss: Tensor) -> None:
        """Add the gradient of a batch's mean ``loss`` to the gradients that await a step.

        Batches of a group, and parts of a batch in several processes, are weighted by their rows. The result is the
        gradient of the mean over the whole group, even if one part is short.
        """
        self.loop.waiting += 1
        self.loop.waiting_rows += self.loop.batch_rows
        self.add_gradients(loss)

    @property
    def group_complete(self) -> bool:
        """Whether the current batch is the last of its group; an epoch's last group may be short."""
        return self.loop.waiting == self.learning.accumulate_grad_batches or self.loader.batch == 0

    def add_gradients(self, loss: Tensor, *, rows: int | None = None) -> None:
        """Add the gradient of the mean ``loss`` over ``rows`` of this process (None: the current batch)."""
        loop, world = self.loop, self.trainer.world_size
        if self.learning.accumulate_grad_batches > 1:
            loss = loss * ((loop.local_rows if rows is None else rows) * world)  # the step divides by the rows
        elif loop.local_rows * world != loop.batch_rows:
            loss = loss * (loop.local_rows * world / loop.batch_rows)
        # Lightning's backward only where processes synchronize, since its hooks cost 3 %.
        if world > 1:
            self.manual_backward(loss)  # also scales the loss
        else:
            (loss if loop.scaler is None else loop.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def configure(self, learning: Learning) -> None:
        """Set the training options before a fit, and initialize the weights if ``init`` is not ``default``."""
        self.learning = learning
        self.task.configure(learning.objective, label_smoothing=learning.regularization.label_smoothing)
        initialize(self, learning.init, exclude=[self.get_submodule(follower) for follower in self.derived_modules])
        for follower, leader in self.derived_modules.items():
            self.get_submodule(follower).load_state_dict(self.get_submodule(leader).state_dict())
        if learning.scheduler.name == "plateau":
            self.plateau = PlateauScheduler(learning.scheduler, mode=self.task.mode)

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return groups of parameters that are clipped together, each with its factor of the learning rate."""
        return [(list(self.parameters()), 1.0)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer for the run's options."""
        groups = self.parameter_groups()
        decaying = {id(parameter) for parameter in decay_parameters(self)}
        self.loop.weights = [[p for p in group if id(p) in decaying] for group, _ in groups]
        return build_optimizer(groups, self.learning.optimizer)

    def on_train_start(self) -> None:
        """Count the steps of the run and create its metrics."""
        loop = self.loop
        loop.total_steps = -(-self.loader.batches // self.learning.accumulate_grad_batches) * loop.max_epochs
        loop.parameters = [p for p in self.parameters() if p.requires_grad]
        loop.scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        self.metrics["val"] = self.task.metrics("val").to(self.device)

    def on_train_epoch_end(self) -> None:
        """End the epoch, even if a time limit cut it short; callbacks have read its sums by now."""
        loop = self.loop
        loop.epochs += 1
        loop.sums, loop.rows, loop.waiting, loop.waiting_rows = {}, 0, 0, 0
        self.loader.load_state_dict({"epoch": loop.epochs, "batch": 0})

    def training_step(self, macro_batch: MacroBatch, index: int) -> None:
        """Learn from a macro-batch, and stop if a loss is not finite."""
        loop, losses, sizes, steps = self.loop, [], [], []
        for rows, batch in zip(macro_batch.sizes, macro_batch, strict=False):
            loop.batch_rows, loop.local_rows = rows, len(batch["x"])
            steps.append(loop.steps)
            loss, counts = self.training_step_on_batch(batch)
            losses.append(loss.detach())
            sizes.append(loop.local_rows)
            loop.samples += rows
            loop.batches += 1
            for key, value in counts.items():
                loop.sums[key] = loop.sums[key] + value if key in loop.sums else value
            if loop.stopping:
                break
        if not losses:  # batches that a resumed epoch has already done
            return
        if loop.waiting and self.loader.batch == 0:  # the epoch's last group may be short
            self.optimizer_step()
        all_losses = to_widest_dtype(torch.stack(losses))  # makes the sum nearly independent of macro-batch bounds
        self._check_finite(all_losses, steps)
        total = torch.dot(all_losses, torch.tensor(sizes, dtype=all_losses.dtype).to(all_losses.device))
        loop.sums["loss"] = loop.sums["loss"] + total if "loss" in loop.sums else total
        loop.rows += sum(sizes)
        loop.last_loss = all_losses[-1]
        self.counters.copy_(torch.tensor([loop.steps, loop.samples]))
        self.count_global_step()

    def optimizer_step(self) -> None:  # type: ignore[override]
        """Step on the gradients of a group of batches, and count the step."""
        self.apply_gradients()
        self.count_step()

    def count_step(self) -> None:
        """Count an optimizer step, which completes its group of batches."""
        self.loop.steps += 1
        self.loop.waiting = self.loop.waiting_rows = 0

    def apply_gradients(self) -> None:
        """Step the parameters that have gradients: penalties, clipping, learning rate, weight decay, step, zeroing.

        A model whose networks learn in turn calls it for each network, and ``count_step`` once.
        """
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        loop, options = self.loop, self.learning.regularization
        decay: Any = self.learning.optimizer.weight_decay
        if loop.scaler is not None:
            loop.scaler.unscale_(optimizer)
            infinite = loop.scaler._found_inf_per_device(optimizer)  # one entry per device; there is one device
            decay = decay and decay * (1 - torch.stack(list(infinite.values())).amax())  # no decay in a skipped step
        if self.learning.accumulate_grad_batches > 1:
            for parameter in loop.parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(loop.waiting_rows)
        if options.l1 or options.l2:
            add_penalties([weight for weights in loop.weights for weight in weights], options)
        lr = self.lr_at(loop.steps)
        for group, weights in zip(optimizer.param_groups, loop.weights, strict=True):
            if self.learning.gradient_clip_val is not None:
                nn.utils.clip_grad_norm_(group["params"], self.learning.gradient_clip_val)
            group["lr"] = lr * group["lr_scale"]
            decay_weights(weights, group["lr"] * decay)
        if loop.scaler is None:
            optimizer.step()
        else:
            loop.scaler.step(optimizer)
            loop.scaler.update()
        for parameter in loop.parameters:
            parameter.grad = None

    # --- checkpoints and use ---

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the registered name and the training options, which rebuild the model together with the weights."""
        checkpoint["zoo"] = {"format": FORMAT, "model": self.name, "learning": self.learning.to_dict()}
        checkpoint["zoo"]["threshold"] = self.task.threshold
        # Lightning also adds the loader's state, even to weights alone; a run resumes from ``training_state``
        fit_loop = checkpoint.get("loops", {}).get("fit_loop", {})
        fit_loop.get("state_dict", {}).pop("combined_loader", None)

    def restore_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load a checkpoint of the same class and options: training options, weights and counters."""
        self.configure(learning_of(dict(checkpoint["zoo"]["learning"])))
        self.load_state_dict(checkpoint["state_dict"])
        self.on_load_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore counters and threshold."""
        self.task.threshold = checkpoint["zoo"]["threshold"]
        self.loop.steps, self.loop.samples = checkpoint["state_dict"]["counters"].tolist()

    def predict(self, x: Any) -> dict[str, Any]:
        """Return named predictions for raw input: labels and probabilities, or values in original units.

        ``x`` is a batch or a single sample, in the format of the training data:

        - images: a path, a PIL image, or a list of either, resized to the model's size
        - images as an array (B, C, H, W) or (B, H, W, C) of the model's size: uint8, integers from 0 to 255, or floats in
          [0, 1]
        - tables: a data frame, a row of one, a dictionary, or a list of these, by column names in any order
        - tables as an array (B, columns) in the columns' own units, or as the path of a CSV file
        - texts: a string, a list, a column of a data frame, a data frame with the model's column, a path, or tokens
        - sequences: an array (T, C) or (B, T, C), a list of arrays (T, C) up to the longest in training, or paths
        - time series: the last steps (L, C), a batch of these, a data frame with at least L rows, or a path

        Unknown categories and missing values are treated as in predictions from files, with a warning on stderr.

        Raises:
            ZooError: training would reject the input, for another shape or type, values out of range or not finite, a
                missing column, or no rows.
        """
        from zoo.data.inputs import encode, unknown_categories, unknown_warning
        from zoo.data.table.read import unknown_notes

        batch = encode(self.spec, x)
        for line in (*unknown_notes(unknown_categories(self.spec, x, batch)), unknown_warning(self.spec, batch)):
            if line is not None:
                print(line, file=sys.stderr)
        return self.answered(batch)

    @torch.inference_mode()
    def answered(self, batch: Batch) -> dict[str, Any]:
        """Return named predictions for a batch from ``zoo.data.inputs.encode``, postprocessed by the task."""
        with eval_mode(self):
            predictions = self.predictions({key: value.to(self.device) for key, value in batch.items()})
        return self.task.postprocess(predictions)


def _is_primitive(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_primitive(one) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_primitive, value))
    return value is None or type(value) in (bool, int, float, str)
