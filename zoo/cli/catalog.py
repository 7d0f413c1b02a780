"""The commands ``zoo list`` and ``zoo info``: models, datasets and pretrained weights."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from zoo import registry
from zoo.cli.command import Args
from zoo.config.compose import compose
from zoo.config.groups import choices, conf_dir, recipe_class
from zoo.config.help import describe_model
from zoo.exceptions import unknown
from zoo.hub import card, list_weights
from zoo.metrics.names import metric_label
from zoo.utils.console import aligned

LISTS = ("models", "data", "pretrained")


def expected_metrics(model: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the dataset and the expected metric of each recipe of a model."""
    for path in sorted((conf_dir() / "recipe").glob(f"{model}-*.yaml")):
        expected: Any = OmegaConf.to_container(OmegaConf.load(path)).get("expected")  # type: ignore[union-attr]
        if expected:
            yield path.stem.removeprefix(f"{model}-"), expected


def describe_expected(expected: Mapping[str, Any]) -> str:
    """Return an expected metric as text."""
    limit = f"at least {expected['min']}" if expected.get("min") is not None else f"at most {expected['max']}"
    times = f" times {expected['times']}" if expected.get("times") else ""
    reference = f"   ({expected['reference']}; {expected['source']})" if expected.get("reference") else ""
    return f"{metric_label(expected['metric'].removeprefix('test/'))} {limit}{times}{reference}"


def run_list(args: Args) -> Sequence[str]:
    """List models, datasets or pretrained weights."""
    name = args.path("list") if args.paths else "models"
    if name not in LISTS:
        raise unknown("list", name, LISTS)
    return {"models": _models, "data": _data, "pretrained": _pretrained}[name]()


def _models() -> list[str]:
    rows = [("model", "tasks", "data", "expected")]
    for name in choices("model"):
        entry = registry.entry(recipe_class(name))
        expected = [f"{data}: {describe_expected(e)}".partition("   (")[0] for data, e in expected_metrics(name)]
        rows.append((name, ", ".join(entry.tasks), ", ".join(entry.modalities), "; ".join(expected[:2])))
    synonyms = ", ".join(f"{synonym} = {name}" for synonym, name in registry.SYNONYMS.items())
    return [*aligned(rows), "", f"synonyms: {synonyms}", "see also: zoo info NAME, zoo list data, zoo list pretrained"]


def _data() -> list[str]:
    rows = [("data", "modality", "tasks")]
    for name in choices("data"):
        if name in registry.list_data():
            entry = registry.data_entry(name)
            rows.append((name, entry.modality, ", ".join(entry.tasks)))
    return aligned(rows)


def _pretrained() -> list[str]:
    rows = [("pretrained", "parameters", "size", "test metrics", "training command")]
    for name in list_weights():
        content = card(name)
        metrics = [f"{metric_label(key)} {value:.4g}" for key, value in list(content["metrics"].items())[:2]]
        sizes = f"{content['parameters']:,}", f"{content['bytes']:,} bytes"
        rows.append((content["name"], *sizes, ", ".join(metrics), content["command"]))
    return aligned(rows)


def run_info(args: Args) -> Sequence[str]:
    """Show the paper, size, expected metrics and options of a model."""
    from zoo.config.run_config import RunConfig
    from zoo.engine.build import build_data, build_model

    name = args.path("model name")
    name = registry.SYNONYMS.get(name, name)
    if name not in choices("model"):
        raise unknown("model", name, choices("model"))
    config = compose([f"model={name}"])
    run_config = RunConfig.from_config(config, recipe=name, command="")
    dataset, _ = build_data(run_config)
    model = build_model(run_config, dataset)
    entry, cls = registry.entry(config.model.name), type(model)
    paper = inspect.cleandoc(sys.modules[cls.__module__].__doc__ or cls.__doc__ or "")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    values = {str(key): value for key, value in run_config.values["model"].items()}
    return [
        name,
        "",
        *paper.splitlines(),
        "",
        f"class       zoo.{cls.__name__}, {inspect.getsourcefile(cls)}",
        f"tasks       {', '.join(entry.tasks)}",
        f"data        {', '.join(entry.modalities)}",
        f"parameters  {parameters:,} with data={config.data.name}",
        *(f"expected    data={data}: {describe_expected(expected)}" for data, expected in expected_metrics(name)),
        "",
        f"options with their values for {name}:",
        *describe_model(config.model.name, values),
        "",
        f"zoo train model={name}",
    ]
