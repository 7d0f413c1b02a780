"""Principal components, filters and isolation forests: codes, denoising and anomaly detection without a network."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.codes import code_figures
from zoo.data.dataset import Dataset, Split
from zoo.data.loader import EvalLoader
from zoo.noise import Draws, corrupt
from zoo.objectives import Reconstruction, objective_of

FILTERED = 1000  # images that filters take a look at: each takes milliseconds
FITTED = 20_000  # rows that principal components and the forest are fitted to

Figures = dict[str, float]


def given_back(dataset: Dataset, options: Mapping[str, Any]) -> dict[str, Figures]:
    """Return figures of ``pca`` with as many numbers as the model's ``latent_dim``, and what suits its other options.

    Where it is a denoiser: of the ``noisy input`` itself, ``non-local means`` and ``wavelets`` on its first 1,000
    images; where it looks for anomalies: of an ``isolation forest`` too.
    """
    objective = objective_of(dataset.spec)
    assert isinstance(objective, Reconstruction)
    noise, image = (options.get("noise", "none"), options.get("noise_level", 0.0)), dataset.spec.kind == "image"
    train = _rows(objective, dataset.train)
    found = {"pca": _components(dataset, objective, train, options.get("latent_dim", 16))}
    if objective.ranked:
        found["isolation forest"] = _forest(objective, train, dataset.test)
    elif noise[0] != "none":
        found |= _filters(dataset, objective, noise) if image else {}
    return found


def _components(dataset: Dataset, objective: Reconstruction, train: np.ndarray, count: int) -> Figures:
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *train.shape), random_state=0).fit(train)

    def restored(x: Tensor) -> Tensor:
        target = objective.target(x)
        code = pca.transform(target.flatten(1).numpy())
        return torch.from_numpy(pca.inverse_transform(code)).float().view_as(target)

    found = _figures(objective, ((restored(batch["x"]), batch) for batch in EvalLoader(dataset.test)))
    spec = dataset.spec
    if len(spec.classes) > 1 and not spec.normal and not spec.multilabel:
        codes = [pca.transform(_rows(objective, split, every=True)) for split in (dataset.train, dataset.test)]
        found |= code_figures(codes[0], dataset.train["y"].numpy(), codes[1], dataset.test["y"].numpy())  # type: ignore[union-attr]
    return found


def _forest(objective: Reconstruction, train: np.ndarray, test: Split) -> Figures:
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import average_precision_score, roc_auc_score

    forest = IsolationForest(random_state=0).fit(train)
    score = -forest.score_samples(_rows(objective, test, every=True))
    y = test["y"].numpy()  # type: ignore[union-attr]
    return {"auroc": float(roc_auc_score(y, score)), "average_precision": float(average_precision_score(y, score))}


def _filters(dataset: Dataset, objective: Reconstruction, noise: tuple[str, float]) -> dict[str, Figures]:
    """Return figures of filters on the same noisy test images, each told how strong the noise is."""
    try:
        from skimage.restoration import denoise_nl_means, denoise_wavelet
    except ImportError:
        print('note: filters to compare with need scikit-image; pip install "zoo[images]"', file=sys.stderr)
        return {}
    name, level = noise
    sigma = level if name == "gaussian" else None

    def means(image: np.ndarray) -> np.ndarray:
        strength = 0.8 * sigma if sigma else 0.3
        made: np.ndarray = denoise_nl_means(
            image, h=strength, sigma=sigma or 0.0, patch_size=5, patch_distance=6, fast_mode=True, channel_axis=0
        )
        return made

    def wavelets(image: np.ndarray) -> np.ndarray:
        made: np.ndarray = denoise_wavelet(image, sigma=sigma, channel_axis=0, rescale_sigma=True)
        return made

    known = {"noisy input": lambda image: image, "non-local means": means, "wavelets": wavelets}
    first = {key: value.index_select(0, torch.arange(min(FILTERED, len(value)))) for key, value in dataset.test.items()}
    found = {}
    for filtered, made_by in known.items():

        def pairs(made_by: Any = made_by) -> Iterator[tuple[Tensor, Any]]:
            for batch in EvalLoader(first):
                noisy = corrupt(batch["x"], name, level, image=True, draws=Draws(batch["row"])).numpy()
                made = np.stack([made_by(image) for image in noisy]).clip(0, 1)
                yield torch.from_numpy(made).float(), batch

        found[filtered] = _figures(objective, pairs())
    return found


def _figures(objective: Reconstruction, pairs: Iterator[tuple[Tensor, Any]]) -> Figures:
    metrics = objective.metrics("test")
    for output, batch in pairs:
        objective.update(metrics, output, batch)
    return {name: float(value) for name, value in metrics.compute().items() if name != "f1"}


def _rows(objective: Reconstruction, split: Split, *, every: bool = False) -> np.ndarray:
    """Return rows of a split as the numbers that are to be given back (N, numbers): all, or some for a fit."""
    count = len(split["x"])
    index = torch.arange(count)
    if not every and count > FITTED:
        index = torch.from_numpy(np.sort(np.random.default_rng(0).permutation(count)[:FITTED]))
    picked = {key: value.index_select(0, index) for key, value in split.items() if key == "x"}
    return np.concatenate([objective.target(batch["x"]).flatten(1).numpy() for batch in EvalLoader(picked)])
