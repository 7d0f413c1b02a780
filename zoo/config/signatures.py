"""Options of models, data and the run, read from the code that declares them: name, default, description.

Of the zoo's own files the signatures alone are executed: importing a model imports torch, which takes two seconds.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
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
    description: str = ""


Options = dict[str, Option]


def model_options(name: str) -> Options:
    """Return the options of a registered model.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    entry = registry.entry(name)
    return declared(_stub(entry.module, entry.attribute) or registry.get(name))


def data_options(name: str) -> Options:
    """Return the options of a data set's loading function.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    origin = registry.data_origin(name)
    options = declared((_stub(*origin) if origin else None) or registry.data_entry(name).load)
    return {option: options[option] for option in options if option != "task"}  # which is an option of the run


def augment_options(modality: str) -> Options:
    """Return the options of a modality's augmentation; none where it has no augmentation.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    module, attribute = registry.modality_origin(modality)
    node = _names(module).get(attribute)
    if isinstance(node, ast.ClassDef):
        assigned = {ast.unparse(n.targets[0]): ast.unparse(n.value) for n in node.body if isinstance(n, ast.Assign)}
        augmentation = _stub(module, assigned["augmentation"]) if "augmentation" in assigned else None
    else:
        augmentation = registry.get_modality(modality).augmentation
    return declared(augmentation) if augmentation is not None else {}


def declared(source: Callable[..., Any]) -> Options:
    """Return the options of a class, a dataclass or a function."""
    bases = inspect.getmro(source)[::-1] if isinstance(source, type) else (source,)
    text = {k: v for base in bases for k, v in descriptions(base.__doc__ or "").items()}
    return {
        name: Option(name, default, text.get(name, ""))
        for name, default in registry.signature(source).items()
        if name not in NO_OPTIONS and type(default).__name__ != "_HAS_DEFAULT_FACTORY_CLASS"
    }


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


# --- files of the zoo, of which only the signatures are executed ---


def _stub(module: str, name: str) -> Any:
    """Return a class or a function of the zoo with its signature and docstring alone; None where it must be imported."""
    try:
        return _defined(module, name)
    except (KeyError, ValueError):  # not of the zoo, or a default that is computed
        return None


@functools.cache
def _defined(module: str, name: str) -> Any:
    """Return what a name of a module stands for: a literal, or the stub of a class or of a function.

    Raises:
        KeyError: the module, which may be none of the zoo, does not define it.
        ValueError: it is computed.
    """
    node = _names(module)[name]
    if isinstance(node, ast.ImportFrom):
        return _defined(str(node.module), name)
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        return ast.literal_eval(node.value)
    if isinstance(node, ast.ClassDef):
        bases = [b for b in node.bases if isinstance(b, ast.Name) and _is_zoo_class(module, b.id)]
        decorators = [d for d in node.decorator_list if "dataclass" in ast.unparse(d)]
        body = [_bodiless(n) for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and not isinstance(n.value, ast.Call)]
        stub: Any = _bodiless(node)
        stub.bases, stub.decorator_list, stub.keywords = bases, decorators, []
        stub.body += (fields if decorators else []) + body
    elif isinstance(node, ast.FunctionDef):
        stub = _bodiless(node)
    else:
        raise ValueError(name)
    namespace = {"dataclass": dataclass, "__name__": __name__}
    namespace |= {used: _defined(module, used) for used in _used(stub) if used not in namespace}
    tree = ast.fix_missing_locations(ast.Module([ast.parse("from __future__ import annotations").body[0], stub], []))
    exec(compile(tree, module, "exec"), namespace)
    return namespace[name]


def _is_zoo_class(module: str, name: str) -> bool:
    """Tell whether a base class is one of the zoo's."""
    node = _names(module).get(name)
    return isinstance(node, ast.ClassDef) or (isinstance(node, ast.ImportFrom) and str(node.module).startswith("zoo."))


def _bodiless(node: ast.FunctionDef | ast.ClassDef) -> Any:
    """Return a function or a class with its signature and its docstring alone."""
    stub: Any = copy.copy(node)
    stub.body, stub.decorator_list = [ast.Expr(ast.Constant(ast.get_docstring(node) or ""))], []
    if isinstance(node, ast.FunctionDef):
        args = stub.args = copy.copy(node.args)
        defaults = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        args.kw_defaults = [ast.Constant(None) if a.arg in NO_OPTIONS else default for a, default in defaults]
    return stub


def _used(stub: ast.AST) -> Iterator[str]:
    """Yield the names that the execution of a stub reads; annotations are not executed."""
    for field, value in ast.iter_fields(stub):
        children = value if isinstance(value, list) else [value]
        for child in children if field not in ("annotation", "returns") else ():
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                yield child.id
            elif isinstance(child, ast.AST):
                yield from _used(child)


@functools.cache
def _names(module: str) -> dict[str, ast.stmt]:
    """Return what a module of the zoo defines and imports at its top, by name."""
    if not module.startswith("zoo."):
        return {}
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
