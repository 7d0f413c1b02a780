"""The simulated accelerator: it rejects and accepts as CUDA does, and records waits."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zoo.testing.accelerator import DEVICE, simulated_accelerator


def device_ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape).to("cuda")


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 1))


ON_DEVICE = {
    "moved": lambda: device_ones(3),
    "computed": lambda: device_ones(3) * 2 + 1,
    "a view": lambda: device_ones(3, 2).T[0],
    "made there": lambda: torch.zeros(3, device="cuda"),
    "made of numbers": lambda: torch.tensor([1, 2], device="cuda"),
    "made like another": lambda: torch.zeros_like(device_ones(3)),
    "made by another": lambda: device_ones(3).new_zeros(2),
    "made of numbers by another": lambda: device_ones(3).new_tensor([1.0]),
    "from NumPy": lambda: torch.as_tensor(np.ones(3), device="cuda"),
    "with a number of the host": lambda: device_ones(3) + torch.tensor(1.0),
    "by a function of several kernels": lambda: F.one_hot(torch.tensor([0, 1], device="cuda"), 3),
    "indexed by numbers of the host": lambda: device_ones(3)[torch.arange(2)],
    "copied deeply": lambda: copy.deepcopy(device_ones(3)),
    "moved with a module": lambda: net().to("cuda")[0].weight,
    "moved like another": lambda: torch.ones(3).to(device_ones(1)),
}
ON_HOST = {
    "made here": lambda: torch.zeros(3),
    "copied back": lambda: device_ones(3).cpu(),
    "moved back": lambda: device_ones(3).to("cpu"),
    "like another, but here": lambda: torch.zeros_like(device_ones(3), device="cpu"),
}
REFUSED = {
    "added": lambda: device_ones(3) + torch.ones(3),
    "a host's number is changed": lambda: torch.zeros(()).add_(device_ones(1).sum()),
    "rows by numbers of the host": lambda: device_ones(3).index_select(0, torch.arange(2)),
    "host's rows by numbers": lambda: torch.ones(3)[torch.arange(2).to("cuda")],
    "concatenated": lambda: torch.cat([device_ones(1), torch.ones(1)]),
    "stacked with a number": lambda: torch.stack([device_ones(1).sum(), torch.zeros(())]),
    "through a layer": lambda: net().to("cuda")(torch.ones(1, 2)),
    "a loss of targets here": lambda: F.cross_entropy(device_ones(2, 3), torch.tensor([0, 1])),
    "class weights here": lambda: F.cross_entropy(
        device_ones(2, 3), torch.tensor([0, 1], device="cuda"), torch.ones(3)
    ),
    "drawn by a generator of the host": lambda: torch.rand(2, device="cuda", generator=torch.Generator()),
}


@pytest.mark.parametrize("make", ON_DEVICE.values(), ids=ON_DEVICE)
@pytest.mark.parametrize("inference", [False, True])
def test_accelerator_tensors_are_on_the_device(make, inference):
    with simulated_accelerator(), torch.inference_mode(inference):
        x = make()
        assert x.device == DEVICE
        assert x.is_cuda


@pytest.mark.parametrize("make", ON_HOST.values(), ids=ON_HOST)
def test_accelerator_tensors_are_on_the_host(make):
    with simulated_accelerator():
        assert make().device.type == "cpu"


@pytest.mark.parametrize("mix", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("inference", [False, True])
def test_accelerator_rejects_what_cuda_rejects(mix, inference):
    with simulated_accelerator(), torch.inference_mode(inference), pytest.raises(RuntimeError):
        mix()


@settings(deadline=None, max_examples=40)
@given(
    kernel=st.sampled_from([torch.add, torch.mul, torch.maximum, torch.matmul, torch.dot, torch.atan2, torch.where]),
    first=st.booleans(),
    backward=st.booleans(),
)
def test_accelerator_kernels_reject_mixed_devices(kernel, first, backward):
    with simulated_accelerator():
        one, other = torch.ones(3, requires_grad=backward), torch.ones(3)
        pair = (one.to("cuda"), other) if first else (one, other.to("cuda"))
        arguments = (pair[0].detach() > 0, *pair) if kernel is torch.where else pair
        with pytest.raises(RuntimeError, match="same device"):
            kernel(*arguments)


def test_accelerator_tensors_need_cpu_for_numpy():
    with simulated_accelerator():
        for read in (np.asarray, lambda x: x.numpy()):
            with pytest.raises(TypeError, match="Tensor.cpu"):
                read(device_ones(3))
            assert read(device_ones(3).cpu()).tolist() == [1, 1, 1]


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
def test_accelerator_optimizer_steps_equal_cpu(optimizer):
    def weights(device: str) -> torch.Tensor:
        torch.manual_seed(0)
        model = net().to(device)
        steps = optimizer(model.parameters(), lr=0.1)
        for _ in range(3):
            model(torch.ones(4, 2, device=device)).square().sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            steps.step()
        assert all(p.grad is not None and p.grad.device == p.device for p in model.parameters())
        return torch.cat([p.detach().cpu().flatten() for p in model.parameters()])

    with simulated_accelerator():
        on_device = weights("cuda")
    assert torch.equal(on_device, weights("cpu"))


WAITS = {
    "a value": (lambda x: float(x[0]), "reads a value"),
    "a condition": (lambda x: bool(x.any()), "reads a value"),
    "a list": (lambda x: x.tolist(), "tolist"),
    "a mask": (lambda x: x[x > 0], "index by a mask"),
    "numbers in a list": (lambda x: x[[0, 1]], "index from the host"),
    "places": (lambda x: x.nonzero(), "nonzero"),
    "an upload": (lambda x: torch.ones(2).to("cuda"), "copy from the host"),
    "an upload that must wait": (lambda x: torch.ones(2).to("cuda", non_blocking=True), "copy from unpinned memory"),
    "an upload of numbers": (lambda x: torch.tensor([1.0], device="cuda"), "copy from the host"),
    "a copy into": (lambda x: x.copy_(torch.zeros(3)), "copy from the host"),
    "a copy back": (lambda x: x.cpu(), "copy to the host"),
    "all at once": (lambda x: torch.cuda.synchronize(), "torch.cuda.synchronize"),
}
FREE = {
    "arithmetic": lambda x: x * 2 + torch.tensor(1.0),
    "pinned memory": lambda x: torch.ones(2).pin_memory().to("cuda", non_blocking=True),
    "rows by numbers": lambda x: x.index_select(0, torch.arange(2, device="cuda")),
    "a number by a mask": lambda x: x.masked_fill_(x > 0, 0.0),
    "a mask that is filled": lambda x: x.__setitem__(x > 0, 0.0),
}


@pytest.mark.parametrize(("act", "what"), WAITS.values(), ids=WAITS)
def test_accelerator_records_each_synchronization(act, what):
    with simulated_accelerator() as accelerator:
        x = device_ones(3)
        accelerator.waits.clear()
        act(x)
        (wait,) = accelerator.waits
    assert wait.cause == what
    assert wait.place.startswith("tests/testing/test_accelerator.py:")


@pytest.mark.parametrize("act", FREE.values(), ids=FREE)
def test_accelerator_records_no_asynchronous_calls(act):
    with simulated_accelerator() as accelerator:
        x = device_ones(3)
        accelerator.waits.clear()
        act(x)
        assert not accelerator.waits


def test_accelerator_per_batch_counts_a_wait_once():
    with simulated_accelerator() as accelerator:
        x = device_ones(3)
        for macro in range(3):
            for batch in range(4):
                accelerator.clock = lambda at=(macro, batch): at
                x.sum().item()
            x.max().item()
        (wait,) = accelerator.per_batch()
    assert wait.time == (0, 0)


def test_accelerator_ends_with_its_context():
    with simulated_accelerator():
        assert torch.cuda.is_available()
        assert torch.cuda.device_count() == 1
    assert torch.cuda.is_available() == (torch.cuda.device_count() > 0)
    assert torch.zeros(1).device.type == "cpu"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_accelerator_behaves_as_a_real_device():
    for make in ON_DEVICE.values():
        assert make().device == DEVICE
    for make in ON_HOST.values():
        assert make().device.type == "cpu"
    for name, mix in REFUSED.items():
        try:
            mix()
        except (RuntimeError, ValueError):
            continue
        pytest.fail(f"CUDA takes what is refused here: {name}")
