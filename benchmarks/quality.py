"""Quality: each recipe, several seeds (and every fold where the data has folds), as the command a user would type."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo import config as configs
from zoo.errors import ZooError

ROOT = Path(__file__).resolve().parent.parent


def promised() -> list[tuple[str, str]]:
    """Return (model, data) of each recipe that makes a promise."""
    pairs = []
    for path in sorted((configs.conf_dir() / "recipe").glob("*.yaml")):
        model, _, data = path.stem.partition("-")
        if configs.compose([f"model={model}", f"data={data}"]).promise:
            pairs.append((model, data))
    return pairs


def rows(asked: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield one row per run: results.json with the wall time, imports included; a failure is a row too."""
    seeds = int(asked.pop("seeds", "3"))
    model, data = asked.pop("model", None), asked.pop("data", None)
    extra = [f"{key}={value}" for key, value in asked.items()]
    pairs = [p for p in promised() if model in (None, p[0]) and data in (None, p[1])]
    if not pairs and model and data:
        pairs = [(model, data)]
    if not pairs:
        raise ZooError(f"no recipe with a promise for model={model} data={data}; name both for any pair")
    for model, data in pairs:
        config = configs.compose([f"model={model}", f"data={data}"])
        folds = config.data.get("folds")
        for seed in range(seeds):
            for fold in range(folds) if folds else [None]:
                words = [f"model={model}", f"data={data}", f"seed={seed}", *extra]
                words += [f"data.fold={fold}"] if fold is not None else []
                yield _one(words, extra, fold, config.promise)


def _one(words: list[str], extra: list[str], fold: int | None, promise: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "run"
        command = [sys.executable, str(ROOT / "train.py"), *words, f"run_dir={folder}"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.perf_counter() - started
        row: dict[str, Any] = {"overrides": extra, "fold": fold, "wall_seconds": round(wall, 2)}
        if done.returncode:
            row |= {"failed": done.stderr.strip().splitlines()[-1:], "command": " ".join(words)}
        else:
            row = json.loads((folder / "results.json").read_text()) | row
            row["command"] = "python train.py " + " ".join(words)
    metric = promise.metric if promise else None
    value = row.get("metrics", {}).get(metric)
    print(f"{' '.join(words):<50} {metric} {value}   {wall:.0f} s   {row.get('failed', '')}", flush=True)
    return row
