"""``zoo info``: a model's paper, size, expected metrics and options."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

from zoo import registry
from zoo.cli.command import Args, Command
from zoo.cli.list import describe_expected, expected_metrics
from zoo.config.compose import compose
from zoo.config.groups import choices
from zoo.config.help import describe_model
from zoo.exceptions import unknown


def _run(args: Args) -> Sequence[str]:
    from zoo.config.run_config import RunConfig
    from zoo.engine.build import build_data, build_model

    name = args.path("model's name")
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
        f"tasks       {', '.join(entry.tasks)}, of {', '.join(entry.modalities)} data",
        f"parameters  {parameters:,} with data={config.data.name}",
        *(f"expected    data={data}: {describe_expected(expected)}" for data, expected in expected_metrics(name)),
        "",
        f"options, with their values for {name}:",
        *describe_model(config.model.name, values),
        "",
        f"zoo train model={name}",
    ]


COMMAND = Command(
    "info",
    "MODEL",
    "Show a model: its paper, equations and source, size, expected metrics and options.",
    _run,
    examples=("zoo info gan",),
)
