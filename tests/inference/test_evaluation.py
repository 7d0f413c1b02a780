"""``zoo evaluate`` on new files: metrics equal those of ``zoo predict`` against the labels."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import zoo
from zoo.__main__ import main
from zoo.data import load
from zoo.data.labeled import ABSENT, class_numbers, same_name

QUICK = {"trainer": {"max_epochs": 2, "accelerator": "cpu", "precision": "32-true"}, "logger": "csv", "report": False}


def trained(model, data, folder, **settings):
    quick = {"data.batch_size": 16, "optimizer.lr": 0.01, "run_dir": str(folder / "run"), **settings}
    return zoo.train(model, data, **{**QUICK, **quick})


def eval_step(run, *words, capsys):
    """Return what ``zoo evaluate`` writes, and what it says on standard error."""
    capsys.readouterr()
    assert main(["evaluate", str(run.folder), *map(str, words), "out=metrics.json"]) == 0, capsys.readouterr().err
    with open("metrics.json") as file:
        return json.load(file), capsys.readouterr().err


def predicted(run, *places, capsys):
    """Return the rows that ``zoo predict`` prints."""
    capsys.readouterr()
    assert main(["predict", str(run.folder), *map(str, places), "format=json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def share(rows, truth):
    labels = [row["label"] for row in rows]
    assert len(labels) == len(truth)
    return np.mean([label == name for label, name in zip(labels, truth, strict=True)])


# --- tables ---


def people(rows, seed=0):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": random.integers(1, 90, rows), "town": random.choice(["Ulm", "Bonn", "Kiel"], rows)})
    frame["pay"] = random.normal(size=rows).round(3)
    score = frame["age"] / 45 + (frame["town"] == "Ulm") + random.normal(size=rows) / 2
    frame["group"] = pd.cut(score, [-9, 0.8, 1.6, 9], labels=["low", "mid", "high"]).astype(str)
    return frame


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    people(300).to_csv(folder / "all.csv", index=False)
    return trained("fnn", "csv", folder, **{"data.path": str(folder / "all.csv"), "data.target": "group"})


def with_gaps(frame):
    frame = frame.astype({"age": float})
    frame.loc[::7, "age"], frame.loc[::5, "town"] = np.nan, None
    return frame


TABLES = {
    "as in training": lambda frame: frame,
    "semicolons": lambda frame: frame,
    "new categories": lambda frame: frame.replace({"town": {"Kiel": "Graz"}}),
    "fewer categories": lambda frame: frame[frame["town"] != "Bonn"],
    "gaps": with_gaps,
    "few rows": lambda frame: frame.head(2),
    "one row": lambda frame: frame.head(1),
    "one class": lambda frame: frame[frame["group"] == "mid"],
    "classes missing": lambda frame: frame[frame["group"] != "high"],
    "a new class": lambda frame: frame.replace({"group": {"high": "top"}}),
    "new classes alone": lambda frame: frame.assign(group="none of these"),
    "columns in another order": lambda frame: frame[["group", "pay", "town", "age"]],
    "further columns": lambda frame: frame.assign(note="a", number=range(len(frame))),
}


@pytest.mark.parametrize("name", TABLES)
def test_evaluate_table_equals_its_predictions(name, table, tmp_path, capsys):
    frame = TABLES[name](people(60, seed=1))
    frame.to_csv(tmp_path / "new.csv", index=False, sep=";" if name == "semicolons" else ",")
    result, output = eval_step(
        table, "data=csv", f"data.path={tmp_path / 'new.csv'}", "data.target=group", capsys=capsys
    )
    rows = predicted(table, "new.csv", capsys=capsys)
    assert result["rows"] == len(frame)
    assert result["metrics"]["accuracy"] == pytest.approx(share(rows, frame["group"]))
    assert result["baselines"].keys() == ({"majority"} if name != "new classes alone" else set())
    assert ("not seen in training" in output) == (name in ("new categories", "gaps"))
    assert ("classes unknown to the model" in output) == (name in ("a new class", "new classes alone"))
    assert ("auroc" in result["metrics"]) == (name not in ("one row", "one class", "new classes alone"))


def test_evaluate_leaves_out_rows_without_a_target(table, tmp_path, capsys):
    frame = people(40, seed=2)
    frame.loc[:4, "group"] = None
    frame.to_csv(tmp_path / "new.csv", index=False)
    result, output = eval_step(table, "data.path=new.csv", capsys=capsys)
    assert result["rows"] == 35
    assert "left out 5 rows without a value in group" in output
    rows = predicted(table, "new.csv", capsys=capsys)[5:]
    assert result["metrics"]["accuracy"] == pytest.approx(share(rows, frame["group"][5:]))


def test_evaluate_training_file_on_its_test_rows(table, capsys):
    path = table.folder.parent / "all.csv"
    result, _ = eval_step(table, "data=csv", f"data.path={path}", "data.target=group", capsys=capsys)
    assert result["metrics"]["accuracy"] == pytest.approx(table.metrics["test/accuracy"])
    assert result["rows"] == 60
    assert eval_step(table, "rows=all", capsys=capsys)[0]["rows"] == 300


def test_evaluate_without_a_run_reads_by_modality(tmp_path, capsys):
    wine = load("wine")
    x, y = wine.test["x"], wine.test["y"]
    table = pd.DataFrame(x.numpy(), columns=list(wine.spec.columns)).assign(grower=[f"class_{int(one)}" for one in y])
    table.to_csv(tmp_path / "wines.csv", index=False)
    assert main(["evaluate", "fnn/wine", "data.path=wines.csv"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0] == "fnn on wines.csv, 36 rows"
    assert main(["evaluate", "fnn/wine"]) == 0
    assert output[1].split()[:2] == capsys.readouterr().out.splitlines()[1].split()[:2] == ["accuracy", "1"]


def test_evaluate_names_a_missing_training_file(tmp_path, capsys):
    people(120).to_csv(tmp_path / "all.csv", index=False)
    run = trained("fnn", "csv", tmp_path, **{"data.path": str(tmp_path / "all.csv"), "data.target": "group"})
    (tmp_path / "all.csv").rename(tmp_path / "moved.csv")
    assert main(["evaluate", str(run.folder)]) == 2
    assert "all.csv: no such file or folder (the training data of the run). Set data.path=" in capsys.readouterr().err
    assert eval_step(run, "data.path=moved.csv", capsys=capsys)[0]["rows"] == 120


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["data=csv", "data.path=none.csv"], "no such file"),
        (["data=text", "data.path=new.csv"], "is text data; the model needs table data for classification"),
        (["data=csv", "data.path=other.csv", "data.target=b"], "other.csv: the columns age, town, pay are missing"),
        (["data=csv", "data.path=new.csv", "data.target=z"], "unknown column in data.target"),
        (["data=csv", "data.path=new.csv", "rows=test"], "has no parts"),
        (["data=csv", "data.path=header.csv", "data.target=group"], "no rows"),
    ],
)
def test_evaluate_rejects_an_unfit_file_in_one_line(words, output, table, tmp_path, capsys):
    people(5).to_csv(tmp_path / "new.csv", index=False)
    people(5).head(0).to_csv(tmp_path / "header.csv", index=False)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n3,4\n")
    assert main(["evaluate", str(table.folder), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert output in line


def test_evaluate_notes_options_without_effect(table, tmp_path, capsys):
    people(9).to_csv(tmp_path / "new.csv", index=False)
    _, output = eval_step(
        table, "data=csv", "data.path=new.csv", "data.folds=3", "data.drop_columns=[pay]", capsys=capsys
    )
    assert "data.folds is ignored" in output
    assert "data.drop_columns is ignored" in output


def test_evaluate_matches_numeric_classes_by_value(tmp_path, capsys):
    frame = people(120)
    frame["group"] = frame["group"].map({"low": 1, "mid": 2, "high": 3})
    frame.to_csv(tmp_path / "all.csv", index=False)
    run = trained("fnn", "csv", tmp_path, **{"data.path": "all.csv", "data.target": "group"})
    new = people(30, seed=3)
    new["group"] = new["group"].map({"low": 1.0, "mid": 2.0, "high": 3.0})
    new.to_csv(tmp_path / "new.csv", index=False)
    result, _ = eval_step(run, "data.path=new.csv", capsys=capsys)
    rows = predicted(run, "new.csv", capsys=capsys)
    assert result["metrics"]["accuracy"] == pytest.approx(share(rows, new["group"].astype(int).astype(str)))


def test_evaluate_regression_equals_its_predictions(tmp_path, capsys):
    people(200).drop(columns="group").to_csv(tmp_path / "all.csv", index=False)
    run = trained("fnn", "csv", tmp_path, **{"data.path": "all.csv", "data.target": "pay"})
    for count in (1, 30):
        frame = with_gaps(people(count, seed=4)).drop(columns="group")
        frame.to_csv(tmp_path / "new.csv", index=False)
        result, _ = eval_step(run, "data.path=new.csv", capsys=capsys)
        values = np.array([row["value"] for row in predicted(run, "new.csv", capsys=capsys)])
        assert result["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean((values - frame["pay"]) ** 2)), rel=1e-4)
        assert ("r2" in result["metrics"]) == (count > 1)
        assert "rmse" in result["baselines"]["mean"]


def test_evaluate_multilabel(tmp_path, capsys):
    frame = people(200)
    frame["old"], frame["north"] = (frame["age"] > 45).astype(int), (frame["town"] == "Kiel").astype(int)
    frame = frame.drop(columns="group")
    frame.to_csv(tmp_path / "all.csv", index=False)
    run = trained("fnn", "csv", tmp_path, **{"data.path": "all.csv", "data.target": ["old", "north"]})
    new = frame[frame["north"] == 0].head(30)
    new.to_csv(tmp_path / "new.csv", index=False)
    result, _ = eval_step(run, "data.path=new.csv", capsys=capsys)
    labels = [row["label"].split("+") for row in predicted(run, "new.csv", capsys=capsys)]
    right = [
        (name in output) == bool(on)
        for output, (_, row) in zip(labels, new.iterrows(), strict=True)
        for name, on in (("old", row["old"]), ("north", row["north"]))
    ]
    assert result["metrics"]["accuracy"] == pytest.approx(np.mean(right))


def test_evaluate_anomalies_by_normal_classes(tmp_path, capsys):
    frame = people(200)
    frame.to_csv(tmp_path / "all.csv", index=False)
    settings = {"data.path": "all.csv", "data.target": "group", "data.normal_classes": ["low", "mid"]}
    run = trained("autoencoder", "csv", tmp_path, task="reconstruction", **settings)
    new = people(40, seed=5).replace({"group": {"high": "unheard of"}})
    new.to_csv(tmp_path / "new.csv", index=False)
    result, _ = eval_step(run, "data=csv", "data.path=new.csv", "data.target=group", capsys=capsys)
    score = run.model.predict(new)["score"].numpy()
    unknown = new["group"].to_numpy() == "unheard of"
    assert result["metrics"]["auroc"] == pytest.approx((score[unknown][:, None] > score[~unknown]).mean(), abs=1e-6)
    new[~unknown].to_csv(tmp_path / "new.csv", index=False)
    result, output = eval_step(run, "data=csv", "data.path=new.csv", "data.target=group", capsys=capsys)
    assert "auroc" not in result["metrics"]
    assert "undefined on these rows" in output


# --- images ---


def shape(name, side, random):
    """Return a noisy image that is bright on its left, its right or its top."""
    x = random.integers(0, 90, (side, 2 * side)).astype(np.uint8)
    half = {"left": np.s_[:, :side], "right": np.s_[:, side:], "top": np.s_[: side // 2]}[name]
    x[half] += 100
    return x


def draw(folder, names, count, *, side=12, seed=0):
    """Write images and return the class of each by its path."""
    random, truth = np.random.default_rng(seed), {}
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            place = folder / name / f"{number}.png"
            Image.fromarray(shape(name.rpartition("/")[2].replace("new", "top"), side, random)).save(place)
            truth[place] = name.rpartition("/")[2]
    return truth


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    draw(folder / "all", ["left", "right", "top"], 30)
    settings = {
        "data.path": str(folder / "all"),
        "data.size": 8,
        "data.resize_mode": "resize",
        "data.cache_dir": str(folder / "c"),
    }
    return trained("cnn", "image_folder", folder, model_kwargs={"channels": [8], "head_hidden_size": 8}, **settings)


FOLDERS = {
    "other sizes": (["left", "right", "top"], {"side": 30}),
    "a class missing": (["left", "top"], {}),
    "one class": (["right"], {}),
    "a new class": (["left", "right", "new"], {}),
    "parts": (["train/left", "test/left", "test/right"], {}),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_evaluate_image_folder_equals_its_predictions(name, images, tmp_path, capsys):
    names, options = FOLDERS[name]
    truth = draw(tmp_path / "new", names, 5, seed=1, **options)
    (tmp_path / "new" / names[0] / "damaged.png").write_bytes(b"\x89PNG no")
    result, output = eval_step(images, "data=image_folder", "data.path=new", capsys=capsys)
    (tmp_path / "new" / names[0] / "damaged.png").unlink()
    rows = predicted(images, tmp_path / "new", capsys=capsys)
    assert result["metrics"]["accuracy"] == pytest.approx(share(rows, [truth[Path(row["input"])] for row in rows]))
    assert result["rows"] == len(truth)
    assert "left out 1 images that cannot be read" in output
    if name == "parts":
        assert eval_step(images, "data.path=new", "rows=test", capsys=capsys)[0]["rows"] == 10


def test_evaluate_images_labeled_by_a_list(images, tmp_path, capsys):
    truth = draw(tmp_path / "new", ["left", "right", "top"], 4, seed=2)
    loose = tmp_path / "loose"
    loose.mkdir()
    lines = ["file,class"]
    for number, (place, name) in enumerate(truth.items()):
        place.rename(loose / f"{number}.png")
        lines.append(f"{number},{name}")
    (tmp_path / "labels.csv").write_text("\n".join([*lines, "gone,left"]) + "\n")
    words = ["data=image_folder", "data.path=loose", "data.labels=labels.csv", "data.target=class"]
    result, output = eval_step(images, *words, capsys=capsys)
    names = dict(line.split(",") for line in lines[1:])
    rows = predicted(images, "loose", capsys=capsys)
    assert result["metrics"]["accuracy"] == pytest.approx(share(rows, [names[Path(row["input"]).stem] for row in rows]))
    assert "left out 1 lines" in output


def test_evaluate_arrays_by_class_names_of_training(tmp_path, capsys):
    random = np.random.default_rng(0)
    names = ["left", "right", "top"]
    y = np.repeat([3, 5, 9], 30)
    x = np.stack([shape(names[[3, 5, 9].index(label)], 8, random) for label in y])
    np.savez(tmp_path / "all.npz", images=x, labels=y)
    settings = {"data.path": "all.npz", "data.classes": names, "model_kwargs": {"channels": [8], "head_hidden_size": 8}}
    run = trained("cnn", "npz", tmp_path, **settings)
    keep = y != 3
    np.savez(tmp_path / "new.npz", x=x[keep], y=y[keep].astype(float)[:, None])
    result, _ = eval_step(run, "data=npz", "data.path=new.npz", capsys=capsys)
    truth = [names[[3, 5, 9].index(label)] for label in y[keep]]
    assert result["metrics"]["accuracy"] == pytest.approx(
        np.mean([label == name for label, name in zip(run.model.predict(x[keep])["label"], truth, strict=True)])
    )
    np.savez(tmp_path / "parts.npz", train_images=x, train_labels=y, test_images=x[:10], test_labels=y[:10])
    assert eval_step(run, "data=npz", "data.path=parts.npz", "rows=test", capsys=capsys)[0]["rows"] == 10
    assert eval_step(run, "data=npz", "data.path=parts.npz", capsys=capsys)[0]["rows"] == 100


# --- texts ---

FILMS = {"yes": "good fine lovely warm", "no": "bad dull slow cold"}


def films(rows, seed=0, more=""):
    random = np.random.default_rng(seed)
    labels = random.choice(list(FILMS), rows)
    texts = [" ".join(random.choice((FILMS[label] + " a film the plot" + more).split(), 6)) for label in labels]
    return pd.DataFrame({"review": texts, "label": labels})


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    films(200).to_csv(folder / "all.csv", index=False)
    settings = {"data.path": str(folder / "all.csv"), "data.text_column": "review", "data.target": "label"}
    return trained("gru", "text", folder, **settings)


@pytest.mark.parametrize("name", ["a table", "one class", "a folder"])
def test_evaluate_texts_equals_their_predictions(name, texts, tmp_path, capsys):
    frame = films(30, seed=1, more=" unheard words")
    frame = frame[frame["label"] == "no"] if name == "one class" else frame
    words = ["data=text", "data.path=new.csv", "data.text_column=review", "data.target=label"]
    if name == "a folder":
        for number, (text, label) in enumerate(zip(frame["review"], frame["label"], strict=True)):
            (tmp_path / "new" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "new" / label / f"{number}.txt").write_text(text)
        words = ["data=text", "data.path=new"]
    frame.to_csv(tmp_path / "new.csv", index=False)
    result, output = eval_step(texts, *words, capsys=capsys)
    place = "new" if name == "a folder" else "new.csv"
    rows = predicted(texts, place, capsys=capsys)
    truth = [Path(row["input"]).parent.name for row in rows] if name == "a folder" else frame["label"]
    assert result["metrics"]["accuracy"] == pytest.approx(share(rows, truth))
    unknown = sum(word in ("unheard", "words") for text in frame["review"] for word in text.split())
    assert main(["predict", str(texts.folder), place]) == 0
    assert f"note: {unknown:,} of {6 * len(frame):,} words are unknown to the model" in capsys.readouterr().err
    assert f"note: {unknown:,} of {6 * len(frame):,} values were not seen in training" in output


def test_evaluate_language_model_uses_its_vocabulary(tmp_path, capsys):
    (tmp_path / "all.txt").write_text("the sea is wide and deep " * 60)
    run = trained("gru", "text_file", tmp_path, **{"data.path": "all.txt", "data.block_size": 16, "data.batch_size": 8})
    for text in ("the sea is deep", "öä", "the sea is deep and wide " * 50):
        (tmp_path / "new.txt").write_text(text)
        result, output = eval_step(run, "data.path=new.txt", capsys=capsys)
        assert np.isfinite(result["metrics"]["nll"])
        assert ("not seen in training" in output) == (text == "öä")


# --- time series ---


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    series(400).to_csv(folder / "all.csv", index=False)
    return trained(
        "gru",
        "series",
        folder,
        **{"data.path": str(folder / "all.csv"), "data.context_length": 24, "data.prediction_length": 3},
    )


def series(rows, seed=0, first="2020-01-01"):
    random, at = np.random.default_rng(seed), np.arange(rows)
    sold = 10 + np.sin(at / 4) + random.normal(size=rows) / 9
    return pd.DataFrame({"day": pd.date_range(first, periods=rows), "sold": sold, "seen": sold * 3 + at % 5})


@pytest.mark.parametrize("name", ["as in training", "a gap", "columns in another order", "one window"])
def test_evaluate_series_every_window(name, waves, tmp_path, capsys):
    frame = series(27 if name == "one window" else 90, seed=1, first="2031-05-05")
    frame = frame[["seen", "day", "sold"]] if name.startswith("columns") else frame
    if name == "a gap":
        frame.loc[30, "sold"] = np.nan
    frame.to_csv(tmp_path / "new.csv", index=False)
    result, _ = eval_step(waves, "data=series", "data.path=new.csv", capsys=capsys)
    values = frame[["sold", "seen"]].to_numpy()
    begins = [n for n in range(len(values) - 26) if not np.isnan(values[n : n + 27]).any()]
    past, future = (np.stack([values[n + first : n + last] for n in begins]) for first, last in ((0, 24), (24, 27)))
    error = waves.model.predict(past.astype(np.float32))["value"].numpy() - future
    assert result["rows"] == len(begins)
    assert result["metrics"]["mse_original"] == pytest.approx((error**2).mean(), rel=1e-3)
    assert "mse" in result["baselines"]["repeat last"]
    assert ("left out" in eval_step(waves, "data.path=new.csv", capsys=capsys)[1]) == (name == "a gap")


def test_evaluate_rejects_a_short_series(waves, tmp_path, capsys):
    series(20).to_csv(tmp_path / "new.csv", index=False)
    assert main(["evaluate", str(waves.folder), "data.path=new.csv"]) == 2
    assert "has 20 rows; a window needs 27 rows without a gap" in capsys.readouterr().err


# --- built-in data, and names ---


def test_on_dataset_matches_classes_by_name():
    from dataclasses import replace

    from zoo.inference.evaluate import on_dataset

    model, dataset = zoo.load("evaluator/digits"), load("digits")
    plain = on_dataset(model, dataset, ["test"])
    order = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])  # the new number of each class
    names = [dataset.spec.classes[int(k)] for k in order.argsort()]
    moved = {part: {**getattr(dataset, part), "y": order[getattr(dataset, part)["y"]]} for part in ("train", "test")}
    other = replace(dataset, spec=replace(dataset.spec, classes=tuple(names)), **moved)
    evaluation = on_dataset(model, other, ["test"])
    assert evaluation.metrics == pytest.approx(plain.metrics)
    names[0] = "a new one"
    lost = on_dataset(model, replace(other, spec=replace(other.spec, classes=tuple(names))), ["test"])
    assert lost.metrics["accuracy"] < plain.metrics["accuracy"]
    assert "'a new one' (" in lost.notes[-1]


@pytest.mark.parametrize(
    ("name", "number"),
    [("3", 1), ("3.0", 1), (" 3.00 ", 1), ("'low'", 0), ("low", 0), ("03", 2), ("Low", ABSENT), ("4", ABSENT)],
)
def test_class_numbers_match_exactly_before_by_value(name, number):
    assert class_numbers([name], ["low", "3", "03", "-0.50"]).tolist() == [number]
    assert same_name("-0.5") == same_name("-0.500")
    assert same_name("100") == "100"
    assert same_name("0") == same_name("-0.0")
