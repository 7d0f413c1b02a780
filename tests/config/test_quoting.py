"""Values on the command line are taken literally, whatever their spelling."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.__main__ import main
from zoo.config.compose import PATH_OPTIONS, compose, quoted

NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\x00"), min_size=1, max_size=20
)


@settings(deadline=None, max_examples=300)
@given(name=NAMES, key=st.sampled_from(PATH_OPTIONS))
def test_quoted_keeps_any_file_name(name, key):
    if "${" in name or name.strip() != name or name[0] in "'\"" or name.lower() == "null":
        return
    (word,) = quoted([f"{key}={name}"])
    assert OverridesParser.create().parse_override(word).value() == name


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data.target=petal width (cm)", "petal width (cm)"),
        ("data.target=größe", "größe"),
        ("data.target=-1", -1),
        ("data.target=[a,b]", ["a", "b"]),
        ("data.target=[petal width (cm),größe]", ["petal width (cm)", "größe"]),
        ("data.target='a b'", "a b"),
        ("data.target=null", None),
        ("run_dir=2024", "2024"),
        ("run_dir=1e5", "1e5"),
        ("run_dir=a,b", "a,b"),
        ("run_dir=null", None),
        ("data.path=[x].csv", "[x].csv"),
        ("data.path=C:\\daten\\", "C:\\daten\\"),
    ],
)
def test_quoted_keeps_hydra_values(word, expected):
    config = compose(["model=fnn", "data=csv", word])
    value = config.run_dir if word.startswith("run_dir") else config.data[word.partition("=")[0].removeprefix("data.")]
    assert value == expected


def test_quoted_keeps_sweeps_and_interpolations():
    words = ["seed=0,1", "model=glob(*)", "run_dir=${oc.env:HOME}/x", "model.dropout=0.1,0.2", "+x=1", "~y", "-m"]
    assert quoted(words, sweep=True) == words
    assert quoted(["data.path=a.csv,b.csv"], sweep=True) == ["data.path=a.csv,b.csv"]


def test_train_takes_values_as_typed(capsys):
    folder = Path("csv/größe (1)")
    folder.mkdir(parents=True)
    frame = pd.DataFrame({"petal width (cm)": [0.1 * n for n in range(60)], "y": [n % 2 for n in range(60)]})
    frame.to_csv(folder / "daten, neu.csv", index=False)
    path = f"data.path={folder}/daten, neu.csv"
    words = ["model=fnn", "data=csv", path, "data.target=petal width (cm)", "trainer.max_epochs=1", "logger=csv"]
    run_dir = "r/données/lr=0.1"
    assert main(["train", *words, f"run_dir={run_dir}", "trainer=cpu"]) == 0
    command = json.loads(Path(run_dir, "results.json").read_text())["command"]
    assert shlex.split(command)[2:] == [*words, f"run_dir={run_dir}", "trainer=cpu"]
    assert main(["evaluate", run_dir]) == 0
    assert main(["evaluate", run_dir, path]) == 0
    assert main(["evaluate", run_dir, "data=csv", path, "data.target=petal width (cm)", "rows=all"]) == 0
    capsys.readouterr()
    assert main(["train", "model=fnn", "model.hidden_sizes=[64,", "data=wine"]) == 2
    assert re.search("invalid syntax", capsys.readouterr().err)


def test_train_names_the_option_of_the_same_group(capsys):
    for word, near in (("optimizer.learning_rate=0.1", "optimizer.lr"), ("trainer.epochs=3", "trainer.max_epochs")):
        assert main(["train", "model=fnn", word]) == 2
        assert f"use {near}" in capsys.readouterr().err


def test_quoting_paths_exist_as_options():
    config = compose(["model=cnn", "data=image_folder"])
    known = {"run_dir", *(f"data.{key}" for key in config.data)}
    assert {"run_dir", "data.path", "data.labels", "data.cache_dir"} <= set(PATH_OPTIONS) & known
