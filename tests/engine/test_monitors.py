"""Metrics that are undefined on some rows: fallback monitors and non-finite weights."""

from __future__ import annotations

import json
import math

import pytest
import torch

import zoo
from zoo import registry
from zoo.data.dataset import Dataset
from zoo.data.table.spec import TableSpec
from zoo.testing.runs import StopAfter


def parts(val: list[int], classes: int = 2) -> Dataset:
    """Return a table whose validation rows have the classes ``val``."""
    generator = torch.Generator().manual_seed(0)
    spec = TableSpec("t", "classification", (3,), classes=tuple("abc"[:classes]), class_counts=(20,) * classes, rows=60)

    def split(y: list[int]) -> dict[str, torch.Tensor]:
        return {"x": torch.randn(len(y), 3, generator=generator), "y": torch.tensor(y)}

    every = [n % classes for n in range(60)]
    return Dataset(spec, split(every), split(val), split(every[:30]))


def numbers(val: int) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    sizes = (60, val, 20)
    splits = [{"x": torch.randn(n, 3, generator=generator), "y": torch.randn(n, generator=generator)} for n in sizes]
    return Dataset(TableSpec("t", "regression", (3,), rows=60), *splits)


QUICK = {"logger": "csv", "report": False, "data.batch_size": 20, "trainer": {"max_epochs": 3, "accelerator": "cpu"}}


@pytest.mark.parametrize(
    ("data", "monitor", "instead"),
    [
        (parts([0] * 8), "auroc", "nll"),
        (parts([0] * 8), "average_precision", "nll"),
        (parts([2] * 8, 3), "auroc", "nll"),
        (numbers(1), "r2", "rmse"),
    ],
)
def test_undefined_monitor_falls_back_to_the_loss(data, monitor, instead, capfd, tmp_path):
    more = {"scheduler": "plateau", "early_stopping.patience": 2, "objective.monitor": monitor}
    run = zoo.train("fnn", data, run_dir="run", **more, **QUICK)
    (note,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("note:")]
    assert note == f"note: {monitor} is not defined on the validation rows; {instead} picks the best epoch"
    content = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    rows = next(state["rows"] for name, state in content["callbacks"].items() if "History" in name)
    best = min(rows, key=lambda row: row[f"val/{instead}"])
    best_checkpoint = torch.load(run.folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert best_checkpoint["state_dict"]["counters"][0] == best["steps"]
    assert json.loads((tmp_path / "run" / "results.json").read_text())["metrics"][f"val/{instead}"] == pytest.approx(
        best[f"val/{instead}"]
    )


def test_undefined_monitor_falls_back_after_resume(capfd):
    more = {"objective.monitor": "auroc", "early_stopping.patience": 3, **QUICK}
    reference = zoo.train("fnn", parts([0] * 8), run_dir="whole", **more)
    with pytest.raises(zoo.Stopped):
        zoo.train("fnn", parts([0] * 8), run_dir="cut", callbacks=[StopAfter(5)], **more)
    capfd.readouterr()
    resumed = zoo.resume("cut", parts([0] * 8), report=False)
    assert "note:" not in capfd.readouterr().err
    assert resumed.results["metrics"] == reference.results["metrics"]


def test_train_names_the_step_of_non_finite_weights(tmp_path):
    @zoo.register("test_explodes")
    class Explodes(zoo.FNN):
        def optimizer_step(self):
            super().optimizer_step()
            if self.steps == 6:
                next(self.parameters()).data.fill_(math.nan)

    try:
        for monitor in (None, "nll"):
            with pytest.raises(zoo.TrainingError, match="epoch 2: the weights are not finite after step 5.*Last good"):
                zoo.train(
                    "test_explodes", parts([0, 1] * 4), run_dir=f"{monitor}", **QUICK, **{"objective.monitor": monitor}
                )
    finally:
        registry._MODELS.pop("test_explodes")
