"""The suite ``use_cases``: each registered model from training to predictions of ONNX Runtime on raw input.

Each case trains for at most a minute, evaluates, predicts (or generates, samples or plays), and exports with the
command line. The outputs of the exported file must equal those of the model. The suite also compares models on user
files, and predicts a CSV of 1 GB.
"""

from __future__ import annotations

import json
import math
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import take_flag, take_nothing_else
from benchmarks.jobs import Job, timed
from benchmarks.rows import of_this_commit
from benchmarks.runs import called, trained
from benchmarks.user_files import CONTESTS, compared, predicted
from zoo.exceptions import ZooError, unknown
from zoo.registry import list_models

MINUTES = 1
CLOSE = 1e-4  # maximum absolute difference between the outputs of the exported file and of the model
PROMPT = "The "
SENTENCES = ["a film to remember", "two hours that i will never get back", "funny , warm and beautifully shot"]


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each pair in PAIRS, each comparison and a large file, or only the pairs of ``model=``."""
    model, fresh = args.pop("model", None), take_flag(args, "fresh")
    take_nothing_else(args, "use_cases")
    if model is not None and model not in list_models():
        raise unknown("model", model, list_models())
    selected: dict[str, Callable[[Path], dict[str, Any]]] = {
        f"{name} on {data}": partial(_used, name, data) for name, data in PAIRS if model in (None, name)
    }
    if model is None:
        selected |= {what: partial(compared, words) for what, words in CONTESTS.items()}
        selected["a CSV of 1 GB"] = predicted
    took = timed(earlier, lambda row: row["what"], "seconds")
    done = set() if fresh else {row["what"] for row in of_this_commit(earlier)}
    return [Job(what, partial(_row, what, do), took.get(what)) for what, do in selected.items() if what not in done]


def _row(what: str, do: Callable[[Path], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from zoo.reporting.results import origin

    row: dict[str, Any] = {"what": what}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            row |= do(Path(folder))
        except ZooError as error:
            row["failed"] = [str(error)]
    print(f"    {row.get('failed', 'done')} in {time.perf_counter() - started:.0f} s", flush=True)
    yield row | {"seconds": round(time.perf_counter() - started, 1)} | origin("cpu")


def _used(name: str, data: str, folder: Path) -> dict[str, Any]:
    """Return the row of a pair.

    Raises:
        ZooError: a command failed, or two results that must agree differ.
    """
    from zoo import load

    run, file, figures = folder / "run", folder / "model.onnx", folder / "figures.json"
    results = trained([f"model={name}", f"data={data}", f"trainer.max_minutes={MINUTES}", "logger=csv"], run)
    model = load(run / "checkpoints" / "best.ckpt")
    metric = model.task.monitor
    called(["-m", "zoo", "evaluate", str(run), f"out={figures}"])
    metric_value, evaluated_value = (
        results["metrics"][f"test/{metric}"],
        json.loads(figures.read_text())["metrics"][metric],
    )
    if not math.isclose(metric_value, evaluated_value, rel_tol=1e-3):
        raise ZooError(f"{name} on {data}: zoo evaluate computes {evaluated_value}, the run {metric_value}")
    row = {
        "model": name,
        "data": data,
        "metric": metric,
        "figure": evaluated_value,
        "train_seconds": results["train_seconds"],
    }
    row |= PAIRS[name, data](run, folder)
    called(["-m", "zoo", "export", str(run), "format=onnx", f"out={file}"])
    row |= {"bytes": file.stat().st_size, "difference": _difference(model, file, folder)}
    if row["difference"] > CLOSE:
        raise ZooError(f"{name} on {data}: outputs of ONNX Runtime differ by {row['difference']:.1e}")
    return row


def _difference(model: Any, file: Path, folder: Path) -> float:
    """Return the maximum absolute difference between the outputs of an exported file and of the model on raw input."""
    import onnxruntime
    import torch

    from zoo.data.inputs import encode

    batch = encode(model.spec, _raw(model.spec, folder))
    with torch.inference_mode():
        ours = model.eval().predictions(batch)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    onnx_outputs = session.run(names, {key: value.numpy() for key, value in batch.items()})
    return max(float(np.abs(output - ours[key].numpy()).max()) for key, output in zip(names, onnx_outputs, strict=True))


def _raw(spec: Any, folder: Path) -> Any:
    """Return raw input: the files of the command, a prompt, or the first observations of an environment."""
    from zoo.data.inputs import pieces

    if spec.target_type == "next_symbol":
        return PROMPT
    if spec.target_type == "reward":
        import gymnasium

        from zoo.config.run_config import read_run_config

        env = gymnasium.make(read_run_config(folder / "run")["data"]["env"])
        return np.stack([env.reset(seed=seed)[0] for seed in range(8)])
    return next(pieces(spec, [str(folder / "raw")])).raw


def _predicted(write: Callable[[Path], object], run: Path, folder: Path) -> dict[str, Any]:
    """Return the number of predicted rows and the prediction of the first row."""
    write(folder / "raw")
    called(["-m", "zoo", "predict", str(run), str(folder / "raw"), "format=json", f"out={folder / 'answers'}"])
    answers = [json.loads(line) for line in (folder / "answers").read_text().splitlines()]
    first = {key: value for key, value in answers[0].items() if key != "input"}
    return {
        "verb": "predict",
        "rows": len(answers),
        "said": ", ".join(f"{key} {_short(value)}" for key, value in list(first.items())[:2]),
    }


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _digits(to: Path) -> None:
    from PIL import Image
    from sklearn.datasets import load_digits

    to.mkdir()
    for number, image in enumerate(load_digits().images[-64:]):
        Image.fromarray((image * (255 / 16)).round().astype(np.uint8)).save(to / f"{number:02}.png")


def _wines(to: Path) -> None:
    from sklearn.datasets import load_wine

    load_wine(as_frame=True).data.to_csv(to, index=False)


def _weeks(to: Path) -> None:
    from statsmodels.datasets import co2

    co2.load_pandas().data.interpolate().to_csv(to, index_label="week")


def _sentences(to: Path) -> None:
    to.write_text("\n".join(SENTENCES) + "\n")


def _recordings(to: Path) -> None:
    from zoo.data.download import root_folder

    to.mkdir()
    with tarfile.open(root_folder(None) / "fsdd" / "fsdd_recordings.tar.gz") as archive:
        for member in [one for one in archive if one.name.endswith(".wav")][:20]:
            content = archive.extractfile(member)
            assert content is not None
            (to / Path(member.name).name).write_bytes(content.read())


def _written(run: Path, folder: Path) -> dict[str, Any]:
    text, _ = called(["-m", "zoo", "generate", str(run), f"prompt={PROMPT}", "length=40"])
    return {"verb": "generate", "rows": 1, "said": " ".join(text.split())}


def _drawn(run: Path, folder: Path) -> dict[str, Any]:
    out = folder / "drawn.npz"
    called(["-m", "zoo", "sample", str(run), "count=64", f"out={out}"])
    with np.load(out) as content:
        drawn = len(content["x"])
    return _predicted(_digits, run, folder) | {"drawn": drawn}


def _played(run: Path, folder: Path) -> dict[str, Any]:
    from PIL import Image

    called(["-m", "zoo", "play", str(run), "steps=100", f"out={folder / 'episode.gif'}"])
    with Image.open(folder / "episode.gif") as film:
        return {"verb": "play", "rows": 1, "said": f"a film of {getattr(film, 'n_frames', 1)} pictures"}


PAIRS: dict[tuple[str, str], Callable[[Path, Path], dict[str, Any]]] = {
    ("fnn", "wine"): partial(_predicted, _wines),
    ("cnn", "digits"): partial(_predicted, _digits),
    ("rnn", "digits"): partial(_predicted, _digits),
    ("lstm", "sentiment"): partial(_predicted, _sentences),
    ("gru", "series"): partial(_predicted, _weeks),
    ("gru", "spoken_digits"): partial(_predicted, _recordings),
    ("transformer", "text_file"): _written,
    ("autoencoder", "digits"): partial(_predicted, _digits),
    ("vae", "digits"): _drawn,
    ("gan", "digits"): _drawn,
    ("ppo", "cartpole"): _played,
    ("a2c", "cartpole"): _played,
    ("reinforce", "cartpole"): _played,
    ("dqn", "cartpole"): _played,
    ("sac", "pendulum"): _played,
}
