"""Moments of a stream of rows."""

from __future__ import annotations

import torch

from zoo.layers.policy import merge_moments


def test_merge_moments_of_batches_equals_all_rows():
    x = torch.randn(100, 3, dtype=torch.float64) * 5 + 2
    count, mean, squares = torch.zeros(()), torch.zeros(3).double(), torch.zeros(3).double()
    for part in x.split(17):
        more = (part - part.mean(0)).square().sum(0)
        count, mean, squares = merge_moments((count, mean, squares), (torch.tensor(len(part)), part.mean(0), more))
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(squares / count, x.var(0, correction=0))
