"""Samples, interpolations and FID of generative models; latent codes, denoising and anomaly scores of autoencoders."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.data.dataset import Dataset
from zoo.data.labeled import labels_of
from zoo.exceptions import ZooError
from zoo.metrics.names import metric_label
from zoo.models.autoencoder_base import AutoencoderBase
from zoo.reporting.evaluation import baseline_metrics, evaluate_split
from zoo.tasks.plots import plane, reconstructions, score_histogram
from zoo.utils.atomic_io import atomic_write, write_npz
from zoo.utils.plotting import grid

MAX_DRAWN, MAX_STORED = 1024, 100_000  # images in a grid and in an .npz file


def sample(model: Any, out: Path, *, count: int = 64, **options: Any) -> list[str]:
    """Write generated images to ``out`` and return the lines to print.

    An ``.npz`` file holds ``x`` (count, C, H, W) as uint8, and the classes ``y`` of a conditional model. Any other
    ending gives an image grid.

    Args:
        model: the generative model.
        out: the file to write.
        count: number of images.
        options: options of the model's ``sample``: ``seed``, ``label``, ``truncation``.

    Raises:
        ZooError: an invalid ``count``, or a model that does not generate images.
    """

    stored = out.suffix == ".npz"
    largest = MAX_STORED if stored else MAX_DRAWN
    if not 1 <= count <= largest:
        raise ZooError(f"count={count}: must be from 1 to {largest:,} for a {out.suffix} file")
    if not hasattr(model, "sample") or not model.spec.spatial:
        raise ZooError(f"sample: model={model.name} of {model.spec.modality} data does not generate images")
    images = model.sample(count, **options)
    if not stored:
        return [f"image           {grid(images, 'samples', out)}"]
    content = {"x": (255 * images.clamp(0, 1)).round().byte().cpu().numpy()}
    y = labels_of(
        model.spec, count, options.get("label"), conditional=getattr(model, "num_classes", 0) > 0, device="cpu"
    )
    content |= {} if y is None else {"y": y.numpy()}
    write_npz(out, content)
    return [f"images          {out}   x {content['x'].shape}{'' if y is None else ', y'}"]


def fid(model: Any, dataset: Dataset, **options: Any) -> list[str]:
    """Return lines with the Inception FID of a model's samples and, for reference, of held-out real images.

    ``options`` are those of ``inception_fid``: ``weights``, ``count``, ``seed``.

    Raises:
        ZooError: a model that does not generate images.
    """
    from zoo.metrics.inception import inception_fid

    if not hasattr(model, "sample") or not model.spec.spatial:
        raise ZooError(f"fid: model={model.name} of {model.spec.modality} data does not generate images")
    values = inception_fid(model, dataset, **options)
    return [f"  {name:<17} Inception FID {value:.2f}" for name, value in values.items()]


def between_noise(model: Any, out: Path, *, steps: int = 10, **options: Any) -> list[str]:
    """Draw an interpolation between two noise vectors into ``out``; ``options`` are ``seed`` and ``label``."""
    images = model.interpolate(steps=steps, **options)
    return [f"image           {grid(images, 'interpolation between two noise vectors', out, columns=steps)}"]


def encode(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Write the latent code of each test row to ``out``, and plot the codes next to it.

    ``out`` ends in .npz (arrays ``codes`` and ``y``) or .csv. The class of a row is included if the data has classes.
    Return the lines to print: the files, and the accuracy of classifiers on the codes compared with PCA.
    """

    codes, y = model.encode_split(dataset.test), dataset.test.get("y")
    named = len(dataset.spec.classes) > 1 and not dataset.spec.multilabel
    labels = y.numpy() if y is not None and named else None  # type: ignore[union-attr]
    if out.suffix == ".npz":
        write_npz(out, {"codes": codes.numpy(), **({} if labels is None else {"y": labels})})
    else:
        rows = codes.tolist()
        header = [f"code_{n + 1}" for n in range(codes.shape[1])] + (["class"] if labels is not None else [])
        names = [[] for _ in rows] if labels is None else [[dataset.spec.classes[k]] for k in labels]
        write_csv(out, header, [row + name for row, name in zip(rows, names, strict=True)])
    picture = plane(codes, y if labels is not None else None, dataset.spec.classes, out.with_suffix(".png"))  # type: ignore[arg-type]
    lines = [f"codes           {out}   {codes.shape[0]:,} test rows × {codes.shape[1]} dimensions"]
    lines.append(f"plot            {picture}")
    figures = model.extra_metrics(dataset)
    known = {model.name: figures, **(baseline_metrics(model, dataset) if "knn_accuracy" in figures else {})}
    return lines + metric_lines(known, ("knn_accuracy", "probe_accuracy"))


def denoise(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Draw test images with noise and after denoising into ``out``.

    Return the lines to print: PSNR and SSIM of the model and of image filters.

    Raises:
        ZooError: the model is not a denoising autoencoder of images, or it detects anomalies.
    """
    name, level = model.noise
    if name == "none" or not model.spec.spatial:
        advice = "train one with model=autoencoder model.noise=gaussian"
        raise ZooError(f"denoise: needs a denoising autoencoder of images; {advice}")
    if model.task.detects_anomalies:
        raise ZooError(
            "denoise: not available for a model that detects anomalies. Train one without data.normal_classes."
        )
    figures, _ = evaluate_split(model, dataset, stage="val")
    picture = reconstructions(model.reconstructions(dataset), out)
    summary = f"{name} noise of {level:g} on {len(dataset.test['x']):,} test images (filters: at most the first 1,000)"
    lines = [f"image           {picture}", summary]
    return lines + metric_lines({"restored": figures, **baseline_metrics(model, dataset)}, ("psnr", "ssim"))


def between_images(
    model: AutoencoderBase, dataset: Dataset, out: Path, *, first: int = 0, last: int = 1, steps: int = 10
) -> list[str]:
    """Draw an interpolation between the test images number ``first`` and ``last`` into ``out``.

    Raises:
        ZooError: no such rows, or the data is not images.
    """
    x = dataset.test["x"]
    if not model.spec.spatial:
        raise ZooError(f"interpolate: only for images; {model.spec.name} is {model.spec.modality} data")
    for name, row in (("from", first), ("to", last)):
        if not 0 <= row < len(x):
            raise ZooError(f"{name}={row}: must be the number of a test row, from 0 to {len(x) - 1}")
    images = model.interpolate(x[first].numpy(), x[last].numpy(), steps=steps)
    return [f"image           {grid(images, f'from test image {first} to {last}', out, columns=steps)}"]


def write_scores(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Write the anomaly score, the alarm and the label of each test row to the CSV file ``out``.

    Return the lines to print: the files, and AUROC, average precision and F1 of the model and of baselines.

    Raises:
        ZooError: the model does not detect anomalies, the data has no normal classes, or there is no threshold yet.
    """
    if not model.task.detects_anomalies:
        raise ZooError("anomalies: needs a model trained with data.normal_classes=[…]")
    if not dataset.spec.normal_classes:
        raise ZooError(f"anomalies: {dataset.spec.name} has no normal classes. Set data.normal_classes=[…].")
    if model.task.threshold is None:
        raise ZooError("anomalies: the checkpoint has no threshold yet. Use best.ckpt of a finished run.")
    figures, outputs = evaluate_split(model, dataset, stage="val")
    score = torch.cat(outputs)
    threshold, y = model.task.threshold, dataset.test["y"]
    assert isinstance(y, Tensor)
    alarm = score >= threshold
    rows = zip(range(len(score)), score.tolist(), alarm.int().tolist(), y.tolist(), strict=True)
    write_csv(out, ["test_row", "score", "alarm", "anomaly"], [list(row) for row in rows])
    summary = f"{int(alarm.sum()):,} alarms in {len(score):,} test rows (score ≥ {threshold:.4g})"
    lines = [
        f"scores          {out}   {summary}",
        f"plot            {score_histogram(score, y, out.with_suffix('.png'))}",
    ]
    return lines + metric_lines(
        {model.name: figures, **baseline_metrics(model, dataset)}, ("auroc", "average_precision", "f1")
    )


def metric_lines(sources: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[str]:
    """Return one line per source with those of the metrics ``names`` that it has."""
    lines = []
    for title, metrics in sources.items():
        text = "   ".join(f"{metric_label(name)} {metrics[name]:.4g}" for name in names if name in metrics)
        lines += [f"  {title:<17} {text}"] if text else []
    return lines


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a header and rows to a CSV file atomically."""

    def write(to: Path) -> None:
        with to.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

    atomic_write(path, write)
