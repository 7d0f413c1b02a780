"""Images between two latent codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.exceptions import ZooError

if TYPE_CHECKING:
    from zoo.data import Dataset
    from zoo.models.autoencoder_base import AutoencoderBase

MAX_STEPS = 50  # images in a picture


def between_noise(model: Any, out: Path, *, steps: int = 10, **options: Any) -> list[str]:
    """Draw the way from one noise to another into ``out``; ``options`` are ``seed`` and ``label``."""
    from zoo.utils.plotting import grid

    if steps > MAX_STEPS:
        raise ZooError(f"steps={steps}: must be at most {MAX_STEPS}")
    return [
        f"picture         {grid(model.interpolate(steps=steps, **options), 'from one noise to another', out, columns=steps)}"
    ]


def between_images(
    model: AutoencoderBase, dataset: Dataset, out: Path, *, first: int = 0, last: int = 1, steps: int = 10
) -> list[str]:
    """Draw the way from one test image to another, by their numbers, into ``out``.

    Raises:
        ZooError: no such rows, or no images.
    """
    from zoo.utils.plotting import grid

    if steps > MAX_STEPS:
        raise ZooError(f"steps={steps}: must be at most {MAX_STEPS}")
    x = dataset.test["x"]
    if not model.spec.spatial:
        raise ZooError(f"interpolate: is for images; {model.spec.name} is {model.spec.modality} data")
    for name, row in (("from", first), ("to", last)):
        if not 0 <= row < len(x):
            raise ZooError(f"{name}={row}: must be from 0 to {len(x) - 1}, the test rows")
    images = model.interpolate(x[first].numpy(), x[last].numpy(), steps=steps)
    return [f"picture         {grid(images, f'from test image {first} to {last}', out, columns=steps)}"]
