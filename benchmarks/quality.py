"""Quality: each recipe, several seeds (and every fold where the data has folds), as the command a user would type."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.words import take_budget, take_number
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
    """Yield one row per run: results.json with the wall time, imports included; failures are rows too."""
    budget = take_budget(asked)
    seeds = take_number(asked, "seeds", 3 if budget == "full" else 1)
    model, data = asked.pop("model", None), asked.pop("data", None)
    extra = [f"{key}={value}" for key, value in asked.items()]
    pairs = [p for p in promised() if model in (None, p[0]) and data in (None, p[1])]
    if not pairs and model and data:
        pairs = [(model, data)]
    if not pairs:
        raise ZooError(f"no recipe with a promise for model={model} data={data}; name both for any pair")
    for model, data in pairs:
        config = configs.compose([f"model={model}", f"data={data}", *extra])
        folds = config.data.get("folds")
        if folds:
            places: Sequence[int | None] = range(folds if budget == "full" else 1)
        else:
            places = [None]
        done = []
        for seed in range(seeds):
            for fold in places:
                words = [f"model={model}", f"data={data}", f"seed={seed}", *extra]
                words += [f"data.fold={fold}"] if fold is not None else []
                done.append(_one(words, extra, fold, config.promise))
                yield done[-1]
        if config.promise and not extra:
            yield from missed(done, {"model": model, "data": data}, config.promise)


def missed(done: Sequence[Mapping[str, Any]], pair: dict[str, Any], promise: Mapping[str, Any]) -> Iterator[Any]:
    """Yield a row where the mean over ``done`` is not what the recipe promised: at ``least``, or at ``most``."""
    values = [row["metrics"][promise["metric"]] for row in done if not row.get("failed")]
    if not values:
        return
    mean, least, most = statistics.mean(values), promise.get("least"), promise.get("most")
    kept = (least is None or mean >= least) and (most is None or mean <= most)
    limit = f"at least {least}" if least is not None else f"at most {most}"
    said = f"{promise['metric']} {mean:.4f} over {len(values)} runs; promised is {limit}"
    print(f"{pair['model']} on {pair['data']}: {said}{'' if kept else ', which is missed'}", flush=True)
    if not kept:
        yield {**pair, "failed": [f"promise missed: {said}"], "commit": done[-1].get("commit")}


def _one(words: list[str], extra: list[str], fold: int | None, promise: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "run"
        command = [sys.executable, str(ROOT / "train.py"), *words, f"run_dir={folder}"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.perf_counter() - started
        row: dict[str, Any] = {"overrides": extra, "fold": fold, "wall_seconds": round(wall, 2)}
        if done.returncode:
            row |= {"failed": done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]}
        else:
            row = json.loads((folder / "results.json").read_text()) | row
        row["command"] = "python train.py " + " ".join(words)
    metric = promise.metric if promise else None
    value = row.get("metrics", {}).get(metric)
    print(f"{' '.join(words):<50} {metric} {value}   {wall:.0f} s   {row.get('failed', '')}", flush=True)
    return row
