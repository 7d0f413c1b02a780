"""A simulated accelerator: on a machine without a GPU, code that mixes devices fails as it would on CUDA.

    with simulated_accelerator() as accelerator:
        x = torch.zeros(3).to("cuda")
        x.device                                # device(type='cuda', index=0), with the CPU's memory
        x.index_select(0, torch.arange(3))      # RuntimeError: two devices
        float(x[0])                             # 0.0, recorded in accelerator.waits

Every tensor remains a CPU tensor with real values. A mark on its storage tells the simulated device. Two torch modes
maintain the marks. One intercepts calls of the Python API (``.device``, ``.to``, ``device=``). The other intercepts
kernels, including those of backward passes. A kernel with tensors on both devices follows CUDA's rules:

* A 0-dimensional CPU tensor is allowed only in pointwise arithmetic.
* CPU indices may index a tensor on the device, but not the other way round.
* ``copy_`` works across devices, but ``.numpy()`` of a device tensor and CPU generators for device tensors do not.

Each wait of the host for the device is recorded with its line of code. Causes are reading a value, a shape that depends
on values, and a copy from memory that is not pinned.

The simulation does not cover kernels that CUDA lacks or computes differently, precision, autocast or memory. It also
excludes the order of streams, several devices, exports, and other threads. ``benchmarks suite=cuda`` covers these on a
real device.
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

__all__ = ["DEVICE", "MEMORY", "MPS", "Accelerator", "Wait", "simulated_accelerator"]

MEMORY = 8 << 30  # default memory of the simulated device in bytes


def _grouped(place: torch.device) -> Callable[..., Any]:
    """Return a replacement for the function that groups an optimizer's tensors by device; it uses the marks."""
    group = torch._C._group_tensors_by_device_and_dtype

    def grouped(lists: Any, *args: Any) -> Any:
        there = any(map(on_device, tensors_in(*lists)))
        return {(place if there else device, dtype): part for (device, dtype), part in group(lists, *args).items()}

    return grouped


class _Stream:
    """A stream or event that completes immediately."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method that does nothing and returns the object itself, which is true."""
        return lambda *_, **__: self


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


_nothing = _constant(None)


def _answers(accelerator: Accelerator, memory: int) -> dict[str, Callable[..., Any]]:
    """Return replacements for functions of torch.cuda, which would need a driver."""
    numbers: dict[str, Any] = {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "is_initialized": True,
        "get_device_name": "simulated accelerator",
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
    """Return replacements for functions of torch.mps."""
    answers: dict[str, Callable[..., Any]] = dict.fromkeys(("empty_cache", "manual_seed", "set_rng_state"), _nothing)
    answers |= {"recommended_max_memory": lambda: memory, "driver_allocated_memory": lambda: 0}
    answers |= {"get_rng_state": lambda: torch.zeros(0, dtype=torch.uint8)}
    return answers | {"synchronize": lambda *_: accelerator.record("torch.mps.synchronize")}


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Restore the global settings that a run on CUDA changes."""
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
def simulated_accelerator(
    *, device: torch.device = DEVICE, memory: int = MEMORY, ignored: Iterable[str] = ()
) -> Iterator[Accelerator]:
    """Simulate a device in this thread within the block; yield its state with the recorded waits.

    Args:
        device: the CUDA device, or ``MPS`` for a Mac's GPU, which has no float64.
        memory: its memory in bytes, all free; data that needs more than half is streamed.
        ignored: suffixes of file names, such as ``environment.py``; waits called from these files are not recorded.
    """
    import torch._dynamo  # some calls import it later, which would fail with the patches below
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
