"""The suite ``samples``: a classifier that trains on images of a cgan and is tested on real images.

For each seed, LeNet trains on IMAGES generated images, on FEW real images, and on both. It also trains on the few real
images and images of a cgan that trained on the same few. The last epoch is tested, so no other real images are used for
model selection.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.arguments import take_flag, take_nothing_else, take_number
from benchmarks.jobs import Job
from benchmarks.runs import called, trained

IMAGES, FEW = 20_000, 100
DATA = ("mnist", "fashion_mnist")
# Options in addition to the recipes: for LeNet on few images, and for a cgan on few images
LITTLE = ["data.batch_size=25", "trainer.steps_per_epoch=100", "trainer.max_epochs=15"]
LITTLE_GAN = ["model.diffaugment=[translation,cutout]", "data.batch_size=50", "trainer.steps_per_epoch=500"]
LITTLE_GAN += ["trainer.max_epochs=6"]


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each seed: the rows of the cgan, then those of LeNet. Seeds with complete rows are skipped."""
    from benchmarks.quality import Case
    from zoo.config.schema import check_choice
    from zoo.reporting.results import config_hash

    data, seeds, fresh = args.pop("data", "mnist"), take_number(args, "seeds", 3), take_flag(args, "fresh")
    take_nothing_else(args, "samples")
    check_choice("data", data, DATA)
    cgan = Case("cgan", data)
    done = set() if fresh else _done(earlier)
    return [
        Job(f"a cgan's images of {data}, seed {seed}", partial(_seed, data, seed))
        for seed in range(seeds)
        if config_hash(cgan.plan(f"seed={seed}").values) not in done
    ]


def _done(earlier: Sequence[dict[str, Any]]) -> set[str]:
    """Return the configuration hashes of the cgans with complete rows; "both" is the last row of a seed."""
    begun, complete = {}, set()
    for row in earlier:
        if row["what"] == "cgan":
            begun[row["data"], row["seed"]] = row["config_hash"]
        elif row["what"] == "both" and (row["data"], row["seed"]) in begun:
            complete.add(begun[row["data"], row["seed"]])
    return complete


def _seed(data: str, seed: int) -> Iterator[dict[str, Any]]:
    few = [f"data.max_train_samples={FEW}", f"data.subset_seed={seed}"]
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above)

        def run(what: str, *words: str) -> dict[str, Any]:
            content = trained([*words, f"seed={seed}", "logger=csv"], folder / what)
            figures = {key: round(value, 4) for key, value in content["metrics"].items() if key.startswith("test/")}
            print(f"    {what}: {figures}, {content['train_seconds']} s", flush=True)
            return {**content, "what": what, "data": data, "seed": seed}

        def images(what: str) -> str:
            out = folder / f"{what}.npz"
            called(["-m", "zoo", "sample", str(folder / what), f"count={IMAGES}", f"seed={seed}", f"out={out}"])
            return f"data.synthetic_path={out}"

        lenet = ["model=lenet", f"data={data}", "checkpoint.test_with=last"]
        yield run("cgan", "model=cgan", f"data={data}")
        yield run("cgan of few", "model=cgan", f"data={data}", *few, *LITTLE_GAN)
        of_all, of_few = images("cgan"), images("cgan of few")
        yield run("generated", *lenet, of_all, "data.max_train_samples=0")
        yield run("few", *lenet, *few, *LITTLE)
        yield run("few and generated of few", *lenet, *few, of_few)
        yield run("both", *lenet, *few, of_all)
