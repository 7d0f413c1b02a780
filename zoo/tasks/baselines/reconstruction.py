"""Principal components, filters and isolation forests: codes, denoising and anomaly detection without a network."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.classes import labelled
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.loader import EvalLoader
from zoo.data.noise import add_noise
from zoo.exceptions import install
from zoo.metrics.probing import code_figures
from zoo.tasks import build_task
from zoo.tasks.base import Metrics
from zoo.tasks.reconstruction import Reconstruction
from zoo.utils.random import PerSampleGenerator

FILTERED, CHOSEN = 1000, 50  # images that filters are tested on, and chosen by: each takes milliseconds
STRENGTHS = (0.4, 0.6, 0.8, 1.0, 1.3)  # as shares of the noise
FITTED = 20_000  # rows that principal components and the forest are fitted to

Figures = dict[str, float]


def given_back(dataset: Dataset, options: Mapping[str, Any]) -> dict[str, Callable[[], Figures]]:
    """Return what measures ``pca`` with as many numbers as the model's ``latent_dim``, and what suits its options.

    Where it is a denoiser: the ``noisy input`` itself, ``non-local means`` and ``wavelets`` on its first 1,000
    images; where it looks for anomalies: an ``isolation forest`` too.
    """
    objective = build_task(dataset.spec)
    assert isinstance(objective, Reconstruction)
    noise = options.get("noise", "none"), options.get("noise_level", 0.0)

    @functools.cache
    def train() -> np.ndarray:
        return _rows(objective, dataset.train)

    if objective.detects_anomalies:
        noise = ("none", 0.0)
    size = options.get("latent_dim", 16)
    measures = {"pca": lambda: _components(dataset, objective, train(), size, noise)}
    if "beta" in options:
        likelihood = options["likelihood"]
        if likelihood == "bernoulli" or (likelihood == "auto" and dataset.spec.modality == "image"):
            measures["independent pixels"] = lambda: _independent_pixels(train(), _normal_rows(objective, dataset.test))
        else:
            measures["probabilistic pca"] = lambda: _density(train(), _normal_rows(objective, dataset.test), size)
    if objective.detects_anomalies:
        measures["isolation forest"] = lambda: _forest(objective, train(), dataset.test)
    if noise[0] != "none" and dataset.spec.modality == "image":
        measures |= _filters(dataset, objective, noise)
    return measures


def _components(
    dataset: Dataset, objective: Reconstruction, train: np.ndarray, count: int, noise: tuple[str, float]
) -> Figures:
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *train.shape), random_state=0).fit(train)

    def restored(batch: Batch) -> Tensor:
        target = objective.target(batch["x"])
        read = add_noise(
            target, *noise, image=dataset.spec.modality == "image", generator=PerSampleGenerator(batch["row"])
        )
        code = pca.transform(read.flatten(1).numpy())
        return torch.from_numpy(pca.inverse_transform(code)).float().view_as(target)

    found = _figures(objective, ((restored(batch), batch) for batch in EvalLoader(dataset.test)))
    if labelled(dataset.spec):
        codes = [pca.transform(_rows(objective, split, every=True)) for split in (dataset.train, dataset.test)]
        found |= code_figures(codes[0], dataset.train["y"].numpy(), codes[1], dataset.test["y"].numpy())  # type: ignore[union-attr]
    return found


def _normal_rows(objective: Reconstruction, test: Split) -> np.ndarray:
    x = _rows(objective, test, every=True)
    return x[test["y"].numpy() == 0] if objective.detects_anomalies else x  # type: ignore[union-attr]


def _independent_pixels(train: np.ndarray, x: np.ndarray) -> Figures:
    """Return nats per test row where each pixel is black by its share in training alone."""
    share = train.mean(0, dtype=np.float64).clip(1e-4, 1 - 1e-4)
    nll = -float((x * np.log(share) + (1 - x) * np.log(1 - share)).sum(1).mean())
    return {"nll": nll, "elbo": -nll}


def _density(train: np.ndarray, x: np.ndarray, size: int) -> Figures:
    """Return nats per test row by probabilistic PCA."""
    from sklearn.decomposition import PCA

    pca = PCA(min(size, train.shape[1] - 1), random_state=0).fit(train.astype(np.float64))
    nll = -float(pca.score(x.astype(np.float64)))
    return {"nll": nll, "elbo": -nll}


def _forest(objective: Reconstruction, train: np.ndarray, test: Split) -> Figures:
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import average_precision_score, roc_auc_score

    forest = IsolationForest(random_state=0).fit(train)
    score = -forest.score_samples(_rows(objective, test, every=True))
    y = test["y"].numpy()  # type: ignore[union-attr]
    if y.min() == y.max():
        return {}
    return {"auroc": float(roc_auc_score(y, score)), "average_precision": float(average_precision_score(y, score))}


def _filters(dataset: Dataset, objective: Reconstruction, noise: tuple[str, float]) -> dict[str, Callable[[], Figures]]:
    """Return what measures filters on the same noisy test images; how strong they are is chosen on validation."""
    name, level = noise
    grey = dataset.spec.input_shape[0] == 1

    def means(image: np.ndarray, strength: float) -> np.ndarray:
        made: np.ndarray = denoise_nl_means(
            image, h=strength * level, patch_size=5, patch_distance=6, fast_mode=False, channel_axis=None if grey else 0
        )
        return made

    def wavelets(image: np.ndarray, strength: float) -> np.ndarray:
        axis = None if grey else 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how small the images are
            made: np.ndarray = denoise_wavelet(image, sigma=strength * level, channel_axis=axis, rescale_sigma=True)
        return made

    def tried(split: Split, made_by: Callable[..., np.ndarray], strength: float, most: int) -> Figures:
        first = {key: value.index_select(0, torch.arange(min(most, len(value)))) for key, value in split.items()}

        def pairs() -> Iterator[tuple[Tensor, Any]]:
            for batch in EvalLoader(first):
                noisy = add_noise(
                    batch["x"], name, level, image=True, generator=PerSampleGenerator(batch["row"])
                ).numpy()
                made = [made_by(image[0] if grey else image, strength).reshape(image.shape) for image in noisy]
                yield torch.from_numpy(np.stack(made).clip(0, 1)).float(), batch

        return _figures(objective, pairs())

    def chosen(made_by: Callable[..., np.ndarray]) -> Figures:
        strength = min(STRENGTHS, key=lambda s: tried(dataset.val, made_by, s, CHOSEN)["mse"])
        return tried(dataset.test, made_by, strength, FILTERED)

    measures = {"noisy input": lambda: tried(dataset.test, lambda image, _: image, 1.0, FILTERED)}
    try:
        import pywt  # noqa: F401  (which the wavelets import later)
        from skimage.restoration import denoise_nl_means, denoise_wavelet
    except ImportError:
        print(f"note: filters to compare with need scikit-image; {install('images')}", file=sys.stderr)
        return measures
    return {**measures, "non-local means": partial(chosen, means), "wavelets": partial(chosen, wavelets)}


def _figures(objective: Reconstruction, pairs: Iterator[tuple[Tensor, Any]]) -> Figures:
    metrics = objective.metrics("test")
    for output, batch in pairs:
        objective.update(metrics, output, batch)
    assert isinstance(metrics, Metrics)
    return {name: value for name, value in metrics.scalars().items() if name != "f1"}


def _rows(objective: Reconstruction, split: Split, *, every: bool = False) -> np.ndarray:
    """Return rows of a split as the numbers that are to be given back (N, numbers): all, or some for a fit."""
    count = len(split["x"])
    index = torch.arange(count)
    if not every and count > FITTED:
        index = torch.from_numpy(np.sort(np.random.default_rng(0).permutation(count)[:FITTED]))
    picked = {key: value.index_select(0, index) for key, value in split.items() if key == "x"}
    return np.concatenate([objective.target(batch["x"]).flatten(1).numpy() for batch in EvalLoader(picked)])
