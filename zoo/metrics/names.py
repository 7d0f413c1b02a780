"""Names of metrics as the literature prints them; results.json and options keep the short keys."""

from __future__ import annotations

from collections.abc import Mapping

ACRONYMS = ("auroc", "rmse", "mae", "mse", "sse", "psnr", "ssim", "f1", "elbo", "kl", "nll")
LABELS = {name: name.upper() for name in ACRONYMS} | {
    "r2": "R²",
    "mse_original": "MSE in original units",
    "mae_original": "MAE in original units",
    "knn_accuracy": "k-NN accuracy",
    "probe_accuracy": "linear probe accuracy",
    "frechet_pca": "FD (features of PCA)",
    "frechet_zoo_cnn": "FD (features of zoo CNN)",
    "class_accuracy": "GAN-test accuracy",
    "confident_share": "share of confident samples",
    "min_class_share": "share of the rarest class",
    "return": "mean episodic return",
    "return_std": "std of the return",
    "return_sampled": "mean episodic return of sampled actions",
    "length": "mean episode length",
}


def metric_label(name: str, labels: Mapping[str, str] | None = None) -> str:
    """Return the printed name of a metric; ``labels`` has names that differ for a task."""
    return (labels or {}).get(name) or LABELS.get(name) or name.replace("_", " ")
