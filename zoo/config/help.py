"""The help of ``zoo train``: each option with its value and description, from signatures and docstrings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from zoo import registry
from zoo.config import schema
from zoo.config.compose import compose
from zoo.config.groups import GROUPS, choices
from zoo.config.signatures import Option, augment_options, data_options, declared, descriptions, model_options
from zoo.utils.console import option_lines

WIDTH = 118
EXAMPLES = """
examples:
  zoo train model=cnn
  zoo train model=fnn data=mnist trainer.max_epochs=5 seed=1
  zoo train --model cnn --model.network resnet --optimizer sgd --optimizer.lr 0.1 --scheduler cosine
  zoo train -m 'model=glob(*)' seed=0,1,2
  zoo train resume=latest"""


def train_help(overrides: Sequence[str] = ()) -> str:
    """Return the help for the model and the dataset in ``overrides``.

    Raises:
        ZooError: an unknown choice or option.
    """
    config: Any = OmegaConf.to_container(compose(overrides))
    lines = ["usage: zoo train model=NAME [data=NAME] [option=value …]   (alias: python train.py)", ""]
    lines += ["Alternative syntax for options: --option value, --option=value.", ""]
    for group in GROUPS:
        lines += textwrap.wrap(f"{group + '=':<11} {' | '.join(choices(group))}", WIDTH, subsequent_indent=" " * 12)
    chosen = f"model={config['model']['name']} data={config['data']['name']}"
    lines += ["", f"options with their values for {chosen} (for another pair: zoo train model=NAME data=NAME --help)"]
    for title, options in _sections(config):
        lines += ["", title, *_lines(options)]
    return "\n".join([*lines, EXAMPLES])


def _sections(config: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, Any, str]]]]:
    """Yield the title and the options (key, value, description) of each group."""
    run = _texts(declared(schema.RunOptions))
    yield "run", [(key, config[key], text) for key, text in run.items()]
    model = model_options(config["model"]["name"])
    yield "model", list(_options("model", config["model"], _texts(model)))
    data = config["data"]
    yield "data", list(_options("data", data, data_descriptions(data["name"], data["modality"])))
    for group, cls in schema.GROUPS.items():
        if group in config:
            schema.options(cls, group, config[group])
            yield group, list(_options(group, config[group], _texts(declared(cls))))


def data_descriptions(name: str, modality: str | None) -> dict[str, str]:
    """Return the description of each option of a dataset and of its augmentation."""
    options = data_options(name) if name in registry.list_data() else {}
    texts = _texts((augment_options(modality) if modality else {}) | options)
    return descriptions(schema.DataOptions.__doc__ or "") | texts


def _texts(options: Mapping[str, Option]) -> dict[str, str]:
    """Return the description of each option that has one."""
    return {name: option.description for name, option in options.items() if option.description}


def _options(path: str, values: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _options(f"{path}.{key}", value, texts)
        elif key != "name" or path in ("optimizer", "scheduler"):
            yield f"{path}.{key}", value, texts.get(key, "")


def _lines(options: Sequence[tuple[str, Any, str]]) -> Iterator[str]:
    """Yield the help lines of options with their values."""
    return option_lines([(f"{key}={value_text(value)}", text) for key, value, text in options], width=WIDTH)


def value_text(value: Any) -> str:
    """Return a value as the user types it."""
    if isinstance(value, list):
        return f"[{','.join(map(value_text, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe_model(name: str, values: Mapping[str, Any]) -> list[str]:
    """Return the help lines of a model's options.

    Raises:
        ZooError: the name is unknown.
    """
    return list(_lines(list(_options("model", values, _texts(model_options(name))))))
