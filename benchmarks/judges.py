"""Judges: the small classifiers that come with the package, by whose features generated images are measured.

``python -m benchmarks.judges`` trains them anew, with ``mnist`` that one alone, and prints what each reaches on test.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

JUDGES: dict[str, dict[str, Any]] = {  # data: the network's options; the rest is the recipe of cnn on it
    "digits": {"channels": [32, 64], "hidden": 64, "dropout": 0.2},
    "mnist": {"channels": [16, 32, 64], "hidden": 64, "dropout": 0.2},
    "fashion_mnist": {"channels": [32, 64, 64], "hidden": 64, "dropout": 0.2},
}


def make(data: str) -> tuple[Path, float]:
    """Train the judge of ``data``, write its checkpoint, in half precision, and return where and its test accuracy."""
    import torch

    import zoo
    from zoo.judge import WEIGHTS

    with tempfile.TemporaryDirectory() as folder:
        options: Any = {"options": JUDGES[data], "run_dir": f"{folder}/run", "logger": "csv"}
        run = zoo.train("cnn", data, report=False, **options)
        content = torch.load(run.folder / "checkpoints" / "best.ckpt", weights_only=True)
    weights = {k: v.half() if v.is_floating_point() else v for k, v in content["state_dict"].items()}
    kept = {"state_dict": weights, "hyper_parameters": content["hyper_parameters"], "zoo": content["zoo"]}
    kept["zoo"]["reached"] = {key: value for key, value in run.metrics.items() if key == "test/accuracy"}
    WEIGHTS.mkdir(exist_ok=True)
    path = WEIGHTS / f"cnn-{data}.ckpt"
    torch.save(kept, path)
    return path, run.metrics["test/accuracy"]


def main() -> None:
    """Make those that are asked for, or all."""
    asked = sys.argv[1:] or list(JUDGES)
    for data in asked:
        if data not in JUDGES:
            sys.exit(f"no judge of {data!r}; there are {', '.join(JUDGES)}")
        path, accuracy = make(data)
        print(f"{path.name}   {path.stat().st_size:,} bytes   accuracy on test {accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
