"""Transfer of data to a device: all at once if it fits, otherwise batch by batch with prefetching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from zoo.data.dataset import Batch, Rows, Split, Values, Windows

SHARE = 0.5  # maximum fraction of the memory for data and activations that data may use
COPIES = 3  # of the parameters: gradients and the two Adam moments


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the host to a device without waiting for the device."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def free_memory(device: torch.device) -> int:
    """Return the free memory of an accelerator in bytes."""
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return torch.cuda.mem_get_info(device)[0]


def fits(splits: Iterable[Split], device: torch.device, parameters: Iterable[nn.Parameter]) -> bool:
    """Return whether the splits fit on a device and leave room to train these parameters."""
    if device.type == "cpu":
        return True
    room = COPIES * sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
    return sum(map(size_of, splits)) <= SHARE * (free_memory(device) - room)


def size_of(split: Split) -> int:
    """Return the size of a split on a device in bytes. Values shared between windows count once."""
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
    """Move a split to a device. Windows into the same values share them there."""
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
    """Yield ``select(number)`` on the device for each number. ``resident`` batches are already there.

    While the device computes on one batch, the next one is selected and copied in a separate CUDA stream. Prefetching
    does not change the batches or their order.
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
            value.record_stream(work)  # keeps its memory reserved until this work is done
        if after is not None:
            coming = send(after)
        yield batch
