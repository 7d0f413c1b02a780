"""The registry of modalities; one of a user's own in one file is trained, evaluated, predicted, exported, served, checked."""

import json
import sys

import numpy as np
import pytest
import torch

import zoo
from zoo import registry
from zoo.__main__ import main
from zoo.data.inputs import encode, from_json
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.inference.evaluate import evaluate
from zoo.inference.loading import predictions_of
from zoo.testing.subject import Case


@pytest.fixture(scope="module")
def point_sets():
    import point_sets

    yield point_sets
    for table, name in (
        ("MODALITIES", "points"),
        ("TASKS", "distance"),
        ("MODELS", "point_net"),
        ("DATA", "point_file"),
    ):
        getattr(registry, f"_{table}").pop(name)
    sys.modules.pop("point_sets")


@pytest.fixture(scope="module")
def run(point_sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("points") / "run"
    quick = {"logger": "csv", "trainer": {"max_epochs": 12, "accelerator": "cpu"}, "data.batch_size": 16}
    return zoo.train("point_net", Case("classification", "points").dataset, run_dir=str(folder), **quick)


@pytest.fixture(scope="module")
def point_file(run, tmp_path_factory):
    test = Case("classification", "points").dataset.test
    path = tmp_path_factory.mktemp("files") / "points.txt"
    labels = [run.model.spec.classes[number] for number in test["y"].tolist()]
    rows = [" ".join(map(str, row)) for row in test["x"].flatten(1).tolist()]
    path.write_text("\n".join(f"{row} {label}" for row, label in zip(rows, labels, strict=True)))
    return path


def test_user_modality_is_listed_and_keeps_its_fields(point_sets):
    assert registry.list_modalities()[-1] == "points"
    spec = Case("classification", "points").dataset.spec
    assert DataSpec.of(spec.to_dict()) == spec
    assert spec.unit == 0.5


def test_an_unsupported_task_is_refused(point_sets):
    with pytest.raises(ZooError, match="points data does not support forecasting; must be classification or distance"):
        point_sets.PointSpec("p", "forecasting", (5, 2))
    with pytest.raises(ZooError, match="modality 'points' is already registered by point_sets.Points"):
        registry.register_modality(type("Other", (zoo.Modality,), {"spec": point_sets.PointSpec}))


def test_user_modality_trains_beyond_its_baselines(run):
    assert run.metrics["test/accuracy"] > 0.9
    assert run.results["baselines"]["majority"]["accuracy"] < 0.7
    assert {"curves.png", "confusion.png"} <= {path.name for path in run.plots}


def test_user_modality_is_evaluated_and_predicted_from_a_file(run, point_file, tmp_path):
    model = zoo.load(run.folder)
    measured = evaluate(model, None, ["data=point_file", f"data.path={point_file}"]).metrics
    assert measured["accuracy"] == pytest.approx(run.metrics["test/accuracy"])
    words = ["predict", str(run.folder), str(point_file), "format=json", f"out={tmp_path / 'out'}"]
    assert main(words) == 0
    answers = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    x = Case("classification", "points").dataset.test["x"]
    assert [answer["label"] for answer in answers] == model.predict(x)["label"]


def test_user_modality_is_exported_with_the_same_predictions(run, tmp_path):
    pytest.importorskip("onnxruntime")
    zoo.export(run.model, tmp_path / "model.onnx")  # raises where the file predicts otherwise
    assert (tmp_path / "model.onnx").stat().st_size > 0


def test_user_modality_is_served_by_its_request_schema(run):
    fastapi, client = pytest.importorskip("fastapi"), pytest.importorskip("fastapi.testclient")
    pytest.importorskip("litserve")
    from zoo.inference.server import describe_predictions, request_model, response

    app, model = fastapi.FastAPI(), run.model

    def predict(request):
        x = encode(model.spec, from_json(model.spec, request.x))
        return response(predictions_of(model.spec, model.answered(x)))

    predict.__annotations__["request"] = request_model(model.spec)
    app.post("/predict")(predict)
    describe_predictions(app, model.spec)
    http = client.TestClient(app)
    points = np.random.default_rng(0).normal(size=(6, 2))
    sent = http.post("/predict", json={"x": [[{"east": 2 * east, "north": 2 * north} for east, north in points]]})
    (answer,) = sent.json()["answers"]
    expected = model.predict(torch.from_numpy(points[None]).float())
    assert answer["label"] == expected["label"][0]
    assert list(answer["probability"].values()) == pytest.approx(expected["probability"][0].tolist(), rel=1e-4)
    assert http.post("/predict", json={"x": [[{"east": 0, "north": 0}]]}).status_code == 422


def test_user_task_and_modality_train_together(point_sets, tmp_path):
    run = zoo.train(
        "point_net",
        Case("distance", "points").dataset,
        run_dir=str(tmp_path / "run"),
        **{"logger": "csv", "trainer": {"max_epochs": 12, "accelerator": "cpu"}, "data.batch_size": 16},
    )
    assert run.results["task"] == "distance"
    assert run.metrics["test/rmse"] < 0.5 * run.results["baselines"]["mean"]["rmse"]
    assert {"mean", "linear regression"} <= set(run.results["baselines"])
    assert run.model.predict(np.zeros((1, 6, 2)))["value"].shape == (1,)


CHECKS = ("create", "forward", "gradients", "learns", "seeds", "checkpoint", "export", "precision")


@pytest.mark.parametrize(
    "check",
    [*CHECKS, pytest.param("resume", marks=pytest.mark.slow), pytest.param("accelerator", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("task", ["classification", "distance"])
def test_user_modality_passes_the_conformance_checks(subjects_by_task, task, check):
    from zoo.testing import checklist
    from zoo.testing.checklist import check_create

    if check == "create":
        check_create("point_net")
    else:
        checks = {function.__name__.removeprefix("check_"): function for function in checklist.CHECKS}
        checks[check](subjects_by_task[task])


@pytest.fixture(scope="module")
def subjects_by_task(point_sets):
    from zoo.testing.subject import subjects

    return {subject.case.task: subject for subject in subjects("point_net")}
