"""What there is, and what became of runs: lists, a model's card, curves of runs side by side."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from zoo import registry
from zoo.cli.base import PICTURES, Asked, Verb
from zoo.config import compose as configs
from zoo.config.signatures import model_options
from zoo.exceptions import ZooError, unknown
from zoo.hub import card, list_weights


def expected_metrics(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (data, expected metric) of a model's recipes that state one."""
    for path in sorted((configs.conf_dir() / "recipe").glob(f"{name}-*.yaml")):
        expected: Any = OmegaConf.to_container(OmegaConf.load(path)).get("expected")  # type: ignore[union-attr]
        if expected:
            yield path.stem.removeprefix(f"{name}-"), expected


def said(expected: Mapping[str, Any]) -> str:
    """Return an expected metric in words."""
    limit = f"at least {expected['min']}" if expected.get("min") is not None else f"at most {expected['max']}"
    times = f" times {expected['times']}" if expected.get("times") else ""
    beside = f"   ({expected['reference']}; {expected['source']})" if expected.get("reference") else ""
    return f"{expected['metric'].removeprefix('test/').replace('_', ' ')} {limit}{times}{beside}"


def _list(asked: Asked) -> Sequence[str]:
    what = asked.places[0] if asked.places else "models"
    if what == "data":
        names = configs.choices("data")
        entries = [(name, registry.data_entry(name) if name in registry.list_data() else None) for name in names]
        rows = [(name, entry.modality, ", ".join(entry.tasks)) for name, entry in entries if entry]
        return _columns([("data", "modality", "tasks"), *rows])
    if what == "weights":
        cards = [card(name) for name in list_weights()]
        rows = [
            (c["name"], f"{c['parameters']:,}", f"{c['bytes']:,} bytes", figures_of(c), c["command"]) for c in cards
        ]
        return _columns([("weights", "parameters", "size", "on test", "made by"), *rows])
    if what != "models":
        raise unknown("list of", what, ("models", "data", "weights"))
    rows = []
    for name in configs.choices("model"):
        entry = registry.entry(configs.recipe_class(name))
        best = [f"{data}: {said(expected)}".partition("   (")[0] for data, expected in expected_metrics(name)]
        rows.append((name, ", ".join(entry.tasks), ", ".join(entry.modalities), "; ".join(best[:2])))
    return [
        *_columns([("model", "tasks", "data", "expected"), *rows]),
        "",
        "zoo info NAME says more; zoo list data, zoo list weights",
    ]


def figures_of(card: Mapping[str, Any]) -> str:
    """Return the first figures of a card of weights."""
    return ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in list(card["metrics"].items())[:2])


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, each column as wide as its widest cell but the last."""
    wide = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{size}}" for cell, size in zip(row, wide, strict=True)).rstrip() for row in rows]


def _info(asked: Asked) -> Sequence[str]:
    from zoo.engine.build import build_data, build_model, build_run_config

    name = asked.one("model's name")
    if name not in configs.choices("model"):
        raise unknown("model", name, configs.choices("model"))
    config = configs.compose([f"model={name}"])
    run_config = build_run_config(config, recipe=name, command="")
    dataset, _ = build_data(run_config, None)
    model = build_model(run_config, dataset)
    entry, registered = registry.entry(config.model.name), type(model)
    paper = inspect.cleandoc(sys.modules[registered.__module__].__doc__ or registered.__doc__ or "")
    lines = [name, "", *paper.splitlines(), ""]
    lines += [f"class       zoo.{registered.__name__}, {inspect.getsourcefile(registered)}"]
    lines += [f"tasks       {', '.join(entry.tasks)}, of {', '.join(entry.modalities)} data"]
    count = sum(p.numel() for p in model.parameters())
    lines += [f"parameters  {count:,} with data={config.data.name}"]
    lines += [f"expected    data={data}: {said(expected)}" for data, expected in expected_metrics(name)]
    lines += ["", "options, with what they are for this name:", *_options(config), ""]
    return [*lines, f"python train.py model={name}"]


def _options(config: Any) -> Iterator[str]:
    """Yield the options of a composed model with their values and descriptions."""
    options = model_options(config.model.name)
    about = {name: option.description for name, option in options.items()}
    values: dict[str, Any] = {str(key): value for key, value in config.model.items() if key != "name"}
    shown = [(key, f"{'null' if value is None else value}", about.get(key, "")) for key, value in values.items()]
    yield from (f"  model.{line}" for line in _columns(shown)) if shown else ()


def _plot(asked: Asked) -> Sequence[str]:
    from zoo.reporting.plots.runs import found_in, together

    if not asked.places:
        raise ZooError("plot: takes run folders, or a folder that has some below it")
    out = asked.out("runs.png", *PICTURES)
    assert out is not None
    runs = found_in(asked.places)
    given = {key: value for key, value in asked.own.items() if key != "out"}
    return [f"{together(runs, out, **given)}   {len(runs)} runs"]


VERBS = {
    "list": Verb(
        "list",
        "[models|data|weights]",
        "List the models with their tasks and expected metrics, the data, or the weights that come with the zoo.",
        _list,
        examples=("zoo list", "zoo list data", "zoo list weights"),
    ),
    "info": Verb(
        "info",
        "MODEL",
        "Show a model: its equation and source, size, expected metrics, options and their meaning.",
        _info,
        examples=("zoo info gan",),
    ),
    "plot": Verb(
        "plot",
        "RUN…",
        "Draw the curves of runs in one picture, those that differ in their seed alone as mean and spread.",
        _plot,
        {"figure": "NAME", "over": "epoch|steps|samples|seconds", "out": "runs.png"},
        ("zoo plot runs/policy-cartpole", "zoo plot runs/cnn-digits runs/fnn-digits figure=accuracy over=seconds"),
    ),
}
