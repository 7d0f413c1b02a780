"""Devices and precisions: names, automatic choice, float16 loss scaling, CUDA settings."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
import torch

import zoo
from zoo.config.schema import TrainerOptions
from zoo.exceptions import Stopped, ZooError
from zoo.testing.accelerator import MPS, simulated_accelerator
from zoo.testing.runs import StopAfter
from zoo.testing.subject import Case
from zoo.utils.device import narrow_buffers, select_device, select_precision, set_tf32, to_widest_dtype, widest_dtype

TABLE = Case("classification", "table").dataset
OPTIONS: dict[str, Any] = {
    "data.batch_size": 16,
    "logger": "csv",
    "trainer.accelerator": "cuda",
    "trainer.max_epochs": 2,
    "trainer.steps_per_epoch": 5,
    "trainer.accumulate_grad_batches": 2,
    "optimizer.weight_decay": 0.1,
    "trainer.gradient_clip_val": 1.0,
}


def trained(folder: str, *, stop: int | None = None, **options: Any) -> dict[str, Any]:
    """Return the last checkpoint of a run on a simulated accelerator, where float16 rounds nothing but is scaled."""
    with simulated_accelerator():
        callbacks = (StopAfter(stop),) if stop else ()
        try:
            zoo.train("fnn", TABLE, report=False, run_dir=folder, callbacks=callbacks, **{**OPTIONS, **options})
        except Stopped:
            zoo.resume(folder, TABLE, report=False)
    return torch.load(f"{folder}/checkpoints/last.ckpt", weights_only=True)


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed", "16-mixed"])
def test_precision_has_names_of_lightning(name):
    assert TrainerOptions(precision=name).precision == name
    assert select_precision(name, "cuda") == name


@pytest.mark.parametrize(
    ("short", "name"), [(32, "32-true"), ("32", "32-true"), ("bf16", "bf16-mixed"), (16, "16-mixed")]
)
def test_short_precision_is_rejected_with_its_name(short, name):
    with pytest.raises(ZooError, match=f"trainer.precision={short}: use {name}"):
        TrainerOptions(precision=short)


@pytest.mark.parametrize(
    ("capability", "bf16", "expected"),
    [
        ((9, 0), True, "bf16-mixed"),
        ((7, 5), False, "16-mixed"),
        ((7, 0), False, "16-mixed"),
        ((6, 1), False, "32-true"),
    ],
    ids=["H100", "T4", "V100", "P40"],
)
def test_precision_auto_by_device_capability(capability, bf16, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert select_precision("auto", "cuda") == expected
    assert select_precision("auto", "mps") == "32-true"


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_precision_float16_needs_cuda(device):
    with pytest.raises(ZooError, match=r"trainer\.precision=16-mixed: needs a CUDA device. Use bf16-mixed or 32-true"):
        select_precision("16-mixed", device)


@pytest.mark.parametrize("accelerator", ["cuda", "gpu", "mps"])
def test_select_device_rejects_missing_devices(accelerator, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ZooError, match=f"trainer={accelerator}: no .* device was found"):
        select_device(accelerator)
    assert select_device("auto") == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert select_device("auto") == "cpu"
    if accelerator != "cuda":
        assert select_device(accelerator) == "mps"
        with pytest.raises(ZooError, match=r"trainer\.devices=2: found only one MPS device"):
            select_device(accelerator, 2)


def test_precision_float16_scales_the_loss():
    exact, scaled = (
        trained("exact", **{"trainer.precision": "32-true"}),
        trained("scaled", **{"trainer.precision": "16-mixed"}),
    )
    assert scaled["processes"][0]["training"]["scaler"]["scale"] == 2.0**16
    assert exact["processes"][0]["training"]["scaler"] is None
    for key, value in exact["state_dict"].items():  # powers of two round nothing
        assert torch.equal(value, scaled["state_dict"][key])


@pytest.mark.parametrize("stop", [3, 7])
def test_precision_float16_resume_is_bit_equal(stop):
    options = {"trainer.precision": "16-mixed"}
    once, twice = trained("once", **options), trained("twice", stop=stop, **options)
    assert once["processes"][0]["training"]["scaler"] == twice["processes"][0]["training"]["scaler"]
    for key, value in once["state_dict"].items():
        assert torch.equal(value, twice["state_dict"][key])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_precision_float16_skips_steps_with_infinite_gradients(optimizer, monkeypatch):
    loss_of = zoo.FNN.compute_loss

    def overflowing(self, batch):
        loss, counts = loss_of(self, batch)
        loss.register_hook(lambda gradient: gradient * torch.inf)
        return loss, counts

    monkeypatch.setattr(zoo.FNN, "compute_loss", overflowing)
    few = {"trainer.max_epochs": 1, "trainer.steps_per_epoch": 2, "optimizer": optimizer, "model.norm": "none"}
    skipped = trained("run", **{**few, "trainer.precision": "16-mixed", "seed": 3})
    assert skipped["processes"][0]["training"]["scaler"]["scale"] == 2.0**15
    with simulated_accelerator():
        torch.manual_seed(3)
    first = trained("first", **{**few, "trainer.precision": "16-mixed", "seed": 3, "optimizer.lr": 1e-30})
    for key, value in first["state_dict"].items():
        assert torch.equal(value, skipped["state_dict"][key])


def test_select_device_makes_cuda_deterministic():
    with simulated_accelerator():
        assert select_device("auto") == "cuda"
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.parametrize(("tf32", "expected"), [(True, ("high", True)), (False, ("highest", False))])
def test_set_tf32_sets_matmul_precision(tf32, expected):
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        set_tf32(None)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
        set_tf32(tf32)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == expected
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def test_widest_dtype_of_each_device():
    module = torch.nn.BatchNorm1d(3)
    module.register_buffer("total", torch.ones(3, dtype=torch.float64))
    narrow_buffers(module, "cuda")
    assert module.total.dtype == widest_dtype("cpu") == widest_dtype("cuda") == torch.float64
    narrow_buffers(module, "mps")
    assert module.total.dtype == widest_dtype("mps") == torch.float32
    with simulated_accelerator(device=MPS):
        x = torch.ones(3).to("mps")
        assert to_widest_dtype(x).dtype == torch.float32
        with pytest.raises(TypeError, match="float64"):
            x.double()


def test_peak_memory_is_none_where_unavailable(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    run = zoo.train(
        "fnn",
        TABLE,
        report=False,
        run_dir="run",
        logger="csv",
        **{"trainer.max_epochs": 1, "trainer.accelerator": "cpu"},
    )
    assert run.results["peak_memory_mb"] is None
