"""Options on a simulated accelerator: whole runs without a wait in their steps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from zoo.data import load
from zoo.data.dataset import Dataset, Rows
from zoo.data.prepare import unlabeled
from zoo.registry import entry, list_models
from zoo.testing.accelerator import MPS
from zoo.testing.devices import waits_of
from zoo.testing.subject import Case, cases_of

pytestmark = pytest.mark.accelerator

IMAGES = {
    f"data.augment.{name}": 0.2 for name in ("degrees", "scale", "shear", "brightness", "contrast", "mixup_alpha")
}
IMAGES |= {
    "data.augment.hflip": 0.5,
    "data.augment.crop_padding": 1,
    "data.augment.cutout": 3,
    "data.augment.translate": 1.0,
}
DIFFAUGMENT = ["color", "translation", "cutout"]
BALANCED = {"objective.class_weights": "balanced", "regularization.label_smoothing": 0.1}

VARIANTS = [
    ("fnn", "classification-image", {**IMAGES, **BALANCED, "optimizer": "rmsprop"}),
    (
        "fnn",
        "classification-table",
        {"model.ensemble_size": 3, "model.norm": "none", "model.numerical_embedding": "piecewise_linear", **BALANCED},
    ),
    ("fnn", "regression-table", {"optimizer": "sgd", "objective.loss": "mae", "regularization.l1": 1e-4}),
    ("fnn", "regression-image", {"init": "orthogonal", "scheduler": "one_cycle", "data.augment.mixup_alpha": 0.3}),
    ("cnn", "classification-image", {"model.network": "lenet", "model.tta": "hflip"}),
    ("cnn", "classification-image", {"model.network": "resnet", "model.depth": 8}),
    (
        "lstm",
        "classification-sequence",
        {"model.bidirectional": True, "model.pooling": "attention", **BALANCED},
    ),
    (
        "lstm",
        "regression-sequence",
        {"model.num_layers": 2, "model.variational_dropout": True, "model.weight_dropout": 0.2},
    ),
    ("gru", "classification-text", {"model.patch_len": 2, "model.bidirectional": True}),
    (
        "rnn",
        "classification-image",
        {"model.sequence_order": "permuted", "model.identity_init": True, "model.pooling": "mean"},
    ),
    ("rnn", "language_modeling-text", {"model.tie_embeddings": True}),
    (
        "lstm",
        "forecasting-series",
        {"model.channel_independence": False, "model.forecast_strategy": "recursive", "objective.loss": "mae"},
    ),
    ("transformer", "language_modeling-text", {"model.positional_encoding": "learned", "model.tie_embeddings": False}),
    ("transformer", "forecasting-series", {"model.channel_independence": False, "model.patch_len": 2}),
    (
        "autoencoder",
        "reconstruction-image",
        {"model.noise": "salt_and_pepper", "model.network": "conv", "model.channels": [4]},
    ),
    ("autoencoder", "reconstruction-table", {"model.noise": "gaussian", "model.sparsity_weight": 0.1}),
    (
        "vae",
        "reconstruction-image",
        {"model.conditional": True, "model.likelihood": "gaussian", "model.importance_samples": 2},
    ),
    (
        "vae",
        "reconstruction-series",
        {"model.free_bits": 0.1, "model.kl_warmup": 0.5, "model.test_importance_samples": 20},
    ),
    (
        "gan",
        "generation-image",
        {"model.conditional": True, "model.mismatched_label_weight": 0.3, "model.diffaugment": DIFFAUGMENT},
    ),
    ("gan", "generation-image", {"model.network": "conv", "model.channels": [4], "model.spectral_norm": True}),
    ("gan", "generation-image", {"model.r2_gamma": 0.1, "model.gradient_penalty": 1.0, "model.n_critic": 2}),
]


def dataset(case: str) -> Dataset:
    task, kind = case.split("-")
    return Case(task, kind).dataset


@pytest.mark.parametrize(("name", "case", "options"), VARIANTS)
def test_options_work_on_an_accelerator(name, case, options):
    assert not waits_of(name, dataset(case), **options)


@pytest.mark.parametrize(
    ("name", "case", "options"),
    [
        ("fnn", "classification-image", IMAGES),
        ("lstm", "classification-sequence", {}),
        ("gru", "language_modeling-text", {}),
        ("transformer", "forecasting-series", {}),
        ("gan", "generation-image", {}),
        ("autoencoder", "reconstruction-series", {}),
    ],
)
def test_data_above_device_memory_is_streamed(name, case, options):
    assert not waits_of(name, dataset(case), memory=1000, **options)


@pytest.mark.parametrize("memory", [1 << 30, 1000])
def test_memory_mapped_images_work_on_an_accelerator(memory, tmp_path):
    images, parts = dataset("classification-image"), []
    for name in ("train", "val", "test"):
        x = getattr(images, name)["x"]
        np.save(tmp_path / f"{name}.npy", x.numpy())
        mapped = torch.from_numpy(np.load(tmp_path / f"{name}.npy", mmap_mode="c"))
        parts.append({"x": Rows(mapped, torch.arange(len(x))), "y": getattr(images, name)["y"]})
    assert not waits_of("cnn", Dataset(images.spec, *parts), memory=memory)


def test_multilabel_classification_works_on_an_accelerator():
    images = dataset("classification-image")
    count = len(images.spec.classes)
    spec = replace(images.spec, multilabel=True)
    parts = [
        {"x": part["x"], "y": torch.nn.functional.one_hot(part["y"], count).float()}
        for part in (images.train, images.val, images.test)
    ]
    assert not waits_of("fnn", Dataset(spec, *parts), **BALANCED, **IMAGES)


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
@pytest.mark.parametrize("memory", [1 << 30, 1000])
def test_anomaly_detection_in_series_works_on_an_accelerator(name, memory, tmp_path):
    rows = 400
    time = pd.date_range("2024-01-01", periods=rows, freq="h")
    value = np.sin(np.arange(rows) / 3)
    value[380:384] += 5
    pd.DataFrame({"time": time, "value": value}).to_csv(tmp_path / "s.csv", index=False)
    (tmp_path / "a.json").write_text(json.dumps([[str(time[100]), str(time[103])], [str(time[380]), str(time[384])]]))
    series = load(
        "series",
        path=str(tmp_path / "s.csv"),
        anomaly_windows=str(tmp_path / "a.json"),
        context_length=12,
        prediction_length=1,
    )
    assert not waits_of(name, unlabeled(series, "reconstruction"), memory=memory, **{"data.batch_size": 8})


@pytest.mark.parametrize("kind", ["image", "table"])
def test_anomaly_detection_by_class_works_on_an_accelerator(kind):
    rows = dataset(f"classification-{kind}")
    assert not waits_of("vae", unlabeled(rows, "reconstruction", normal=[rows.spec.classes[0]]))


@pytest.mark.parametrize("name", list_models())
def test_models_work_on_a_device_without_float64(name):
    assert not waits_of(name, cases_of(entry(name))[0].dataset, device=MPS)
