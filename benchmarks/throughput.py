"""Training throughput of each model on its default data in float32 and bf16, and the peak memory.

``python -m benchmarks.throughput MODEL REPEATS`` measures one model in its own process and prints the row as JSON. The
precisions train in turn, each for SECONDS. Only the time of training batches counts, as in ``results.json``.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 4  # duration of each training
WAYS = {"float32": "32-true", "bf16": "bf16-mixed"}


def rows(name: str, repeats: int) -> Iterator[dict[str, Any]]:
    """Yield the row of a model.

    Raises:
        ZooError: the measurement failed.
    """
    from zoo.exceptions import ZooError

    done = subprocess.run(
        [sys.executable, "-m", __name__, name, str(repeats)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        raise ZooError(f"training of {name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    row = json.loads(done.stdout)
    lines = [f"{way} {one['samples']:,.0f}" for way, one in row["training"].items()]
    print(f"    samples per second: {'; '.join(lines)}; {row['peak_memory_mb']:,.0f} MB", flush=True)
    yield row


def measured(name: str, repeats: int) -> dict[str, Any]:
    """Return the row of a model, trained in this process."""
    import zoo
    from zoo.reporting.results import origin

    samples_per_second: dict[str, list[float]] = {way: [] for way in WAYS}
    for repeat in range(repeats):
        for way, precision in WAYS.items():
            with tempfile.TemporaryDirectory() as above, contextlib.redirect_stdout(io.StringIO()):
                trainer = {"precision": precision, "max_minutes": SECONDS / 60}
                more: dict[str, Any] = {"seed": repeat, "report": False, "logger": "csv", "run_dir": f"{above}/run"}
                results = zoo.train(name, zoo_data(name), trainer=trainer, **more).results
            samples_per_second[way].append(results["samples_per_second"])
    training = {
        way: {"samples": statistics.median(v), "spread": [min(v), max(v)]} for way, v in samples_per_second.items()
    }
    row = {"what": f"training of {name} on {zoo_data(name)}", "training": training, "repeats": repeats}
    row |= {"params": results["params"], "peak_memory_mb": results["peak_memory_mb"]}
    return row | origin(results["device"].split()[0])


def zoo_data(name: str) -> str:
    """Return the default data of a model."""
    from zoo.config import compose as configs

    return str(configs.compose([f"model={name}"]).data.name)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]))))
