"""Images from trained models: samples, ways between them, their Inception FID; an autoencoder's codes and scores."""

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


def encode(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Write the code of each test row, with its class where there is one, and a picture beside it.

    ``out`` ends in .npz (``codes``, ``y``) or .csv. Returns what to say: accuracies by the codes beside PCA's.
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
    lines = [f"codes           {out}   {codes.shape[0]:,} test rows of {codes.shape[1]} numbers"]
    lines.append(f"picture         {picture}")
    figures = model.extra_metrics(dataset)
    known = {model.name: figures, **(baseline_metrics(model, dataset) if "knn_accuracy" in figures else {})}
    return lines + metric_lines(known, ("knn_accuracy", "probe_accuracy"))


def denoise(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Draw test images clean, with the model's noise, and restored, into ``out``; return PSNR and SSIM beside filters'.

    Raises:
        ZooError: the model was not trained to take noise off, or not on images.
    """
    name, level = model.noise
    if name == "none" or not model.spec.spatial:
        raise ZooError("denoise: needs a denoiser of images, such as model=autoencoder model.noise=gaussian")
    if model.task.detects_anomalies:
        raise ZooError(
            "denoise: the model looks for anomalies and reads rows as they are; train without normal_classes"
        )
    figures, _ = evaluate_split(model, dataset, stage="val")
    picture = reconstructions(model.reconstructions(dataset), out)
    summary = (
        f"{name} noise of {level:g} on {len(dataset.test['x']):,} test images (filters: on at most the first 1,000)"
    )
    lines = [f"picture         {picture}", summary]
    return lines + metric_lines({"restored": figures, **baseline_metrics(model, dataset)}, ("psnr", "ssim"))


def between_images(
    model: AutoencoderBase, dataset: Dataset, out: Path, *, first: int = 0, last: int = 1, steps: int = 10
) -> list[str]:
    """Draw the way from one test image to another, by their numbers, into ``out``.

    Raises:
        ZooError: no such rows, or no images.
    """
    x = dataset.test["x"]
    if not model.spec.spatial:
        raise ZooError(f"interpolate: is for images; {model.spec.name} is {model.spec.modality} data")
    for name, row in (("from", first), ("to", last)):
        if not 0 <= row < len(x):
            raise ZooError(f"{name}={row}: must be from 0 to {len(x) - 1}, the test rows")
    images = model.interpolate(x[first].numpy(), x[last].numpy(), steps=steps)
    return [f"picture         {grid(images, f'from test image {first} to {last}', out, columns=steps)}"]


def write_scores(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Write each test row's score, whether it is an alarm, and whether it is an anomaly, to ``out`` (.csv).

    Returns what to say: AUROC and average precision beside others'.

    Raises:
        ZooError: the model was not trained on what is normal alone.
    """
    if not model.task.detects_anomalies:
        raise ZooError("anomalies: needs a model of what is normal, trained with data.normal_classes=[…]")
    if not dataset.spec.normal_classes:
        raise ZooError(
            f"anomalies: {dataset.spec.name} does not say what is normal; name it by data.normal_classes=[…]"
        )
    if model.task.threshold is None:
        raise ZooError(
            "anomalies: the checkpoint has no threshold yet, which a run chooses at its end; take best.ckpt then"
        )
    figures, outputs = evaluate_split(model, dataset, stage="val")
    score = torch.cat(outputs)
    threshold, y = model.task.threshold, dataset.test["y"]
    assert isinstance(y, Tensor)
    alarm = score >= threshold
    rows = zip(range(len(score)), score.tolist(), alarm.int().tolist(), y.tolist(), strict=True)
    write_csv(out, ["test_row", "score", "alarm", "anomaly"], [list(row) for row in rows])
    summary = f"{int(alarm.sum()):,} alarms in {len(score):,} test rows, from a score of {threshold:.4g}"
    lines = [
        f"scores          {out}   {summary}",
        f"picture         {score_histogram(score, y, out.with_suffix('.png'))}",
    ]
    return lines + metric_lines(
        {model.name: figures, **baseline_metrics(model, dataset)}, ("auroc", "average_precision", "f1")
    )


def metric_lines(sources: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[str]:
    """Return a line of the metrics ``names`` for each source that has one of them."""
    lines = []
    for title, metrics in sources.items():
        text = "   ".join(f"{metric_label(name)} {metrics[name]:.4g}" for name in names if name in metrics)
        lines += [f"  {title:<17} {text}"] if text else []
    return lines


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows below a header, all of them or no file."""

    def write(to: Path) -> None:
        with to.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

    atomic_write(path, write)
