"""Thread-safe evaluation mode of a module (no dropout, stored batch statistics)."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn


@dataclass
class _Entry:
    users: int = 0
    training: list[nn.Module] = field(default_factory=list)  # submodules that return to training mode


_lock = threading.Lock()
_entries: weakref.WeakKeyDictionary[nn.Module, _Entry] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Keep ``module`` in evaluation mode until the block ends or raises.

    Several threads can share the module: the first one sets the mode, and the last one restores each submodule.
    """
    with _lock:
        entry = _entries.setdefault(module, _Entry())
        if not entry.users:
            entry.training = [part for part in module.modules() if part.training]
            if entry.training:
                module.eval()
        entry.users += 1
    try:
        yield
    finally:
        with _lock:
            entry.users -= 1
            if not entry.users:
                for part in entry.training:
                    part.training = True
                entry.training = []
