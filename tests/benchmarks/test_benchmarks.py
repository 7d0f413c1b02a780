"""The benchmark runner: rows, expected metrics, failures, and a README equal to the results."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo
from benchmarks import (
    compare,
    quality,
    report,
    report_format,
    report_results,
    scaling,
    third_party_rl,
    transcripts,
    use_cases,
)
from benchmarks.__main__ import main
from benchmarks.jobs import Job, done, remaining
from benchmarks.quality import Case, missed
from zoo.config.compose import compose
from zoo.data.arrays import from_arrays
from zoo.tasks.baselines import draw_trees, fit_trees, tuned, with_gaps

ROOT = Path(__file__).resolve().parents[2]


def rows(suite: str) -> list[dict]:
    return [json.loads(line) for line in Path("out", f"{suite}.jsonl").read_text().splitlines()]


def test_tables_of_pages_equal_results():
    texts = {page: page.read_text() for page in report.pages()}
    assert not [page for page, text in texts.items() if report.render(text) != text]
    for name in report.TABLES:
        assert any(f"<!-- table:{name} -->" in text for text in texts.values())


@pytest.mark.slow
def test_quality_row_has_its_command_and_failures(capsys):
    words = ["suite=quality", "model=fnn", "data=wine", "budget=quick", "out=out", "trainer.max_epochs=2"]
    assert main(words) == 0
    (row,) = rows("quality")
    assert row["command"] == "python train.py model=fnn data=wine seed=0 trainer.max_epochs=2 data.fold=0"
    assert row["overrides"] == ["trainer.max_epochs=2"]
    assert row["metrics"]["test/accuracy"] > row["baselines"]["majority"]["accuracy"]
    assert row["wall_seconds"] > row["train_seconds"]
    assert {"device", "threads", "precision", "versions", "commit", "config_hash"} <= set(row)
    assert main([*words, "optimizer.lr=-1"]) == 2  # refused before anything runs
    assert main([*words, "data.batch_size=1000"]) == 1
    assert rows("quality")[1]["failed"][0].startswith("error: data.batch_size=1000: larger than the 127 training rows")
    assert main(words) == 0  # is there already
    assert [row.get("failed") is None for row in rows("quality")] == [True, False]
    args = {"model": "fnn", "data": "wine", "budget": "quick", "trainer.max_epochs": "2"}
    passed = [row for row in rows("quality") if not row.get("failed")]
    assert quality.jobs(dict(args), passed) == []  # is there already
    assert len(quality.jobs({**args, "fresh": "true"}, passed)) == 1


def test_expected_metric_is_a_mean_over_runs():
    done_rows = [{"metrics": {"test/far": value}} for value in (2.0, 4.0)]
    case = Case("gan", "mnist", expected={"metric": "test/far", "max": 3.0})
    assert list(missed(done_rows, case)) == []
    (row,) = missed([*done_rows, {"metrics": {"test/far": 6.0}}], case)
    assert "test/far 4.0000 over 3 runs; expected at most 3" in row["failed"][0]


def test_case_runs_once_per_class():
    (case,) = [case for case in quality.cases() if case.name == "mnist_one_class"]
    assert list(case.folds("full")) == list(range(10))
    values = case.plan(case.each.format(7)).values
    assert values["data"]["normal_classes"] == [7]
    assert [c.each for c in quality.cases() if c.name == "pets_sample"] == ["data.fold={}"]


@pytest.mark.parametrize(
    ("expected", "passes"),
    [
        ({"metric": "test/accuracy", "min": 0.9}, True),
        ({"metric": "test/accuracy", "min": 0.96}, False),
        ({"metric": "test/rmse", "max": 60.0}, True),
        ({"metric": "test/rmse", "max": 49.0}, False),
    ],
)
def test_expected_metric_is_compared_with_the_mean(expected, passes):
    done = [{"metrics": {"test/accuracy": a, "test/rmse": 100 * a - 45}} for a in (0.9, 1.0)]
    failed = list(missed(done, Case("fnn", "wine", expected=expected)))
    assert [row["failed"][0].split(":")[0] for row in failed] == ([] if passes else ["expected metric missed"])


def test_expected_metric_missed_among_several_is_a_failed_row():
    expected = {"metric": "test/accuracy", "min": 0.9, "also": [{"metric": "test/auroc", "min": 0.99}]}
    done = [{"metrics": {"test/accuracy": 0.95, "test/auroc": 0.95}}]
    (row,) = missed(done, Case("cnn", "npz", expected=expected))
    assert row["failed"] == ["expected metric missed: test/auroc 0.9500 over 1 runs; expected at least 0.99"]


def test_case_on_files_composes():
    for case in quality.cases():
        if case.name:
            assert str(case.composed().data.get("path", "$ZOO_DATA/")).startswith("$ZOO_DATA/")
            assert case.folds("quick") in ([None], range(1))


def test_tuned_trees_see_the_models_rows_and_gaps():
    frame = pd.DataFrame({"a": np.arange(300.0), "kind": ["x", "y", "z"] * 100})
    frame["y"] = frame["a"] + 100 * (frame["kind"] == "y")
    frame.loc[::10, "a"] = np.nan
    data = from_arrays(frame, target="y")
    best = tuned(data, "rmse", 0.0, 0, draw=draw_trees, fit=fit_trees)
    assert best.trials == 1  # its own settings at least, whatever the time
    assert best.test["rmse"] < 0.5 * data.spec.target_std
    gaps = with_gaps(data.spec, data.train["x"].numpy())
    assert gaps.shape[1] == 2
    assert (np.isnan(gaps[:, 0]) == (data.train["x"][:, 2].numpy() == 1)).all()


def test_third_party_not_installed_names_the_extra(monkeypatch, capsys):
    monkeypatch.setattr(third_party_rl, "find_spec", lambda name: None)
    assert main(["suite=third_party", "model=ppo", "data=cartpole", "out=out"]) == 2
    assert capsys.readouterr().err.endswith('needs stable-baselines3; pip install -e ".[benchmarks]"\n')


def test_third_party_gets_the_recipes_hyperparameters():
    (case,) = (case for case in quality.cases() if (case.model, case.data, case.words) == ("ppo", "cartpole", ()))
    values = case.plan().values
    same = third_party_rl._as_ours(values)
    assert same["n_envs"] * same["n_steps"] == values["data"]["num_envs"] * values["data"]["num_steps"]
    assert same["learning_rate"] == f"lin_{values['optimizer']['lr']}"
    assert (same["gamma"], same["n_epochs"]) == (values["model"]["gamma"], values["model"]["n_epochs"])
    assert third_party_rl._first([(10, 3.0), (20, 5.0), (30, 9.0)], 5.0) == 20
    assert third_party_rl._first([(10, 3.0)], 5.0) is None


def test_quality_fails_when_an_expected_metric_is_missed(monkeypatch):
    def run(case, at, fold, extra):
        return {"metrics": {case.expected["metric"]: 0.5}, "commit": "c", "config_hash": at, "overrides": []}

    monkeypatch.setattr(quality, "_one", run)
    assert main(["suite=quality", "model=fnn", "data=wine", "seeds=2", "out=out"]) == 1
    assert [bool(row.get("failed")) for row in rows("quality")] == [False] * 10 + [True]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["suite=qualitty"], "unknown suite 'qualitty': did you mean 'quality'"),
        (["suite=quality", "budget=fulll"], "unknown budget 'fulll': did you mean 'full'"),
        (["suite=quality", "seeds=0"], "seeds=0: must be an integer at least 1"),
        (["suite=quality", "seeds=many"], "seeds=many: must be an integer"),
        (["suite=quality", "model=cnnn"], "no recipe with an expected metric for model=cnnn"),
        (["suite=quality", "model=cnnn", "data=digits"], "did you mean 'cnn'"),
        (["suite=quality", "case=pneumona"], "did you mean 'pneumonia'"),
        (["suite=quality", "fresh=yes"], "unknown fresh 'yes'"),
        (["suite=third_party", "model=gan"], "no case with a third-party library"),
        (["suite=conformance", "model=cnnn"], "did you mean 'cnn'"),
        (["suite=speed", "model=fnnn"], "did you mean 'fnn'"),
        (["suite=speed", "data=mnist"], "'data': not an option of suite=speed"),
    ],
)
def test_main_rejects_wrong_benchmark_arguments_in_one_line(words, message, capsys):
    assert main([*words, "out=out"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out").exists()


def test_report_ignores_failed_and_repeated_rows(monkeypatch, tmp_path):
    base = {"model": "fnn", "data": "wine", "overrides": [], "fold": 0, "seed": 0, "metrics": {"test/accuracy": 0.5}}
    base |= {"baselines": {"majority": {"accuracy": 0.4}}, "params": 1, "train_seconds": 1.0, "wall_seconds": 2.0}
    base |= {"device": "cpu (some)", "threads": 2, "precision": "32-true"}
    lines = [
        base,
        {"failed": ["broken"], "overrides": [], "fold": 0},
        {**base, "metrics": {"test/accuracy": 0.75}},
        {**base, "seed": 1, "metrics": {"test/accuracy": 0.85}},
    ]
    (tmp_path / "quality.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr(report_results, "RESULTS", tmp_path)
    row = report_results.models_table().splitlines()[-1]
    assert "| accuracy ↑ | 80.00 ± 7.07 %, **missed: expected at least 96 %** (2 seeds × 1 fold) |" in row
    assert row.endswith("| 1 s, 2 s (2 threads) |")


def test_report_of_one_run_has_no_standard_deviation(monkeypatch, tmp_path):
    base = {"model": "gru", "data": "spoken_digits", "overrides": ["data.split=speaker"], "fold": 0, "seed": 0}
    base |= {"baselines": {"majority": {"accuracy": 0.1}}, "params": 1, "train_seconds": 1.0, "wall_seconds": 2.0}
    base |= {"device": "cpu (some)", "threads": 1, "precision": "32-true"}
    monkeypatch.setattr(report_results, "RESULTS", tmp_path)
    for accuracy, cell in (
        (0.83, "| 83.00 %, **missed: expected at least 90 %** (1 seed × 1 fold) |"),
        (0.9, "| 90.00 % (1 seed × 1 fold) |"),
    ):
        row = {**base, "metrics": {"test/accuracy": accuracy}}
        (tmp_path / "quality.jsonl").write_text(json.dumps(row) + "\n")
        assert cell in report_results.models_table()
    text = "".join(page.read_text() for page in report.pages())
    assert not re.search(r"± [\d.]+[^|]*\(1 seed\)|\b1 seeds", text)


def test_interquartile_mean_of_five_seeds():
    assert report_format.interquartile_mean([1.0, 2.0, 3.0, 4.0]) == ""
    mean, low, high = map(float, re.findall(r"[\d.]+", report_format.interquartile_mean([0.0, 500, 500, 500, 500])))
    assert mean == 500  # the mean of the middle half, which one failed seed of five does not move
    assert low < 500 == high


def test_transcripts_equal_the_recipes():
    """A run that a page shows has the recipe's epochs and parameters, and a metric in the range of its measured seeds."""
    blocks = [one for page in report.pages() for one in transcripts.MARK.findall(page.read_text())]
    runs = [(command, text) for _, command, text, _ in blocks if command.startswith("zoo train")]
    assert runs
    for command, text in runs:
        overrides = command.split()[2:]
        config = compose(overrides)
        model, data, metric, value = re.findall(r"^(\w+) on (\w+)   test (\w+) (\S+) .*$", text, re.MULTILINE)[0]
        assert set(map(int, re.findall(r"^epoch (\d+)/(\d+)", text, re.MULTILINE)[0])) == {config.trainer.max_epochs}
        seeds = report_results.same_runs(model, data, [])
        assert f"{seeds[0]['params']:,} parameters" in text
        measured = [row["metrics"][f"test/{metric}"] for row in seeds]
        assert min(measured) * 0.97 <= float(value) <= max(measured) * 1.03, command


def test_compare_names_worse_and_missing_metrics(capsys):
    def write(folder: str, accuracies: list[float], ratio: float, more: bool) -> None:
        Path(folder).mkdir()
        quality_rows = [
            {"model": "fnn", "data": "wine", "overrides": [], "seed": s, "fold": 0, "metrics": {"test/accuracy": a}}
            for s, a in enumerate(accuracies)
        ]
        times = [{"what": "overhead", "ratio": ratio, "ratio_spread": [ratio - 0.02, ratio + 0.02]}]
        times += [{"what": "start", "seconds": 1.0, "spread": [0.9, 1.1]}] if more else []
        for suite, rows_ in (("quality", quality_rows), ("speed", times)):
            Path(folder, f"{suite}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_))

    write("before", [0.97, 0.98, 0.99], 1.02, True)
    write("noise", [0.965, 0.975, 0.985], 1.04, True)
    write("after", [0.91, 0.92, 0.93], 1.10, False)
    assert compare.main(["before", "noise"]) == 0
    assert compare.main(["after", "before"]) == 0  # better is not worse
    capsys.readouterr()
    assert compare.main(["before", "after"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "worse   fnn on wine: test/accuracy: 0.98 → 0.92",
        "worse   overhead: ratio: 1.02 → 1.1",
        "gone    start: seconds (was 1)",
    ]
    assert compare.main(["before", "nowhere"]) == 2
    assert "nowhere: not a folder of results" in capsys.readouterr().err


def test_remaining_scales_estimates_by_measured_times():
    def job(seconds: float | None) -> Job:
        return Job("x", lambda: [{}], seconds)

    assert remaining([job(10), job(20)], []) == 30
    assert remaining([job(10), job(20)], [(8, 4.0)]) == 60  # this machine takes twice as long
    assert remaining([job(None), job(20)], [(8, 4.0)]) == 48
    assert remaining([job(None)], []) is None
    messages: list[str] = []
    assert list(done([Job("one", lambda: [{"a": 1}], 60.0), Job("", lambda: [{"b": 2}])], say=messages.append)) == [
        {"a": 1},
        {"b": 2},
    ]
    assert messages == ["[1 of 1, about 60 s left] one"]


def test_exponent_is_the_slope_of_logarithms():
    assert scaling.exponent((1, 2, 4, 8), [3 * n**1.5 for n in (1, 2, 4, 8)]) == pytest.approx(1.5)


def test_exponent_above_the_limit_is_a_failure():
    def args(rows: int) -> dict:
        return {"trainer.max_epochs": 2, "data.max_train_samples": rows}

    (row,) = scaling._measured("rows", scaling.Axis("fnn", "wine", (50, 100), args, "epoch", -9.0), 1)
    assert row["sizes"] == (50, 100)
    assert row["failed"][0].startswith("rows: the exponent of the cost is ")


def test_quick_budget_covers_every_model():
    quick = {case.model for case in quality.cases() if (case.expected or {}).get("quick")}
    assert quick >= set(zoo.list_models())


def test_use_cases_cover_every_model():
    assert {model for model, _ in use_cases.PAIRS} == set(zoo.list_models())


@pytest.mark.slow
def test_use_cases_onnx_runtime_equals_the_model():
    assert main(["suite=use_cases", "model=sac", "out=out"]) == 0
    (row,) = rows("use_cases")
    assert (row["model"], row["verb"]) == ("sac", "play")
    assert row["difference"] < 1e-4


@pytest.mark.slow
def test_predict_memory_is_independent_of_file_size(tmp_path):
    # from a small process: the system counts the memory of whoever starts a process as that process's own
    script = (
        "import json, sys; from pathlib import Path; from benchmarks import user_files; "
        "sizes = (100_000, 30_000_000); "
        "print(json.dumps([user_files.predicted(Path(sys.argv[1]), size=size) for size in sizes]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    small, large = json.loads(done.stdout.splitlines()[-1])
    assert large["bytes"] > 30_000_000
    assert large["rows"] == len((tmp_path / "answers.csv").read_text().splitlines()) - 1
    assert large["megabytes"] < small["megabytes"] + 150  # its rows as Python objects would take more than 300
