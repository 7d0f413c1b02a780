"""Anomaly scores of test rows, by a model that was trained on normal rows alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.exceptions import ZooError
from zoo.inference.report import metric_lines, write_csv
from zoo.reporting.evaluation import baseline_metrics, evaluate_splits

if TYPE_CHECKING:
    from zoo.data import Dataset
    from zoo.models.autoencoder_base import AutoencoderBase


def write_scores(model: AutoencoderBase, dataset: Dataset, out: Path) -> list[str]:
    """Write each test row's score, whether it is an alarm, and whether it is an anomaly, to ``out`` (.csv).

    Returns what to say: AUROC and average precision beside others'.

    Raises:
        ZooError: the model was not trained on what is normal alone.
    """
    import torch

    from zoo.tasks.reconstruction.plots import score_histogram

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
    figures, outputs = evaluate_splits(model, dataset, stage="val")
    score = torch.cat(outputs)
    threshold, y = model.task.threshold, dataset.test["y"]
    alarm = score >= threshold
    rows = zip(range(len(score)), score.tolist(), alarm.int().tolist(), y.tolist(), strict=True)  # type: ignore[union-attr]
    write_csv(out, ["test_row", "score", "alarm", "anomaly"], [list(row) for row in rows])
    summary = f"{int(alarm.sum()):,} alarms in {len(score):,} test rows, from a score of {threshold:.4g}"
    lines = [
        f"scores          {out}   {summary}",
        f"picture         {score_histogram(score, y, out.with_suffix('.png'))}",
    ]  # type: ignore[arg-type]
    return lines + metric_lines(
        {model.name: figures, **baseline_metrics(model, dataset)}, ("auroc", "average_precision", "f1")
    )
