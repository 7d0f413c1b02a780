from __future__ import annotations

import os
from pathlib import Path

if os.environ.get("PYTEST_XDIST_WORKER"):  # two workers with two threads each would wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True)  # a change lands or not by what it does, not by what is drawn
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent
# Real data where it is at hand: $ZOO_DATA, or data/ in the checkout.
DATA = Path(os.environ.get("ZOO_DATA") or ROOT / "data").absolute()  # before any test changes its folder


# Conformance checks that take long, and go over parts that models share
SHARED = ("check_learns", "check_checkpoint", "check_export", "check_precision")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Leave to ``-m slow`` what some model has shown on a task and kind, and the model on another."""
    covered = set()
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        check, subject = getattr(params.get("check"), "__name__", ""), params.get("subject")
        if check in SHARED and subject.device == "cpu":
            keys = {(check, subject.name), (check, subject.case.task, subject.case.data)}
            if keys <= covered:
                item.add_marker("slow")
            covered |= keys


@pytest.fixture(autouse=True)
def _run_in_tmp_path(tmp_path, monkeypatch):
    """Each test writes its runs into a folder of its own."""
    monkeypatch.chdir(tmp_path)
    if os.environ.get("ZOO_DATA"):
        monkeypatch.setenv("ZOO_DATA", str(DATA))


@pytest.fixture
def mnist_root():
    if not (DATA / "MNIST" / "raw").is_dir():
        pytest.skip("MNIST is not at hand (ZOO_DATA)")
    return str(DATA)


@pytest.fixture
def tabular_root():
    if not (DATA / "tabular").is_dir():
        pytest.skip("the tables are not at hand (ZOO_DATA)")
    return str(DATA)


@pytest.fixture
def quick():
    """Options of a run of about a second, in the precision that `predict` computes in."""
    return {"trainer": {"max_epochs": 2, "accelerator": "cpu", "precision": "32-true"}, "logger": "csv"}


@pytest.fixture
def transitions():
    """Return a function from a model that acts to random transitions."""

    import torch

    def sample(model, rows=6):
        torch.manual_seed(1)
        action = torch.randint(2, (rows,)) if model.spec.classes else torch.rand(rows, model.spec.outputs) * 2 - 1
        shape = model.spec.input_shape
        steps = {"x": torch.randn(rows, *shape), "next_x": torch.randn(rows, *shape), "action": action}
        return {**steps, "reward": torch.randn(rows), "discount": torch.rand(rows)}

    return sample
