"""Full disks and read-only folders: the run ends in one line and resumes exactly."""

import contextlib
import json
import subprocess
from dataclasses import replace

import lightning as L
import pytest
import torch

import zoo
from benchmarks.kills import check_kills
from zoo.config.compose import compose
from zoo.config.run_config import RunConfig
from zoo.exceptions import TrainingError, ZooError
from zoo.tasks import baselines
from zoo.testing.subject import subjects
from zoo.utils.atomic_io import atomic_write

SIZE = 3_000_000  # bytes of the disk, room for a small run


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own; skips where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


class Happens(L.Callback):
    """Has ``what`` happen once two epochs are over."""

    def __init__(self, what):
        self.what = what

    def on_train_epoch_start(self, trainer, module):
        if module.loop.epochs == 2:
            self.what()


def run(folder, **more):
    return zoo.train(
        "fnn",
        "digits",
        model_kwargs={"hidden_sizes": [32]},
        trainer={"max_epochs": 4, "accelerator": "cpu"},
        run_dir=str(folder),
        logger="csv",
        **{"report": False, "checkpoint.every_n_steps": 1, **more},
    )


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def fill(disk):
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1000))


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_full_disk_stops_training_and_resume_is_bit_equal(how, disk, tmp_path):
    folder = disk / "run"
    if how == "full":
        happens, mended, reason = lambda: fill(disk), (disk / "filler").unlink, "No space left on device"
    else:
        remount = ["mount", "-o", "remount,ro", disk], ["mount", "-o", "remount,rw", disk]
        happens, mended = (lambda words=words: subprocess.run(words, check=True) for words in remount)
        reason = "Read-only file system"
    with pytest.raises(TrainingError) as error:
        run(folder, callbacks=[Happens(happens)])
    assert str(error.value).startswith(f"{folder}: cannot be written ({reason}). Fix the cause, then resume with: ")
    assert "\n" not in str(error.value)
    assert not list(folder.rglob("*.tmp"))
    zoo.load(folder / "checkpoints" / "best.ckpt")
    mended()
    resumed = zoo.resume(folder)
    assert torch.equal(weights(resumed.model), weights(run(tmp_path / "other").model))


@pytest.mark.slow
def test_full_disk_during_the_report_keeps_results(disk, monkeypatch, capfd):
    folder = disk / "run"
    figures = baselines.majority

    def filled(dataset):
        fill(disk)
        return figures(dataset)

    with monkeypatch.context() as inside:
        inside.setattr(baselines, "majority", filled)
        first = run(folder, report=True)
    warnings = [line for line in capfd.readouterr().err.splitlines() if "skipped (" in line]
    assert len(warnings) >= 3
    assert all("No space left on device" in line for line in warnings)
    partial = json.loads((folder / "results.json").read_text())
    assert partial["metrics"]["test/accuracy"] == first.metrics["test/accuracy"]
    assert partial["missing"]
    (disk / "filler").unlink()
    zoo.resume(folder)
    complete = json.loads((folder / "results.json").read_text())
    assert "missing" not in complete
    assert complete["metrics"] == partial["metrics"]
    assert set(complete["baselines"]) == {"majority", "logistic regression"}
    assert not list(folder.rglob("*.tmp"))


def test_atomic_write_keeps_the_old_file_on_errors(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("before")

    def half(to):
        to.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        atomic_write(path, half)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def test_every_n_steps_writes_the_last_checkpoint(tmp_path):
    written = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            path = tmp_path / "run" / "checkpoints" / "last.ckpt"
            if path.exists():
                written.append(torch.load(path, weights_only=True)["state_dict"]["counters"][0].item())

    more = {"checkpoint.every_n_steps": 20, "data.batch_size": 64}
    zoo.train(
        "fnn",
        "digits",
        trainer={"max_epochs": 3},
        report=False,
        run_dir=str(tmp_path / "run"),
        callbacks=[Watch()],
        **more,
    )
    assert len(set(written)) >= 2
    with pytest.raises(ZooError, match="set only one of them"):
        zoo.train("fnn", "digits", **{"checkpoint.every_n_steps": 20, "checkpoint.every_n_seconds": 3})


def test_resume_is_bit_equal_after_a_kill():
    assert len(check_kills(subjects("fnn")[0], 1)) == 1


def test_create_run_dir_is_unique_and_removed_when_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = (RunConfig.from_config(compose(["model=fnn", "data=wine"]), recipe=None, command="") for _ in range(2))
    other = replace(other, folder=one.folder)  # planned in the same second
    with one.create_run_dir() as first, other.create_run_dir() as second:
        assert first.folder == one.folder
        assert second.folder == one.folder.with_name(f"{one.folder.name}_2")
        (second.folder / "file").touch()
    assert [p.name for p in one.folder.parent.iterdir()] == [second.folder.name]
    (second.folder / "file").unlink()
    second.folder.rmdir()
    (tmp_path / "runs" / "fnn-wine").rmdir()
    with pytest.raises(ZeroDivisionError), one.create_run_dir():
        1 / 0  # noqa: B018
    assert list((tmp_path / "runs").iterdir()) == []  # which was there before
