"""Arguments of commands: their three forms, their types, their help, and names of other libraries."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.__main__ import main
from zoo.cli import COMMANDS, find_command
from zoo.cli.command import Args, Command, Option, joined
from zoo.exceptions import ZooError

DEMO = Command(
    "demo",
    "RUN",
    "Try it.",
    lambda args: [],
    (
        Option("count", "number of images", "integer", 64, low=1),
        Option("share", "a share", "number"),
        Option("format", "format of the file", choices=("csv", "json"), default="csv"),
        Option("window", "show a window", "flag", False),
        Option("max_mb", "size", "number", 1.0),
        Option("out", "picture", "file", suffixes=(".png",)),
    ),
    overrides="data",
)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "count=3", "share=0.5", "format=json", "window=true", "max_mb=2", "out=a.png", "data=csv", "data.path=x"],
        ["--count=3", "--share=0.5", "--format=json", "--window=true", "--max-mb=2", "--out=a.png", "--data=csv",
         "--data.path=x", "run"],
        ["--count", "3", "--share", "0.5", "--format", "json", "run", "--max-mb", "2", "--out", "a.png", "--data", "csv",
         "--data.path", "x", "--window"],
        ["--window", "run", "--count", "3", "share=0.5", "--format=json", "--max_mb", "2", "--out", "a.png", "data=csv",
         "--data.path=x"],
    ],
)  # fmt: skip
def test_command_takes_options_in_three_forms(arguments):
    args = DEMO.parse(arguments)
    assert args.paths == ["run"]
    assert args.options == {
        "count": 3, "share": 0.5, "format": "json", "window": True, "max_mb": 2.0, "out": Path("a.png")
    }  # fmt: skip
    assert args.overrides == ["data=csv", "data.path=x"]


def test_command_fills_defaults_and_marks_explicit_options():
    args = DEMO.parse(["run", "count=64"])
    assert (args["count"], args["share"], args["format"], args["window"]) == (64, None, "csv", False)
    assert args.explicit == {"count"}
    assert args.chosen("count", "share") == {"count": 64}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("count=many", "count=many: must be an integer"),
        ("count=0", "count=0: must be an integer at least 1"),
        ("format=xml", "unknown format 'xml': choices are csv, json"),
        ("window=maybe", "unknown window 'maybe'"),
        ("out=a.txt", "out=a.txt: must end in .png"),
        ("out=nowhere/a.png", "the folder nowhere does not exist"),
        ("cuont=3", "did you mean 'count'"),
        ("--num-samples=3", "unknown option 'num_samples' of demo: use count"),
        ("--output=a.png", "unknown option 'output' of demo: use out"),
        ("dataset=csv", "unknown option 'dataset' of demo: use data"),
    ],
)
def test_command_rejects_unfit_arguments(argument, message):
    with pytest.raises(ZooError, match=message):
        DEMO.parse(["run", argument])


def test_joined_keeps_equals_signs_and_double_dash():
    assert joined(["--flag", "a=1", "--x", "-3", "--", "--y"]) == ["flag=true", "a=1", "x=-3", "--y"]
    assert joined(["--trainer.max-epochs", "3", "--last"]) == ["trainer.max_epochs=3", "last=true"]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_help_lists_each_option(name, capsys):
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: zoo ")
    for option in find_command(name).options:
        assert f"  {option.name}=" in text
        assert option.description.split()[0] in text
        assert not option.choices or "|".join(option.choices) in text
        assert option.default in (None, "") or str(option.default).lower() in text.lower()


def test_args_accept_one_path():
    with pytest.raises(ZooError, match="needs one model name, got 2"):
        Args("info", ["a", "b"], {}).path("model name")


def test_train_help_lists_every_option_with_its_description(capsys):
    assert main(["train", "--model", "fnn", "--data=wine", "--help"]) == 0
    text = capsys.readouterr().out
    for part in (
        "model.dropout=0.1", "data.batch_size=32   ", "trainer.devices=1 ", "number of processes per machine that share each batch",
        "optimizer.lr=0.003", "seed=0", "data.fold=0", "early_stopping.patience=null",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=cnn", "lr=0.1"], "unknown option 'lr': use optimizer.lr"),
        (["--model", "cnn", "--learning-rate", "0.1"], "unknown option 'learning_rate': use optimizer.lr"),
        (["model=cnn", "gpus=2"], "unknown option 'gpus': use trainer.devices"),
        (["model=cnn", "device=cuda"], "unknown option 'device': use trainer.accelerator"),
        (["model=cnn", "--batch-size=3"], "unknown option 'batch_size': use data.batch_size"),
        (["model=cnn", "model.dropout_rate=0.1"], "unknown option 'model.dropout_rate': use model.dropout"),
        (["model=gru", "model.layers=2"], "unknown option 'model.layers': use model.num_layers"),
        (["model=cnn", "fp16=true"], "unknown option 'fp16': use trainer.precision"),
        (["model=cnn", "patience=3"], "unknown option 'patience': use early_stopping.patience"),
        (["model=cnn", "momentum=0.9", "optimizer=sgd"], "unknown option 'momentum': use optimizer.momentum"),
    ],
)
def test_train_suggests_names_of_other_libraries(arguments, message, capsys):
    assert main(["train", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("name", ["mlp", "ae", "policy"])
def test_train_takes_synonyms_of_models(name, capsys):
    assert main(["train", f"model={name}", "data=nosuch"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown data 'nosuch'")
    assert main(["train", f"model={name}", "--help"]) == 0
