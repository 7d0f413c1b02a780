"""The marks of a pretended accelerator: which tensors claim to be on it, and a record of the host's waits."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

DEVICE = torch.device("cuda", 0)
LIBRARIES = ("torch", "lightning", "torchmetrics", "contextlib.py")  # whose frames are no place of a wait
PRETENSE = tuple(
    str(Path(__file__).with_name(name)) for name in ("device_marks.py", "device_modes.py", "accelerator.py")
)


class Wait(NamedTuple):
    """A moment at which the host waits for the device: what for, where in the code, and when."""

    what: str
    place: str
    time: tuple[int, int] | None


@dataclass
class Accelerator:
    """A record of a pretended accelerator.

    ``clock`` returns the macro-batch and the step at work, None outside of training steps. ``ignored`` are ends of
    files: a wait with one of them among its callers is not recorded.
    """

    waits: list[Wait]
    device: torch.device = DEVICE
    clock: Callable[[], tuple[int, int] | None] = lambda: None
    ignored: tuple[str, ...] = ()

    def holds(self, device: Any) -> bool:
        """Tell whether a device that a call names is this one."""
        if isinstance(device, int):  # its number
            return True
        return device is not None and torch.device(device).type == self.device.type

    def record(self, what: str) -> None:
        """Add a wait, with the place in the caller's code."""
        frame, place = sys._getframe(1), ""
        while frame is not None:
            path = frame.f_code.co_filename
            if path.endswith(self.ignored) if self.ignored else False:
                return
            if not place and path not in PRETENSE and not _is_library(path):
                place = f"{_short(path)}:{frame.f_lineno}"
                if not self.ignored:
                    break
            frame = frame.f_back  # type: ignore[assignment]
        self.waits.append(Wait(what, place, self.clock()))

    def per_batch(self) -> list[Wait]:
        """Return the first wait of each place that has one in several batches of one macro-batch."""
        first: dict[tuple[str, str, int], Wait] = {}
        repeated: dict[tuple[str, str], Wait] = {}
        for wait in self.waits:
            if wait.time is None:
                continue
            macro, batch = wait.time
            before = first.setdefault((wait.what, wait.place, macro), wait)
            if before.time != (macro, batch):
                repeated.setdefault((wait.what, wait.place), before)
        return list(repeated.values())


def _is_library(path: str) -> bool:
    parts = Path(path).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1] in LIBRARIES
    return parts[-1] in LIBRARIES or path.startswith("<")


def _short(path: str) -> str:
    parts = Path(path).parts
    top = max((n for n, part in enumerate(parts) if part in ("zoo", "site-packages", "tests")), default=-2)
    return "/".join(parts[top:])


def on_device(tensor: Tensor) -> bool:
    """Tell whether a tensor pretends to be on the accelerator."""
    try:
        return bool(getattr(tensor.untyped_storage(), "zoo_on_device", False))
    except (NotImplementedError, RuntimeError):  # a sparse tensor has no storage
        return False


def mark(tensor: Tensor, there: bool) -> Tensor:
    """Mark a tensor's memory as the accelerator's, or as the host's; return the tensor."""
    with contextlib.suppress(NotImplementedError, RuntimeError):
        tensor.untyped_storage().zoo_on_device = there  # type: ignore[attr-defined]
    return tensor


def is_pinned(tensor: Tensor) -> bool:
    """Tell whether a tensor lies in memory that claims to be pinned."""
    return bool(getattr(tensor.untyped_storage(), "zoo_pinned", False))


def tensors_in(*nodes: Any) -> Iterator[Tensor]:
    """Yield the tensors in arguments; a long list of numbers is not searched."""
    for node in nodes:
        if isinstance(node, Tensor):
            yield node
        elif isinstance(node, dict):
            yield from tensors_in(*node.values())
        elif isinstance(node, (list, tuple)) and node and not isinstance(node[0], (int, float, str)):
            yield from tensors_in(*node)
