"""Images sampled from a generative model, and their Inception FID."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.classes import labels_of
from zoo.exceptions import ZooError
from zoo.utils.atomic_io import write_npz
from zoo.utils.plotting import grid

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset

MAX_DRAWN, MAX_STORED = 1024, 100_000  # images in a picture and in a file


def sample(model: Any, out: Path, *, count: int = 64, **options: Any) -> list[str]:
    """Draw new images into ``out``: a picture, or an ``.npz`` of ``x`` (count, C, H, W) of bytes, with ``y`` where the
    model was told classes.

    ``options`` are those of the model's ``sample``: ``seed``, ``label``, ``truncation``.

    Raises:
        ZooError: a model that draws none.
    """

    stored = out.suffix == ".npz"
    largest = MAX_STORED if stored else MAX_DRAWN
    if not 1 <= count <= largest:
        raise ZooError(f"count={count}: must be from 1 to {largest} in a {out.suffix}")
    if not hasattr(model, "sample") or not model.spec.spatial:
        raise ZooError(f"sample: model={model.name} of {model.spec.modality} data draws no images")
    images = model.sample(count, **options)
    if not stored:
        return [f"picture         {grid(images, 'new images', out)}"]
    content = {"x": (255 * images.clamp(0, 1)).round().byte().cpu().numpy()}
    y = labels_of(
        model.spec, count, options.get("label"), conditional=getattr(model, "num_classes", 0) > 0, device="cpu"
    )
    content |= {} if y is None else {"y": y.numpy()}
    write_npz(out, content)
    return [f"images          {out}   x {content['x'].shape}{'' if y is None else ', y'}"]


def fid(model: Any, dataset: Dataset, **options: Any) -> list[str]:
    """Return the Inception FID of a model's samples beside that of other real images.

    ``options`` are those of ``inception_fid``: ``weights``, ``count``, ``seed``.

    Raises:
        ZooError: a model that draws no images.
    """
    from zoo.metrics.inception import inception_fid

    if not hasattr(model, "sample") or not model.spec.spatial:
        raise ZooError(f"fid: model={model.name} of {model.spec.modality} data draws no images")
    values = inception_fid(model, dataset, **options)
    return [f"  {name:<17} inception fid {value:.2f}" for name, value in values.items()]


def between_noise(model: Any, out: Path, *, steps: int = 10, **options: Any) -> list[str]:
    """Draw the way from one noise to another into ``out``; ``options`` are ``seed`` and ``label``."""
    return [
        f"picture         {grid(model.interpolate(steps=steps, **options), 'from one noise to another', out, columns=steps)}"
    ]
