"""Principal components, filters and isolation forests: codes, denoising and anomaly detection without a network."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.classes import labeled
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.loader import EvalLoader
from zoo.data.noise import add_noise
from zoo.exceptions import install
from zoo.metrics.scores import Scores, code_figures
from zoo.tasks.base import Baselines, Task
from zoo.utils.random import PerSampleGenerator

MAX_TEST, MAX_VAL = 1000, 50  # images that filters are tested on, and selected on: each takes milliseconds
Denoise = Callable[[np.ndarray, float], np.ndarray]  # of an image (H, W) or (C, H, W), with a strength
STRENGTHS = (0.4, 0.6, 0.8, 1.0, 1.3)  # as shares of the noise
MAX_FIT_ROWS = 20_000  # rows that principal components and the forest are fitted to


def reconstruction_baselines(task: Any, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
    """Return, of a Reconstruction, what measures ``pca`` with as many numbers as the model's ``latent_dim``, and what suits its options.

    Where it is a denoiser: the ``noisy input`` itself, ``non-local means`` and ``wavelets`` on its first 1,000
    images; where it looks for anomalies: an ``isolation forest`` too.
    """
    noise = options.get("noise", "none"), options.get("noise_level", 0.0)

    @functools.cache
    def train() -> np.ndarray:
        return _rows(task, dataset.train)

    def normal_test() -> np.ndarray:
        x = _rows(task, dataset.test, every=True)
        return x[dataset.test["y"].numpy() == 0] if task.detects_anomalies else x  # type: ignore[union-attr]

    if task.detects_anomalies:
        noise = ("none", 0.0)
    size = options.get("latent_dim", 16)
    measures = {"pca": lambda: _components(dataset, task, train(), size, noise)}
    if "beta" in options:
        likelihood = options["likelihood"]
        if likelihood == "bernoulli" or (likelihood == "auto" and dataset.spec.bounded):
            measures["independent pixels"] = lambda: _independent_pixels(train(), normal_test())
        else:
            measures["probabilistic pca"] = lambda: _density(train(), normal_test(), size)
    if task.detects_anomalies:
        measures["isolation forest"] = lambda: _forest(train(), _rows(task, dataset.test, every=True), dataset.test)
    if noise[0] != "none" and dataset.spec.spatial:
        measures |= _filters(dataset, task, noise)
    return measures


def _components(dataset: Dataset, task: Any, train: np.ndarray, count: int, noise: tuple[str, float]) -> Scores:
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *train.shape), random_state=0).fit(train)

    def reconstruct(batch: Batch) -> Tensor:
        target = task.target(batch["x"])
        noisy = add_noise(target, *noise, image=dataset.spec.bounded, generator=PerSampleGenerator(batch["row"]))
        code = pca.transform(noisy.flatten(1).numpy())
        return torch.from_numpy(pca.inverse_transform(code)).float().view_as(target)

    scores: Scores = task.test_scores((reconstruct(batch), batch) for batch in EvalLoader(dataset.test))
    if labeled(dataset.spec):
        codes = [pca.transform(_rows(task, split, every=True)) for split in (dataset.train, dataset.test)]
        scores |= code_figures(codes[0], dataset.train["y"].numpy(), codes[1], dataset.test["y"].numpy())  # type: ignore[union-attr]
    return scores


def _independent_pixels(train: np.ndarray, x: np.ndarray) -> Scores:
    """Return nats per test row where each pixel is black by its share in training alone."""
    share = train.mean(0, dtype=np.float64).clip(1e-4, 1 - 1e-4)
    nll = -float((x * np.log(share) + (1 - x) * np.log(1 - share)).sum(1).mean())
    return {"nll": nll, "elbo": -nll}


def _density(train: np.ndarray, x: np.ndarray, size: int) -> Scores:
    """Return nats per test row by probabilistic PCA."""
    from sklearn.decomposition import PCA

    pca = PCA(min(size, train.shape[1] - 1), random_state=0).fit(train.astype(np.float64))
    nll = -float(pca.score(x.astype(np.float64)))
    return {"nll": nll, "elbo": -nll}


def _forest(train: np.ndarray, x: np.ndarray, test: Split) -> Scores:
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import average_precision_score, roc_auc_score

    forest = IsolationForest(random_state=0).fit(train)
    score = -forest.score_samples(x)
    y = test["y"].numpy()  # type: ignore[union-attr]
    if y.min() == y.max():
        return {}
    return {"auroc": float(roc_auc_score(y, score)), "average_precision": float(average_precision_score(y, score))}


def _filters(dataset: Dataset, task: Task, noise: tuple[str, float]) -> Baselines:
    """Return what measures filters on the same noisy test images; how strong they are is chosen on validation."""
    name, level = noise
    gray = dataset.spec.input_shape[0] == 1
    channel_axis = None if gray else 0

    def measure(split: Split, denoise: Denoise, strength: float, limit: int) -> Scores:
        first = {key: value.index_select(0, torch.arange(min(limit, len(value)))) for key, value in split.items()}

        def pairs() -> Iterator[tuple[Tensor, Any]]:
            for batch in EvalLoader(first):
                generator = PerSampleGenerator(batch["row"])
                noisy = add_noise(batch["x"], name, level, image=True, generator=generator).numpy()
                restored = [denoise(image[0] if gray else image, strength).reshape(image.shape) for image in noisy]
                yield torch.from_numpy(np.stack(restored).clip(0, 1)).float(), batch

        return task.test_scores(pairs())

    def select(denoise: Denoise) -> Scores:
        strength = min(STRENGTHS, key=lambda s: measure(dataset.val, denoise, s * level, MAX_VAL)["mse"])
        return measure(dataset.test, denoise, strength * level, MAX_TEST)

    measures = {"noisy input": lambda: measure(dataset.test, lambda image, _: image, 1.0, MAX_TEST)}
    try:
        import pywt  # noqa: F401  (which the wavelets import later)
        from skimage.restoration import denoise_nl_means, denoise_wavelet
    except ImportError:
        print(f"note: filters to compare with need scikit-image; {install('images')}", file=sys.stderr)
        return measures
    options = {"patch_size": 5, "patch_distance": 6, "fast_mode": False, "channel_axis": channel_axis}
    denoisers: dict[str, Denoise] = {
        "non-local means": lambda image, strength: denoise_nl_means(image, h=strength, **options),
        "wavelets": partial(denoise_wavelet, channel_axis=channel_axis, rescale_sigma=True),
    }
    return measures | {name: partial(select, denoise) for name, denoise in denoisers.items()}


def _rows(task: Any, split: Split, *, every: bool = False) -> np.ndarray:
    """Return rows of a split as the numbers that are to be given back (N, numbers): all, or some for a fit."""
    count = len(split["x"])
    index = torch.arange(count)
    if not every and count > MAX_FIT_ROWS:
        index = torch.from_numpy(np.sort(np.random.default_rng(0).permutation(count)[:MAX_FIT_ROWS]))
    picked = {"x": split["x"].index_select(0, index)}
    return np.concatenate([task.target(batch["x"]).flatten(1).numpy() for batch in EvalLoader(picked)])
