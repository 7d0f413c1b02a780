"""Train the pretrained weights of the package: ``python -m benchmarks.pretrain [NAME …]``, by default all of them.

Each model is trained by the command on its card, written to ``zoo/weights/`` as float16, loaded from the file, and
evaluated on the test set. Evaluators are float32.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.quality import command_of
from benchmarks.runs import trained
from zoo.exceptions import ZooError, unknown
from zoo.utils.atomic_io import atomic_write

LARGEST = 1_000_000  # maximum size of a file in bytes
# An evaluator of generated images needs a last hidden layer as feature space, and confident predictions: no smoothing
EVALUATOR = ["model=cnn", "model.head_hidden_size=64", "model.dropout=0.2"]
UNSMOOTHED = ["trainer.max_epochs=10", "regularization.label_smoothing=0.0"]
RECIPES: dict[str, list[str]] = {
    "evaluator/digits": [*EVALUATOR, "data=digits", "model.channels=[32,64]"],
    "evaluator/mnist": [*EVALUATOR, "data=mnist", "model.channels=[16,32,64]", *UNSMOOTHED],
    "evaluator/fashion_mnist": [*EVALUATOR, "data=fashion_mnist", "model.channels=[32,64,64]", *UNSMOOTHED],
    "fnn/wine": ["model=fnn", "data=wine"],
    "fnn/digits": ["model=fnn", "data=digits"],
    "cnn/digits": ["model=cnn", "data=digits"],
    "cnn/mnist": ["model=cnn", "data=mnist"],
    "rnn/digits": ["model=rnn", "data=digits"],
    "gru/series": ["model=gru", "data=series"],
    "lstm/text_file": ["model=lstm", "data=text_file"],
    "transformer/text_file": ["model=transformer", "data=text_file", "model.hidden_size=96"],
    "autoencoder/digits": ["model=autoencoder", "data=digits"],
    "vae/digits": ["model=vae", "data=digits"],
    "gan/digits": ["model=gan", "data=digits", "model.hidden_sizes=[192,384]"],
    "ppo/cartpole": ["model=ppo", "data=cartpole"],
    "dqn/cartpole": ["model=dqn", "data=cartpole"],
    "sac/pendulum": ["model=sac", "data=pendulum"],
}


def make(name: str) -> None:
    """Train the weights ``name`` and write them."""
    words = [*RECIPES[name], "seed=0"]
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "run"
        results = trained([*words, "logger=csv"], folder)
        keep(name, folder / "checkpoints" / "best.ckpt", words, results)


def keep(name: str, checkpoint: Path, words: list[str], results: dict[str, Any]) -> None:
    """Write a checkpoint as the weights ``name``, with a card that contains the metrics of the written file.

    Raises:
        ZooError: the file is larger than LARGEST.
    """
    from zoo import load
    from zoo.checkpoint import load_weights
    from zoo.hub import FOLDER
    from zoo.inference.loading import dataset_for
    from zoo.reporting.evaluation import evaluate_split

    path = FOLDER / f"{name.replace('/', '-', 1)}.safetensors"
    path.parent.mkdir(exist_ok=True)
    atomic_write(path, lambda to: _small(load(checkpoint), to, half=not name.startswith("evaluator/")))
    model = load_weights(path)
    figures, _ = evaluate_split(model, dataset_for(model, None, [w for w in words if w.startswith("data")]))
    figures = {key: round(value, 5) for key, value in figures.items()}
    about = {"name": name, "command": command_of(words), "data": results["data"], "seed": results["seed"]}
    about |= {"parameters": results["params"], "bytes": path.stat().st_size, "metrics": figures}
    about |= {key: results[key] for key in ("versions", "commit")}
    atomic_write(path.with_suffix(".json"), lambda to: to.write_text(json.dumps(about, indent=1) + "\n"))
    print(f"{name}: {path.stat().st_size:,} bytes, {figures}", flush=True)


def _small(model: Any, to: Path, *, half: bool) -> None:
    from zoo.checkpoint import save_weights

    save_weights(model, to, half=half)
    if to.stat().st_size > LARGEST:
        raise ZooError(f"{model.name}: has {to.stat().st_size:,} bytes of weights; must have at most {LARGEST:,}")


def main(names: list[str]) -> int:
    """Train the given weights, or all, and return the exit code."""
    try:
        for name in names:
            if name not in RECIPES:
                raise unknown("weights", name, RECIPES)
        for name in names or RECIPES:
            make(name)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
