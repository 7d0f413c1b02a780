"""Options of models, data and the run, read from the code that declares them: name, default, type, description.

The zoo's own files are parsed, not imported: importing a model imports torch, which takes two seconds.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import registry

PACKAGE = Path(__file__).resolve().parents[1]
REQUIRED = "???"  # OmegaConf's sign for a value that is missing
NO_OPTIONS = ("self", "spec")  # spec is the data's


@dataclass(frozen=True)
class Option:
    """An option as its constructor declares it; ``default`` is REQUIRED where there is none."""

    name: str
    default: Any
    type: str = ""
    description: str = ""


Options = dict[str, Option]


def model_options(name: str) -> Options:
    """Return the options of a registered model.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    entry = registry.entry(name)
    parsed = _parsed(entry.module, entry.attribute)
    return declared(registry.get(name)) if parsed is None else parsed


def data_options(name: str) -> Options:
    """Return the options of a data set's loading function.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    origin = registry.data_origin(name)
    parsed = _parsed(*origin) if origin else None
    options = declared(registry.data_entry(name).load) if parsed is None else parsed
    return {option: options[option] for option in options if option != "task"}  # which is an option of the run


def augment_options(modality: str) -> Options:
    """Return the options of a modality's augmentation; none where it has no augmentation.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    module, attribute = registry.modality_origin(modality)
    node = _names(module).get(attribute) if module.startswith("zoo.") else None
    if isinstance(node, ast.ClassDef):
        assigned = {ast.unparse(n.targets[0]): ast.unparse(n.value) for n in node.body if isinstance(n, ast.Assign)}
        return _of_node(module, assigned["augmentation"]) if "augmentation" in assigned else {}
    augmentation = registry.get_modality(modality).augmentation
    return declared(augmentation) if augmentation is not None else {}


def declared(source: Callable[..., Any]) -> Options:
    """Return the options of an imported class, dataclass or function."""
    bases = inspect.getmro(source)[::-1] if isinstance(source, type) else (source,)
    text = {k: v for base in bases for k, v in descriptions(vars(base).get("__doc__") or "").items()}
    options = {}
    for name, parameter in registry.parameters(source).items():
        default = REQUIRED if parameter.default is inspect.Parameter.empty else parameter.default
        if type(default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS":
            continue
        kind = inspect.formatannotation(parameter.annotation).replace("typing.", "")
        options[name] = Option(
            name, default, "" if parameter.annotation is parameter.empty else kind, text.get(name, "")
        )
    return {name: option for name, option in options.items() if name not in NO_OPTIONS}


def defaults(options: Mapping[str, Option]) -> dict[str, Any]:
    """Return the defaults as a configuration holds them."""
    return {name: list(o.default) if isinstance(o.default, tuple) else o.default for name, o in options.items()}


ENTRY = re.compile(r"( +)((?:`{0,2}\w+`{0,2}(?:, )?)+)(?: \([^)]*\))?: (.*)")


def descriptions(docstring: str) -> dict[str, str]:
    """Return the text of each name in the ``Args:`` section of a docstring in Google style."""
    text: dict[str, str] = {}
    names: list[str] = []
    _, _, section = inspect.cleandoc(docstring).partition("Args:\n")
    first = re.match(" +", section)
    for line in section.splitlines() if first else ():
        if line and not line.startswith(" "):
            break
        entry = ENTRY.fullmatch(line)
        if entry and entry[1] == first[0]:  # type: ignore[index]
            names = re.findall(r"\w+", entry[2])
            text |= dict.fromkeys(names, entry[3])
        else:
            text |= {name: f"{text[name]} {line.strip()}".strip() for name in names}
    return text


# --- files of the zoo, parsed ---


@dataclass(frozen=True)
class _Class:
    """A class that was parsed: its constructor's own options, and whether it passes others on to its base."""

    options: Options | None
    forwards: bool


def _parsed(module: str, attribute: str) -> Options | None:
    """Return the options of a class or a function in a file of the zoo; None where they cannot be read from there."""
    if not module.startswith("zoo."):
        return None
    try:
        options = _of_node(module, attribute)
    except (KeyError, ValueError):  # not defined there, or a default that is computed
        return None
    return {name: option for name, option in options.items() if name not in NO_OPTIONS}


def _of_node(module: str, attribute: str) -> Options:
    node = _names(module)[attribute]
    if isinstance(node, ast.FunctionDef):
        text = descriptions(ast.get_docstring(node) or "")
        return _described(_arguments(module, node)[0], text)
    skeleton = _skeleton(module, attribute)
    options: Options = {}
    text = {}
    for cls in skeleton.__mro__[:-1]:
        text = {**descriptions(cls.__doc__ or ""), **text}
    for cls in skeleton.__mro__[:-1]:
        parsed: _Class = vars(cls)["parsed"]
        if parsed.options is not None:
            options = {**parsed.options, **options}
            if not parsed.forwards:
                break
    return _described(options, text)


def _described(options: Options, text: Mapping[str, str]) -> Options:
    return {name: dataclasses.replace(o, description=text.get(name, "")) for name, o in options.items()}


@functools.cache
def _skeleton(module: str, name: str) -> type:
    """Return a class with the bases and the docstring of one that was parsed, for Python to order its bases."""
    node = _names(module)[name]
    if isinstance(node, ast.ImportFrom):
        return _skeleton(str(node.module), name)
    if not isinstance(node, ast.ClassDef):
        raise ValueError(name)
    bases = []
    for base in node.bases:
        origin = _names(module).get(base.id) if isinstance(base, ast.Name) else None
        inside = isinstance(origin, ast.ClassDef)
        if inside or (isinstance(origin, ast.ImportFrom) and str(origin.module).startswith("zoo.")):
            bases.append(_skeleton(module, base.id))  # type: ignore[attr-defined]
    decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    init = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if any(isinstance(d, ast.Name) and d.id == "dataclass" for d in decorators):
        parsed = _Class(_fields(module, node), forwards=bool(bases))
    else:
        parsed = _Class(*_arguments(module, init)) if init else _Class(None, forwards=True)
    return type(name, tuple(bases), {"parsed": parsed, "__doc__": ast.get_docstring(node)})


def _arguments(module: str, node: ast.FunctionDef) -> tuple[Options, bool]:
    """Return the options of a function, and whether it takes others as ``**options``."""
    spec = node.args
    positional = [*spec.posonlyargs, *spec.args]
    values = [None] * (len(positional) - len(spec.defaults)) + [*spec.defaults, *spec.kw_defaults]
    options = {}
    for argument, value in zip([*positional, *spec.kwonlyargs], values, strict=True):
        if argument.arg not in NO_OPTIONS:
            default = REQUIRED if value is None else _value(module, value)
            kind = ast.unparse(argument.annotation) if argument.annotation else ""
            options[argument.arg] = Option(argument.arg, default, kind)
    return options, spec.kwarg is not None


def _fields(module: str, node: ast.ClassDef) -> Options:
    """Return the fields of a dataclass as options, without those that are made by a factory."""
    options = {}
    for line in node.body:
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and not isinstance(line.value, ast.Call)
        ):
            default = REQUIRED if line.value is None else _value(module, line.value)
            options[line.target.id] = Option(line.target.id, default, ast.unparse(line.annotation))
    return options


def _value(module: str, node: ast.expr) -> Any:
    """Return the value of a default: a literal, or a constant of the module or of one that it imports from.

    Raises:
        ValueError: it is computed.
    """
    if not isinstance(node, ast.Name):
        return ast.literal_eval(node)
    origin = _names(module)[node.id]
    if isinstance(origin, ast.ImportFrom):
        return _value(str(origin.module), node)
    if not isinstance(origin, (ast.Assign, ast.AnnAssign)) or origin.value is None:
        raise ValueError(node.id)
    return _value(module, origin.value)


@functools.cache
def _names(module: str) -> dict[str, ast.stmt]:
    """Return what a module of the zoo defines and imports at its top, by name."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.is_file():
        return {}
    names: dict[str, ast.stmt] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            names |= dict.fromkeys([alias.name for alias in node.names if alias.asname is None], node)
        elif isinstance(node, ast.Assign):
            names |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return names
