"""``zoo anomalies``: anomaly scores of test rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import RUN, Args, Command, Option
from zoo.cli.encode import open_autoencoder


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.autoencoders import write_scores

    return write_scores(*open_autoencoder(args), args["out"])


COMMAND = Command(
    "anomalies",
    RUN,
    "Write each test row's anomaly score and whether it is an alarm. The model must have been trained on normal rows\n"
    "alone, by data.normal_classes=.",
    _run,
    (Option("out", "file of scores", Path, "scores.csv", suffixes=(".csv",)),),
    ("zoo anomalies runs/autoencoder-mnist data.normal_classes=[3]",),
    data=True,
)
