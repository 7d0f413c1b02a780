"""The commands that README and docs show, ``$ zoo …`` and those in tables, run on small files of the names they use."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from example_files import write_example_files

from zoo.__main__ import main
from zoo.config.compose import compose
from zoo.exceptions import ZooError

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```console\n((?:.*\n)*?)```$", re.MULTILINE)
SHORT = {  # a command, shortened: what it does is tried, not how well
    "train": ("trainer.max_epochs=1", "trainer.steps_per_epoch=2"),
    "compare": ("minutes=0.02",),
    "sample": ("count=4",),
    "generate": ("length=20",),
}
STARTED = ("serve", "demo")  # run until they are stopped; tests of their own start them
OTHER = ("git", "python", "pip", "uv", "docker", "source", "curl", "tensorboard", "jupyter", "pytest", "cd")
LARGE = ("mnist", "fashion_mnist", "cifar10", "shakespeare", "sentiment", "spoken_digits", "pets", "etth1", "adult")
LARGE += ("binarized_mnist",)
NOT_HERE = {"model.pretrained=imagenet": None, "data=lunar_lander": "box2d"}


def commands(text):
    """Return the commands that a page shows, of the zoo and other ones."""
    text = re.sub(r"<!-- transcript:.*?<!-- end -->", "", text, flags=re.DOTALL)
    blocks = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").split("\n")]
    lines = [line.removeprefix("$ ") for line in blocks if line.startswith("$ ")]
    return lines + re.findall(r"^\|.*\| `(zoo [^`]*)` \|$", text, re.MULTILINE)


def pages_with(start):
    for page in PAGES:
        if any(line.startswith(start) for line in commands(page.read_text())):
            yield pytest.param(page, id=str(page.relative_to(ROOT).with_suffix("")))


def words_of(command):
    return [part for part in shlex.split(command) if part != "…"]


def available(words, folder):
    """Tell whether a command can run here: its data are at hand or small, and nothing is downloaded."""
    data = dict(word.split("=", 1) for word in words if "=" in word).get("data", "")
    if any(word in NOT_HERE for word in words):
        return False
    return data not in LARGE or Path(os.environ.get("ZOO_DATA", ROOT / "data"), data).exists()


@pytest.mark.parametrize("page", pages_with(""))
def test_docs_commands_are_of_the_zoo_or_known_tools(page):
    for command in commands(page.read_text()):
        assert command.startswith(("zoo ", *OTHER)), command


@pytest.mark.parametrize("page", pages_with("zoo train"))
def test_docs_train_commands_compose(page, tmp_path, monkeypatch):
    """Each option of a shown command exists, and the model supports the data."""
    write_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in commands(page.read_text()):
        if command.startswith("zoo train"):
            try:
                compose(words_of(command)[2:])
            except ZooError as error:
                raise AssertionError(f"{command}: {error}") from error


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("zoo"))
def test_docs_console_commands_run(page, tmp_path, monkeypatch):
    write_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    skipped_run = False  # commands that follow a training that cannot run here have no run
    for command in commands(page.read_text()):
        words = words_of(command)
        if words[0] != "zoo" or words[1] in STARTED:
            continue
        if words[1] == "train":
            skipped_run = not available(words, tmp_path)
        if skipped_run:
            continue
        assert main([*words[1:], *SHORT.get(words[1], ())]) == 0, command
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
