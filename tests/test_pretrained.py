"""Pretrained weights: each reaches the metrics of its card."""

import shutil

import pytest
import torch

import zoo
from benchmarks.pretrain import LARGEST, RECIPES
from zoo.hub import FOLDER, card, list_weights, path_of
from zoo.inference.loading import dataset_for
from zoo.reporting.evaluation import evaluate_split


def test_pretrained_weights_have_cards_and_size_limits():
    assert set(list_weights()) <= set(RECIPES)
    assert {path.stem for path in FOLDER.glob("*.json")} == {path.stem for path in FOLDER.glob("*.safetensors")}
    for name in list_weights():
        about, size = card(name), path_of(name).stat().st_size
        assert (about["name"], about["bytes"]) == (name, size)
        assert size <= LARGEST


@pytest.mark.parametrize("name", list_weights())
def test_pretrained_weights_reach_their_cards_metrics(name, request):
    about = card(name)
    if about["data"] in ("mnist", "fashion_mnist"):
        request.getfixturevalue("mnist_root")
    model = zoo.load(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == about["parameters"]
    figures, _ = evaluate_split(model, dataset_for(model, None, [], place=name))
    for figure, value in about["metrics"].items():
        assert figures[figure] == pytest.approx(value, rel=2e-3, abs=2e-3), figure


def test_load_rejects_unknown_weights_and_prefers_files(tmp_path, monkeypatch):
    with pytest.raises(
        zoo.ZooError,
        match="cnn/nothing: no such file or run folder, and no pretrained weights of this name. Pass a path, latest, or one of ",
    ):
        zoo.load("cnn/nothing")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evaluator").mkdir()
    shutil.copy(path_of("evaluator/digits"), tmp_path / "evaluator" / "mine.safetensors")
    assert zoo.load("evaluator/mine.safetensors").spec.name == "digits"


def test_save_weights_half_keeps_predictions(tmp_path):
    from zoo.checkpoint import load_weights, save_weights

    full, x = zoo.load("evaluator/digits"), torch.rand(20, 1, 8, 8)
    save_weights(full, tmp_path / "half.safetensors", half=True)
    half = load_weights(tmp_path / "half.safetensors")
    assert next(half.parameters()).dtype == torch.float32
    assert torch.allclose(half.predict(x)["probability"], full.predict(x)["probability"], atol=5e-3)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * path_of("evaluator/digits").stat().st_size


def test_load_unreachable_hub_is_one_line(monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(zoo.ZooError, match="hub:someone/nothing: cannot be downloaded") as error:
        zoo.load("hub:someone/nothing")
    assert "\n" not in str(error.value)
