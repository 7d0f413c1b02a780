"""The torch modes behind the simulated accelerator: they mark tensors as on the device and record waits of the host.

``DeviceCalls`` intercepts calls of the Python API, and ``DeviceKernels`` intercepts the kernels below it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("cuda", 0)
MPS = torch.device("mps", 0)
HOST = torch.device("cpu")
LIBRARIES = ("torch", "lightning", "torchmetrics", "contextlib.py")  # a wait is attributed to the caller of these
PRETENSE = tuple(str(Path(__file__).with_name(name)) for name in ("device_modes.py", "accelerator.py"))


class Wait(NamedTuple):
    """A synchronization of the host with the device.

    Attributes:
        cause: the operation, such as ``reads a value``.
        place: file and line.
        time: macro-batch and step; None outside of training steps.
    """

    cause: str
    place: str
    time: tuple[int, int] | None


@dataclass
class Accelerator:
    """The state of a simulated accelerator.

    Attributes:
        waits: the recorded waits.
        device: the simulated device.
        clock: returns the current macro-batch and step, or None outside of training steps.
        ignored: suffixes of file names; a wait called from such a file is not recorded.
    """

    waits: list[Wait]
    device: torch.device = DEVICE
    clock: Callable[[], tuple[int, int] | None] = lambda: None
    ignored: tuple[str, ...] = ()

    def holds(self, device: Any) -> bool:
        """Return whether ``device``, as passed to a call, is the simulated device."""
        if isinstance(device, int):  # an index
            return True
        return device is not None and torch.device(device).type == self.device.type

    def record(self, cause: str) -> None:
        """Record a wait with its cause and the calling line of code."""
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
        self.waits.append(Wait(cause, place, self.clock()))

    def per_batch(self) -> list[Wait]:
        """Return the first wait of each place that waits in several batches of the same macro-batch."""
        first: dict[tuple[str, str, int], Wait] = {}
        repeated: dict[tuple[str, str], Wait] = {}
        for wait in self.waits:
            if wait.time is None:
                continue
            macro, batch = wait.time
            before = first.setdefault((wait.cause, wait.place, macro), wait)
            if before.time != (macro, batch):
                repeated.setdefault((wait.cause, wait.place), before)
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
    """Return whether a tensor is marked as on the accelerator."""
    try:
        return bool(getattr(tensor.untyped_storage(), "zoo_on_device", False))
    except (NotImplementedError, RuntimeError):  # a sparse tensor has no storage
        return False


def mark(tensor: Tensor, there: bool) -> Tensor:
    """Mark the storage of a tensor as on the accelerator or on the host; return the tensor."""
    with contextlib.suppress(NotImplementedError, RuntimeError):
        tensor.untyped_storage().zoo_on_device = there  # type: ignore[attr-defined]
    return tensor


def is_pinned(tensor: Tensor) -> bool:
    """Return whether a tensor is marked as pinned."""
    return bool(getattr(tensor.untyped_storage(), "zoo_pinned", False))


def tensors_in(*nodes: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested arguments; lists of numbers are skipped."""
    for node in nodes:
        if isinstance(node, Tensor):
            yield node
        elif isinstance(node, dict):
            yield from tensors_in(*node.values())
        elif isinstance(node, (list, tuple)) and node and not isinstance(node[0], (int, float, str)):
            yield from tensors_in(*node)


# --- the modes ---

COPIES = {"copy_", "_foreach_copy_", "set_"}
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
# Kernels that accept a 0-dimensional CPU tensor as a number, in addition to pointwise kernels
NUMBERS = {"masked_fill", "fill", "where", "index_fill", "full_like"}
# Kernels that send a value, or the size of the result, to the host
READS = {"_local_scalar_dense", "equal"}
SIZED_BY_VALUES = {"nonzero", "masked_select", "bincount", "histc"}
SIZED_BY_VALUES |= {"_unique", "_unique2", "unique_dim", "unique_consecutive"}


class _Call(NamedTuple):
    there: bool  # whether new tensors of the call are on the accelerator
    stated: bool  # whether the arguments name the device


class DeviceCalls(TorchFunctionMode):
    """Simulates the device in calls of torch's Python API."""

    def __init__(self, accelerator: Accelerator) -> None:
        super().__init__()
        self.accelerator = accelerator
        self.stack: list[_Call] = []
        self.handlers: dict[Any, Callable[..., Any]] = {
            Tensor.device.__get__: lambda x: accelerator.device if on_device(x) else _real_device(x),
            Tensor.is_cuda.__get__: lambda x: on_device(x) and accelerator.device == DEVICE,  # type: ignore[attr-defined]
            Tensor.is_cpu.__get__: lambda x: not on_device(x) and _real_device(x) == HOST,  # type: ignore[attr-defined]
            Tensor.get_device: lambda x: 0 if on_device(x) else -1,
            Tensor.to: self._to,
            Tensor.cpu: lambda x, *a, **k: self._to(x, "cpu"),
            Tensor.cuda: lambda x, device=None, non_blocking=False, **k: self._to(
                x, accelerator.device, non_blocking=non_blocking
            ),
            Tensor.numpy: lambda x, *a, **k: self._readable(x).numpy(*a, **k),
            Tensor.__array__: lambda x, *a, **k: Tensor.__array__(self._readable(x), *a, **k),  # type: ignore[no-untyped-call]
            Tensor.tolist: self._tolist,
            Tensor.pin_memory: self._pin,
            Tensor.is_pinned: lambda x, *a: is_pinned(x),
            Tensor.__deepcopy__: lambda x, memo: mark(Tensor.__deepcopy__(x, memo), on_device(x)),  # type: ignore[no-untyped-call]
            torch.nn.functional.one_hot: self._one_hot,
            Tensor.new_tensor: lambda x, data, **k: self._from_host(
                Tensor.new_tensor, x, data, **{"device": x.device if not on_device(x) else accelerator.device, **k}
            ),
        }
        self.handlers |= {
            make: lambda *a, make=make, **k: self._from_host(make, *a, **k)
            for make in (torch.tensor, torch.as_tensor, torch.asarray)
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        handler = self.handlers.get(func)
        if handler is not None:
            return handler(*args, **kwargs)
        device, generator = kwargs.get("device"), kwargs.get("generator")
        there = self.accelerator.holds(device) if device is not None else any(map(on_device, tensors_in(args, kwargs)))
        if device is not None and there:
            kwargs = {**kwargs, "device": HOST}
        if there and generator is not None and generator.device.type == "cpu":
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        with self.placing(there, stated=device is not None):
            return func(*args, **kwargs)

    @contextlib.contextmanager
    def placing(self, there: bool, *, stated: bool) -> Iterator[None]:
        """Place tensors created in the block on the accelerator or on the host."""
        self.stack.append(_Call(there, stated))
        try:
            yield
        finally:
            self.stack.pop()

    def _to(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        positions = ["device", "dtype", "non_blocking", "copy"]
        if args and isinstance(args[0], Tensor):
            args = (self.accelerator.device if on_device(args[0]) else _real_device(args[0]), args[0].dtype, *args[1:])
        elif args and isinstance(args[0], torch.dtype):
            positions = positions[1:]
        options = {**dict(zip(positions, args, strict=False)), **kwargs}
        device, non_blocking = options.pop("device", None), options.pop("non_blocking", False)
        options = {key: value for key, value in options.items() if value is not None}
        if device is None or self.accelerator.holds(device) == on_device(x):
            if device is not None and not self.accelerator.holds(device):
                options["device"] = device
            with self.placing(on_device(x), stated=False):
                return x.to(**options) if options else x
        if torch.device(device).type == "meta":
            return x.to(device="meta", **options)
        self.crossing(x, there=self.accelerator.holds(device), non_blocking=non_blocking)
        with self.placing(self.accelerator.holds(device), stated=True):
            return x.to(**{**options, "copy": True})

    def crossing(self, x: Tensor, *, there: bool, non_blocking: bool) -> None:
        """Record a copy between host and device as a wait, unless it is asynchronous."""
        if not there:
            self.accelerator.record("copy to the host")
        elif not (non_blocking and is_pinned(x)):
            self.accelerator.record("copy from unpinned memory" if non_blocking else "copy from the host")

    def _one_hot(self, x: Tensor, num_classes: int = -1) -> Tensor:
        waits = len(self.accelerator.waits)
        with self.placing(on_device(x), stated=False):
            codes = torch.nn.functional.one_hot(x, num_classes)
        if num_classes >= 0:  # unlike on the CPU, the CUDA kernel does not check the values
            del self.accelerator.waits[waits:]
        return codes

    @staticmethod
    def _readable(x: Tensor) -> Tensor:
        if on_device(x):
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
                "first."
            )
        return x

    def _tolist(self, x: Tensor) -> Any:
        if on_device(x):
            self.accelerator.record("tolist")
        return x.tolist()

    def _pin(self, x: Tensor, *args: Any) -> Tensor:
        if on_device(x):
            raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
        pinned = x.clone()
        pinned.untyped_storage().zoo_pinned = True  # type: ignore[attr-defined]
        return pinned

    def _from_host(self, make: Callable[..., Tensor], *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        data = args[-1] if args else kwargs.get("data")
        source = isinstance(data, Tensor) and on_device(data)
        there = self.accelerator.holds(device) if device is not None else source
        if device is not None and not there:
            kwargs["device"] = HOST if source else device
        if there != source:
            self.crossing(torch.empty(0), there=there, non_blocking=False)
        with self.placing(there, stated=True):
            out = make(*args, **kwargs)
        return out if out is data else mark(out, there)


def _real_device(tensor: Tensor) -> torch.device:
    return torch._C.TensorBase.device.__get__(tensor)


class DeviceKernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Marks the outputs of kernels, raises the errors that CUDA raises, and records synchronizing kernels."""

    def __init__(self, calls: DeviceCalls) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls, self.accelerator = calls, calls.accelerator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch.is_inference_mode_enabled():  # composite functions arrive undecomposed
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        name = func._schema.name.split("::")[1]
        inputs = list(tensors_in(args, kwargs))
        places = [on_device(x) for x in inputs]
        self._check(func, name, args, kwargs, list(zip(inputs, places, strict=True)))
        if any(places):
            self._record(name, args, kwargs)
        call = self.calls.stack[-1] if self.calls.stack else _Call(False, False)
        there = call.there if call.stated or not inputs else any(places)
        if self.accelerator.holds(kwargs.get("device")):  # from a call that DeviceCalls does not intercept
            there, kwargs["device"] = True, HOST
        before = {_storage(x) for x in inputs}
        out = func(*args, **kwargs)
        for tensor in tensors_in(out) if name != "set_" else ():  # set_ reuses marked storage
            if there and tensor.dtype == torch.float64 and self.accelerator.device == MPS:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support it")
            if _storage(tensor) not in before:
                mark(tensor, there)
        return out

    def _check(self, func: Any, name: str, args: Any, kwargs: Any, inputs: list[tuple[Tensor, bool]]) -> None:
        there, here = [x for x, on in inputs if on], [x for x, on in inputs if not on]
        generator = kwargs.get("generator")
        if there and generator is not None and generator.device.type == "cpu":
            raise RuntimeError(f"{name}: expected a 'cuda' device type for generator but found 'cpu'")
        if not there or not here or name in COPIES:
            return
        if name in INDEXED:
            values = list(tensors_in(*args[2:]))
            if on_device(args[0]) and all(on_device(x) or not x.ndim for x in values):
                return
            if not on_device(args[0]):
                raise RuntimeError(f"{name}: indices should be on the CPU, where the indexed tensor is")
        written = args[0] if name.endswith("_") and args and isinstance(args[0], Tensor) else None
        numbers = all(not x.ndim for x in here) and (written is None or on_device(written))
        if numbers and (_is_pointwise(func) or name.removesuffix("_") in NUMBERS):
            return
        listed = ", ".join(f"{'cuda:0' if on else 'cpu'} {tuple(x.shape)}" for x, on in inputs)
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
            f"({name} of {listed})"
        )

    def _record(self, name: str, args: Any, kwargs: Any) -> None:
        record = self.accelerator.record
        if name in READS:
            record("reads a value")
        elif name in SIZED_BY_VALUES or (name == "repeat_interleave" and kwargs.get("output_size") is None):
            record(name)
        elif name == "copy_" and on_device(args[0]) != on_device(args[1]):
            self.calls.crossing(args[1], there=on_device(args[0]), non_blocking=len(args) > 2 and bool(args[2]))
        elif name in INDEXED:
            indices = list(tensors_in(args[1]))
            if any(not on_device(x) for x in indices):
                record("index from the host")
            one = name != "index" and any(x.numel() == 1 for x in tensors_in(*args[2:3]))  # filled by a mask
            if any(x.dtype in (torch.bool, torch.uint8) for x in indices) and not one:
                record("index by a mask")


def _storage(tensor: Tensor) -> int | None:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return None


def _is_pointwise(func: Any) -> bool:
    """Return whether a kernel is pointwise; in-place variants count as their out-of-place kernels."""
    if torch.Tag.pointwise in func.tags:
        return True
    plain = getattr(torch.ops.aten, func._schema.name.split("::")[1].removesuffix("_"), None)
    if plain is None:
        return False
    return any(torch.Tag.pointwise in getattr(plain, overload).tags for overload in plain.overloads())
