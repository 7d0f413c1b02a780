"""The report of a run: the opening line, results.json and the closing summary."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch

from zoo import registry
from zoo.config import compose as configs
from zoo.config.run_config import BUNDLED, RunConfig
from zoo.data.dataset import Dataset
from zoo.metrics.names import metric_label
from zoo.models.base import ZooModule
from zoo.utils.atomic_io import atomic_write
from zoo.utils.console import Guard, print_progress
from zoo.utils.device import device_name
from zoo.utils.eval_mode import eval_mode
from zoo.utils.rank import rank
from zoo.utils.version import __version__


@dataclass(frozen=True)
class RunContext:
    """A run's configuration, data, model and device. ``precision`` is Lightning's name, such as ``bf16-mixed``."""

    run_config: RunConfig
    dataset: Dataset
    datamodule: Any
    model: ZooModule
    device: str
    precision: str

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process is rank zero, the only one that prints and writes files."""
        return rank() == 0

    @property
    def parameters(self) -> int:
        """The number of parameters of the model."""
        return sum(p.numel() for p in self.model.parameters())


def start_report(context: RunContext) -> None:
    """Print the opening line and write config.yaml, in rank zero."""
    if context.is_rank_zero:
        print_progress(opening(context))
        context.run_config.write()


def opening(context: RunContext) -> str:
    """Return the first line that a run prints: model, data, parameters, device and precision."""
    spec = context.dataset.spec
    count = torch.get_num_threads()
    cpu = f"cpu, {count} {'thread' if count == 1 else 'threads'}"
    where = device_name(context.device) if context.device != "cpu" else cpu
    where = f"{context.run_config.trainer.world} × {where}" if context.run_config.trainer.world > 1 else where
    return (
        f"{context.run_config.recipe} on {spec.name}   {context.dataset.described}   {context.parameters:,} parameters   "
        f"{where}, {context.precision}"
    )


def results(
    context: RunContext,
    rows: Sequence[Mapping[str, Any]],
    seconds: tuple[float, float],
    test_metrics: Mapping[str, float],
) -> dict[str, Any]:
    """Return the content of results.json, still without baselines.

    Args:
        context: the run.
        rows: one row per epoch, from ``History``.
        seconds: duration of training, and the part of it spent in validation.
        test_metrics: metrics of the test split.
    """
    last, task = rows[-1], context.model.task
    monitor = f"val/{task.monitor}"
    best = max if task.mode == "max" else min
    watched = [row[monitor] for row in rows if monitor in row]  # early epochs may lack the metric
    chosen = {monitor: watched[-1] if context.run_config.checkpoint.test_with == "last" else best(watched)}
    metrics = {k: v for k, v in last.items() if k.startswith("train/")}
    metrics |= {**chosen, **test_metrics}
    return {
        "model": context.run_config.recipe,
        "class": context.model.name,
        "data": context.dataset.spec.name,
        "task": context.dataset.spec.task,
        "seed": context.run_config.values["seed"],
        "epochs": len(rows),
        "steps": last["steps"],
        "samples": last["samples"],
        "train_seconds": round(seconds[0], 3),
        "validation_seconds": round(seconds[1], 3),
        "samples_per_second": round(last["samples"] / seconds[0], 1),
        "params": context.parameters,
        "peak_memory_mb": _peak_memory(context.device),
        "metrics": metrics,
        "baselines": {},
        "precision": context.precision,
        **origin(context.device),
        "command": context.run_config.command,
        "config_hash": config_hash(context.run_config.values),
    }


def origin(device: str) -> dict[str, Any]:
    """Return the provenance of a result: device, threads, versions and commit."""
    return {
        "device": f"{device} ({device_name(device)})",
        "threads": torch.get_num_threads(),
        "versions": {
            "zoo": __version__,
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "python": platform.python_version(),
        },
        "commit": _commit(),
    }


def write_results(
    context: RunContext,
    rows: Sequence[Mapping[str, Any]],
    seconds: tuple[float, float],
    test_metrics: Mapping[str, float],
    *,
    report: bool,
) -> dict[str, Any]:
    """Write results.json before any part of the report can fail, and return its content.

    A run that resumes only to complete its report keeps its earlier content.
    """
    folder, resumed = context.run_config.folder, context.run_config.resumed
    earlier = read_results(folder, steps=rows[-1]["steps"]) if resumed else None
    content = earlier or results(context, rows, seconds, test_metrics)
    _write({**content, "missing": ["report"]} if report else content, folder)
    return content


def read_results(folder: Path, *, steps: int | None = None) -> dict[str, Any] | None:
    """Return the content of a run's results.json, or None if it is incomplete or not from ``steps`` training steps."""
    try:
        content = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        return None
    groups = [content.get(key) for key in ("metrics", "baselines")] if isinstance(content, dict) else [None]
    complete = all(isinstance(group, dict) for group in groups)
    return content if complete and steps in (None, content.get("steps")) else None


def _write(content: dict[str, Any], folder: Path) -> None:
    atomic_write(folder / "results.json", lambda to: to.write_text(json.dumps(content, indent=1) + "\n"))


def add_report(
    context: RunContext,
    content: dict[str, Any],
    history: Sequence[Mapping[str, Any]],
    outputs: torch.Tensor | None,
    guard: Guard,
) -> tuple[dict[str, Any], list[Path]]:
    """Return ``content`` with extra metrics and baselines, and the paths of the plots.

    A part that fails prints a warning and is listed under ``missing``. Resuming the run tries it again. Each addition
    rewrites results.json.
    """

    from zoo.tasks.baselines import baselines

    def update(*pending: str) -> None:
        missing = {"missing": [*guard.missing, *pending]} if guard.missing or pending else {}
        guard.attempt("results.json", lambda: _write({**content, **missing}, context.run_config.folder), None)

    content = {key: value for key, value in content.items() if key != "missing"}
    model, dataset = context.model, context.dataset
    with eval_mode(model):
        extra_metrics = guard.attempt("extra metrics", lambda: model.extra_metrics(dataset), {})
        content["metrics"] = {**content["metrics"], **{f"test/{name}": value for name, value in extra_metrics.items()}}
        measured = guard.attempt(
            "baselines", lambda: baselines(dataset, options=model.hparams, attempt=guard.attempt), {}
        )
        content["baselines"] = {**content["baselines"], **measured}
        update("plots")
        plots = guard.attempt("plots", lambda: _plots(context, history, outputs, guard), [])
    update()
    return content | ({"missing": list(guard.missing)} if guard.missing else {}), plots


def _plots(
    context: RunContext, history: Sequence[Mapping[str, Any]], outputs: torch.Tensor | None, guard: Guard
) -> list[Path]:
    from zoo.reporting.plots import run_plots

    model, dataset = context.model, context.dataset
    predictions = {}
    if outputs is not None:
        predictions = guard.attempt("predictions", lambda: model.task.postprocess_outputs(outputs), {})
    batch = guard.attempt("first batch", context.datamodule.first_batch, None)
    visualizations = (
        guard.attempt("visualizations", lambda: model.visualizations(batch, dataset), {}) if batch is not None else {}
    )
    frames = guard.attempt("video", lambda: model.record_video(dataset), None)
    visualizations = visualizations if frames is None else {**visualizations, "frames": frames}
    options = {"batch": batch, "visualizations": visualizations, "attempt": guard.attempt}
    return run_plots(model.task, dataset, history, predictions, context.run_config.folder / "plots", **options)


def closing(context: RunContext, content: Mapping[str, Any], plots: Sequence[Path]) -> str:
    """Return the closing summary of a run: test metrics, plots and commands to try next."""
    task, spec = context.model.task, context.dataset.spec
    monitor, data, model = task.monitor, content["data"], content["model"]
    metrics = {key.removeprefix("test/"): value for key, value in content["metrics"].items() if key.startswith("test/")}
    constant: Mapping[str, float]
    predictor, constant = next(iter(content["baselines"].items()), ("", {}))
    others = [
        f"{metric_label(name, task.metric_labels)} {value:.4g}"
        + (f" ({predictor} {constant[name]:.3g})" if name in constant else "")
        for name, value in metrics.items()
        if name != monitor
    ]
    baselines = {name: values[monitor] for name, values in content["baselines"].items() if monitor in values}
    compared = ", ".join(f"{name} {value:.3g}" for name, value in baselines.items())
    figure = f"{metrics.get(monitor, float('nan')):.4g}" + (f" ({compared})" if compared else "")
    lines = [
        f"{model} on {data}   test {metric_label(monitor, task.metric_labels)} {figure}   {content['params']:,} parameters   "
        f"{content['train_seconds']:.0f} s   {content['samples_per_second']:,.0f} samples/s",
        f"{'test metrics':<16}{'   '.join(others)}",
    ]
    if plots:
        drawn = all(path.suffix == ".png" for path in plots)
        names = ",".join(path.stem if drawn else path.name for path in plots)
        lines.append(f"plots           {context.run_config.folder}/plots/{{{names}}}{'.png' if drawn else ''}")
    models = [m for m in configs.fitting_models(spec.task, spec.modality) if m != context.model.name and _by_name(data)]
    following = [
        task.command.format(context.run_config.folder),
        *(f"zoo train model={m} data={data}" for m in models[:1]),
    ]
    lines.append(f"next            {' · '.join(following)}")
    return "\n".join(lines)


def _by_name(data: str) -> bool:
    """Return whether ``data=NAME`` is complete without a file, arrays or an environment id."""
    if data not in registry.list_data():
        return False
    options = registry.signature(registry.data_entry(data).load)
    return options.get("env") != "" and ("path" not in options or data in BUNDLED)


def _peak_memory(device: str) -> float | None:
    """Return the peak memory in MiB, or None where the system does not report it."""
    if device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is bytes there, kilobytes on Linux
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


def config_hash(values: Mapping[str, Any]) -> str:
    """Return a hash of all options that affect the outcome.

    Two runs with the same hash and commit are expected to agree.
    """
    deciding = {k: _without_null(v) for k, v in values.items() if k not in ("run_dir", "logger", "expected")}
    deciding["checkpoint"] = {k: v for k, v in deciding.get("checkpoint", {}).items() if k == "test_with"}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _without_null(node: Any) -> Any:
    """Return the options without null values, so that a new option does not change the hash of older runs."""
    return {k: _without_null(v) for k, v in node.items() if v is not None} if isinstance(node, Mapping) else node


def _commit() -> str | None:
    """Return the commit of the checkout that contains this file, or None for an installed package."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    words = ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(words, capture_output=True, text=True).stdout.strip() or None
    except OSError:  # no git on this machine
        return None
