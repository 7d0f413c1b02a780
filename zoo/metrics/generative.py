"""Metrics of generated images: distances to real images, and the output of the zoo's own classifiers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from zoo.data.dataset import Values
from zoo.data.input_readers import to_float
from zoo.data.spec import DataSpec
from zoo.hub import list_weights, load
from zoo.utils.device import to_widest_dtype

COMPONENTS = 64  # principal components of the training images, the space of distances
MAX_FIT_ROWS = 20_000  # maximum number of rows from which components are computed
DENSE = 2000  # values per row up to which a full decomposition is computed
NEIGHBORS, CHUNK = 5, 1000
FEW = 50  # minimum number of rows for neighbor metrics
CONFIDENT = 0.9  # class probability above which a sample counts as confident
STATES = (
    *("real", "real_distance", "real_features", "generated", "generated_distance", "generated_features"),
    *("generated_label", "generated_confidence", "y"),
)

# --- distances between two samples of points ---


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
    """Return the Fréchet distance between samples (N, K), (M, K), assumed to be normal (Dowson & Landau 1982).

    It is ‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½).
    """
    one, other = (part.cpu().double() if part.device.type == "mps" else part.double() for part in (one, other))
    between = (one.mean(0) - other.mean(0)).square().sum()
    first, second = (part.T.cov().reshape(part.shape[1], -1) for part in (one, other))
    # Σ Σ' has the eigenvalues of the symmetric Σ^½ Σ' Σ^½
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    inner = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    return float(between + first.trace() + second.trace() - 2 * inner)


def radii(points: Tensor) -> Tensor:
    """Return the distance (N,) of each point (N, K) to its fifth nearest neighbor."""
    parts = torch.split(points, CHUNK)
    return torch.cat([torch.cdist(part, points).kthvalue(NEIGHBORS + 1, dim=1).values for part in parts])


def neighbor_metrics(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Return precision, recall, density and coverage of generated points (M, K) against real points (N, K).

    The ball of a point reaches to its k-th nearest neighbor, with k = 5. ``precision`` is the share of generated points
    in the ball of a real point. ``recall`` is the share of real points in the ball of a generated point (Kynkäänniemi
    et al., NeurIPS 2019). ``density`` is the mean number of real balls around a generated point, divided by k.
    ``coverage`` is the share of real balls that contain a generated point (Naeem et al., ICML 2020).
    """
    real_radii, generated_radii = radii(real), radii(generated)
    counts, covered, recalled = [], *(torch.zeros(len(real), dtype=torch.bool, device=real.device) for _ in range(2))
    for part, part_radii in zip(torch.split(generated, CHUNK), torch.split(generated_radii, CHUNK), strict=True):
        distances = torch.cdist(part, real)  # (part, N)
        inside = distances < real_radii
        counts.append(inside.sum(1))
        covered |= inside.any(0)
        recalled |= (distances < part_radii[:, None]).any(0)
    count = torch.cat(counts)
    return {
        "precision": float(to_widest_dtype(count > 0).mean()),
        "recall": float(to_widest_dtype(recalled).mean()),
        "density": float(to_widest_dtype(count).mean()) / NEIGHBORS,
        "coverage": float(to_widest_dtype(covered).mean()),
    }


def nearest(points: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) of each point (N, K) to the nearest point of ``among`` (M, K), and its index (N,)."""
    minima = [torch.cdist(part, among).min(1) for part in torch.split(points, CHUNK)]
    return torch.cat([one.values for one in minima]), torch.cat([one.indices for one in minima])


# --- evaluator: a classifier that ships with the zoo, such as ``evaluator/mnist`` ---


def has_evaluator(spec: DataSpec) -> bool:
    """Return whether the zoo has an evaluator for the data."""
    return f"evaluator/{spec.name}" in list_weights()


class Evaluator:
    """A classifier of the zoo whose last hidden layer gives features to compare images.

    It is not a submodule of a model.
    """

    def __init__(self, spec: DataSpec) -> None:
        self.model = load(f"evaluator/{spec.name}").requires_grad_(False)
        *_, last = (m for m in self.model.modules() if isinstance(m, nn.Linear))
        last.register_forward_pre_hook(self._keep)
        self._features = torch.empty(0)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``features`` (B, K) of images (B, C, H, W), ``label`` (B,), and its probability ``confidence`` (B,)."""
        probability = self.model.to(images.device).eval()(images).float().softmax(1)
        confidence, label = probability.max(1)
        return {"features": self._features.float(), "label": label, "confidence": confidence}


def load_evaluator(spec: DataSpec) -> Evaluator | None:
    """Return the evaluator for the data; None if there is none."""
    return Evaluator(spec) if has_evaluator(spec) else None


# --- collection ---


class SampleMetrics(Metric):
    """Metrics that compare real and generated rows. Both are collected until ``compute``."""

    def __init__(self, has_evaluator: bool, classes: int, conditional: bool) -> None:
        super().__init__()
        self.has_evaluator, self.classes, self.conditional = has_evaluator, classes, conditional
        for name in STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, **values: Tensor) -> None:
        """Add the values of a batch; unknown names are ignored."""
        for name in STATES:
            if name in values:
                getattr(self, name).append(values[name])

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics."""
        rows = {name: dim_zero_cat(getattr(self, name)) for name in STATES if len(getattr(self, name))}
        metrics = {"frechet_pca": frechet(rows["real"], rows["generated"])}
        if len(rows["real"]) > FEW:
            metrics |= neighbor_metrics(rows["real"], rows["generated"])
        if "generated_distance" in rows:
            metrics["nearest_distance_ratio"] = float(
                rows["generated_distance"].median() / rows["real_distance"].median()
            )
        if self.has_evaluator:
            metrics["frechet_zoo_cnn"] = frechet(rows["real_features"], rows["generated_features"])
            metrics["confident_share"] = float(to_widest_dtype(rows["generated_confidence"] > CONFIDENT).mean())
            counts = torch.bincount(rows["generated_label"], minlength=self.classes)
            metrics["min_class_share"] = float(counts.min() / counts.sum())
            if self.conditional:
                metrics["class_accuracy"] = float(to_widest_dtype(rows["generated_label"] == rows["y"]).mean())
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in metrics.items()}
