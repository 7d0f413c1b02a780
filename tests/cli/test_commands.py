"""Commands that use a trained model, and those that list and describe."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import zoo
from zoo.__main__ import main
from zoo.config import groups
from zoo.data import load
from zoo.data.sequence.spec import SequenceReading, SequenceSpec


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_list_and_info_cover_every_model(capsys):
    assert main(["list"]) == 0
    names = [line.split()[0] for line in lines(capsys)[1:-3]]
    assert names == groups.choices("model")
    assert main(["list", "data"]) == 0
    assert {line.split()[0] for line in lines(capsys)[1:]} == set(groups.choices("data")) & set(zoo.list_data())
    assert main(["info", "dcgan"]) == 0
    message = capsys.readouterr().out
    for part in ("Goodfellow", "500,291 with data=digits", "coverage at least 0.6", "model.network"):
        assert part in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predikt"], "did you mean 'predict'"),
        (["info", "cn"], "did you mean 'cnn'"),
        (["predict", "best.ckpt"], "needs a checkpoint or run folder, then files"),
        (["predict", "none.ckpt", "a.png"], "none.ckpt: no such file"),
        (["predict", "none.ckpt", "a.png", "format=xml"], "unknown format 'xml': choices are table, csv, json"),
        (["evaluate", "none.ckpt", "rowz=all"], "did you mean 'rows'"),
    ],
)
def test_main_rejects_wrong_arguments_with_exit_code_2(words, message, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_help_of_commands_imports_no_torch():
    code = """
import sys
from zoo.__main__ import main
from zoo.cli import COMMANDS, find_command
for name in COMMANDS:
    find_command(name).help()
assert main(["predict", "best.ckpt"]) == 2
assert not {"torch", "lightning", "pandas"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "run"
    quick = {
        "trainer": {"max_epochs": 3, "accelerator": "cpu", "precision": "32-true"},
        "logger": "csv",
        "report": False,
    }
    return zoo.train(
        "cnn", "digits", model_kwargs={"channels": [16, 16], "head_hidden_size": 32}, run_dir=str(folder), **quick
    )


def test_predict_images_of_a_folder_names_a_damaged_one(digits, tmp_path, capsys):
    x = load("digits").test["x"][:70]  # more than are read at once
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(x[:, 0].numpy()):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number:02}.png")
    (tmp_path / "photos" / "50.png").write_bytes(b"\x89PNG no")
    assert main(["predict", str(digits.folder), "photos", "format=json"]) == 1
    message = capsys.readouterr()
    rows = [json.loads(line) for line in message.out.splitlines()]
    assert "photos/50.png: is not a readable image" in message.err
    assert len(message.err.splitlines()) == 1
    want = digits.model.predict(x)["label"]
    assert [row["label"] for row in rows] == [label for n, label in enumerate(want) if n != 50]
    assert main(["predict", str(digits.folder), "photos/07.png", "format=csv", "out=one.csv"]) == 0
    (row,) = csv.DictReader((tmp_path / "one.csv").open())
    probability = [float(row[f"p({name})"]) for name in "0123456789"]
    assert probability == pytest.approx(digits.model.predict(x[7])["probability"][0].tolist(), abs=1e-5)
    assert main(["predict", str(digits.folder), "photos/07.png", "photos/08.png", "top=1"]) == 0
    assert [line.split()[:2] for line in lines(capsys)] == [[f"photos/0{n}.png", want[n]] for n in (7, 8)]


def test_evaluate_equals_the_runs_metrics(digits, tmp_path, capsys):
    assert main(["evaluate", str(digits.folder), "out=figures.json"]) == 0
    content = json.loads((tmp_path / "figures.json").read_text())
    for name, value in digits.metrics.items():
        assert content["metrics"][name.removeprefix("test/")] == pytest.approx(value, abs=1e-5)
    assert content["baselines"]["logistic regression"]["accuracy"] > 0.9
    assert main(["evaluate", str(digits.folder), "rows=all"]) == 0
    assert lines(capsys)[-6].startswith("cnn on digits, 1,797 rows")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A model of a table with text, gaps and more rows than are read at once; its frame, without the target."""
    folder, random = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    frame = pd.DataFrame({"age": random.integers(1, 90, 9000), "town": random.choice(["Ulm", "Bonn, am Rhein"], 9000)})
    frame["pay"] = frame["age"] * 2.0 + (frame["town"] == "Ulm") * 30
    frame.loc[::50, "age"] = np.nan
    frame.to_csv(folder / "all.csv", index=False)
    settings = {
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "precision": "32-true"},
        "logger": "csv",
        "report": False,
    }
    settings |= {"data.path": str(folder / "all.csv"), "data.target": "pay", "run_dir": str(folder / "run")}
    return zoo.train("fnn", "csv", **settings), frame.drop(columns="pay")


@pytest.mark.parametrize("how", ["file", "standard input", "semicolons in another order"])
def test_predict_csv_in_chunks(how, people, tmp_path, capsys, monkeypatch):
    run, frame = people
    want = run.model.predict(frame)["value"].tolist()
    place, raw = tmp_path / "new.csv", frame.to_csv(index=False).encode()
    if how.startswith("semicolons"):
        raw = frame[["town", "age"]].to_csv(index=False, sep=";").encode()
    place.write_bytes(raw)
    if how == "standard input":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(raw))))
    assert main(["predict", str(run.folder), "-" if how == "standard input" else "new.csv", "format=json"]) == 0
    rows = [json.loads(line) for line in lines(capsys)]
    assert [row["input"] for row in rows[:2]] == ["2", "3"]  # the lines of the file
    assert [row["value"] for row in rows] == pytest.approx(want, rel=1e-5)


def test_predict_names_the_line_of_a_bad_row(people, tmp_path, capsys):
    run, frame = people
    good = frame.head(5).to_csv(index=False)
    (tmp_path / "good.csv").write_text(good)
    (tmp_path / "text.csv").write_text(good + "old,Ulm\n")
    (tmp_path / "long.csv").write_text(good + "1,Ulm,3\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "open.csv").write_text('age,town\n1,"' + "x" * 200_000)
    assert main(["predict", str(run.folder), "text.csv", "long.csv", "other.csv", "open.csv", "good.csv"]) == 1
    message = capsys.readouterr()
    assert len(message.out.splitlines()) == 5
    text, long, other, unclosed = message.err.splitlines()
    assert "open.csv, line 2: " in unclosed
    assert "a quotation mark may be missing there" in unclosed
    assert "'old' is text in a numeric column" in text
    assert "long.csv, line 7: has 3 fields; the first row has 2" in long
    assert "the columns age, town are missing" in other


def test_predict_texts_by_lines(tmp_path, capsys):
    words = [f"{'good' if n % 2 else 'bad'} film number {n % 7}" for n in range(200)]
    frame = pd.DataFrame({"text": words, "label": ["yes" if n % 2 else "no" for n in range(200)]})
    frame.to_csv(tmp_path / "films.csv", index=False)
    settings = {"data.path": "films.csv", "data.text_column": "text", "data.target": "label", "data.batch_size": 16}
    trainer = {"max_epochs": 6, "accelerator": "cpu"}
    run = zoo.train("gru", "text", trainer=trainer, report=False, run_dir="run", logger="csv", **settings)
    (tmp_path / "new.txt").write_text("good film number 3\n\nbad film number 5\n")
    assert main(["predict", str(run.folder), "new.txt", "format=json"]) == 0
    rows = [json.loads(line) for line in lines(capsys)[-2:]]
    assert [(row["input"], row["label"]) for row in rows] == [("1", "yes"), ("3", "no")]


def test_predict_series_continues_its_dates(tmp_path, capsys):
    days = pd.date_range("2020-01-01", periods=400, freq="MS")
    values = 10 + np.sin(np.arange(400) / 3)
    pd.DataFrame({"month": days, "sold": values}).to_csv(tmp_path / "sold.csv", index=False)
    trainer = {"max_epochs": 1, "accelerator": "cpu", "precision": "32-true"}
    options = {"data.path": "sold.csv", "data.context_length": 24, "data.prediction_length": 3, "data.batch_size": 16}
    run = zoo.train("gru", "series", trainer=trainer, report=False, run_dir="run", logger="csv", **options)
    assert main(["predict", str(run.folder), "sold.csv", "format=json"]) == 0
    rows = [json.loads(line) for line in lines(capsys)[-3:]]
    assert [row["time"] for row in rows] == ["2053-05-01", "2053-06-01", "2053-07-01"]
    want = run.model.predict(values[-24:, None])["value"][0, :, 0].tolist()
    assert [row["sold"] for row in rows] == pytest.approx(want, rel=1e-5)


def test_recordings_are_read_as_in_training(tmp_path):
    import wave

    from zoo.data.inputs import pieces
    from zoo.data.sequence.read import log_mel, normalize_level, read_wav

    for number in range(2):
        with wave.open(str(tmp_path / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((9000 * np.sin(np.arange(3000 + 500 * number) / 4)).astype("<i2").tobytes())
    (tmp_path / "2.wav").write_bytes(b"RIFF")
    spec = SequenceSpec(
        "a",
        "classification",
        (128, 40),
        classes=("a", "b"),
        reading=SequenceReading("log_mel", "recording"),
    )
    read = list(pieces(spec, [str(tmp_path)]))
    assert [bool(piece.wrong) for piece in read] == [False, False, True]
    frames = torch.from_numpy(log_mel(read_wav(tmp_path / "1.wav")))
    assert np.array_equal(read[1].raw[0], normalize_level(frames[None], torch.tensor([len(frames)]))[0].numpy())
