"""The check that needs a device: everything that a run does, on an accelerator that is pretended."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import traceback
from pathlib import Path
from typing import Any

import lightning as L
import torch

from zoo.data.dataset import Dataset
from zoo.engine.train import resume, train
from zoo.exceptions import Stopped, ZooError
from zoo.hub import load
from zoo.models.base import ZooModule
from zoo.testing.accelerator import MEMORY, pretended_accelerator
from zoo.testing.device_modes import DEVICE, PRETENSE, Accelerator, Wait
from zoo.testing.runs import StopAfter
from zoo.testing.subject import QUICK, Subject, first_rows, quiet
from zoo.utils.device import narrow_buffers

BATCHES, STOP = 6, 8  # of an epoch; after which a run is stopped, amid its second epoch
# A step with all that may touch its gradients; validation decides on the rate
OPTIONS: dict[str, Any] = {
    **QUICK,
    "trainer.max_epochs": 2,
    "trainer.steps_per_epoch": BATCHES,
    "trainer.accumulate_grad_batches": 2,
    "scheduler": "plateau",
    "optimizer.weight_decay": 0.01,
    "trainer.gradient_clip_val": 1.0,
    "regularization.l2": 1e-4,
}
PLAYING = ("data/environment/loaders.py",)  # environments are on the host: each of their steps waits for the actions
ADVICE = "keep tensors with self.register_buffer, and make new ones with device=x.device"


class Clock(L.Callback):
    """Tells an accelerator which batch of which macro-batch is at work."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator, self.macro_batches = accelerator, itertools.count()

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, index: int) -> None:
        """Begin to count."""
        assert isinstance(module, ZooModule)
        macro, loop = next(self.macro_batches), module.loop
        self.accelerator.clock = lambda: (macro, loop.batches + loop.steps)  # one batch may lead to many steps

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop counting."""
        self.accelerator.clock = lambda: None


def check_accelerator(subject: Subject) -> None:
    """Check that a run and all uses of its model work on an accelerator, and that no step has the host wait for it."""
    try:
        waits = waits_of(subject.name, subject.dataset)
    except Exception as error:
        message = " ".join(str(error).split())[:240]
        raise subject.fail(f"fails on an accelerator in {_place(error)} ({message}); {ADVICE}") from error
    if waits:
        places = ", ".join(sorted({f"{wait.place} ({wait.what})" for wait in waits}))
        raise subject.fail(
            f"has the host wait for the device in each training step, in {places}; read values once per epoch, keep "
            f"what a step needs in buffers, and take rows by numbers rather than by masks"
        )


def waits_of(
    name: str, dataset: Dataset, *, device: torch.device = DEVICE, memory: int = MEMORY, **options: Any
) -> list[Wait]:
    """Train a model on a pretended accelerator, stop, go on, test and use it; return the waits of its training steps.

    ``device`` is the one that is pretended, ``memory`` what it has, ``options`` are those of a run.

    Raises:
        Exception: whatever the model or the zoo raises, such as RuntimeError where tensors of two devices meet.
    """
    with (
        tempfile.TemporaryDirectory(prefix="zoo-accelerator-") as above,
        quiet(),
        pretended_accelerator(device=device, memory=memory, ignored=PLAYING) as accelerator,
    ):
        folder, clock = Path(above) / "run", Clock(accelerator)
        stop = StopAfter(STOP)
        values = {**OPTIONS, "trainer.accelerator": device.type, "run_dir": str(folder), **options}
        try:
            train(name, dataset, callbacks=(clock, stop), **values)
        except Stopped:
            accelerator.clock = lambda: None
            resume(folder, dataset, callbacks=(clock,))
        waits = accelerator.per_batch()
        model = load(folder / "checkpoints" / "best.ckpt")
        narrow_buffers(model, device.type)
        _use(model.to(device), dataset)
    return waits


def _use(model: Any, dataset: Dataset) -> None:
    """Do with a trained model on its device what users do."""
    batch = first_rows(dataset, 7)
    with contextlib.suppress(ZooError):  # a conditional model predicts nothing without a class
        model.answered({key: value for key, value in batch.items() if key in ("x", "lengths")})
    model.visualizations({key: value.to(model.device) for key, value in batch.items()}, dataset)
    model.extra_metrics(dataset)
    if model.spec.target_type == "next_symbol":
        model.generate(length=3)
    elif hasattr(model, "sample"):
        model.sample(5)


def _place(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
    inner = [f for f in frames if not f.filename.endswith((*PRETENSE, "contextlib.py"))]
    return f"{Path(inner[-1].filename).name}:{inner[-1].lineno}" if inner else "a library"
