"""Output files of ``zoo predict``: complete or unchanged, and notes on inputs without rows."""

import csv
import os
import threading

import numpy as np
import pytest
from PIL import Image

from zoo.__main__ import main
from zoo.data import load


@pytest.fixture
def wines(tmp_path):
    """Write rows of wine as a CSV; return its path."""
    x = load("wine").test["x"][:5].numpy()
    names = ",".join(load("wine").spec.columns)
    (tmp_path / "wines.csv").write_text("\n".join([names, *(",".join(map(str, row)) for row in x)]) + "\n")
    return tmp_path / "wines.csv"


@pytest.mark.parametrize("inputs", [["nosuch.csv"], ["header.csv"], ["text.csv"], ["wines.csv", "nosuch.csv"]])
def test_predict_keeps_the_old_file_without_predictions(inputs, wines, tmp_path, capsys):
    header = wines.read_text().splitlines()[0]
    (tmp_path / "header.csv").write_text(header + "\n")
    (tmp_path / "text.csv").write_text(header + "\n" + ",".join(["old"] * 13) + "\n")
    (tmp_path / "answers.csv").write_text("before")
    assert main(["predict", "fnn/wine", *inputs, "out=answers.csv"]) in (1, 2)
    assert (tmp_path / "answers.csv").read_text() == "before"
    assert not list(tmp_path.glob("*.tmp"))
    assert capsys.readouterr().err.startswith("error: ")


def test_predict_replaces_the_old_file_despite_a_damaged_input(wines, tmp_path, capsys):
    (tmp_path / "answers.csv").write_text("before")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert main(["predict", "fnn/wine", "wines.csv", "bad.csv", "format=csv", "out=answers.csv"]) == 1
    rows = list(csv.DictReader((tmp_path / "answers.csv").open()))
    assert [row["input"] for row in rows] == ["2", "3", "4", "5", "6"]
    assert "missing" in capsys.readouterr().err


def test_predict_streams_rows_into_a_pipe(wines, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    lines = []
    reader = threading.Thread(target=lambda: lines.extend((tmp_path / "pipe").read_text().splitlines()))
    reader.start()
    assert main(["predict", "fnn/wine", "wines.csv", "out=pipe"]) == 0
    reader.join(20)
    assert len(lines) == 5
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n\r\n"])
def test_predict_header_alone_has_no_rows(ending, wines, tmp_path, capsys):
    (tmp_path / "header.csv").write_text(wines.read_text().splitlines()[0] + ending)
    assert main(["predict", "fnn/wine", "header.csv", "wines.csv"]) == 1
    message = capsys.readouterr()
    assert "header.csv" in message.err
    assert "no rows" in message.err
    assert len(message.out.splitlines()) == 5


def test_predict_names_a_damaged_image_and_writes_the_others(tmp_path, capsys):
    for number in range(3):
        Image.fromarray(np.full((8, 8), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"\x89PNG")
    assert main(["predict", "cnn/digits", ".", "format=csv", "out=answers.csv"]) == 1
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 3
    assert "1.png" in capsys.readouterr().err
