"""The zoo's own classifiers, by which generated images are measured: trained once, when first needed, and cached."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.checkpoints import load
from zoo.data.cache import cache_folder
from zoo.spec import DataSpec

# By data, what differs from the recipe of cnn on it: a last hidden layer, epochs for a minute or two, and labels as
# they are, so that it may be sure
LARGE: dict[str, Any] = {"trainer.max_epochs": 10, "regularization.label_smoothing": 0.0}
JUDGES: dict[str, dict[str, Any]] = {
    "digits": {"options": {"channels": [32, 64], "hidden": 64, "dropout": 0.2}},
    "mnist": {"options": {"channels": [16, 32, 64], "hidden": 64, "dropout": 0.2}, **LARGE},
    "fashion_mnist": {"options": {"channels": [32, 64, 64], "hidden": 64, "dropout": 0.2}, **LARGE},
}
FORMAT = 2  # of the cache
SURE = 0.9  # probability from which the judge counts as sure


def path_of(data: str) -> Path:
    """Return where the judge of such data is kept."""
    return cache_folder(None) / "judges" / f"{FORMAT}-cnn-{data}.ckpt"


def judged(spec: DataSpec) -> bool:
    """Tell whether there is a judge of such data."""
    return spec.name in JUDGES and path_of(spec.name).is_file()


def prepare(data: str, root: str | None) -> None:
    """Have a judge of ``data`` made by a process of its own, where the zoo has one and it is not there yet."""
    if data not in JUDGES or path_of(data).is_file():
        return
    print(f"note: trains the classifier of {data} that images are measured by, this once", file=sys.stderr, flush=True)
    words = [sys.executable, "-m", "zoo", "judge", data, *([f"root={root}"] if root else [])]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"warning: there is no classifier of {data} ({said}), so samples are not classified", file=sys.stderr)


def make(data: str, root: str | None = None) -> float:
    """Train the judge of ``data``, keep it, and return its test accuracy."""
    from zoo.training import train

    path = path_of(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as above:
        asked = {**JUDGES[data], **({"data.root": root} if root else {})}
        run = train("cnn", data, report=False, run_dir=f"{above}/run", logger="csv", **asked)
        os.replace(run.folder / "checkpoints" / "best.ckpt", path)
    return run.metrics["test/accuracy"]


class Judge:
    """A classifier of the zoo and its last hidden layer, which images are compared by. It is no part of a model."""

    def __init__(self, spec: DataSpec) -> None:
        self.model = load(path_of(spec.name)).requires_grad_(False)
        *_, last = (m for m in self.model.modules() if isinstance(m, nn.Linear))
        last.register_forward_pre_hook(self._keep)
        self._features = torch.empty(0)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``features`` (B, K) of images (B, C, H, W), ``label``, and ``sure``, its probability (B,)."""
        probability = self.model.to(images.device).eval()(images).float().softmax(1)
        sure, label = probability.max(1)
        return {"features": self._features.float(), "label": label, "sure": sure}


def judge_of(spec: DataSpec) -> Judge | None:
    """Return the judge of such data; None where there is none."""
    return Judge(spec) if judged(spec) else None
