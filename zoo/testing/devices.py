"""The conformance check for accelerators: a run and all uses of its model on a simulated device."""

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
from zoo.testing.accelerator import MEMORY, simulated_accelerator
from zoo.testing.device_modes import DEVICE, PRETENSE, Accelerator, Wait
from zoo.testing.runs import StopAfter
from zoo.testing.subject import QUICK, Subject, first_rows, quiet
from zoo.utils.device import narrow_buffers

BATCHES, STOP = 6, 8  # batches per epoch; batches until the run stops, within its second epoch
# Options that cover all changes of gradients, and a scheduler that depends on validation
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
PLAYING = ("data/environment/loaders.py",)  # environments run on the host, so each step waits for actions
ADVICE = "Store tensors with self.register_buffer, and create new ones with device=x.device."


class Clock(L.Callback):
    """Tells an accelerator the current macro-batch and batch."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator, self.macro_batches = accelerator, itertools.count()

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, index: int) -> None:
        """Start the clock of a macro-batch."""
        assert isinstance(module, ZooModule)
        macro, loop = next(self.macro_batches), module.loop
        self.accelerator.clock = lambda: (macro, loop.batches + loop.steps)  # one batch may cause many steps

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock."""
        self.accelerator.clock = lambda: None


def check_accelerator(subject: Subject) -> None:
    """Check that a run and all uses of its model work on an accelerator, and that no training step synchronizes.

    Raises:
        ConformanceError: an operation fails, or the host waits for the device in each training step.
    """
    try:
        waits = waits_of(subject.name, subject.dataset)
    except Exception as error:
        message = " ".join(str(error).split())[:240]
        raise subject.fail(f"fails on an accelerator in {_place(error)} ({message}). {ADVICE}") from error
    if waits:
        places = ", ".join(sorted({f"{wait.place} ({wait.cause})" for wait in waits}))
        raise subject.fail(
            f"the host waits for the device in each training step, in {places}. Read values once per epoch, store "
            f"constants in buffers, and select rows by index rather than by mask."
        )


def waits_of(
    name: str, dataset: Dataset, *, device: torch.device = DEVICE, memory: int = MEMORY, **options: Any
) -> list[Wait]:
    """Train, stop, resume, test and use a model on a simulated accelerator; return the waits of its training steps.

    Args:
        name: registered name of the model.
        dataset: the data.
        device: the simulated device.
        memory: its memory in bytes.
        options: options of the run.

    Raises:
        Exception: any error of the model or the zoo, such as RuntimeError for tensors on two devices.
    """
    with (
        tempfile.TemporaryDirectory(prefix="zoo-accelerator-") as above,
        quiet(),
        simulated_accelerator(device=device, memory=memory, ignored=PLAYING) as accelerator,
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
    """Call all methods of a trained model that users call, on its device."""
    batch = first_rows(dataset, 7)
    with contextlib.suppress(ZooError):  # a conditional model needs a class
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
