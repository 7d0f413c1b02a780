"""Tables: CSV files, targets, imputation, multilabel and rare classes, numerical embeddings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sk

import zoo
from zoo.config.schema import ObjectiveOptions
from zoo.data import load
from zoo.data.arrays import from_arrays
from zoo.data.table.frames import quantile_edges
from zoo.data.table.spec import TableSpec
from zoo.layers.tabular import PiecewiseLinearEmbedding
from zoo.tasks.baselines import baselines
from zoo.tasks.classification import Classification, MultilabelClassification

ROWS = 200


def frame(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size, kind = rng.normal(50, 10, ROWS).round(3), rng.choice(["oak", "pine", "yew"], ROWS)
    height = 3 * size + 40 * (kind == "pine") + rng.normal(0, 1, ROWS)
    return pd.DataFrame({"size": size, "kind": kind, "height": height.round(2), "tall": (height > 160).astype(int)})


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return str(path)


def csv(**options) -> str:
    return frame().to_csv(index=False, **options)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (csv(), "utf-8"),
        (csv(), "utf-8-sig"),
        (csv(), "utf-16"),
        (csv(sep=";"), "utf-8"),
        (csv(sep="\t"), "utf-8"),
        (csv(sep="|"), "utf-8"),
        (csv(quoting=1, lineterminator="\r\n"), "utf-8"),
        (csv().replace(",", ", ") + "\n\n", "utf-8"),
    ],
)
def test_csv_encodings_and_delimiters_read_alike(tmp_path, text, encoding):
    plain = load("csv", path=write(tmp_path / "a.csv", csv()), target="tall", drop_columns=["height"])
    dressed = load("csv", path=write(tmp_path / "b.csv", text, encoding), target="tall", drop_columns=["height"])
    assert dressed.spec == plain.spec
    assert torch.equal(dressed.train["x"], plain.train["x"])
    assert plain.spec.columns == ("size", "kind")
    assert plain.spec.categories == ((), ("oak", "pine", "yew"))


def test_csv_without_header_has_a_target_by_position(tmp_path):
    path = write(tmp_path / "a.csv", csv(header=False))
    by_place, by_name = load("csv", path=path, target=-1), load("csv", path=path, target="column_4")
    assert by_place.spec == by_name.spec
    assert by_place.spec.columns == ("column_1", "column_2", "column_3")
    assert sum(by_place.sizes) == ROWS
    texts = write(tmp_path / "b.csv", "color,fruit\n" + "red,apple\nyellow,banana\n" * 30)
    assert load("csv", path=texts, target="fruit").spec.classes == ("apple", "banana")
    with pytest.raises(zoo.ZooError, match="has only 1 row"):  # the header, taken for a row
        load("csv", path=texts, target=2, header=False)


def test_csv_quoted_delimiters_and_line_breaks(tmp_path):
    text = "note,y\n" + '"a, b",1\n"c\nd",0\n' * 40
    spec = load("csv", path=write(tmp_path / "a.csv", text), target="y").spec
    assert spec.categories == (("a, b", "c\nd"),)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["no", "yes"] * 100, "classification", ("no", "yes")),
        ([1, 2, 10] * 67, "classification", ("1", "2", "10")),
        (list(range(201)), "regression", ()),
        ([0.5, 1.5] * 100, "regression", ()),
    ],
)
def test_csv_task_from_target_values_or_option(tmp_path, values, task, classes):
    text = "a,y\n" + "\n".join(f"{n % 7},{v}" for n, v in enumerate(values))
    spec = load("csv", path=write(tmp_path / "a.csv", text), target="y").spec
    assert (spec.task, spec.classes) == (task, classes)
    if values[0] == 1:
        assert load("csv", path=str(tmp_path / "a.csv"), target="y", task="regression").spec.task == "regression"


LINES = csv().splitlines()
FIRST = LINES[1].split(",")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("This is no table.\nIt is prose, you see.\nIt goes on\n", "is not a CSV: none of the delimiters"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "is not a CSV: it has bytes that are not text"),
        (csv().replace("oak", "é", 1).encode("latin-1"), r"line \d+: byte \d+ is not UTF-8 text"),
        (LINES[0] + "\n", "has a header but no rows"),
        (csv().replace("size,kind", "kind,kind", 1), "column names occur twice, such as 'kind'"),
        (csv().replace(FIRST, "big", 1), r"line 2, column 'size': 'big' is text in a numeric column.*data.categorical_columns="),
        (csv().replace(FIRST, "inf", 1), "line 2, column 'size': is infinite"),
        (csv().replace(LINES[3], LINES[3] + ",1", 1), "line 4: has 5 fields; other lines have 4"),
        (csv().replace("oak", '"oak', 1), "a quotation mark may be missing"),
        ("\n".join(line.rpartition(",")[0] + ("," + ("tall" if n == 0 else "1")) for n, line in enumerate(LINES)),
         "the target 'tall' is '1' in every row"),
        ("\n".join(line.rpartition(",")[0] + "," * (n == 1) if n == 1 else line for n, line in enumerate(LINES)),
         "line 2, column 'tall': the target is missing"),
        ("\n".join(f"2024-03-{n % 28 + 1:02d},{line}" if n else f"day,{line}" for n, line in enumerate(LINES)),
         "column 'day' has dates, such as '2024-03-02'.*data.drop_columns="),
        ("\n".join(f"no. {n},{line}" if n else f"name,{line}" for n, line in enumerate(LINES)),
         "column 'name' has 200 different texts.*data.drop_columns="),
        ("\n".join(LINES[:4]), "data.folds=5"),
    ],
)  # fmt: skip
def test_csv_rejects_unusable_files_in_one_line(tmp_path, text, message):
    with pytest.raises(zoo.ZooError, match=message) as error:
        load("csv", path=write(tmp_path / "a.csv", text), target="tall")
    assert "\n" not in str(error.value)


def test_csv_suggests_column_names(tmp_path):
    path = write(tmp_path / "a.csv", csv())
    for options, message in (
        ({"target": "tal"}, "did you mean 'tall'"),
        ({"target": 9}, "unknown column"),
        ({}, "data.target: must name the target column"),
        ({"target": "tall", "drop_columns": ["sise"]}, "did you mean 'size'"),
        ({"target": "tall", "positive_class": "2"}, "unknown class in data.positive_class"),
        ({"target": "kind", "task": "regression"}, "is text in a numeric column"),
    ):
        with pytest.raises(zoo.ZooError, match=message):
            load("csv", path=path, **options)
    with pytest.raises(zoo.ZooError, match="data.path=nowhere.csv: no such file"):
        zoo.train("fnn", data="csv", **{"data.path": "nowhere.csv", "data.target": "y"})
    with pytest.raises(zoo.ZooError, match="larger than the 144 training rows"):
        zoo.train("fnn", data="csv", **{"data.path": path, "data.target": "tall", "data.batch_size": 512})


def test_csv_test_file_is_the_test_split(tmp_path):
    train, test = write(tmp_path / "a.csv", csv()), write(tmp_path / "b.csv", frame(1).to_csv(index=False))
    data = load("csv", path=train, test=test, target="tall")
    assert data.sizes == (180, 20, ROWS)
    assert data.test["x"][:, 0].tolist() == pytest.approx(frame(1)["size"].tolist(), rel=1e-6)
    write(tmp_path / "b.csv", frame(1).assign(tall=7).to_csv(index=False))
    with pytest.raises(zoo.ZooError, match=r"b.csv, line 2, column 'tall': the class '7' is not in the training data"):
        load("csv", path=train, test=test, target="tall")
    write(tmp_path / "b.csv", frame(1).drop(columns="kind").to_csv(index=False))
    with pytest.raises(zoo.ZooError, match="b.csv: the columns kind are missing"):
        load("csv", path=train, test=test, target="tall")


def test_impute_values_are_training_medians_with_indicators(tmp_path):
    gaps = frame()
    gaps.loc[::10, "size"] = np.nan
    gaps.loc[::7, "kind"] = None
    data = load("csv", path=write(tmp_path / "a.csv", gaps.to_csv(index=False)), target="tall", drop_columns=["height"])
    spec, x = data.spec, torch.cat([data.train["x"], data.val["x"], data.test["x"]])
    assert (spec.missing_indicators, spec.input_shape, spec.categories[1]) == (
        ("size",),
        (3,),
        ("", "oak", "pine", "yew"),
    )
    assert int(x[:, 2].sum()) == 20
    assert torch.allclose(x[x[:, 2] == 1, 0], torch.tensor(spec.impute_values[0]).float())
    train = data.train["x"]
    assert spec.impute_values[0] == pytest.approx(float(np.median(train[train[:, 2] == 0, 0])), rel=1e-5)
    assert int((x[:, 1] == 1).sum()) == len(range(0, ROWS, 7))


def test_predict_raw_rows_equals_encoded_rows(tmp_path, quick):
    gaps = frame()
    gaps.loc[::10, "size"] = np.nan
    path = write(tmp_path / "a.csv", gaps.to_csv(index=False))
    options = {"data.path": path, "data.target": "tall", "data.drop_columns": ["height"], "data.batch_size": 16}
    run = zoo.train("fnn", data="csv", **quick, **options, model_kwargs={"numerical_embedding": "piecewise_linear"})
    model = zoo.load(run.folder / "checkpoints" / "best.ckpt")
    raw = gaps[["kind", "size"]].astype({"size": object})
    data = load("csv", path=path, target="tall", drop_columns=["height"])
    rows = {tuple(row): n for n, row in enumerate(torch.cat([data.train["x"], data.test["x"]]).tolist())}
    from zoo.data.inputs import encode

    encoded = encode(model.spec, raw)["x"]
    assert sum(tuple(row) in rows for row in encoded.tolist()) >= 180
    predictions = model.predict(raw)
    assert torch.equal(predictions["probability"], model.predict(encoded)["probability"])
    strange = raw.iloc[:1].assign(kind="baobab")
    assert model.predict(strange)["probability"].isfinite().all()
    with pytest.raises(zoo.ZooError, match="row 1, column 'size': 'big' is text"):
        model.predict(raw.iloc[:1].assign(size="big"))


def test_train_on_a_frame_with_categories(quick):
    run = zoo.train("fnn", data=frame(), target="height", **{**quick, "data.batch_size": 16, "trainer.max_epochs": 60})
    assert run.model.spec.columns == ("size", "kind", "tall")
    assert run.metrics["test/rmse"] < 0.5 * run.results["baselines"]["mean"]["rmse"]
    pair = from_arrays((frame()[["size", "kind"]], frame()["tall"]))
    assert pair.spec.categories == ((), ("oak", "pine", "yew"))


# --- multilabel, rare classes ---


def labels_csv(tmp_path) -> str:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).round(3)
    table = pd.DataFrame(x, columns=list("abc")).assign(up=x[:, 0] > 0, outer=(abs(x[:, 1]) > 1.2).astype(int))
    return write(tmp_path / "labels.csv", table.to_csv(index=False))


def test_multilabel_metrics_equal_scikit_learn(tmp_path, quick):
    options = {"data.path": labels_csv(tmp_path), "data.target": ["up", "outer"], "data.batch_size": 16}
    run = zoo.train("fnn", data="csv", **{**quick, **options, "trainer.max_epochs": 30})
    data = load("csv", path=options["data.path"], target=["up", "outer"])
    assert (data.spec.multilabel, data.spec.classes) == (True, ("up", "outer"))
    predictions = run.model.predict(data.test["x"])
    y, p = data.test["y"].numpy(), predictions["probability"].numpy()
    assert run.metrics["test/accuracy"] == pytest.approx(((p > 0.5) == y).mean(), abs=1e-6)
    assert run.metrics["test/auroc"] == pytest.approx(sk.roc_auc_score(y, p, average="macro"), abs=1e-6)
    assert run.metrics["test/average_precision"] == pytest.approx(sk.average_precision_score(y, p), abs=1e-5)
    fair = np.mean([sk.balanced_accuracy_score(y[:, k], p[:, k] > 0.5) for k in range(2)])
    assert run.metrics["test/balanced_accuracy"] == pytest.approx(fair, abs=1e-6)
    assert run.metrics["test/accuracy"] > run.results["baselines"]["majority"]["accuracy"] + 0.15
    assert predictions["label"][0] == [c for c, on in zip(("up", "outer"), p[0] > 0.5, strict=True) if on]


def test_multilabel_rejects_other_labels(tmp_path):
    path = write(tmp_path / "a.csv", "a,l,m\n" + "1,0,1\n2,1,0\n" * 20 + "3,maybe,1\n")
    with pytest.raises(zoo.ZooError, match="line 42, column 'l': 'maybe' is not a label"):
        load("csv", path=path, target=["l", "m"])


def rare(tmp_path) -> str:
    rng = np.random.default_rng(0)
    hit = rng.random(1000) < 0.1
    x = rng.normal(size=(1000, 2)) + hit[:, None]
    table = pd.DataFrame(x.round(3), columns=list("ab")).assign(y=np.where(hit, "a fraud", "honest"))
    return write(tmp_path / "rare.csv", table.to_csv(index=False))


def test_binary_metrics_are_of_the_rarer_class(tmp_path, quick):
    run = zoo.train("fnn", data="csv", **quick, **{"data.path": rare(tmp_path), "data.target": "y"})
    data = load("csv", path=str(tmp_path / "rare.csv"), target="y")
    assert data.spec.classes[data.spec.positive_class] == "a fraud"
    p = run.model.predict(data.test["x"])["probability"][:, 0].numpy()
    y = (data.test["y"] == 0).numpy()
    assert run.metrics["test/average_precision"] == pytest.approx(sk.average_precision_score(y, p), abs=1e-5)
    assert run.metrics["test/auroc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-5)
    beside = baselines(data)["majority"]
    assert beside == pytest.approx(
        {"accuracy": 0.9, "balanced_accuracy": 0.5, "auroc": 0.5, "average_precision": 0.1}, abs=0.02
    )


@pytest.mark.slow
def test_class_weights_and_threshold_find_rare_classes(tmp_path, quick):
    options = {**quick, "data.path": rare(tmp_path), "data.target": "y", "data.batch_size": 32, "trainer.max_epochs": 8}
    plain = zoo.train("fnn", data="csv", **options).metrics["test/balanced_accuracy"]
    weighted = zoo.train("fnn", data="csv", **options, objective={"class_weights": "balanced"})
    chosen = zoo.train(
        "fnn", data="csv", **options, objective={"threshold": "balanced_accuracy", "monitor": "average_precision"}
    )
    assert weighted.metrics["test/balanced_accuracy"] > plain + 0.1
    assert chosen.metrics["test/balanced_accuracy"] > plain + 0.1
    assert "val/average_precision" in (chosen.folder / "metrics.csv").read_text()
    again = zoo.load(chosen.folder / "checkpoints" / "best.ckpt")
    data = load("csv", path=str(tmp_path / "rare.csv"), target="y")
    predicted = np.array(again.predict(data.test["x"])["label"]) == "a fraud"
    fair = sk.balanced_accuracy_score((data.test["y"] == 0).numpy(), predicted)
    assert fair == pytest.approx(chosen.metrics["test/balanced_accuracy"], abs=1e-6)


@pytest.mark.parametrize("figure", ["accuracy", "balanced_accuracy", "f1"])
def test_threshold_maximizes_its_metric(figure):
    rng = np.random.default_rng(0)
    y = rng.random(300) < 0.2
    score = (rng.normal(size=300) + y).round(1)  # with ties
    objective = Classification(TableSpec("t", "classification", (2,), classes=("no", "yes")))
    logits = torch.stack([torch.zeros(300), torch.tensor(score).float()], 1)
    objective.threshold_metric = figure
    threshold = objective.choose_threshold(logits, torch.tensor(y).long())
    p = logits.softmax(1)[:, 1].numpy()
    metric = {"accuracy": sk.accuracy_score, "balanced_accuracy": sk.balanced_accuracy_score, "f1": sk.f1_score}[figure]
    best = max(metric(y, p >= t) for t in np.unique(p))
    assert metric(y, p >= threshold) == pytest.approx(best)


def test_class_weights_are_inverse_frequencies():
    spec = TableSpec("t", "classification", (2,), classes=("a", "b", "c"), class_counts=(10, 20, 70), rows=100)
    objective = Classification(spec)
    objective.configure(ObjectiveOptions(class_weights="balanced"), label_smoothing=0.0)
    logits, y = torch.randn(40, 3), torch.arange(40) % 3
    weight = torch.tensor([100 / 30, 100 / 60, 100 / 210])
    by_hand = (weight[y] * F.cross_entropy(logits, y, reduction="none")).sum() / weight[y].sum()
    assert torch.allclose(objective.loss(logits, {"y": y}), by_hand)
    labels = MultilabelClassification(TableSpec("t", "classification", (2,), classes=("a", "b"), class_counts=(10, 50), rows=100,
                             multilabel=True))  # fmt: skip
    labels.configure(ObjectiveOptions(class_weights="balanced"), label_smoothing=0.0)
    assert torch.equal(labels.weights, torch.tensor([9.0, 1.0]))
    for options in ({"threshold": "f1"}, {"monitor": "rmse"}):
        with pytest.raises(zoo.ZooError, match="objective."):
            labels.configure(ObjectiveOptions(**options), label_smoothing=0.0)


def test_piecewise_encoding_equals_the_paper():
    torch.manual_seed(0)
    quantiles = np.sort(np.random.default_rng(0).normal(size=65)).astype(np.float32)
    embed = PiecewiseLinearEmbedding([quantiles.tolist(), [1.0] * 65], n_bins=64, dim=3)
    x = torch.tensor([[-9.0, 1.0], [float(quantiles[10]), 0.0], [0.123, 2.0], [9.0, 1.5]])
    code = np.zeros((4, 64))
    for n, value in enumerate(x[:, 0].numpy()):
        for t in range(64):
            share = (value - quantiles[t]) / (quantiles[t + 1] - quantiles[t])
            low, high = (-np.inf if t == 0 else 0), (np.inf if t == 63 else 1)
            code[n, t] = min(max(share, low), high)
    by_hand = code @ embed.weight[0].detach().numpy() + embed.bias[0].detach().numpy()
    assert np.allclose(embed(x)[:, 0].detach().numpy(), by_hand, rtol=1e-4, atol=1e-4)
    assert embed(x).isfinite().all()


@pytest.mark.parametrize("task", ["classification", "labels", "regression"])
def test_members_share_their_hidden_layers(task):
    classes = () if task == "regression" else ("a", "b", "c")
    spec_task = "classification" if classes else "regression"
    spec = TableSpec("t", spec_task, (4,), classes=classes, multilabel=task == "labels", target_std=2.0)
    many = zoo.create("fnn", spec=spec, hidden_sizes=[8, 8], norm="none", dropout=0.0, ensemble_size=3)
    x, y = torch.randn(5, 4), torch.arange(5) % 3
    y = {"classification": y, "labels": torch.eye(3)[y], "regression": y.float()}[task]
    each = []
    for k in range(3):  # one network by itself, with the member's numbers
        alone = zoo.create("fnn", spec=spec, hidden_sizes=[8, 8], norm="none", dropout=0.0)
        last = alone.network[-1]
        alone.network[:-1].load_state_dict(many.network.hidden.state_dict())
        last.weight.data, last.bias.data = many.network.weight[k].T.clone(), many.network.bias[k].clone()
        alone.network[0][0].weight.data *= many.network.scale[k]
        each.append(alone(x))
    loss, counts = many.compute_loss({"x": x, "y": y})
    assert torch.allclose(loss, torch.stack([many.task.loss(out, {"y": y}) for out in each]).mean())
    answers = [next(iter(many.task.predictions(out).values())) for out in (*each, many(x))]
    assert torch.allclose(answers[3], torch.stack(answers[:3]).mean(0), atol=1e-6)
    for key, count in many.task.batch_statistics(many(x), {"y": y}).items():
        assert torch.allclose(counts[key], count)


def test_export_members_and_piecewise_encoding(tmp_path, quick):
    import onnxruntime

    options = {
        **quick,
        "data.batch_size": 16,
        "model_kwargs": {"norm": "none", "ensemble_size": 3, "numerical_embedding": "piecewise_linear"},
    }
    run = zoo.train("fnn", data=frame().drop(columns="height"), target="tall", **options)
    session = onnxruntime.InferenceSession(str(zoo.export(run.model, tmp_path / "m.onnx")))
    data = from_arrays(frame().drop(columns="height"), target="tall")
    for rows in (1, 9):
        x = data.test["x"][:rows]
        (probability,) = session.run(["probability"], {"x": x.numpy()})
        assert np.allclose(probability, run.model.predict(x)["probability"].numpy(), atol=1e-5)


def test_members_reject_batch_norm():
    with pytest.raises(zoo.ZooError, match="model.norm=batch: would mix the members"):
        zoo.create("fnn", ensemble_size=2)


def test_quantile_edges_have_equal_counts():
    even = np.random.default_rng(0).normal(size=6400)
    counts = np.histogram(even, quantile_edges(even))[0]
    assert len(counts) == 64
    assert counts.min() == counts.max() == 100
    gains = np.concatenate([np.zeros(1000), np.arange(1, 201)])  # no quantile tells most of the others apart
    edges = quantile_edges(gains)
    assert len(edges) == 65
    assert (edges[0], edges[-1]) == (0, 200)
    assert np.diff(edges).max() <= 4
    assert quantile_edges(np.ones(9)) == (1.0,)


def test_adult_and_california_housing_equal_the_published_data(tabular_root):
    adult = load("adult", root=tabular_root)
    assert (sum(adult.sizes[:2]), adult.sizes[2]) == (32561, 16281)
    assert adult.spec.classes == ("<=50K", ">50K")
    assert float((adult.test["y"] == 1).float().mean()) == pytest.approx(0.2362, abs=1e-4)  # adult.names: 23.62 %
    housing = load("california_housing", root=tabular_root)
    assert sum(housing.sizes) == 20640
    assert housing.spec.missing_indicators == ("total_bedrooms",)
    flagged = sum(int(split["x"][:, -1].sum()) for split in (housing.train, housing.val, housing.test))
    assert flagged == 207
