"""Users' Lightning callbacks: they work, or are rejected by name before anything is written."""

from __future__ import annotations

import inspect

import lightning as L
import pytest
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, ModelCheckpoint, Timer

import zoo
from zoo.engine.callbacks.user_callbacks import NEVER, REFUSED
from zoo.testing.runs import StopAfter

QUICK = {"logger": "csv", "report": False, "run_dir": "run", "trainer": {"max_epochs": 3, "accelerator": "cpu"}}


def train(*callbacks, **more):
    return zoo.train("fnn", "wine", callbacks=callbacks, **{**QUICK, **more})


class Steps(L.Callback):
    """Notes the trainer's steps beside the run's own."""

    def __init__(self):
        self.pairs = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.pairs.append((trainer.global_step, module.steps))

    on_train_start = on_validation_end = lambda self, trainer, module: self.pairs.append(
        (trainer.global_step, module.steps)
    )


def test_global_step_counts_optimizer_steps_also_after_resume():
    steps = Steps()
    with pytest.raises(zoo.Stopped):
        train(steps, StopAfter(6))
    resumed = Steps()
    zoo.resume("run", callbacks=[resumed], report=False)
    assert all(one == other for one, other in steps.pairs + resumed.pairs)
    assert (steps.pairs[0][0], steps.pairs[-1][0]) == (0, 4)  # the batch in which it stopped has no end
    assert (resumed.pairs[0][0], resumed.pairs[-1][0]) == (6, 12)


def test_callbacks_of_lightning_work(tmp_path):
    keep = ModelCheckpoint(tmp_path / "mine", monitor="val/accuracy", mode="max", save_top_k=-1, filename="{step}")
    timer, calls = Timer(), []
    lambdas = LambdaCallback(on_train_epoch_end=lambda trainer, module: calls.append(trainer.global_step))
    stop = EarlyStopping("val/accuracy", mode="max", patience=1, min_delta=10)
    run = train(keep, timer, lambdas, stop, trainer={"max_epochs": 9, "accelerator": "cpu"})
    assert run.results["epochs"] == 2
    assert calls == [4, 8]
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["step=4.ckpt", "step=8.ckpt"]
    assert keep.best_model_path
    x = zoo.load(tmp_path / "mine" / "step=8.ckpt")
    assert int(x.counters[0]) == 8
    assert timer.time_elapsed("train") > 0


def lightning_refuses():
    for name in REFUSED:
        cls = getattr(lightning_callbacks, name, None)
        for rejected in [cls] if cls else []:
            kinds = [rejected, *rejected.__subclasses__()]
            yield from {kind.__name__: kind for kind in kinds if kind.__module__.startswith("lightning.")}.values()


@pytest.mark.parametrize("cls", list(lightning_refuses()), ids=lambda cls: cls.__name__)
def test_callbacks_that_do_not_fit_are_rejected(cls, tmp_path):
    with pytest.raises(zoo.ZooError) as caught:
        train(cls.__new__(cls))
    assert str(caught.value).startswith(f"callbacks: {cls.__name__} ")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_callbacks_of_lightning_are_all_covered():
    works = {"Callback", "Checkpoint", "EarlyStopping", "ModelCheckpoint", "Timer", "LambdaCallback", "ModelSummary"}
    works |= {"RichModelSummary", "OnExceptionCheckpoint", "BasePredictionWriter"}
    for name in lightning_callbacks.__all__:
        cls = getattr(lightning_callbacks, name)
        if inspect.isclass(cls) and issubclass(cls, L.Callback):
            bases = {base.__name__ for base in cls.__mro__}
            assert (name in works) is not bool(bases & set(REFUSED)), name


@pytest.mark.parametrize("hook", NEVER)
def test_callbacks_with_uncalled_hooks_are_rejected(hook):
    user_callback = type("Mine", (L.Callback,), {hook: lambda self, *arguments: None})()
    for callback, name in ((user_callback, "Mine"), (LambdaCallback(**{hook: print}), "LambdaCallback")):
        with pytest.raises(zoo.ZooError, match=f"callbacks: {name}.{hook} is never called"):
            train(callback)


def test_callbacks_reject_other_objects_and_metrics(tmp_path):
    with pytest.raises(zoo.ZooError, match="Timer is not a lightning.pytorch"):
        train(type("Timer", (), {})())
    with pytest.raises(zoo.ZooError, match=r"callbacks: must be a list"):
        zoo.train("fnn", "wine", callbacks=Timer(), **QUICK)
    for callback in (EarlyStopping("val_loss"), ModelCheckpoint(monitor="loss")):
        with pytest.raises(
            zoo.ZooError, match=f"{type(callback).__name__} monitors .*; validation logs val/accuracy, val/nll"
        ):
            train(callback)
    assert not list(tmp_path.iterdir())
