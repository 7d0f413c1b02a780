"""Write docs/reference/configuration.md from signatures and docstrings: ``python -m benchmarks.reference``.

The page lists all models, datasets, tasks, modalities, options and commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.cli import COMMANDS, find_command
from zoo.config import schema
from zoo.config.groups import GROUPS, files, recipe_class
from zoo.config.help import data_descriptions, value_text
from zoo.config.signatures import REQUIRED, Option, augment_options, data_options, declared, descriptions, model_options
from zoo.utils import entries

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "configuration.md"
INTRODUCTION = """# Configuration and commands

`python -m benchmarks.reference` writes this page from signatures and docstrings.

The tables list the defaults of the code. A recipe in conf/ can set other values: `zoo train model=NAME data=NAME --help`
prints the values of a run. On the command line an option is `key=value` or `--key value`."""


def page() -> str:
    """Return the content of docs/reference/configuration.md."""
    sections = [_run, _models, _data, _augmentation, _tasks, _modalities, _commands]
    return "\n".join([INTRODUCTION, *(line for section in sections for line in section())]) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    return ["", *(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *cells])]


def _options(path: str, options: Mapping[str, Option], texts: Mapping[str, str] | None = None) -> list[str]:
    """Return the table of options, with descriptions from ``texts`` for options without one."""
    rows = []
    for name, option in options.items():
        default = "required" if option.default in (REQUIRED, "") else f"`{value_text(_plain(option.default))}`"
        rows.append((f"`{path}{name}`", default, option.description or (texts or {})[name]))
    return _table(("option", "default", "description"), rows)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _summary(source: Any) -> str:
    """Return the first paragraph of a docstring."""
    return " ".join(inspect.cleandoc(source.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")


def _run() -> Iterator[str]:
    yield "\n## Options of a run"
    rows = [(f"`{group}=`", ", ".join(f"`{name}`" for name in files(group))) for group in GROUPS]
    yield from _table(("group", "choices"), rows)
    yield from _options("", declared(schema.RunOptions))
    for group, cls in schema.GROUPS.items():
        yield f"\n### {group}\n\n{_summary(cls)}"
        yield from _options(f"{group}.", declared(cls))


def _models() -> Iterator[str]:
    yield "\n## Models"
    recipes: dict[str, list[str]] = {}
    for name in files("model"):
        recipes.setdefault(recipe_class(name), []).append(name)
    synonyms = [f"`{synonym}` for `{name}`" for synonym, name in registry.SYNONYMS.items()]
    yield f"\nSynonyms: {', '.join(synonyms)}."
    for name in entries.MODELS:
        entry = registry.entry(name)
        yield f"\n### {name}\n\n{_summary(registry.get(name))}\n"
        yield f"- tasks: {', '.join(entry.tasks)}"
        spaces = f" with {' or '.join(entry.action_spaces)} actions" if entry.action_spaces else ""
        yield f"- data: {', '.join(entry.modalities)}{spaces}"
        others = [f"`{other}`" for other in recipes.get(name, ()) if other != name]
        yield from [f"- other recipes: {', '.join(others)}"] if others else []
        yield from _options("model.", model_options(name))


def _data() -> Iterator[str]:
    yield "\n## Datasets\n\nAll datasets have these options:"
    common = {"batch_size": Option("batch_size", 128, descriptions(schema.DataOptions.__doc__ or "")["batch_size"])}
    yield from _options("data.", common | declared(schema.DataOptions))
    names: dict[str, list[str]] = {}
    for name in entries.DATA_MODULES:
        names.setdefault(str(data_options(name)), []).append(name)
    for alike in names.values():
        yield f"\n### {', '.join(alike)}\n"
        for name in alike:
            entry = registry.data_entry(name)
            yield f"- `{name}` ({entry.modality}; {', '.join(entry.tasks)}): {_summary(entry.load).removeprefix('Return ')}"
        env = {key: option for key, option in declared(entry.load).items() if key == "env"}  # which conf/data/ names
        yield from _options("data.", env | data_options(name), data_descriptions(name, None))


def _augmentation() -> Iterator[str]:
    yield "\n## Augmentation\n\nAugmentation applies random transforms to training rows. Each modality has its own options."
    for name in entries.MODALITIES:
        if options := augment_options(name):
            yield f"\n### Augmentation of {name} data"
            yield from _options("data.augment.", options)


def _tasks() -> Iterator[str]:
    yield "\n## Tasks"
    rows = []
    for name in entries.TASKS:
        modalities = [m for m in entries.MODALITIES if name in registry.supported_tasks(m)]
        rows.append((f"`{name}`", ", ".join(modalities), _summary(registry.get_task(name))))
    yield from _table(("task", "data", "description"), rows)


def _modalities() -> Iterator[str]:
    yield "\n## Modalities"
    rows = [
        (f"`{name}`", ", ".join(registry.supported_tasks(name)), _summary(type(registry.get_modality(name))))
        for name in entries.MODALITIES
    ]
    yield from _table(("modality", "tasks", "description"), rows)


def _commands() -> Iterator[str]:
    yield "\n## Commands"
    for name in COMMANDS:
        command = find_command(name)
        yield f"\n### zoo {name}\n\n`zoo {name} {command.paths}`\n\n{command.description}"
        rows = [
            (f"`{o.name}={o.values}`", f"`{value_text(o.default)}`" if o.default is not None else "", o.description)
            for o in command.options
        ]
        rows += (
            [
                (
                    "`data=NAME`, `data.KEY=VALUE`",
                    "the run's" if name != "compare" else "",
                    "dataset and its options, as in zoo train",
                )
            ]
            if command.overrides == "data"
            else []
        )
        yield from _table(("option", "default", "description"), rows) if rows else []


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"written         {PAGE}")
