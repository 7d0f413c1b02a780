"""A pretended accelerator: on a machine without one, code that mixes devices fails as it would on CUDA.

    with pretended_accelerator() as accelerator:
        x = torch.zeros(3).to("cuda")
        x.device                                # device(type='cuda', index=0); the memory is the CPU's
        x.index_select(0, torch.arange(3))      # RuntimeError: two devices
        float(x[0])                             # 0.0, and one of accelerator.waits

Every tensor stays a CPU tensor with its real values. A mark on its storage says where it pretends to be. Two modes of
torch keep the marks: one sees the calls that Python makes (``.device``, ``.to``, ``device=``), the other the kernels
beneath them, those of backward passes too. A kernel that gets tensors of both places raises by CUDA's rules:

* a CPU tensor without dimensions may take part in pointwise arithmetic, and nowhere else;
* CPU numbers may index a tensor of the device, but not the other way round;
* ``copy_`` may cross, ``.numpy()`` of a tensor of the device may not, and a CPU generator draws no numbers there.

Whatever would have the host wait for the device is recorded with its place: values that are read, shapes that depend
on values, and copies from memory that is not pinned.

It does not show: kernels that CUDA lacks or computes differently, precision and autocast, the order of streams, memory,
several devices, exports, and threads other than the caller's. ``benchmarks suite=cuda`` covers these on a real device.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from zoo.testing.device_modes import DEVICE, MPS, Accelerator, DeviceCalls, DeviceKernels, Wait, on_device, tensors_in

__all__ = ["DEVICE", "MEMORY", "MPS", "Accelerator", "Wait", "pretended_accelerator"]

MEMORY = 8 << 30  # bytes that the device pretends to have


def _grouped(place: torch.device) -> Callable[..., Any]:
    """Return the function by which torch groups an optimizer's tensors, which would say that all are on the CPU."""
    group = torch._C._group_tensors_by_device_and_dtype

    def grouped(lists: Any, *args: Any) -> Any:
        there = any(map(on_device, tensors_in(*lists)))
        return {(place if there else device, dtype): part for (device, dtype), part in group(lists, *args).items()}

    return grouped


class _Stream:
    """A stream, or an event, in which everything is done at once."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method that does nothing and returns the stream, an event that has happened and is true."""
        return lambda *_, **__: self


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


_nothing = _constant(None)


def _answers(accelerator: Accelerator, memory: int) -> dict[str, Callable[..., Any]]:
    """Return what functions of torch.cuda answer in place of a driver."""
    numbers: dict[str, Any] = {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "is_initialized": True,
        "get_device_name": "pretended accelerator",
        "get_device_capability": (9, 0),
        "is_bf16_supported": True,
        "is_current_stream_capturing": False,
        "mem_get_info": (memory, memory),
        **dict.fromkeys(("max_memory_allocated", "memory_allocated", "memory_reserved"), 0),
    }
    answers: dict[str, Callable[..., Any]] = {name: _constant(value) for name, value in numbers.items()}
    quiet = ("_lazy_init", "set_device", "empty_cache", "reset_peak_memory_stats", "manual_seed", "manual_seed_all")
    answers |= dict.fromkeys((*quiet, "set_rng_state", "set_rng_state_all"), _nothing)
    answers |= {"get_rng_state_all": list, "memory_stats": lambda *_: {}, "stream": contextlib.nullcontext}
    answers["synchronize"] = lambda *_: accelerator.record("torch.cuda.synchronize")
    return answers | {"Stream": _Stream, "Event": _Stream, "current_stream": _Stream}


def _answers_of_mps(accelerator: Accelerator, memory: int) -> dict[str, Callable[..., Any]]:
    """Return what functions of torch.mps answer."""
    answers: dict[str, Callable[..., Any]] = dict.fromkeys(("empty_cache", "manual_seed", "set_rng_state"), _nothing)
    answers |= {"recommended_max_memory": lambda: memory, "driver_allocated_memory": lambda: 0}
    answers |= {"get_rng_state": lambda: torch.zeros(0, dtype=torch.uint8)}
    return answers | {"synchronize": lambda *_: accelerator.record("torch.mps.synchronize")}


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Set back what a run on CUDA sets for all that follows it in a process."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    fill, cudnn = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.deterministic  # type: ignore[attr-defined]
    with mock.patch.dict(os.environ):
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warns)
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
            torch.backends.cudnn.deterministic = cudnn


@contextlib.contextmanager
def pretended_accelerator(
    *, device: torch.device = DEVICE, memory: int = MEMORY, ignored: Iterable[str] = ()
) -> Iterator[Accelerator]:
    """Have ``cuda`` be a device that the block pretends to have, in this thread; yield its record of waits.

    With ``device=MPS`` it is a Mac's, which has no float64.
    ``memory`` are the bytes that it says to have, all of them free: data that takes more than half is streamed.
    ``ignored`` are ends of paths of files, such as ``environment.py``: waits that they lead to are not recorded.
    """
    import torch._dynamo  # which some calls import, and which would trip over what is patched below
    from lightning.fabric.accelerators import mps as fabric
    from lightning.pytorch.accelerators import mps as lightning

    accelerator = Accelerator([], device=device, ignored=tuple(ignored))
    calls = DeviceCalls(accelerator)
    with contextlib.ExitStack() as stack:
        if device == DEVICE:
            patches: list[tuple[Any, str, Any]] = [
                (torch.cuda, *answer) for answer in _answers(accelerator, memory).items()
            ]
        else:
            patches = [(torch.mps, *answer) for answer in _answers_of_mps(accelerator, memory).items()]
            homes = torch.backends.mps, fabric.MPSAccelerator, lightning.MPSAccelerator
            patches += [(home, "is_available", _constant(True)) for home in homes]
        patches += [(Tensor, "record_stream", _nothing), (torch.backends.cudnn, "is_acceptable", _constant(False))]
        patches.append((torch._C, "_group_tensors_by_device_and_dtype", _grouped(device)))
        checks = ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check")  # ask the driver
        optimizer = torch.optim.Optimizer
        patches += [(optimizer, check, _nothing) for check in checks if hasattr(optimizer, check)]
        for home, name, answer in patches:
            stack.enter_context(mock.patch.object(home, name, answer))
        stack.enter_context(_settings())
        stack.enter_context(calls)
        stack.enter_context(DeviceKernels(calls))
        yield accelerator
