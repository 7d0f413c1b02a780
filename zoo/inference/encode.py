"""Latent codes of a model, as a file and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.inference.report import metric_lines, write_csv
from zoo.reporting.evaluation import baseline_metrics
from zoo.utils.atomic_io import write_npz

if TYPE_CHECKING:
    from zoo.data import Dataset
    from zoo.models.autoencoder_base import AutoencoderBase


def encode(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Write the code of each test row, with its class where there is one, and a picture beside it.

    ``out`` ends in .npz (``codes``, ``y``) or .csv. Returns what to say: accuracies by the codes beside PCA's.
    """

    from zoo.tasks.reconstruction.plots import plane

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
