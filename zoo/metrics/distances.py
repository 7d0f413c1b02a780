"""How far generated data is from real data: distances between two samples of points."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Values
from zoo.data.input_readers import to_float
from zoo.utils.precision import to_widest_dtype

COMPONENTS = 64  # of the training images, in whose space distances are measured
MAX_FIT_ROWS = 20_000  # rows that the components are found from, at most
DENSE = 2000  # numbers in a row up to which all components are found at once
NEIGHBORS, CHUNK = 5, 1000
FEW = 50  # rows above which neighbors say something


def principal_components(images: Values, count: int) -> tuple[Tensor, Tensor]:
    """Return the mean (D,) of images (N, C, H, W) and their first ``count`` principal components (D, count)."""
    from sklearn.decomposition import PCA

    rows = np.random.default_rng(0).permutation(len(images))[:MAX_FIT_ROWS]
    x = to_float(images.index_select(0, torch.from_numpy(np.sort(rows)).to(images.device))).flatten(1).cpu().numpy()
    solver = "covariance_eigh" if x.shape[1] <= DENSE else "randomized"
    pca = PCA(min(count, *x.shape), svd_solver=solver, random_state=0).fit(x)
    components = np.zeros((x.shape[1], count), np.float32)
    components[:, : len(pca.components_)] = pca.components_.T
    return torch.from_numpy(pca.mean_.astype(np.float32)), torch.from_numpy(components)


def frechet(one: Tensor, other: Tensor) -> float:
    """Return the Fréchet distance of two samples (N, K), (M, K), both taken for normal (Dowson & Landau 1982):

    ‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½).
    """
    one, other = (part.cpu().double() if part.device.type == "mps" else part.double() for part in (one, other))
    between = (one.mean(0) - other.mean(0)).square().sum()
    first, second = (part.T.cov().reshape(part.shape[1], -1) for part in (one, other))
    # The eigenvalues of Σ Σ' are those of the symmetric Σ^½ Σ' Σ^½
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    inner = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    return float(between + first.trace() + second.trace() - 2 * inner)


def density_and_coverage(real: Tensor, generated: Tensor) -> tuple[float, float]:
    """Return how densely generated points (M, K) lie where real ones (N, K) do, and the share of real ones that have a generated
    one as near as their own fifth neighbor (Naeem et al., ICML 2020).
    """
    radius = torch.cat(
        [torch.cdist(part, real).kthvalue(NEIGHBORS + 1, dim=1).values for part in torch.split(real, CHUNK)]
    )
    inside, covered = 0, torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for part in torch.split(generated, CHUNK):
        near = torch.cdist(part, real) < radius  # (part, N)
        inside += int(near.sum())
        covered |= near.any(0)
    return inside / (NEIGHBORS * len(generated)), float(to_widest_dtype(covered).mean())


def nearest(points: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far each point (N, K) is from the nearest of ``among`` (M, K), (N,), and which one that is."""
    minima = [torch.cdist(part, among).min(1) for part in torch.split(points, CHUNK)]
    return torch.cat([one.values for one in minima]), torch.cat([one.indices for one in minima])
