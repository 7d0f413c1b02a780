"""Rotation, scale, shear and translation of non-square images against torchvision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.functional import InterpolationMode, affine

from zoo.data.image.augment import ImageAugment


def blob(height: int, width: int, *, sigma: float) -> torch.Tensor:
    """Return (1, 1, H, W) with a round spot amid it."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    square = (down - (height - 1) / 2) ** 2 + (across - (width - 1) / 2) ** 2
    return torch.exp(-square / (2 * sigma**2)).view(1, 1, height, width)


def covariance(image: torch.Tensor) -> torch.Tensor:
    """Return the covariance (2, 2) of where an image (1, 1, H, W) is bright, in pixels."""
    height, width = image.shape[2:]
    at = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack(at).flatten(1).double()
    return torch.cov(places, aweights=image.flatten().double())


@pytest.mark.parametrize("size", [(32, 96), (96, 32), (40, 40)])
@pytest.mark.parametrize("seed", range(3))
def test_rotation_keeps_a_round_spot_round(size, seed):
    image = blob(*size, sigma=5)
    turned = ImageAugment(degrees=30)({"x": image}, torch.Generator().manual_seed(seed))["x"]
    assert torch.allclose(covariance(turned), covariance(image), atol=0.6)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(9, 40),
    width=st.integers(9, 40),
    seed=st.integers(0, 1000),
    limits=st.sampled_from(
        [{"degrees": 40.0}, {"translate": 4.0}, {"scale": 0.3}, {"shear": 0.4}, {"degrees": 90.0, "translate": 3.0}]
    ),
)
def test_affine_equals_torchvision(height, width, seed, limits):
    image = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    actual = ImageAugment(**limits)({"x": image}, torch.Generator().manual_seed(seed))["x"]
    draw = (torch.rand(6, 1, generator=torch.Generator().manual_seed(seed)) * 2 - 1).flatten().tolist()
    angle = draw[0] * limits.get("degrees", 0.0)
    shift = [-draw[n] * limits.get("translate", 0.0) for n in (4, 5)]  # the map here moves the place that is read
    turn = math.radians(angle)
    if limits.keys() >= {"degrees", "translate"}:  # torchvision moves after it has turned
        right, down = shift
        shift = [right * math.cos(turn) + down * math.sin(turn), down * math.cos(turn) - right * math.sin(turn)]
    if "scale" in limits:  # torchvision scales both sides alike
        across, down = (1 + draw[n] * limits["scale"] for n in (2, 3))
        if across != down:
            expected = _scaled(image, across, down)
            assert torch.allclose(actual, expected, atol=1e-4)
            return
    expected = affine(
        image,
        -angle if "shear" not in limits else 0.0,
        shift,
        1.0,
        [math.degrees(math.atan(draw[1] * limits.get("shear", 0.0))), 0.0],
        InterpolationMode.BILINEAR,
    )
    assert torch.allclose(actual, expected, atol=1e-3)


def _scaled(image: torch.Tensor, across: float, down: float) -> torch.Tensor:
    """Return an image read at places that are so many times as far from its middle, with 0 outside."""
    height, width = image.shape[2:]
    row = (torch.arange(height) - (height - 1) / 2) * down + (height - 1) / 2
    column = (torch.arange(width) - (width - 1) / 2) * across + (width - 1) / 2
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    scaled = padded
    for dim, at in ((2, row), (3, column)):
        at = at.clamp(-1, image.shape[dim]) + 1
        low = at.floor().clamp(max=image.shape[dim])
        share = (at - low).view((-1, 1) if dim == 2 else (1, -1))
        scaled = torch.lerp(scaled.index_select(dim, low.long()), scaled.index_select(dim, low.long() + 1), share)
    return scaled
