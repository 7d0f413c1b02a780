"""The device and the precision that a run computes in."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.exceptions import ZooError


def select_device(accelerator: str, devices: int = 1) -> str:
    """Return cpu, cuda or mps. On CUDA all later computations are deterministic.

    Raises:
        ZooError: the requested device does not exist.
    """
    count = torch.cuda.device_count()
    if count and accelerator in ("auto", "cuda", "gpu"):
        _make_deterministic()
        if devices > count:
            raise ZooError(f"trainer.devices={devices}: {count} CUDA devices were found; trainer=cpu takes processes")
        return "cuda"
    if accelerator in ("mps", "gpu") and torch.backends.mps.is_available():
        if devices > 1:
            raise ZooError(f"trainer.devices={devices}: there is one MPS device; trainer=cpu takes processes")
        return "mps"
    if accelerator in ("cuda", "gpu", "mps"):
        name = {"cuda": "CUDA", "gpu": "CUDA or MPS", "mps": "MPS"}[accelerator]
        raise ZooError(f"trainer={accelerator}: no {name} device was found; trainer=auto takes what there is")
    # Lightning has torch ask the driver library for devices, which every optimizer step then does again: 60 µs each.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    return "cpu"


def _make_deterministic() -> None:
    """Make CUDA deterministic, or a resumed run ends with other weights; warn where it cannot be."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is computed
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # which costs time, and no kernel here reads such


def set_tf32(tf32: bool | None) -> None:
    """Round the inputs of float32 products on CUDA to 10 bits (TF32), or not; None leaves torch's choice."""
    if tf32 is not None:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32


def select_precision(precision: str, device: str) -> str:
    """Return Lightning's name of the precision.

    auto is bf16-mixed where the processor has instructions for it, else 16-mixed on CUDA devices with units for that.

    Raises:
        ZooError: 16-mixed on another device, where small gradients would vanish.
    """
    if precision == "16-mixed" and device != "cuda":
        raise ZooError(f"trainer.precision={precision}: needs a CUDA device; bf16-mixed and 32-true do not")
    if precision != "auto":
        return precision
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed"
        return "16-mixed" if torch.cuda.get_device_capability() >= (7, 0) else "32-true"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell
    fast = device == "cpu" and (capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return "bf16-mixed" if fast else "32-true"


def device_name(device: str) -> str:
    """Return the name of a processor, as its driver or the system reports it."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    if device == "mps":
        return f"GPU of {platform.machine()}"
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:  # not Linux
        match = None
    return match.group(1) if match else platform.machine()


def widest_dtype(device: torch.device | str) -> torch.dtype:
    """Return float64, or float32 on a device that has no float64."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def to_widest_dtype(x: Tensor) -> Tensor:
    """Return ``x`` in the widest floating-point type of its device."""
    return x.to(widest_dtype(x.device))


def narrow_buffers(module: nn.Module, device: str) -> None:
    """Cast float64 buffers of a module to a type that ``device`` has, in place, before the module moves there."""
    for buffer in module.buffers():
        if buffer.dtype == torch.float64:
            buffer.data = buffer.data.to(widest_dtype(device))
