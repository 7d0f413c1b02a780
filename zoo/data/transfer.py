"""The way of data to a device: as a whole where it fits there, else batch by batch, one ahead of the computation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from zoo.data.dataset import Batch, Rows, Split, Values, Windows

SHARE = 0.5  # of the memory that is left to data and activations, what data may take at most
COPIES = 3  # of the parameters: gradients, and the two moments of Adam


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on a device, without waiting for the device."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on an accelerator."""
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return torch.cuda.mem_get_info(device)[0]


def fits(splits: Iterable[Split], device: torch.device, parameters: Iterable[nn.Parameter]) -> bool:
    """Tell whether splits may lie on a device as a whole, and leave room for learning these parameters."""
    if device.type == "cpu":
        return True
    room = COPIES * sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
    return sum(map(size_of, splits)) <= SHARE * (free_memory(device) - room)


def size_of(split: Split) -> int:
    """Return the bytes that a split takes on a device; values that windows share count once."""
    shared = {_identity(value): value.base.nbytes for value in split.values() if isinstance(value, Windows)}
    return sum(shared.values()) + sum(_bytes(value) for value in split.values() if not isinstance(value, Windows))


def _bytes(value: Tensor | Rows) -> int:
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value.base, Windows):
        return value.base.base.nbytes + value.index.nbytes
    return len(value) * value.base[:1].nbytes


def _identity(value: Windows) -> tuple[int, tuple[int, ...]]:
    return value.base.data_ptr(), tuple(value.base.shape)


def to_device(split: Split, device: torch.device) -> dict[str, Values]:
    """Return a split on a device; windows into the same values share them there."""
    bases: dict[tuple[int, tuple[int, ...]], Tensor] = {}
    moved: dict[str, Values] = {}
    for key, value in split.items():
        if isinstance(value, Windows):
            identity = _identity(value)
            if identity not in bases:
                bases[identity] = value.base.to(device)
            moved[key] = Windows(bases[identity], value.length, first=value.first, drop=value.drop)
        else:
            moved[key] = value.to(device)
    return moved


def ahead(
    select: Callable[[int], Batch], numbers: Sequence[int], device: torch.device, *, resident: bool = False
) -> Iterator[Batch]:
    """Yield ``select(number)`` of each number on a device, where a ``resident`` batch is already.

    A batch that comes from the host is selected, and copied in a stream of its own, before the one before it is handed
    out: while the device computes on that. Which batches there are, and in which order, does not depend on it.
    """
    if resident or device.type != "cuda" or not numbers:
        for number in numbers:
            yield {key: value.to(device) for key, value in select(number).items()}
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(number: int) -> Batch:
        batch = select(number)
        with torch.cuda.stream(stream):
            return {key: upload(value, device) for key, value in batch.items()}

    coming = send(numbers[0])
    for after in [*numbers[1:], None]:
        batch, work = coming, torch.cuda.current_stream(device)
        work.wait_stream(stream)
        for value in batch.values():
            value.record_stream(work)  # its memory is not used again before this work is done
        if after is not None:
            coming = send(after)
        yield batch
