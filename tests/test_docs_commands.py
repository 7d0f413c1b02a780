"""The commands that README and docs show, ``$ zoo …`` and those in tables, run on small files of the names they use."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from example_files import write_example_files

from zoo import registry
from zoo.__main__ import main
from zoo.config.compose import compose
from zoo.config.run_config import RunConfig
from zoo.exceptions import ZooError

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```console\n((?:.*\n)*?)```$", re.MULTILINE)
SHORT = {  # what a command takes to be short: it is run to see that it works, not how well
    "train": ("trainer.max_epochs=1", "trainer.steps_per_epoch=2"),
    "compare": ("minutes=0.1",),
    "sample": ("count=4",),
    "generate": ("length=20",),
}
EPISODES = ("data.n_val_episodes=2", "data.n_test_episodes=2", "trainer.max_epochs=1")
POLICIES = dict.fromkeys(("ppo", "a2c", "reinforce"), EPISODES)
POLICIES |= dict.fromkeys(("dqn", "sac"), (*EPISODES, "data.steps_per_epoch=1024"))
SMALL = {  # data of runs that a page refers to
    "csv": ("data.path=churn.csv", "data.target=left"),
    "image_folder": ("data.path=photos",),
    "text_file": ("data.path=novel.txt",),
}
STARTED = ("serve", "demo")  # run until they are stopped; tests of their own start them
OTHER = ("git", "python", "pip", "uv", "docker", "source", "curl", "tensorboard", "jupyter", "pytest", "cd")
LARGE = ("mnist", "fashion_mnist", "cifar10", "shakespeare", "sentiment", "spoken_digits", "pets", "etth1", "adult")
NOT_HERE = {f"data={name}" for name in (*LARGE, "binarized_mnist", "lunar_lander")} | {"model.pretrained=imagenet"}


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


def available(words):
    """Tell whether a command runs in seconds and without a download; the others are composed only."""
    return not NOT_HERE & set(words)


@pytest.mark.parametrize("page", pages_with(""))
def test_docs_commands_are_of_the_zoo_or_known_tools(page):
    for command in commands(page.read_text()):
        assert command.startswith(("zoo ", *OTHER)), command


def planned(command):
    """Return the checked configuration of a training, which no data is loaded for."""
    config = compose(words_of(command)[2:])
    return RunConfig.from_config(config, recipe=config.model.name, command="")


@pytest.mark.parametrize("page", pages_with("zoo train"))
def test_docs_train_commands_compose(page, tmp_path, monkeypatch):
    """Each option of a shown command exists, and the model supports the data."""
    write_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    refused = {}
    for command in commands(page.read_text()):
        if command.startswith("zoo train"):
            try:
                assert planned(command).task in registry.list_tasks()
            except ZooError as error:
                refused[command] = str(error)
    assert not refused


def test_compose_refuses_a_wrong_option_of_a_command(tmp_path, monkeypatch):
    write_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in ("zoo train model=cnn data=digits model.chanels=[8]", "zoo train model=cnn data=wine"):
        with pytest.raises(ZooError):
            planned(command)


def shortened(words):
    """Return the arguments of a command with those of SHORT in place of its own."""
    short = SHORT.get(words[1], ())
    if words[1] == "train":
        short = next((options for name, options in POLICIES.items() if f"model={name}" in words), short)
    keys = {word.partition("=")[0] for word in short}
    return [word for word in words[1:] if word.partition("=")[0] not in keys] + list(short)


def train_missing_run(words):
    """Train the run that a command refers to by runs/MODEL-DATA, if no command before did."""
    for model, data in re.findall(r"\bruns/([a-z0-9]+)-(\w+)", " ".join(words)):
        if not Path(f"runs/{model}-{data}").exists():
            arguments = ["zoo", "train", f"model={model}", f"data={data}", *SMALL.get(data, ())]
            assert main(shortened(arguments)) == 0, arguments


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
            skipped_run = not available(words)
        if skipped_run:
            continue
        train_missing_run(words)
        assert main(shortened(words)) == 0, command
