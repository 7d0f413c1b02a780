"""Reports that fail in part: the results stay, list the missing parts, and resume completes them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
import torch

import zoo
from zoo import registry
from zoo.__main__ import main
from zoo.data.spec import DataSpec
from zoo.tasks import build_task
from zoo.testing.subject import QUICK, cases_of

WORDS = ["model=fnn", "data=wine", "logger=csv", "trainer=cpu", "trainer.max_epochs=1", "run_dir=run"]
PLACES = {
    "baseline": None,  # of the task's own class
    "plot": "zoo.utils.plotting.save",
    "video": "zoo.models.rl_base.render_episode",
    "visualizations": None,  # of the model's own class
}


def results(folder: Path | str = "run") -> dict:
    return json.loads((Path(folder) / "results.json").read_text())


def fails(*arguments, **options):
    raise ZeroDivisionError("of the\ntest")


def models() -> list:
    """Return each registered model with each of its tasks, of which few are tried by default."""
    pairs = []
    for name in sorted(registry.registered_models()):
        cases = sorted(cases_of(registry.entry(name)), key=lambda case: case.modality != "image")
        cases = {case.task: case for case in cases}  # images, whose plots take seconds, where there is no other
        for case in cases.values():
            quick = (name, case.task) == ("fnn", "classification")
            marks = () if quick else pytest.mark.slow
            pairs.append(pytest.param(name, case, marks=marks, id=f"{name}-{case.task}"))
    return pairs


def drawn(folder: Path) -> set[str]:
    return {path.name for path in (folder / "plots").iterdir()}


@contextlib.contextmanager
def faulty(place: str, model: type, spec: DataSpec, patch: pytest.MonkeyPatch):
    with patch.context() as inside:
        if place == "visualizations":
            inside.setattr(model, "visualizations", fails)
        elif place == "video":
            inside.setattr(PLACES[place], fails)
        elif place == "baseline":
            inside.setattr(type(build_task(spec)), "baselines", lambda *_: {"broken": fails})
        else:
            for module in ("zoo.tasks.plots", "zoo.reporting.plots.training", "zoo.utils.plotting"):
                inside.setattr(f"{module}.save", fails)
        yield


@pytest.mark.parametrize(("name", "case"), models())
def test_report_failures_warn_and_resume_completes_them(name, case, monkeypatch, capfd):
    if case.task == "control":  # the generated environment draws no frames
        frames = torch.zeros(3, 8, 8, 3, dtype=torch.uint8)
        monkeypatch.setattr(PLACES["video"], lambda *_, **__: frames)
    options = {**QUICK, "trainer.accelerator": "cpu", "trainer.max_epochs": 1}
    options |= {} if case.task == "control" else {"trainer.steps_per_epoch": 2}
    reference = zoo.train(name, case.dataset, run_dir="run", **options)
    expected, plots = results(), drawn(Path("run"))
    assert "missing" not in expected
    assert expected["baselines"]
    killed = {**expected, "baselines": {}, "missing": ["report"]}  # as a run that was killed in its report left it
    Path("run/results.json").write_text(json.dumps(killed))
    capfd.readouterr()
    for place in PLACES:
        if place == "video" and case.task != "control":
            continue
        with faulty(place, type(reference.model), case.dataset.spec, monkeypatch):
            run = zoo.resume("run", case.dataset)  # which adds what was lacking before
        warnings = [line for line in capfd.readouterr().err.splitlines() if "skipped" in line]
        assert [line for line in warnings if "ZeroDivisionError: of the test" in line] == warnings
        assert len(warnings) == len(results()["missing"]) > 0
        assert all(line.startswith(f"warning: {place}") for line in warnings)
        assert run.metrics == reference.metrics
        assert {**results(), "missing": 0, "baselines": 0} == {**expected, "missing": 0, "baselines": 0}
        assert (results()["baselines"] == {}) is (place == "baseline")
    zoo.resume("run", case.dataset)
    assert results() == expected
    assert drawn(Path("run")) == plots
    with pytest.raises(zoo.ZooError, match="has finished"):
        zoo.resume("run", case.dataset)


def test_report_failure_keeps_exit_code_0(monkeypatch, capfd):
    with monkeypatch.context() as inside:
        inside.setattr("zoo.tasks.plots.save", fails)
        assert main(["train", *WORDS]) == 0
    output = capfd.readouterr()
    assert output.err == "warning: plot confusion.png: skipped (ZeroDivisionError: of the test)\n"
    assert "test accuracy" in output.out
    assert results()["missing"] == ["plot confusion.png"]
    assert set(results()["baselines"]) == {"majority", "logistic regression"}
    assert main(["train", "resume=run"]) == 0
    assert not capfd.readouterr().err
    assert "missing" not in results()
    assert main(["train", "resume=run"]) == 2
    assert "has finished" in capfd.readouterr().err


def test_report_failures_are_independent(monkeypatch, capfd):
    monkeypatch.setattr("zoo.tasks.baselines.majority", fails)
    monkeypatch.setattr("zoo.tasks.baselines.prepared", fails)
    monkeypatch.setattr("zoo.FNN.extra_metrics", fails)
    monkeypatch.setattr("zoo.reporting.results.closing", fails)
    assert main(["train", *WORDS]) == 0
    assert results()["missing"] == ["extra metrics", "baseline majority", "baseline logistic regression"]
    assert len(capfd.readouterr().err.splitlines()) == 4
    assert drawn(Path("run")) == {"curves.png", "confusion.png"}


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_signal_in_a_baseline_keeps_results(number, monkeypatch, capfd):
    before = signal.getsignal(number)
    with monkeypatch.context() as inside:
        inside.setattr("zoo.tasks.baselines.majority", lambda dataset: os.kill(os.getpid(), number))
        assert main(["train", *WORDS]) == 128 + number
    assert signal.getsignal(number) is before
    (line,) = capfd.readouterr().err.splitlines()
    name = signal.Signals(number).name
    assert line == (
        f"stopped by {name}. The test metrics are in run/results.json. Complete the report with: zoo train resume=run"
    )
    accuracy = results()["metrics"]["test/accuracy"]
    assert main(["train", "resume=run"]) == 0
    assert results()["metrics"]["test/accuracy"] == accuracy
    assert set(results()["baselines"]) == {"majority", "logistic regression"}
