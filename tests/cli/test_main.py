"""The ``zoo`` command: its version, closed pipes, and how extras are installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import zoo
from zoo.__main__ import main
from zoo.exceptions import install

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", [["--version"], ["train", "--version"], ["predict", "--version"]])
def test_main_prints_the_version_of_every_command(words, capsys):
    assert main(words) == 0
    assert capsys.readouterr().out == f"zoo {zoo.__version__}\n"


def test_train_py_prints_the_version():
    done = subprocess.run([sys.executable, ROOT / "train.py", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"zoo {zoo.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [
        (["--help"], ""),
        (["train", "--help"], "1"),
        *(pytest.param(words, "1", marks=pytest.mark.slow) for words in (["--help"], ["list"], ["info", "fnn"])),
    ],
)
def test_main_closed_pipe_is_no_error(words, unbuffered):
    import os

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "zoo", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.slow
def test_train_closed_pipe_finishes_the_run(tmp_path):
    words = ["model=fnn", "data=wine", "trainer.max_epochs=1", "logger=csv", "trainer=cpu", "run_dir=run"]
    with subprocess.Popen(
        [sys.executable, ROOT / "train.py", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert (tmp_path / "run" / "results.json").exists()


def test_extras_are_installed_from_the_checkout():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert install("demo") == 'pip install -e ".[demo]"'
    places = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("conf/**/*.yaml")]
    places += [*ROOT.glob("zoo/**/*.py"), *ROOT.glob("benchmarks/*.py")]
    for path in places:
        text = path.read_text()
        assert "zoo[" not in text, path
        names = re.findall(r"install\(['\"](\w+)['\"]\)", text) + re.findall(r'install -e "\.\[(\w+)\]"', text)
        assert set(names) <= set(project["optional-dependencies"]), path
