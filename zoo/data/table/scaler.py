"""The scaler of tables: numbers standardized, categories one-hot."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.data.scaler import Scaler
from zoo.data.table.spec import TableSpec


class TableScaler(Scaler):
    """Rows (B, encoded_size): numeric columns, standardized, then each category as 0 or 1.

    A category that training lacks is 0 throughout. Offsets that training subtracted in float64 are added again.
    """

    numbers: Tensor
    output_scale: Tensor
    output_shift: Tensor

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec)
        self.categories = {n: len(known) for n, known in enumerate(spec.categories) if known}
        numbers = torch.tensor([n for n in range(spec.inputs) if n not in self.categories])
        size = spec.encoded_size
        scale, shift = torch.ones(size), torch.zeros(size)
        scale[: len(numbers)], shift[: len(numbers)] = self.std[numbers], self.mean[numbers]
        for name, value in (("numbers", numbers), ("output_scale", scale), ("output_shift", shift)):
            self.register_buffer(name, value, persistent=False)
        offsets = [*spec.reading.offsets, *[0.0] * size]
        self.offsets = [offsets[n] for n in numbers] + [0.0] * (size - len(numbers))

    def transform(self, x: Tensor) -> Tensor:
        """Return rows (B, columns) as targets (B, encoded_size)."""
        numbers = super().transform(x).index_select(1, self.numbers)
        one_hot = [
            (x[:, n : n + 1] == torch.arange(1, count + 1, device=x.device)).to(numbers.dtype)
            for n, count in self.categories.items()
        ]
        return torch.cat([numbers, *one_hot], 1)

    def inverse_transform(self, output: Tensor) -> Tensor:
        """Return numbers in original units, then categories as 0 to 1; in float64 where there are offsets."""
        value = output * self.output_scale + self.output_shift
        if any(self.offsets):
            value = value.to("cpu" if value.device.type == "mps" else value.device, torch.float64)
            value = value + torch.tensor(self.offsets, dtype=torch.float64, device=value.device)
        return value
