"""The suite ``speed``: the trainer compared with a hand-written PyTorch loop, in one session, interleaved.

Both train the same network on the same MNIST rows in memory. They have the same fused optimizer, schedule, batch size,
precision, indexing and validation. The clock runs from the first training batch to the end of the last validation.
The trainer also logs to CSV and TensorBoard, computes the training accuracy, checks for NaN, reports progress and
writes checkpoints. The plain loop does none of this, and never reads a value from the device inside an epoch.

The suite also measures:

- a training step of other families, compared with plain layers (``benchmarks/step_time.py``)
- training throughput (``benchmarks/throughput.py``) and inference latency (``benchmarks/inference.py``)
- the preparation of a folder of JPEGs
- the start-up of commands
"""

from __future__ import annotations

import contextlib
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import inference, step_time, throughput
from benchmarks.arguments import take_budget, take_flag, take_nothing_else, take_number
from benchmarks.jobs import Job
from benchmarks.rows import of_this_commit

ROOT = Path(__file__).resolve().parent.parent
BATCH, LR, DECAY = 128, 1e-3, 0.01
COMMANDS = {
    "import zoo; zoo.list_models()": ["-c", "import zoo; zoo.list_models()"],
    "train.py --help": [str(ROOT / "train.py"), "--help"],
}
NETWORKS = {
    "mlp 784-256-256-10": {"hidden_sizes": [256, 256], "norm": "none", "dropout": 0.0},
    "mlp 784-64-128-64-10, batch norm": {"hidden_sizes": [64, 128, 64], "norm": "batch", "dropout": 0.0},
}


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each network, model and start-up command, or only those of ``model=``.

    Rows of this commit are not measured again, unless ``fresh=true``.
    """
    from zoo.registry import entry, list_models

    quick = take_budget(args) == "quick"
    repeats, epochs = take_number(args, "repeats", 2 if quick else 5), take_number(args, "epochs", 4)
    model, fresh = args.pop("model", None), take_flag(args, "fresh")
    take_nothing_else(args, "speed")
    if model is not None:
        entry(model)  # reject unknown names
    jobs = [
        Job(f"a step of {name}", partial(_step, name, repeats)) for name in step_time.MODELS if model in (None, name)
    ]
    names = [name for name in list_models() if model in (None, name)]
    jobs += [Job(f"training of {name}", partial(throughput.rows, name, repeats)) for name in names]
    jobs += [Job(f"inference of {name}", partial(inference.rows, name, repeats, quick)) for name in names]
    if model is None:
        jobs = [
            *(Job(f"overhead, {name}", partial(_overhead, name, repeats, epochs)) for name in NETWORKS),
            *jobs,
            Job("set-up of JPEGs", partial(_setting_up, repeats)),
            *(Job(name, partial(_start, name, words, repeats)) for name, words in COMMANDS.items()),
        ]
    done = set() if fresh else {row["what"] for row in of_this_commit(earlier)}
    return [job for job in jobs if not any(what.startswith(job.what) for what in done)]


def _step(name: str, repeats: int) -> Iterator[dict[str, Any]]:
    yield step_time.row(name, repeats)


def _start(name: str, words: list[str], repeats: int) -> Iterator[dict[str, Any]]:
    from zoo.reporting.results import origin

    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    print(f"    {statistics.median(seconds):.2f} s", flush=True)
    yield {"what": name, "seconds": statistics.median(seconds), "spread": [min(seconds), max(seconds)], **origin("cpu")}


def _setting_up(repeats: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of the preparation of 60,000 JPEGs in class folders, with and without a cache."""
    from zoo.data import load
    from zoo.data.download import root_folder
    from zoo.reporting.results import origin

    archive = root_folder(None) / "cifar10_jpeg" / "cifar10_jpeg_q75.tar.xz"
    if not archive.is_file():
        return
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "images"
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        files = sum(1 for _ in folder.rglob("*.jpg"))
        first, later = [], []
        for repeat in range(repeats):
            for seconds in (first, later):
                started = time.perf_counter()
                load("image_folder", path=str(folder), cache_dir=f"{above}/cache-{repeat}")
                seconds.append(time.perf_counter() - started)
    for what, seconds in (("the first time", first), ("later", later)):
        row = {"what": f"set-up of JPEGs, {files:,} of 32×32 in folders, {what}"}
        row |= {"seconds": statistics.median(seconds), "spread": [min(seconds), max(seconds)], "repeats": repeats}
        print(f"    {row['what']}: {row['seconds']:.2f} s", flush=True)
        yield row | origin("cpu")


def _overhead(name: str, repeats: int, epochs: int) -> Iterator[dict[str, Any]]:
    from zoo.data import load

    dataset, options = load("mnist"), NETWORKS[name]
    plain_seconds, zoo_seconds, ratios, results = step_time.in_turn(
        lambda repeat: _plain(dataset, options, epochs, repeat), lambda repeat: _zoo(options, epochs, repeat), repeats
    )
    row = {
        "what": f"overhead, {name}",
        "ratio": statistics.median(zoo_seconds) / statistics.median(plain_seconds),
        "ratio_spread": [min(ratios), max(ratios)],
        "epoch_seconds": statistics.median(zoo_seconds) / epochs,
        "plain_epoch_seconds": statistics.median(plain_seconds) / epochs,
        "epochs": epochs,
        "repeats": repeats,
        **{k: results[k] for k in ("device", "precision", "threads", "versions", "commit")},
    }
    print(
        f"    ratio {row['ratio']:.3f} {row['ratio_spread']}, {row['epoch_seconds']:.3f} s per epoch "
        f"(plain {row['plain_epoch_seconds']:.3f} s)",
        flush=True,
    )
    yield row


def _zoo(options: dict[str, Any], epochs: int, seed: int) -> dict[str, Any]:
    import zoo

    with tempfile.TemporaryDirectory() as above, contextlib.redirect_stdout(io.StringIO()):
        run = zoo.train(
            "fnn",
            data="mnist",
            model_kwargs=options,
            optimizer={"lr": LR, "weight_decay": DECAY},
            trainer={"max_epochs": epochs},
            seed=seed,
            run_dir=str(Path(above) / "run"),
            **{
                "data.batch_size": BATCH,
                **{f"data.augment.{kind}": 0.0 for kind in ("degrees", "translate", "scale", "shear")},
            },
        )
    return run.results


def _plain(dataset: Any, options: dict[str, Any], epochs: int, seed: int) -> float:
    """Train with a fast hand-written loop and return the seconds."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    from zoo.utils.device import select_device, select_precision

    torch.manual_seed(seed)
    device = select_device("auto")
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = 784
    for width in options["hidden_sizes"]:
        layers.append(nn.Linear(inputs, width, bias=options["norm"] == "none"))
        layers += [nn.BatchNorm1d(width)] if options["norm"] == "batch" else []
        layers.append(nn.ReLU())
        inputs = width
    model = nn.Sequential(*layers, nn.Linear(inputs, 10)).to(device)
    x, y, val_x, val_y = (t.to(device) for t in (*dataset.train.values(), *dataset.val.values()))
    mean, std = dataset.spec.mean[0], dataset.spec.std[0]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY, fused=True)
    total = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LR, total_steps=total, pct_start=0.25, cycle_momentum=False
    )
    cast = torch.autocast(device, torch.bfloat16, enabled=select_precision("auto", device) == "bf16-mixed")
    started = time.perf_counter()
    for _ in range(epochs):
        model.train()
        for index in torch.randperm(len(x)).to(device).split(BATCH):
            batch = (x.index_select(0, index).float() / 255 - mean) / std
            with cast:
                loss = F.cross_entropy(model(batch), y.index_select(0, index))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        right = 0
        with torch.no_grad(), cast:
            for batch, labels in zip(val_x.split(1000), val_y.split(1000), strict=True):
                right += int((model((batch.float() / 255 - mean) / std).argmax(1) == labels).sum())
    return time.perf_counter() - started
