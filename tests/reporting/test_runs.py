"""Plots of several runs: seeds are averaged, other differences are in the legend."""

import csv

import pytest

import zoo
from zoo.__main__ import main
from zoo.reporting.plots.runs import _groups, _mean_curve, read_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    above = tmp_path_factory.mktemp("runs")
    trainer = {"max_epochs": 2, "accelerator": "cpu"}
    for name, more in (("a", {"seed": 0}), ("b", {"seed": 1}), ("c", {"seed": 0, "optimizer.lr": 0.1})):
        zoo.train("fnn", "digits", trainer=trainer, report=False, run_dir=str(above / name), logger="csv", **more)
    return above


def test_plot_groups_runs_by_seed(runs):
    kinds = _groups(read_runs([str(runs)]))
    assert sorted(len(kind) for kind in kinds.values()) == [1, 2]
    assert any("optimizer.lr=0.1" in name for name in kinds)
    assert all("seed=" not in name for name in kinds)


def test_plot_averages_seeds_up_to_the_shortest():
    x, mean, deviation = _mean_curve([[1, 2, 3], [1, 4]], [[float("nan"), 4, 6], [2, 8]])
    assert (x, mean) == ([3.0], [6.0])  # the first row lacks a value, the third a seed
    assert deviation == [pytest.approx(8**0.5)]


def test_plot_draws_any_common_metric(runs, tmp_path, capsys):
    out = tmp_path / "both.png"
    assert main(["plot", str(runs / "a"), str(runs / "b"), "metric=nll", "over=seconds", f"out={out}"]) == 0
    assert "2 runs" in capsys.readouterr().out
    assert out.stat().st_size > 1000


def test_plot_policies_by_return_over_environment_steps(tmp_path, monkeypatch):
    sizes = {
        "data.num_envs": 4,
        "data.num_steps": 8,
        "data.steps_per_epoch": 32,
        "data.n_val_episodes": 2,
        "data.n_test_episodes": 2,
    }
    words = {
        **sizes,
        "trainer.max_epochs": 2,
        "logger": "csv",
        "data.env": "CartPole-v1",
        "run_dir": str(tmp_path / "r"),
    }
    run = zoo.train("ppo", "gym", report=False, **words)
    figures = []
    monkeypatch.setattr("zoo.reporting.plots.runs.save", lambda figure, path: figures.append(figure) or path)
    assert main(["plot", str(run.folder), f"out={tmp_path / 'runs.png'}"]) == 0
    (ax,) = figures[0].axes
    assert ax.get_xlabel() == "environment steps"
    assert ax.get_ylabel().startswith("validation mean episodic return")
    assert ax.get_legend_handles_labels()[1] == ["ppo on CartPole-v1 (1 seed)"]
    rows = read_runs([str(run.folder)])[0].rows
    assert ax.lines[0].get_xydata().tolist() == [[float(r["samples"]), float(r["val/return"])] for r in rows]


def test_plot_rejects_wrong_arguments_in_one_line(runs, tmp_path, capsys):
    with (runs / "a" / "metrics.csv").open() as file:
        known = [name for name in next(csv.reader(file)) if name.startswith("val/")]
    assert "val/nll" in known
    for words, message in (
        ([str(runs), "metric=acuracy"], "did you mean 'accuracy'"),
        ([str(runs), "over=epocs"], "did you mean 'epoch'"),
        ([str(tmp_path)], "contains no run"),
        ([], "run folders are missing"),
        ([str(runs), "color=red"], "unknown option of plot"),
        ([str(runs), "out=nowhere/x.png"], "the folder nowhere does not exist"),
    ):
        assert main(["plot", *words]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
