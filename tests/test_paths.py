"""Paths of runs and files: relative, in the home folder, and atomic replacement."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import zoo
from zoo.__main__ import main
from zoo.engine.run_dir import discard_run, resume_hint
from zoo.testing.runs import StopAfter
from zoo.utils.atomic_io import atomic_write
from zoo.utils.console import os_error_text

QUICK = {"logger": "csv", "report": False, "trainer": {"max_epochs": 2, "accelerator": "cpu", "precision": "32-true"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a table, a finished run on it and one that was stopped, all named from there."""
    folder, old = tmp_path_factory.mktemp("project"), Path.cwd()
    os.chdir(folder)
    try:
        (folder / "csv").mkdir()
        values = np.random.default_rng(0).normal(size=(60, 2))
        pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "y": values.sum(1)}).to_csv("csv/t.csv", index=False)
        more = {"data.path": "csv/t.csv", "data.target": "y", **QUICK}
        zoo.train("fnn", "csv", run_dir="done", **more)
        with pytest.raises(zoo.Stopped):
            zoo.train("fnn", "csv", run_dir="cut", callbacks=[StopAfter(9)], **more)
    finally:
        os.chdir(old)
    return folder


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_run_is_used_and_resumed_from_any_folder(project, tmp_path, monkeypatch, capsys):
    elsewhere = tmp_path / "some" / "where"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    assert main(["evaluate", str(project / "done")]) == 0
    assert main(["evaluate", os.path.relpath(project / "done")]) == 0
    assert main(["train", f"resume={os.path.relpath(project / 'cut')}"]) == 0
    assert results(project / "cut")["metrics"] == results(project / "done")["metrics"]
    assert results(project / "cut")["config_hash"] == results(project / "done")["config_hash"]
    assert yaml.safe_load((project / "done" / "config.yaml").read_text())["data"]["path"] == "csv/t.csv"
    assert not list(elsewhere.iterdir())


def test_run_is_named_by_folder_parent_latest_or_checkpoint(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    shutil.copytree("done", "runs/fnn-csv/done")
    try:
        for place in ("done", "runs", "latest", "done/checkpoints/best.ckpt"):
            assert main(["evaluate", place]) == 0, place
        assert zoo.load("latest").name == zoo.load("runs").name == "fnn"
        assert main(["resume", "runs", "trainer.max_epochs=1"]) == 2
        assert "the run has already trained 2 epochs" in capsys.readouterr().err
    finally:
        shutil.rmtree("runs")


def test_evaluate_finds_data_moved_with_its_run(project, tmp_path, monkeypatch, capsys):
    moved = tmp_path / "moved"
    project.rename(moved)
    try:
        monkeypatch.chdir(moved)
        assert main(["evaluate", "done"]) == 0
        monkeypatch.chdir(tmp_path)
        assert main(["evaluate", "moved/done"]) == 2
        assert capsys.readouterr().err.startswith("error: data.path=csv/t.csv: no such file or folder")
    finally:
        moved.rename(project)


def test_paths_expand_the_home_folder(project, tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "t.csv").write_bytes((project / "csv" / "t.csv").read_bytes())
    words = ["model=fnn", "data=csv", "data.path=~/t.csv", "data.target=y", "logger=csv", "trainer=cpu"]
    assert main(["train", *words, "trainer.max_epochs=1", "run_dir=~/a"]) == 0
    zoo.train("fnn", "csv", run_dir="~/b", **{"data.path": "~/t.csv", "data.target": "y", **QUICK})
    zoo.train("fnn", "csv", run_dir=home / "c", **{"data.path": home / "t.csv", "data.target": "y", **QUICK})
    assert {path.name for path in home.iterdir()} == {"t.csv", "a", "b", "c"}
    for name in "abc":
        assert (home / name / "results.json").exists()
        assert main(["evaluate", f"~/{name}", "out=~/figures.json"]) == 0
    assert (home / "figures.json").exists()
    assert main(["evaluate", "~/a", "data.path=~/t.csv"]) == 0
    zoo.resume("~/b", trainer={"max_epochs": 3}, report=False)
    assert main(["train", "resume=~/b", "trainer.max_epochs=4"]) == 0
    assert zoo.load("~/a/checkpoints/best.ckpt").name == "fnn"
    assert main(["predict", "~/a", str(home / "t.csv"), "out=~/answers.csv", "format=csv"]) == 0
    assert len((home / "answers.csv").read_text().splitlines()) == 61
    work = [path for path in tmp_path.iterdir() if path != home]
    assert not work


@pytest.mark.parametrize("words", [["nosuch.csv"], ["t.csv", "tpo=3"], ["t.csv", "nosuch.csv"]])
def test_predict_keeps_the_old_file_when_rejected(project, words, capsys):
    Path("answers.csv").write_text("dear")
    Path("t.csv").write_bytes((project / "csv" / "t.csv").read_bytes())
    assert main(["predict", str(project / "done"), *words, "out=answers.csv", "format=csv"]) == 2
    assert Path("answers.csv").read_text() == "dear"
    assert sorted(path.name for path in Path().iterdir()) == ["answers.csv", "t.csv"]


def test_atomic_write_keeps_links_and_devices(project, tmp_path):
    Path("real.csv").write_text("old")
    Path("link.csv").symlink_to("real.csv")
    assert main(["predict", str(project / "done"), str(project / "csv" / "t.csv"), "out=link.csv", "format=csv"]) == 0
    assert Path("link.csv").is_symlink()
    assert len(Path("real.csv").read_text().splitlines()) == 61
    atomic_write(Path("/dev/null"), lambda to: to.write_text("x"))
    assert Path("/dev/null").is_char_device()


def test_os_error_text_with_and_without_a_file():
    assert (
        os_error_text(FileNotFoundError(2, "No such file or directory", "a.csv")) == "a.csv: No such file or directory"
    )
    assert os_error_text(OSError(28, "No space left on device")) == "No space left on device"
    assert os_error_text(OSError("image file is\ntruncated")) == "image file is truncated"
    assert os_error_text(TimeoutError()) == "TimeoutError"


def test_discard_run_removes_only_run_files(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").write_text("x")
    (tmp_path / "thesis.txt").write_text("dear")
    assert resume_hint(tmp_path) == "The run has no checkpoint yet."
    assert (tmp_path / "config.yaml").exists()
    discard_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").write_text("x")
    discard_run(tmp_path)
    assert (tmp_path / "checkpoints" / "best.ckpt").exists()
