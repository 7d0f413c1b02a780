"""Models that break one promise each, and one that keeps to it beside the built-in ones.

Each broken one is an FNN with one mistake that people make; ``BROKEN`` says which check is meant to catch it, and what
its message has to say.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import zoo
from zoo.data.image.spec import DIGITS
from zoo.data.sequence.spec import SequenceSpec
from zoo.data.spec import DataSpec
from zoo.data.table.spec import TableSpec
from zoo.data.text.spec import TextSpec
from zoo.models.gru import GRU

Spec = DataSpec | dict
BROKEN: dict[str, tuple[str, str]] = {}


def breaks(check: str, message: str):
    """Note the check that is meant to fail, and what it has to say."""

    def decorate(cls: type) -> type:
        BROKEN[cls.__name__] = (check, message)
        return cls

    return decorate


class Small(zoo.ZooModule):
    """One hidden layer over images: what the broken ones have in common."""

    tasks, modalities = ("classification",), ("image",)

    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.hidden = nn.Linear(self.spec.inputs, 64)
        self.out = nn.Linear(64, self.spec.outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.hidden(self.normalize(x).flatten(1))))


@breaks("create", "option 'width' has no default. Give it one")
@zoo.register("needs_an_argument")
class NeedsAnArgument(Small):
    def __init__(self, *, spec: Spec = DIGITS, width: int) -> None:
        super().__init__(spec=spec)
        self.out = nn.Linear(width, self.spec.outputs)


@breaks("create", r"accepts unknown options. Pass \*\*options to the base class, or declare them")
@zoo.register("takes_anything")
class TakesAnything(Small):
    def __init__(self, *, spec: Spec = DIGITS, **options: int) -> None:
        super().__init__(spec=spec)


@breaks("forward", "the output of row 0 depends on the other rows of the batch")
@zoo.register("mixes_samples")
class MixesSamples(Small):
    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits - logits.mean(0)


@breaks("forward", "does not run on the meta device .*register_buffer")
@zoo.register("hides_a_tensor")
class HidesATensor(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.prior = torch.zeros(self.spec.outputs)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.prior


@breaks("gradients", "unused.weight never had a nonzero gradient. Use it in forward, or remove it")
@zoo.register("has_an_unused_layer")
class HasAnUnusedLayer(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.unused = nn.Linear(8, 8)


@breaks("gradients", "average.weight is not trained. List a copy or average in `derived_modules`")
@zoo.register("follows_in_secret")
class FollowsInSecret(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.average = nn.Linear(64, self.spec.outputs).requires_grad_(False)


@breaks("learns", "does not learn: its test accuracy")
@zoo.register("sees_one_pixel")
class SeesOnePixel(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.hidden = nn.Linear(1, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.hidden(self.normalize(x).flatten(1)[:, :1])))


@breaks("seeds", "the same seed gave different initial weights")
@zoo.register("draws_from_elsewhere")
class DrawsFromElsewhere(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        drawn = np.random.default_rng().normal(size=self.hidden.weight.shape) * 0.05
        self.hidden.weight.data = torch.from_numpy(drawn).float()


@breaks("seeds", "different seeds gave the same initial weights")
@zoo.register("fixes_its_seed")
class FixesItsSeed(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        torch.manual_seed(7)
        super().__init__(spec=spec)


@breaks("checkpoint", "best.ckpt loaded into a model with random weights gives other predictions")
@zoo.register("keeps_a_scale_in_python")
class KeepsAScaleInPython(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.scale_ = 1.0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.scale_ = 1.001 * self.scale_
        return super().forward(x) * self.scale_


@breaks("create", "its option 'cache' is a PosixPath; a checkpoint holds numbers, text")
@zoo.register("has_a_path_for_an_option")
class HasAPathForAnOption(Small):
    def __init__(self, *, spec: Spec = DIGITS, cache: Path = Path("cache")) -> None:
        super().__init__(spec=spec)


@breaks("checkpoint", r"last.ckpt does not load with weights_only=True .* training_state must be primitives")
@zoo.register("saves_an_object")
class SavesAnObject(Small):
    def training_state(self):
        return {**super().training_state(), "saved": datetime.datetime(2000, 1, 1)}


@breaks("resume", "and resumed, last.ckpt differs from the uninterrupted run, first in .*training_state")
@zoo.register("counts_in_python")
class CountsInPython(Small):
    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.batch_count = [0]

    def compute_loss(self, batch):
        self.batch_count[0] += 1  # a weight that fades in, and begins anew in each process
        loss, counts = super().compute_loss(batch)
        return loss * min(1.0, self.batch_count[0] / 100), counts


@breaks("export", "ONNX file|cannot be traced|does not run for other sizes")
@zoo.register("loops_over_rows")
class LoopsOverRows(Small):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([super(LoopsOverRows, self).forward(row[None])[0] for row in x])


@breaks("processes", r"differs between the two processes of a run. Compute gradients with self.accumulate_gradients")
@zoo.register("goes_backward_alone")
class GoesBackwardAlone(Small):
    def training_step_on_batch(self, batch):
        loss, counts = self.compute_loss(batch)
        loss.backward()
        self.optimizer_step()
        return loss, counts


@breaks("precision", "outputs in bf16 differ by .* from float32")
@zoo.register("cancels_large_numbers")
class CancelsLargeNumbers(Small):
    def forward(self, x: Tensor) -> Tensor:
        h = self.hidden(self.normalize(x).flatten(1)) + 1000
        return self.out(torch.relu(h - 1000))


STEPS = SequenceSpec("steps", "classification", (6, 2), classes=("a", "b"))


class Sequential(zoo.ZooModule):
    """A gated recurrent network over sequences, read at each one's last step."""

    tasks, modalities = ("classification", "regression"), ("sequence",)

    def __init__(self, *, spec: Spec = STEPS, size: int = 32) -> None:
        super().__init__(spec=spec)
        self.core = nn.GRU(self.spec.input_shape[1], size, batch_first=True)
        self.out = nn.Linear(size, self.spec.outputs)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        h, _ = self.core(self.normalize(x))  # (B, T, size)
        last = (lengths - 1)[:, None, None].expand(-1, 1, h.shape[2])
        return self.out(h.gather(1, last).squeeze(1))


@breaks("forward", "the content or length of the padding changes the output. Mask it with lengths")
@zoo.register("reads_the_padding")
class ReadsThePadding(Sequential):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        h, _ = self.core(self.normalize(x))
        return self.out(h.mean(1))


@zoo.register("averages_its_weights")
class AveragesItsWeights(Small):
    """Keeps every promise, with a moving average of its last layer, a derived module."""

    derived_modules = {"average": "out"}  # noqa: RUF012

    def __init__(self, *, spec: Spec = DIGITS) -> None:
        super().__init__(spec=spec)
        self.average = nn.Linear(64, self.spec.outputs).requires_grad_(False)

    def training_step_on_batch(self, batch):
        result = super().training_step_on_batch(batch)
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.out.parameters(), strict=True):
                slow.lerp_(fast, 0.1)
        return result


KEEPER = "AveragesItsWeights"


LETTERS = TextSpec("letters", "language_modeling", (8,), vocabulary=("", "\ufffd", "a", "b"))


@breaks("forward", "the prediction before token 2 depends on that token. A language model must not see later tokens")
@zoo.register("sees_what_comes")
class SeesWhatComes(zoo.ZooModule):
    tasks, modalities = ("language_modeling",), ("text",)

    def __init__(self, *, spec: Spec = LETTERS) -> None:
        super().__init__(spec=spec)
        self.embedding = nn.Embedding(len(self.spec.vocabulary), 16)
        self.both_ways = nn.GRU(16, 16, batch_first=True, bidirectional=True)
        self.out = nn.Linear(32, self.spec.outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.both_ways(self.embedding(x))[0])


@breaks("resume", "differs from the uninterrupted run")
@zoo.register("forgets_its_state")
class ForgetsItsState(GRU):
    tasks, modalities = ("language_modeling",), ("text",)

    def __init__(self, *, spec: Spec = LETTERS) -> None:
        super().__init__(spec=spec, hidden_size=16)
        self.hparams.pop("hidden_size", None)

    def training_state(self) -> dict:
        return {**super().training_state(), "train_state": None}


TABLE = TableSpec("table", "classification", (4,), classes=("a", "b"))


@breaks("accelerator", r"the host waits for the device in each training step, in \S*broken\.py:\d+ \(reads a value\)")
@zoo.register("reads_each_loss")
class ReadsEachLoss(Small):
    modalities = ("table",)

    def __init__(self, *, spec: Spec = TABLE) -> None:
        super().__init__(spec=spec)

    def compute_loss(self, batch):
        loss, counts = super().compute_loss(batch)
        self.last = loss.item()
        return loss, counts


@breaks("accelerator", r"fails on an accelerator in broken\.py:\d+ \(Expected all tensors to be on the same device")
@zoo.register("leaves_its_rows_on_the_host")
class LeavesItsRowsOnTheHost(Small):
    modalities = ("table",)

    def __init__(self, *, spec: Spec = TABLE) -> None:
        super().__init__(spec=spec)

    def on_train_start(self) -> None:
        super().on_train_start()
        self.loader.split["x"].index_select(0, torch.arange(3))
