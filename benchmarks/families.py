"""The suite ``families``: related models on the same data for the same time.

The families are rnn, lstm, gru and transformer, and gan, dcgan and wgan_gp. ``families.yaml`` lists the shared options
and the metric of each case. For sequences it also sets the number of parameters, from which the hidden size follows.
Two short runs measure the number of training steps that fit into the time, without validation. One row per run.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.arguments import take_flag, take_nothing_else, take_number
from benchmarks.jobs import Job
from benchmarks.runs import trained
from zoo.config import compose as configs
from zoo.exceptions import unknown

FILE = Path(__file__).parent / "families.yaml"
FAMILIES = ("rnn", "lstm", "gru", "transformer")
EPOCHS = 3  # number of validations in a run
PROBES = (10, 40)  # steps per epoch of the two short runs


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each dataset and family, with a row for each seed. Existing rows are skipped."""
    known: Any = OmegaConf.to_container(OmegaConf.load(FILE))
    seconds, seeds = take_number(args, "seconds", 60), take_number(args, "seeds", 3)
    fresh, data, model = take_flag(args, "fresh"), args.pop("data", None), args.pop("model", None)
    take_nothing_else(args, "families")
    models = list(dict.fromkeys(family for about in known.values() for family in about.get("models", FAMILIES)))
    for name, requested, choices in (("data", data, known), ("model", model, models)):
        if requested is not None and requested not in choices:
            raise unknown(name, requested, choices)
    done = set() if fresh else {(r["data"], r["model"], r["seed"], r["asked_seconds"]) for r in earlier}
    jobs = []
    for name, about in known.items():
        for family in about.get("models", FAMILIES):
            selected = [seed for seed in range(seeds) if (name, family, seed, seconds) not in done]
            if data in (None, name) and model in (None, family) and selected:
                run = partial(_runs, name, family, about, selected, seconds)
                jobs.append(Job(f"{family} on {name}", run, seconds * len(selected)))
    return jobs


def _runs(name: str, family: str, about: Mapping[str, Any], seeds: Sequence[int], seconds: int) -> Iterator[Any]:
    words = [f"model={family}", f"data={about.get('data', name)}", *about["words"], *about.get(family, [])]
    if "parameters" in about:
        words.append(f"model.hidden_size={hidden_size(words, family, about['parameters'])}")
    short, long = (_epoch_seconds([*words, f"trainer.steps_per_epoch={steps}"]) for steps in PROBES)
    steps = max(int(seconds / EPOCHS * (PROBES[1] - PROBES[0]) / max(long - short, 1e-3)), 1)
    for seed in seeds:
        extra = [f"trainer.steps_per_epoch={steps}", f"trainer.max_epochs={EPOCHS}", f"seed={seed}"]
        content, _ = _run([*words, *extra])
        row = {"what": f"{family} on {name}", "asked_seconds": seconds, "figure": about["figure"], **content}
        figure = row.get("metrics", {}).get(f"test/{about['figure']}")
        print(f"    seed {seed}: {about['figure']} {figure}, {row.get('train_seconds')} s", flush=True)
        yield {**row, "model": family, "data": name, "seed": seed}


def hidden_size(words: Sequence[str], family: str, parameters: int) -> int:
    """Return the multiple of 8 for the hidden size whose network is closest to a number of parameters."""
    import torch

    from zoo import registry
    from zoo.data.prepare import load_dataset

    composed = configs.compose(list(words))
    config: Any = OmegaConf.to_container(composed, resolve=True)
    spec = load_dataset(config["data"], configs.task_of(composed)).spec
    options = {k: v for k, v in config["model"].items() if k not in ("name", "hidden_size")}

    def count(size: int) -> int:
        with torch.device("meta"):  # shapes without memory
            model = registry.create(family, spec=spec, hidden_size=size, **options)
        return sum(p.numel() for p in model.parameters())

    return min(range(8, 1024, 8), key=lambda size: (abs(count(size) - parameters), size))


def _epoch_seconds(words: Sequence[str]) -> float:
    """Return the seconds of the second epoch and its validation; the first epoch is a warm-up."""
    _, seconds = _run([*words, "trainer.max_epochs=2"])
    return seconds[1] - seconds[0]


def _run(words: Sequence[str]) -> tuple[dict[str, Any], list[float]]:
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "run"
        content = trained([*words, "logger=csv"], folder)
        with (folder / "metrics.csv").open() as file:
            return content, [float(row["seconds"]) for row in csv.DictReader(file)]
