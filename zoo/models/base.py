"""The training loop that every family shares: a ZooModule overrides ``compute_loss``, or ``training_step_on_batch`` for an order of its own."""

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
    """A model of the zoo: a network, its objective, and the shared way of training them.

    A subclass declares ``tasks`` and ``modalities`` of data, calls ``super().__init__(spec=spec)`` first, and defines
    ``forward(x)``: raw ``x`` (images in [0, 1], columns in their own units) to the objective's output; it begins with
    ``self.normalize(x)``. Sequences come as ``forward(x, lengths)``. Options of its constructor must be Python
    primitives, since a checkpoint holds them; their types may set limits (``zoo.config.schema``). Parts that are not
    trained but follow others (a target network, a moving average) are ``derived_modules``, by their attributes' names, with the part that each begins as. A matrix that is no
    layer's of torch's is named in its module's ``matrices``, so that it decays as theirs do. A model that ``stateful`` a
    state from one window of a text to the next is trained on them in turn; one that ``off_policy`` learns from all that
    was played in an environment.
    Attributes that training goes on from, tensors or collections of such, are ``training_attributes``. Options that name
    a file or a download, from which first weights are read, are its ``sources``: a checkpoint is loaded without them. ``zoo.testing`` checks all of it.
    """

    name: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = ()
    modalities: ClassVar[tuple[str, ...]] = ()
    action_spaces: ClassVar[tuple[str, ...]] = ()
    derived_modules: ClassVar[Mapping[str, str]] = {}
    sources: ClassVar[tuple[str, ...]] = ()
    stateful: ClassVar[bool] = False
    off_policy: ClassVar[bool] = False
    learns_in_parts = False  # some parameters have no gradient in some steps: processes that share a run look for them
    mean: Tensor
    scale: Tensor
    counters: Tensor

    def __init__(self, *, spec: DataSpec | dict[str, Any]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_hyperparameters(logger=False)  # collects the subclass's arguments too
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
                raise ZooError(f"{problem}; a checkpoint holds numbers, text, flags, lists and dictionaries of such")
        check_options(type(self), "model", self.hparams)
        self.task = build_task(self.spec)
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (self.spec.mean, self.spec.std))
        shape = (-1, 1, 1) if self.spec.spatial else (-1,)  # channels come first in images, last in others
        self.register_buffer("mean", mean.float().view(shape))
        self.register_buffer("scale", (1 / std).float().view(shape))  # multiplying is cheaper than dividing
        self.register_buffer("counters", torch.zeros(2, dtype=torch.int64))

    # --- what a family writes, or leaves as it is ---

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a batch's mean loss, and sums over the batch that are reported as training means."""
        output = self.output(batch)
        return self.task.loss(output, batch), self.task.batch_statistics(output.detach(), batch)

    def training_step_on_batch(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from one batch: gradient, and an optimizer step once its group of ``accumulate_grad_batches`` batches is complete."""
        loss, counts = self.compute_loss(batch)
        self.accumulate_gradients(loss)
        if self.group_complete:
            self.optimizer_step()
        return loss, counts

    def output(self, batch: Batch) -> Tensor:
        """Return ``forward(x)``, for sequences ``forward(x, lengths)``."""
        out: Tensor = self(batch["x"], batch["lengths"]) if "lengths" in batch else self(batch["x"])
        return out

    def eval_step(self, batch: Batch) -> Any:
        """Return what a validation or test batch counts by, the output; batches come in their order."""
        return self.output(batch)

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """Return what the model says of a batch, by name, in tensors alone: what an exported file answers."""
        return self.task.predictions(self.output(batch))

    def normalize(self, x: Tensor) -> Tensor:
        """Return ``x`` with the training data's mean taken off, divided by its deviation; symbols as they are."""
        return (x - self.mean) * self.scale if x.is_floating_point() else x

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return what pictures may show of the trained model, by name, from a training batch or all of the data."""
        return {}

    def record_video(self, dataset: Dataset) -> Tensor | None:
        """Return frames (T, H, W, 3) of bytes that show the trained model at work; None: it has none."""
        return None

    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return further figures of the trained model, by name, that are no means over test batches."""
        return {}

    # --- the shared loop ---

    def accumulate_gradients(self, loss: Tensor) -> None:
        """Add the gradient of a batch's mean ``loss`` to those that wait for a step.

        A group of batches, and a batch that several processes share, count by their rows: the gradient is that of
        the whole group's mean, also where one part is short.
        """
        self.loop.waiting += 1
        self.loop.waiting_rows += self.loop.batch_rows
        self.add_gradients(loss)

    @property
    def group_complete(self) -> bool:
        """Whether the batch at work is the last of its group; an epoch's last group may be short."""
        return self.loop.waiting == self.learning.accumulate_grad_batches or self.loader.batch == 0

    def add_gradients(self, loss: Tensor, *, rows: int | None = None) -> None:
        """Add the gradient of the mean ``loss`` of ``rows`` of this process (None: of the batch at work)."""
        loop, world = self.loop, self.trainer.world_size
        if self.learning.accumulate_grad_batches > 1:
            loss = loss * ((loop.local_rows if rows is None else rows) * world)  # a step divides by its group's rows
        elif loop.local_rows * world != loop.batch_rows:
            loss = loss * (loop.local_rows * world / loop.batch_rows)
        # By way of Lightning only where processes must agree, since its hooks cost 3 %.
        if world > 1:
            self.manual_backward(loss)  # which scales it, too
        else:
            (loss if loop.scaler is None else loop.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def configure(self, learning: Learning) -> None:
        """Set how this model learns, before a fit; draws its weights anew where ``init`` asks for it."""
        self.learning = learning
        self.task.configure(learning.objective, label_smoothing=learning.regularization.label_smoothing)
        initialize(self, learning.init, exclude=[self.get_submodule(follower) for follower in self.derived_modules])
        for follower, leader in self.derived_modules.items():
            self.get_submodule(follower).load_state_dict(self.get_submodule(leader).state_dict())
        if learning.scheduler.name == "plateau":
            self.plateau = PlateauScheduler(learning.scheduler, mode=self.task.mode)

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return parameters that are clipped together, and their factor of the learning rate."""
        return [(list(self.parameters()), 1.0)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer of the run's options."""
        groups = self.parameter_groups()
        decaying = {id(parameter) for parameter in decay_parameters(self)}
        self.loop.weights = [[p for p in group if id(p) in decaying] for group, _ in groups]
        return build_optimizer(groups, self.learning.optimizer)

    def on_train_start(self) -> None:
        """Count the run's steps and make its metrics."""
        loop = self.loop
        loop.total_steps = -(-self.loader.batches // self.learning.accumulate_grad_batches) * loop.max_epochs
        loop.parameters = [p for p in self.parameters() if p.requires_grad]
        loop.scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        self.metrics["val"] = self.task.metrics("val").to(self.device)

    def on_train_epoch_end(self) -> None:
        """Close the epoch, also one that a time limit cut short; callbacks have read its counts by now."""
        loop = self.loop
        loop.epochs += 1
        loop.sums, loop.rows, loop.waiting, loop.waiting_rows = {}, 0, 0, 0
        self.loader.load_state_dict({"epoch": loop.epochs, "batch": 0})

    def training_step(self, macro_batch: MacroBatch, index: int) -> None:
        """Learn from a macro-batch, and stop once a loss is not finite."""
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
        if not losses:  # what a resumed epoch has behind it
            return
        if loop.waiting and self.loader.batch == 0:  # the epoch's last group may be short
            self.optimizer_step()
        all_losses = to_widest_dtype(torch.stack(losses))  # whose sum hardly depends on where a macro-batch was cut
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
        """Count a step of the run, with which its group of batches is done."""
        self.loop.steps += 1
        self.loop.waiting = self.loop.waiting_rows = 0

    def apply_gradients(self) -> None:
        """Step the parameters that have gradients: penalties, clipping, the schedule's rate, decay, the step, clearing.

        A model whose networks learn in turn calls it for each of them, and ``count_step`` once.
        """
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        loop, options = self.loop, self.learning.regularization
        decay: Any = self.learning.optimizer.weight_decay
        if loop.scaler is not None:
            loop.scaler.unscale_(optimizer)
            infinite = loop.scaler._found_inf_per_device(optimizer)  # on each device, of which there is one
            decay = decay and decay * (1 - torch.stack(list(infinite.values())).amax())  # no step follows where one is
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
        """Add the registered name and the way of learning: with the weights, enough to build the model again."""
        checkpoint["zoo"] = {"format": FORMAT, "model": self.name, "learning": self.learning.to_dict()}
        checkpoint["zoo"]["threshold"] = self.task.threshold
        # Lightning adds the loader's state here too, also to weights alone; a run goes on from ``training_state``
        fit_loop = checkpoint.get("loops", {}).get("fit_loop", {})
        fit_loop.get("state_dict", {}).pop("combined_loader", None)

    def restore_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Become the model of a checkpoint of the same class and options: its way of learning, weights and counters."""
        self.configure(learning_of(dict(checkpoint["zoo"]["learning"])))
        self.load_state_dict(checkpoint["state_dict"])
        self.on_load_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up counters and threshold."""
        self.task.threshold = checkpoint["zoo"]["threshold"]
        self.loop.steps, self.loop.samples = checkpoint["state_dict"]["counters"].tolist()

    def predict(self, x: Any) -> dict[str, Any]:
        """Return what the model says of raw input, by name: labels and probabilities, or values in original units.

        ``x`` is a batch, or one sample of it, read as training read its data:

        - images: a path or Pillow's image, or a list of such, brought to size; an array (B, C, H, W) or (B, H, W, C) of
          the model's size, uint8, whole numbers from 0 to 255, or float in [0, 1];
        - a table: a data frame, a row of one, a dictionary or a list of such, by the columns' names, in any order and
          with any index; an array (B, columns) in the columns' own units; the path of a CSV;
        - texts: a text, a list, a frame's column, a frame with the model's column, a path, or numbers of tokens;
        - sequences: an array (T, C) or (B, T, C), a list of arrays (T, C) of at most training's longest, or paths;
        - a series: its last steps (L, C), a batch of such, a frame with at least so many rows, or a path.

        Unknown categories and gaps are read as prediction from files reads them, and said on stderr.

        Raises:
            ZooError: anything that training would reject: another shape or type, values out of range or not finite, a
                column that is missing, no rows.
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
        """Return what the model says of a batch that ``zoo.data.inputs.encode`` made, as its objective decodes it."""
        with eval_mode(self):
            predictions = self.predictions({key: value.to(self.device) for key, value in batch.items()})
        return self.task.postprocess(predictions)


def _is_primitive(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_primitive(one) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_primitive, value))
    return value is None or type(value) in (bool, int, float, str)
