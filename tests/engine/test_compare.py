"""``zoo compare``: models that fit the data, with equal time each, beside baselines."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo import registry
from zoo.__main__ import main
from zoo.engine.compare import candidates


@pytest.mark.parametrize(
    ("words", "some", "none"),
    [
        (["data=digits"], {"cnn", "fnn", "resnet", "gru", "transformer"}, {"gan", "vae", "ppo"}),
        (["data=wine"], {"fnn"}, {"cnn", "autoencoder"}),
        (["data=series"], {"gru", "lstm", "transformer"}, {"cnn", "vae"}),
        (["data=text_file"], {"lstm", "transformer"}, {"fnn"}),
        (["data=cartpole"], {"ppo", "a2c", "reinforce", "dqn"}, {"sac", "fnn"}),
        (["data=pendulum"], {"ppo", "a2c", "reinforce", "sac"}, {"dqn"}),
        (
            ["data=gym", "data.env=MountainCarContinuous-v0", "data.action_space=continuous"],
            {"ppo", "a2c", "reinforce", "sac"},
            {"dqn"},
        ),
    ],
)
def test_candidates_support_the_task(words, some, none):
    names = set(candidates(words))
    assert some <= names
    assert not none & names


@pytest.mark.slow
def test_compare_ranks_models_and_keeps_the_best(tmp_path, capsys):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=600), "b": random.normal(size=600)})
    frame["price"] = 3 * frame["a"] * frame["b"] + frame["a"]
    frame.to_csv(tmp_path / "my.csv", index=False)
    assert main(["compare", "data=csv", "data.path=my.csv", "data.target=price", "minutes=0.12"]) == 0
    output = capsys.readouterr().out
    (place,) = tmp_path.glob("runs/compare-csv/*/comparison.json")
    content = json.loads(place.read_text())
    names = [entry["name"].split(",")[0] for entry in content["entries"]]
    assert set(names) == {"fnn", "HistGradientBoosting", "mean", "linear regression"}
    values = [entry["val"]["rmse"] for entry in content["entries"]]
    assert values == sorted(values)
    assert names[:2] in (["fnn", "HistGradientBoosting"], ["HistGradientBoosting", "fnn"])
    (best,) = re.findall(r"^best(?: network)? +(\S+)", output, re.MULTILINE)
    assert zoo.load(best).spec.columns == ("a", "b")
    assert place.with_suffix(".png").is_file()
    assert not list(place.parent.rglob("probe"))


def test_compare_ranks_others_when_a_model_fails(monkeypatch, capsys):
    registry.get("fnn")  # an import within the patch would be lost after it
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))

    @zoo.register("diverges")
    class Diverges(zoo.FNN):
        def forward(self, x):
            return super().forward(x) * float("nan")

    assert main(["compare", "data=digits", "models=[fnn,diverges]", "minutes=0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (failed,) = (line for line in lines if "failed: " in line)
    assert failed.split()[0] == "diverges"
    assert sum(line.startswith(("1.", "2.", "3.")) for line in lines) == 3  # a network, and two that are none
    assert len(list(Path().glob("runs/compare-digits/*/*/run/checkpoints/best.ckpt"))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare"], "compare: data= is missing"),
        (["compare", "data=digits", "models=[cnnn]"], "did you mean 'cnn'"),
        (["compare", "data=digits", "minutes=0"], "minutes=0.0: must be a number at least 0.1"),
        (["compare", "data=csv", "data.path=none.csv"], "no such file"),
    ],
)
def test_compare_rejects_wrong_arguments_in_one_line(words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err
