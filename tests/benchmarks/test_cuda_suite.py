"""The benchmark suite for CUDA: rejected without a device, run on a simulated one."""

from __future__ import annotations

import pytest
import torch

from benchmarks import cuda
from benchmarks.__main__ import main
from zoo.testing.accelerator import simulated_accelerator


def test_cuda_suite_needs_a_device(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["suite=cuda", "out=out"]) == 2
    assert (
        capsys.readouterr().err
        == "error: suite=cuda: no CUDA device was found. Use pytest -m accelerator without one.\n"
    )


@pytest.mark.accelerator
@pytest.mark.parametrize("model", ["fnn", "gan", "vae", "lstm", "ppo"])
def test_cuda_suite_runs_on_a_simulated_device(model, monkeypatch):
    monkeypatch.setattr(cuda, "TIMED", 20)
    with simulated_accelerator():
        speed, runs = cuda.speed(model, repeats=1), cuda.runs(model, grouped=False)
    assert speed["samples_per_second"] > 0
    assert ("step_ratio" in speed) == (model != "ppo")
    assert runs.get("failed") is None
    assert runs["losses"].keys() == {"32", "bf16", "fp16"}


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model", ["fnn", "gan"])
def test_cuda_suite_runs_on_a_device(model):
    assert cuda.runs(model).get("failed") is None
