"""Images restored by a denoising autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.exceptions import ZooError
from zoo.inference.report import metric_lines
from zoo.reporting.evaluation import baseline_metrics, evaluate_splits

if TYPE_CHECKING:
    from zoo.data import Dataset
    from zoo.models.autoencoder_base import AutoencoderBase


def denoise(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Draw test images clean, with the model's noise, and restored, into ``out``; return PSNR and SSIM beside filters'.

    Raises:
        ZooError: the model was not trained to take noise off, or not on images.
    """
    from zoo.tasks.reconstruction.plots import reconstructions

    name, level = model.noise
    if name == "none" or not model.spec.spatial:
        raise ZooError("denoise: needs a denoiser of images, such as model=autoencoder model.noise=gaussian")
    if model.task.detects_anomalies:
        raise ZooError(
            "denoise: the model looks for anomalies and reads rows as they are; train without normal_classes"
        )
    figures, _ = evaluate_splits(model, dataset, stage="val")
    picture = reconstructions(model.reconstructions(dataset), out)
    summary = (
        f"{name} noise of {level:g} on {len(dataset.test['x']):,} test images (filters: on at most the first 1,000)"
    )
    lines = [f"picture         {picture}", summary]
    return lines + metric_lines({"restored": figures, **baseline_metrics(model, dataset)}, ("psnr", "ssim"))
