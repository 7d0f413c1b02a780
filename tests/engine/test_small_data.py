"""Small data: the default batch size shrinks, and errors name rare classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import zoo
from zoo.__main__ import main
from zoo.data.dataset import Splits
from zoo.testing.runs import StopAfter

QUICK = ["logger=csv", "trainer=cpu", "trainer.max_epochs=1", "run_dir=run"]


def table(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows), "y": ["no", "yes"] * (rows // 2)})


def images(folder: Path, each: int) -> None:
    for name, gray in (("dark", 40), ("light", 200)):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            Image.new("L", (12, 12), gray + number).save(folder / name / f"{number}.png")


def words_of(kind: str) -> list[str]:
    """Make small data of a kind and return the words that train on it."""
    if kind == "table":
        table(60).to_csv("t.csv", index=False)
        return ["model=fnn", "data=csv", "data.path=t.csv", "data.target=y"]
    if kind == "image":
        images(Path("photos"), 14)
        return ["model=cnn", "data=image_folder", "data.path=photos", "model.channels=[4]", "model.head_hidden_size=0"]
    if kind == "text":
        lines = [f"{'good' if n % 2 else 'bad'} film {n % 3}\t{n % 2}" for n in range(30)]
        Path("t.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
        return ["model=gru", "data=text", "data.path=t.tsv", "data.target=label"]
    days = pd.date_range("2020-01-01", periods=70)
    pd.DataFrame({"day": days, "v": np.arange(70) % 7}).to_csv("s.csv", index=False)
    return ["model=gru", "data=series", "data.path=s.csv", "data.context_length=13", "data.prediction_length=2"]


@pytest.mark.parametrize(
    "kind", ["table", *(pytest.param(k, marks=pytest.mark.slow) for k in ("image", "text", "series"))]
)
def test_default_batch_size_shrinks_for_small_data(kind, capfd):
    words = words_of(kind)
    assert main(["train", *words, *QUICK]) == 0
    notes = [line for line in capfd.readouterr().err.splitlines() if "batch_size" in line]
    size = yaml.safe_load(Path("run/config.yaml").read_text())["data"]["batch_size"]
    (note,) = notes
    assert note.startswith(f"note: data.batch_size={size}, because there are only ")
    rows = int(note.split()[-3])
    assert 2 <= size <= rows
    assert main(["train", *words, "data.batch_size=1000", *QUICK[:-1]]) == 2
    assert "data.batch_size=1000: larger than the" in capfd.readouterr().err


def test_resume_keeps_the_shrunk_batch_size(capfd):
    data, more = (np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2), {"logger": "csv", "report": False}
    trainer = {"max_epochs": 2, "accelerator": "cpu"}
    reference = zoo.train("fnn", data, trainer=trainer, run_dir="whole", **more)
    with pytest.raises(zoo.Stopped):
        zoo.train("fnn", data, trainer=trainer, run_dir="cut", callbacks=[StopAfter(3)], **more)
    capfd.readouterr()
    assert zoo.resume("cut", data, report=False).metrics == reference.metrics
    assert "note: data.batch_size" not in capfd.readouterr().err
    with pytest.raises(zoo.ZooError, match="data.batch_size=128: larger than the"):
        zoo.train("fnn", data, trainer=trainer, **more, **{"data.batch_size": 128})


def test_csv_names_the_line_of_the_rarest_class(tmp_path, capfd):
    frame = table(60)
    frame.loc[41, "y"] = "maybe"
    frame.to_csv("t.csv", index=False)
    assert main(["train", "model=fnn", "data=csv", "data.path=t.csv", "data.target=y", *QUICK]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: data.folds=5: the class 'maybe' has only 1 row (t.csv, line 43); add rows")
    images(tmp_path / "photos", 8)
    (tmp_path / "photos" / "rare").mkdir()
    Image.new("L", (12, 12), 99).save(tmp_path / "photos" / "rare" / "one.png")
    assert main(["train", "model=cnn", "data=image_folder", "data.path=photos", *QUICK]) == 2
    assert "the class 'rare' has only 1 row (rare/one.png)" in capfd.readouterr().err
    with pytest.raises(zoo.ZooError, match=r"the class 'c' has only 2 rows \(row 3\)"):
        zoo.train("fnn", (np.zeros((22, 2)), np.array(["a", "b", "c", *"ab" * 9, "c"])))


@settings(deadline=None, max_examples=50)
@given(counts=st.lists(st.integers(1, 4), min_size=2, max_size=5, unique=True), folds=st.integers(5, 6))
def test_splits_name_classes_that_are_too_rare(counts, folds):
    y = np.random.default_rng(sum(counts)).permutation(np.repeat(np.arange(len(counts)), counts))
    rarest = int(np.argmin(counts))
    row = int(np.flatnonzero(y == rarest)[0]) + 1
    with pytest.raises(zoo.ZooError, match=rf"class 'k{rarest}' has only {min(counts)} rows? \(row {row}\)"):
        Splits(folds).cut(y, stratify=True, classes=[f"k{k}" for k in range(len(counts))])
