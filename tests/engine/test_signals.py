"""Signals: a run stops at its next batch of any stage, and handlers are restored."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import lightning as L
import pytest

import benchmarks.__main__ as benchmarks
import zoo
from benchmarks.jobs import Job
from zoo import registry
from zoo.testing.runs import compare_runs
from zoo.testing.subject import QUICK, Case, Subject

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 3
OPTIONS = {**QUICK, "trainer.accelerator": "cpu", "trainer.max_epochs": EPOCHS, "report": False}


class Sends(L.Callback):
    """Sends signals to this process at the first batch of a stage of an epoch."""

    def __init__(self, stage: str, epoch: int, *numbers: int) -> None:
        self.stage, self.epoch, self.numbers = stage, epoch, numbers
        self.after: list[str] = []  # stages of the batches that began afterwards

    def _begins(self, stage: str, module: zoo.ZooModule) -> None:
        if stage == self.stage and module.loop.epochs == self.epoch and self.numbers:
            numbers, self.numbers = self.numbers, ()
            for number in numbers:
                os.kill(os.getpid(), number)
        elif not self.numbers:
            self.after.append(stage)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self._begins("train", module)

    def on_validation_batch_start(self, trainer, module, batch, batch_idx, dataloader_idx=0):
        self._begins("validation", module)

    def on_test_batch_start(self, trainer, module, batch, batch_idx, dataloader_idx=0):
        self._begins("test", module)


QUICKLY = [("fnn", Case("regression", "table"), "validation", 0), ("fnn", Case("regression", "table"), "test", EPOCHS)]
QUICKLY += [("lstm", Case("language_modeling", "text"), "validation", EPOCHS - 1)]
OTHERS = [
    ("dqn", Case("control", "environment", "discrete"), "validation", 1),
    ("gan", Case("generation", "image"), "validation", 1),
]
OTHERS += [
    ("cnn", Case("classification", "image"), "train", 1),
    ("vae", Case("reconstruction", "table"), "validation", 2),
]
CASES = [*QUICKLY, *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHERS)]


@pytest.mark.parametrize(("name", "case", "stage", "epoch"), CASES)
def test_signal_stops_at_the_next_batch_of_any_stage(name, case, stage, epoch, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    sends = Sends(stage, epoch, signal.SIGTERM)
    with pytest.raises(zoo.Stopped) as caught:
        zoo.train(name, case.dataset, run_dir="cut", callbacks=[sends], **OPTIONS)
    place = "in the test" if stage == "test" else f"in epoch {epoch + 1} of {EPOCHS}, after "
    assert str(caught.value).startswith(f"stopped by SIGTERM {place}")
    assert str(caught.value).endswith(". Resume with: zoo train resume=cut")
    assert caught.value.signal == signal.SIGTERM
    assert not sends.after
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    resumed = zoo.resume("cut", case.dataset, report=False)
    reference = zoo.train(name, case.dataset, run_dir="whole", **OPTIONS)
    compare_runs(Subject(name, case), "stopped", Path("whole"), Path("cut"))
    assert resumed.metrics == reference.metrics


@pytest.mark.parametrize("stage", ["train", "validation", "test"])
def test_signal_twice_stops_at_once(stage):
    @zoo.register("test_waits")
    class Waits(zoo.FNN):
        """Waits in the batch at which a signal came."""

        def output(self, batch):
            if sends.numbers == ():
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)
            return super().output(batch)

    sends = Sends(stage, EPOCHS if stage == "test" else 1, signal.SIGINT)
    began = time.monotonic()
    try:
        with pytest.raises(zoo.Stopped, match="^stopped by SIGINT") as caught:
            zoo.train(
                "test_waits", "wine", run_dir="cut", callbacks=[sends], **OPTIONS, **{"checkpoint.every_n_steps": 1}
            )
    finally:
        registry._MODELS.pop("test_waits")
    assert time.monotonic() - began < 30
    assert caught.value.signal == signal.SIGINT
    assert str(caught.value).endswith("Resume with: zoo train resume=cut")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signal_before_the_first_batch_leaves_no_files(monkeypatch, tmp_path):
    monkeypatch.setattr("zoo.engine.build.build_model", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(zoo.Stopped, match="^stopped by SIGTERM before the run started$"):
        zoo.train("fnn", "wine", **OPTIONS)
    assert not list(tmp_path.rglob("config.yaml"))


def test_signal_stops_benchmarks_and_keeps_their_rows(monkeypatch, tmp_path, capsys):
    def jobs(words, earlier):
        yield Job("first", lambda: [{"what": "first"}])
        yield Job("second", lambda: os.kill(os.getpid(), signal.SIGTERM))

    monkeypatch.setitem(benchmarks.SUITES, "speed", lambda *arguments: list(jobs(*arguments)))
    assert benchmarks.main(["suite=speed", f"out={tmp_path}"]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "stopped by SIGTERM. Repeat the command to continue.\n"
    assert (tmp_path / "speed.jsonl").read_text() == '{"what": "first"}\n'
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def command_line(process):
    """Return the command line of a process; empty if it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/cmdline").read_text()
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_benchmarks_with_their_run(number, tmp_path):
    words = ["suite=quality", "model=fnn", "data=digits", "trainer.max_epochs=100000", "logger=csv", f"out={tmp_path}"]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        children: list[str] = []
        while not children:  # of the run itself: an import can start a short process before
            time.sleep(0.2)
            assert process.poll() is None
            started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            children = [child for child in started if "train.py" in command_line(child)]
        time.sleep(2)
        process.send_signal(number)
        assert process.wait(timeout=20) == 128 + number
        assert process.stderr.read().strip().splitlines()[-1].startswith(f"stopped by {number.name}")
    with contextlib.suppress(FileNotFoundError):
        assert Path(f"/proc/{children[0]}/stat").read_text().split()[2] == "Z"
