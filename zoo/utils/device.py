"""The device and the precision of a run."""

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
    """Return cpu, cuda or mps. For CUDA, also select deterministic algorithms.

    Raises:
        ZooError: the requested device does not exist.
    """
    count = torch.cuda.device_count()
    if count and accelerator in ("auto", "cuda", "gpu"):
        _make_deterministic()
        if devices > count:
            raise ZooError(
                f"trainer.devices={devices}: found only {count} CUDA devices. trainer=cpu has no such limit."
            )
        return "cuda"
    if accelerator in ("mps", "gpu") and torch.backends.mps.is_available():
        if devices > 1:
            raise ZooError(f"trainer.devices={devices}: found only one MPS device. trainer=cpu has no such limit.")
        return "mps"
    if accelerator in ("cuda", "gpu", "mps"):
        name = {"cuda": "CUDA", "gpu": "CUDA or MPS", "mps": "MPS"}[accelerator]
        raise ZooError(f"trainer={accelerator}: no {name} device was found. Use trainer=auto or trainer=cpu.")
    # Lightning enables a device check through NVML, which every optimizer step then repeats: 60 µs each.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    return "cpu"


def _make_deterministic() -> None:
    """Select deterministic CUDA algorithms, so that a resumed run ends with the same weights; warn if one has none."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it at the first product
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and no kernel here reads uninitialized memory


def set_tf32(tf32: bool | None) -> None:
    """Enable or disable TF32 for float32 products on CUDA (inputs rounded to 10 bits); None keeps torch's default."""
    if tf32 is not None:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32


def select_precision(precision: str, device: str) -> str:
    """Return Lightning's name of the precision.

    ``auto`` selects bf16-mixed on hardware with bf16 instructions, 16-mixed on older CUDA devices with tensor cores,
    and 32-true elsewhere.

    Raises:
        ZooError: 16-mixed on a device other than CUDA, where small gradients would underflow.
    """
    if precision == "16-mixed" and device != "cuda":
        raise ZooError(f"trainer.precision={precision}: needs a CUDA device. Use bf16-mixed or 32-true.")
    if precision != "auto":
        return precision
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed"
        return "16-mixed" if torch.cuda.get_device_capability() >= (7, 0) else "32-true"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older torch
    fast = device == "cpu" and (capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return "bf16-mixed" if fast else "32-true"


def device_name(device: str) -> str:
    """Return the name of a processor as reported by its driver or by the operating system."""
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
    """Cast float64 buffers of a module to the widest type of ``device``, in place. Call it before ``module.to``."""
    for buffer in module.buffers():
        if buffer.dtype == torch.float64:
            buffer.data = buffer.data.to(widest_dtype(device))
