"""The registry of tasks, and a user's task in one file: train, evaluate, predict, export, serve, check."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo import registry
from zoo.__main__ import main
from zoo.inference.evaluate import evaluate
from zoo.inference.loading import predictions_of

TASK = "quantile_regression"


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 400)
    return pd.DataFrame({"x": x, "kind": rng.choice(["a", "b"], 400), "y": 100 + 10 * x + rng.normal(0, 1, 400)})


@pytest.fixture(scope="module")
def quantile_net():
    import quantile_regression

    yield quantile_regression.QuantileNet.name
    registry._TASKS.pop(TASK)
    registry._MODELS.pop("quantile_net")
    sys.modules.pop("quantile_regression")


@pytest.fixture(scope="module")
def run(frame, quantile_net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantiles") / "run"
    quick = {"logger": "csv", "trainer": {"max_epochs": 20, "accelerator": "cpu"}, "data.batch_size": 32}
    return zoo.train(quantile_net, frame, target="y", run_dir=str(folder), **quick)


def test_tasks_are_listed_without_torch():
    code = (
        "import sys, zoo; print(zoo.list_tasks(), zoo.registry.unsupervised_tasks()); assert 'torch' not in sys.modules"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    assert "'language_modeling'" in listed.stdout
    assert listed.stdout.rstrip().endswith("('generation', 'reconstruction')")


def test_task_registry_paths_are_correct():
    for name in zoo.list_tasks():
        task = registry.get_task(name)
        assert task.name == name
        assert task.example is not None


def test_register_task_rejects_invalid_names_and_classes():
    with pytest.raises(zoo.ZooError, match="did you mean 'regression'"):
        registry.task_entry("regresion")
    with pytest.raises(zoo.ZooError, match="did you mean 'number'"):
        zoo.register_task("test_task", target="numbr")
    with pytest.raises(zoo.ZooError, match="'regression' is already registered by zoo.tasks.regression.Regression"):
        zoo.register_task("regression", target="number")(type("Mine", (zoo.Task,), {}))


def test_user_task_trains_with_metrics_and_baselines(run):
    assert run.results["task"] == TASK
    assert run.metrics["test/pinball"] < 0.3 * run.results["baselines"]["constant"]["pinball"]
    assert 0.5 < run.metrics["test/interval_coverage"] < 1
    assert "curves.png" in {path.name for path in run.plots}


def test_user_task_evaluates_and_predicts(run, frame, tmp_path, capsys):
    checkpoint = run.folder / "checkpoints" / "best.ckpt"
    model = zoo.load(checkpoint)
    quantiles = model.predict(frame.drop(columns="y"))["quantiles"]
    assert quantiles.shape == (400, 3)
    frame.to_csv(tmp_path / "new.csv", index=False)
    words = ["data=csv", f"data.path={tmp_path / 'new.csv'}", "data.target=y"]
    assert evaluate(model, None, words).metrics["pinball"] == pytest.approx(run.metrics["test/pinball"], rel=0.5)
    assert main(["predict", str(checkpoint), str(tmp_path / "new.csv"), "format=json", f"out={tmp_path / 'out'}"]) == 0
    assert len((tmp_path / "out").read_text().splitlines()) == 400
    assert '"quantiles": [' in (tmp_path / "out").read_text()


def test_user_task_exports_equal_predictions(run, tmp_path):
    pytest.importorskip("onnxruntime")
    zoo.export(run.model, tmp_path / "model.onnx")  # raises where the file predicts otherwise
    assert (tmp_path / "model.onnx").stat().st_size > 0


def test_user_task_is_served_with_its_schema(run, frame):
    fastapi, client = pytest.importorskip("fastapi"), pytest.importorskip("fastapi.testclient")
    pytest.importorskip("litserve")
    from zoo.data.inputs import encode, from_json
    from zoo.inference.server import describe_predictions, request_model, response

    app, model = fastapi.FastAPI(), run.model

    def predict(request):
        return response(
            predictions_of(model.spec, model.answered(encode(model.spec, from_json(model.spec, request.x))))
        )

    predict.__annotations__["request"] = request_model(model.spec)
    app.post("/predict")(predict)
    describe_predictions(app, model.spec)
    http = client.TestClient(app)
    schema = http.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]["200"]
    row = schema["content"]["application/json"]["schema"]["properties"]["answers"]["items"]
    assert row["properties"] == {"quantiles": {"type": "array", "items": {"type": "number"}}}
    sent = http.post("/predict", json={"x": [{"x": 0.5, "kind": "a"}]})
    (answer,) = sent.json()["answers"]
    expected = model.predict(pd.DataFrame({"x": [0.5], "kind": ["a"]}))["quantiles"][0]
    assert answer["quantiles"] == pytest.approx(expected.tolist(), rel=1e-5)


CHECKS = ("create", "forward", "gradients", "learns", "seeds", "checkpoint", "export", "precision")


@pytest.mark.parametrize(
    "check",
    [*CHECKS, pytest.param("resume", marks=pytest.mark.slow), pytest.param("accelerator", marks=pytest.mark.slow)],
)
def test_user_task_passes_conformance_checks(quantile_net, subject, check):
    from zoo.testing import checklist
    from zoo.testing.checklist import check_create

    if check == "create":
        check_create(quantile_net)
    else:
        {function.__name__.removeprefix("check_"): function for function in checklist.CHECKS}[check](subject)


@pytest.fixture(scope="module")
def subject(quantile_net):
    from zoo.testing.subject import subjects

    (subject,) = subjects(quantile_net)
    return subject
