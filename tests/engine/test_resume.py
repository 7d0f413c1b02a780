"""Runs that stop and resume, from the command line and from Python; distributed runs."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch

import zoo
from zoo.data.loader import MACRO_BATCH, EvalLoader, Loader, Shard
from zoo.testing.runs import StopAfter

ROOT = Path(__file__).resolve().parents[2]
TRAIN = [sys.executable, str(ROOT / "train.py")]
WORDS = ["model=fnn", "data=wine", "logger=csv", "trainer=cpu", "trainer.precision=32-true"]


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([*TRAIN, *words], env=env, capture_output=True, text=True, timeout=120)


def stopped(folder: str, after: int, **options) -> Path:
    with pytest.raises(zoo.Stopped, match=rf"Resume with: zoo train resume={folder}"):
        zoo.train("fnn", run_dir=folder, callbacks=[StopAfter(after)], report=False, **options)
    return Path(folder)


def weights(folder: str | Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(Path(folder) / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def rows(folder: str | Path) -> list[dict[str, str]]:
    with (Path(folder) / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_signal_stops_training_in_one_line(number, tmp_path):
    words = [*TRAIN, *WORDS, "trainer.max_epochs=4000"]
    with subprocess.Popen([*words, "run_dir=cut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while not Path("cut/metrics.csv").exists() or len(rows("cut")) < 2:
            time.sleep(0.05)
            assert run.poll() is None
        run.send_signal(number)
        _, error = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert re.fullmatch(
        rf"stopped by {number.name} in epoch \d+ of 4000, after [\d,]+ steps\. "
        r"Resume with: zoo train resume=cut\n",
        error,
    )
    assert not Path("cut/results.json").exists()
    done = len(rows("cut"))
    with pytest.raises(zoo.ZooError, match=f"trainer.max_epochs={done - 1}: the run has already trained {done} epochs"):
        zoo.resume("cut", **{"trainer.max_epochs": done - 1})
    assert zoo.resume("cut", report=False, **{"trainer.max_epochs": done + 1}).results["epochs"] == done + 1


def test_resume_is_bit_equal_after_a_stop(tmp_path):
    quick = {
        "data": "wine",
        "logger": "csv",
        "trainer": {"max_epochs": 6, "accelerator": "cpu", "precision": "32-true"},
    }
    zoo.train("fnn", run_dir="whole", **quick)
    stopped("cut", 9, **quick)
    assert len(rows("cut")) == 2  # of four batches each
    done = command("resume=cut", OMP_NUM_THREADS="1")  # its threads are those that it began with
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert same(weights("whole"), weights("cut"))
    assert same(weights("whole", "best"), weights("cut", "best"))
    assert rows("whole") == rows("cut")
    reference, cut = (json.loads(Path(f, "results.json").read_text()) for f in ("whole", "cut"))
    for key in ("metrics", "baselines", "epochs", "steps", "samples", "config_hash"):
        assert reference[key] == cut[key]
    assert cut["command"] == "python train.py resume=cut"
    with pytest.raises(
        zoo.ZooError, match=r"cut: has finished after 6 epochs. To train longer, set trainer.max_epochs=12"
    ):
        zoo.resume("cut")
    zoo.resume("cut", trainer={"max_epochs": 8}, report=False)
    assert [row["epoch"] for row in rows("cut")] == list("12345678")


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_resume_with_other_processes_and_logger(before, after, tmp_path, capsys):
    plain = {"data": "wine", "model_kwargs": {"norm": "none", "dropout": 0.0}, "logger": "csv"}
    trainer = {
        "accelerator": "cpu",
        "precision": "32-true",
        "max_epochs": 3,
        "accumulate_grad_batches": 3,
        "devices": before,
    }
    run = zoo.train("fnn", run_dir="whole", trainer=trainer, report=False, **plain)
    stopped("cut", 5, trainer=trainer, **plain)  # amid an epoch, with gradients that wait
    zoo.resume("cut", report=False, trainer={"devices": after}, logger="tensorboard")
    assert f"note: resuming with {after} processes instead of {before}" in capsys.readouterr().out
    reference, cut = weights(run.folder), weights("cut")
    for key, value in reference.items():
        assert torch.allclose(cut[key].double(), value.double(), rtol=1e-4, atol=1e-5), key
    for one, other in zip(rows("whole"), rows("cut"), strict=True):
        assert float(one["train/loss"]) == pytest.approx(float(other["train/loss"]), rel=1e-4)
    assert list(Path("cut").glob("events.*"))
    with pytest.raises(zoo.ZooError, match="unknown logger 'csw': did you mean 'csv'"):
        zoo.resume("cut", logger="csw")


def test_resume_with_process_states_needs_equal_processes(tmp_path):
    trainer = {"accelerator": "cpu", "max_epochs": 1}
    quick = {"data": "cartpole", "trainer": trainer, "logger": "csv", "data.num_envs": 4, "data.steps_per_epoch": 512}
    with pytest.raises(zoo.Stopped):
        zoo.train("ppo", run_dir="cut", callbacks=[StopAfter(1)], report=False, **quick)
    with pytest.raises(zoo.ZooError, match="the run needs as many processes as before"):
        zoo.resume("cut", report=False, trainer={"devices": 2})


def test_resume_truncates_tensorboard_events(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = {"data": "wine", "trainer": {"max_epochs": 4, "accelerator": "cpu"}}
    folder = stopped("cut", 10, **options)
    time.sleep(1.1)  # TensorBoard reads files in the order of their names, which begin with the second
    zoo.resume(folder, report=False)
    events = EventAccumulator(str(folder))
    events.Reload()
    assert (
        [e.step for e in events.Scalars("train/loss")] == [int(row["steps"]) for row in rows(folder)] == [4, 8, 12, 16]
    )


def test_resume_needs_the_same_arrays(quick):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), np.arange(300) % 2
    folder = stopped("cut", 3, data=(x, y), **quick)
    with pytest.raises(zoo.ZooError, match="was trained on arrays. Pass them again"):
        zoo.resume(folder)
    with pytest.raises(zoo.ZooError, match="cut: the data 'arrays' differs from the data that the run started with"):
        zoo.resume(folder, (x + 1, y))
    done = command("resume=cut")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "zoo.resume('cut', data=…)" in done.stderr
    assert zoo.resume(folder, (x, y)).results["epochs"] == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"trainer.max_epochs": 0}, "trainer.max_epochs=0: must be"),
        ({"optimizer.lr": 0.1}, "optimizer.lr: cannot change on resume. Options that can change: trainer.max_epochs"),
        ({"seed": 1}, "seed: cannot change"),
        ({"model": {"dropout": 0.0}}, "model.dropout: cannot change"),
    ],
)
def test_resume_rejects_changed_options(overrides, message, quick):
    folder = stopped("cut", 3, data="wine", **quick)
    with pytest.raises(zoo.ZooError, match=message):
        zoo.resume(folder, **overrides)


def test_resume_rejects_missing_and_damaged_runs(quick, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(zoo.ZooError, match="not a run folder|no run with config.yaml in this folder"):
            zoo.resume(folder)
    folder = stopped("cut", 3, data="wine", **quick)
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(zoo.ZooError, match=r"last.ckpt: not a checkpoint of the zoo"):
        zoo.resume(folder)
    (folder / "config.yaml").write_text("model: [")
    with pytest.raises(zoo.ZooError, match=r"config.yaml: not the configuration of a run"):
        zoo.resume(folder)


@pytest.mark.parametrize("at", [1, MACRO_BATCH - 1, MACRO_BATCH, MACRO_BATCH + 3, 24])
def test_loader_state_resumes_at_the_next_batch(at):
    split = {"x": torch.arange(100).float().view(100, 1), "y": torch.arange(100)}

    def batches(loader: Loader) -> list[list[int]]:
        return [batch["y"].tolist() for macro_batch in loader for batch in macro_batch]

    reference = Loader(split, batch_size=4, seed=3)
    want = batches(reference) + batches(reference)
    first = Loader(split, batch_size=4, seed=3)
    loaded, state = [], {}
    for macro_batch in first:
        for batch in macro_batch:
            loaded.append(batch["y"].tolist())
            if len(loaded) == at:
                state = first.state_dict()
    second = Loader(split, batch_size=4, seed=3)
    second.load_state_dict(state)
    assert loaded[:at] + batches(second) + batches(second) == want
    assert len(second) == len(reference)


def test_loader_shards_cover_each_row_once():
    split = {"x": torch.arange(107).float().view(107, 1), "y": torch.arange(107)}
    loaders = [Loader(split, batch_size=10, seed=3, shard=Shard(rank, 3)) for rank in range(3)]
    reference = Loader(split, batch_size=10, seed=3)
    shares = [[batch["y"].tolist() for macro_batch in loader for batch in macro_batch] for loader in loaders]
    for number, batch in enumerate(b["y"].tolist() for macro_batch in reference for b in macro_batch):
        assert sorted(row for share in shares for row in share[number]) == sorted(batch)
    evaluated = [row for rank in range(3) for b in EvalLoader(split, shard=Shard(rank, 3)) for row in b["y"].tolist()]
    assert sorted(evaluated) == list(range(107))


def fit(devices: int, **trainer) -> dict[str, torch.Tensor]:
    """Return weights of a network without batch normalization and dropout, which processes compute apart."""
    run = zoo.train(
        "fnn",
        data="wine",
        model_kwargs={"norm": "none", "dropout": 0.0},
        trainer={"max_epochs": 3, "accelerator": "cpu", "precision": "32-true", "devices": devices, **trainer},
        logger="csv",
        report=False,
    )
    return {**weights(run.folder), "figures": torch.tensor([run.metrics[k] for k in sorted(run.metrics)])}


@pytest.mark.parametrize("accumulate", [1, 3])
def test_distributed_training_equals_one_process(accumulate):
    # 127 rows in batches of 32: the last one has 31 rows, which two processes share unevenly
    one, two = fit(1, accumulate_grad_batches=accumulate), fit(2, accumulate_grad_batches=accumulate)
    for key, value in one.items():
        assert torch.allclose(two[key].double(), value.double(), rtol=1e-4, atol=1e-5), key


def test_distributed_resume_is_bit_equal(tmp_path):
    options = {"data": "wine", "logger": "csv"}
    trainer = {"accelerator": "cpu", "precision": "32-true", "devices": 2, "max_epochs": 4}
    run = zoo.train("fnn", run_dir="whole", trainer=trainer, report=False, **options)
    stopped("cut", 6, trainer=trainer, **options)
    zoo.resume("cut", report=False)
    assert same(weights(run.folder), weights("cut"))
    assert rows("whole") == rows("cut")


def test_distributed_batch_needs_a_row_per_process(tmp_path):
    with pytest.raises(zoo.ZooError, match=r"data.batch_size=1: must be at least 1 for each of 2 processes"):
        zoo.train("fnn", data="wine", trainer={"devices": 2, "accelerator": "cpu"}, **{"data.batch_size": 1})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_distributed_script_without_main_guard_fails_fast(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import zoo\n"
        "try:\n"
        "    zoo.train('fnn', data='wine', trainer={'devices': 2, 'accelerator': 'cpu'}, report=False)\n"
        "except zoo.TrainingError as error:\n"
        "    print('told:', error)\n"
    )
    done = subprocess.run([sys.executable, "mine.py"], capture_output=True, text=True, timeout=60)
    assert "told: a worker process could not start" in done.stdout
    assert '__name__ == "__main__"' in done.stdout


@pytest.mark.slow
def test_trainer_ddp_starts_processes(tmp_path):
    words = ("model=autoencoder", "data=wine", "trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=1")
    done = command(*words)  # whose baselines count as the run does, in the first process alone
    assert done.returncode == 0, done.stderr
    assert "2 × cpu, 1 thread" in done.stdout or os.cpu_count() != 2
    assert done.stdout.count("test MSE") == 1
    assert not done.stderr


class Dies(L.Callback):
    """Has process 1 be killed as its second epoch begins."""

    def on_train_epoch_start(self, trainer, module):
        if module.loop.epochs == 1 and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def test_distributed_run_stops_when_a_process_dies(tmp_path):
    trainer = {"accelerator": "cpu", "devices": 2, "max_epochs": 3}
    options = {"trainer": trainer, "report": False, "run_dir": str(tmp_path / "run"), "checkpoint.every_n_steps": 1}
    with pytest.raises(zoo.TrainingError) as caught:
        zoo.train("fnn", data="wine", callbacks=(Dies(),), **options)
    resume = f"Fix the cause, then resume with: zoo train resume={tmp_path / 'run'}"
    assert str(caught.value) == f"process 1 of 2 was killed by SIGKILL. {resume}"
    assert zoo.resume(tmp_path / "run").results["epochs"] == 3
