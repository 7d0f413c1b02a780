"""Inception FID: the Fréchet distance in the features of Inception v3, as in papers, by torch-fidelity."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset

from zoo.data.dataset import Dataset
from zoo.data.input_readers import to_float
from zoo.exceptions import ZooError, install

MOST = 10_000  # default maximum number of images of each kind
WEIGHTS = "https://github.com/toshas/torch-fidelity/releases"


def as_bytes(images: Tensor) -> Subset[Tensor]:
    """Return images (N, C, H, W) in [0, 1] in torch-fidelity's format: a dataset of uint8 images with three channels."""
    pixels: Any = (255 * images.clamp(0, 1)).round().byte().cpu().expand(-1, 3, -1, -1)
    return Subset(pixels, range(len(pixels)))


def inception_fid(
    model: Any, dataset: Dataset, *, weights: str | None = None, count: int | None = None, seed: int = 0
) -> dict[str, float]:
    """Return the FID to training images of a model's ``samples``, and of ``other real images`` from the test split.

    ``count`` images of each are used (None: as many as the test split has, up to MOST); papers use 50,000. ``weights``
    is torch-fidelity's file of Inception v3.

    Raises:
        ZooError: the extra ``fid`` is not installed, the file does not exist, or it has other weights.
    """
    try:
        from torch_fidelity import calculate_metrics
    except ImportError:
        raise ZooError(f"fid: torch-fidelity is not installed; {install('fid')}") from None
    path = checked(weights)
    most = min(len(dataset.test["x"]), len(dataset.train["x"]))
    count = count or min(most, MOST)
    if not 2 <= count <= most:
        raise ZooError(f"count={count}: must be from 2 to {most}, the number of images in train and in test")
    sources = {"samples": model.sample(count, seed=seed), "other real images": _first(dataset.test, count)}
    real = as_bytes(_first(dataset.train, count))
    with tempfile.TemporaryDirectory() as cache:
        options: dict[str, Any] = {
            "input2": real,
            "fid": True,
            "feature_extractor": "inception-v3-compat",
            "feature_extractor_weights_path": str(path),
            "cuda": model.device.type == "cuda",
            "cache_root": cache,
            "input2_cache_name": "real",  # its features are computed once
            "save_cpu_ram": True,  # no worker processes for images in memory
            "verbose": False,
        }
        try:
            return {
                name: float(calculate_metrics(input1=as_bytes(images), **options)["frechet_inception_distance"])
                for name, images in sources.items()
            }
        except (RuntimeError, KeyError, AttributeError, TypeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise ZooError(f"weights={path}: are not those of torch-fidelity's Inception v3 ({reason})") from None


def checked(weights: str | None) -> Path:
    """Return the path of weights after checking that the file holds tensors only.

    torch-fidelity would run any pickled code.

    Raises:
        ZooError: no file is named, it cannot be read, or it holds other objects.
    """
    if weights is None:
        raise ZooError(f"weights=: must name pt_inception-2015-12-05-6726825d.pth, from {WEIGHTS}")
    weights = str(Path(weights).expanduser())
    try:
        torch.load(weights, weights_only=True, map_location="cpu")
    except OSError as error:
        raise ZooError(f"weights={weights}: cannot be read ({error.strerror or error})") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
        raise ZooError(f"weights={weights}: is not a file of tensors only; download it from {WEIGHTS}") from None
    return Path(weights)


def _first(split: Any, count: int) -> Tensor:
    return to_float(split["x"].index_select(0, torch.arange(count)))
