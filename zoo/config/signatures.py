"""The options of models, data and runs: name, default and description, read from the source code.

Modules of the zoo are parsed, not imported: the import of a model imports torch, which takes two seconds.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf.errors import UnsupportedValueType

from zoo import registry
from zoo.config import schema
from zoo.config.groups import declared_by_data, files, recipe_class
from zoo.exceptions import ZooError

PACKAGE = Path(__file__).resolve().parents[1]
STATEMENT = re.compile(r"^(?=[\w@])", re.MULTILINE)  # start of a top-level statement or of a decorator
DEFINED = re.compile(r"^(?:(?:class|def) )?(\w+)(?:[:(]| = )")
REQUIRED = "???"  # OmegaConf's marker for a missing value
NO_OPTIONS = ("self", "spec")  # the spec comes from the data


class Option(NamedTuple):
    """An option that a constructor declares; ``default`` is REQUIRED if there is none."""

    name: str
    default: Any
    description: str = ""


Options = dict[str, Option]


def model_options(name: str) -> Options:
    """Return the options of a registered model.

    Raises:
        ZooError: the name is unknown.
    """
    entry = registry.entry(name)
    return _read(entry.module, entry.attribute, lambda: registry.get(name))


def data_options(name: str) -> Options:
    """Return the options of a dataset's loading function.

    Raises:
        ZooError: the name is unknown.
    """
    options = _read(*registry.data_origin(name), lambda: registry.data_entry(name).load)
    return {option: options[option] for option in options if option != "task"}  # task is an option of the run


def augment_options(modality: str) -> Options:
    """Return the options of a modality's augmentation, or an empty dictionary if it has none.

    Raises:
        ZooError: the name is unknown.
    """
    module, attribute = registry.modality_origin(modality)
    node = _node(module, attribute) if attribute in _statements(module) else None
    if not isinstance(node, ast.ClassDef):
        augmentation = registry.get_modality(modality).augmentation
        return declared(augmentation) if augmentation is not None else {}
    assigned = {ast.unparse(n.targets[0]): ast.unparse(n.value) for n in node.body if isinstance(n, ast.Assign)}
    source = assigned.get("augmentation")
    return _read(module, source, lambda: registry.get_modality(modality).augmentation) if source else {}


def declared(source: Callable[..., Any]) -> Options:
    """Return the options of a class or a function."""
    bases = inspect.getmro(source)[::-1] if isinstance(source, type) else (source,)
    text = {k: v for base in bases for k, v in descriptions(base.__doc__ or "").items()}
    return {
        name: Option(name, default, text.get(name, ""))
        for name, default in registry.signature(source).items()
        if name not in NO_OPTIONS and type(default).__name__ != "_HAS_DEFAULT_FACTORY_CLASS"
    }


def defaults(options: Mapping[str, Option]) -> dict[str, Any]:
    """Return the defaults in the form of a configuration."""
    return {name: list(o.default) if isinstance(o.default, tuple) else o.default for name, o in options.items()}


ENTRY = re.compile(r"( +)((?:`{0,2}\w+`{0,2}(?:, )?)+)(?: \([^)]*\))?: (.*)")


def descriptions(docstring: str) -> dict[str, str]:
    """Return the description of each name in the ``Args:`` section of a Google-style docstring."""
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


# --- the source of configurations that Hydra composes with the files of conf/ ---

CHOSEN = ("optimizer", "scheduler")  # groups whose files in conf/ contain all options


def _run(name: str) -> dict[str, Any]:
    classes = {"data": schema.DataOptions} | {g: cls for g, cls in schema.GROUPS.items() if g not in CHOSEN}
    return dataclasses.asdict(schema.RunOptions()) | {g: dataclasses.asdict(cls()) for g, cls in classes.items()}


def _model(name: str) -> dict[str, Any]:
    return {"model": {"name": name}}


def _data(name: str) -> dict[str, Any]:
    entry = registry.data_entry(name)
    data = {"name": name, "modality": entry.modality, "tasks": list(entry.tasks), "batch_size": 128}
    return {"data": data | ({"action_space": entry.action_space} if entry.action_space else {})}


def _model_signature(name: str) -> dict[str, Any]:
    return {"model": defaults(model_options(recipe_class(name)))}


def _data_signature(name: str) -> dict[str, Any]:
    modality = declared_by_data(name)["modality"]
    augment = augment_options(modality) if modality is not None else {}
    return {"data": defaults(data_options(name)) | ({"augment": defaults(augment)} if augment else {})}


class OptionSource(ConfigSource):
    """The source of ``signature/run``, ``signature/model/NAME``, ``signature/data/NAME`` and names without a YAML."""

    groups: ClassVar[dict[str, tuple[Callable[[str], dict[str, Any]], Callable[[], list[str]]]]] = {
        "signature": (_run, lambda: ["run"]),
        "signature/model": (_model_signature, lambda: [*registry.list_models(), *files("model")]),
        "signature/data": (_data_signature, registry.list_data),
        "model": (_model, registry.list_models),
        "data": (_data, registry.list_data),
    }

    @staticmethod
    def scheme() -> str:
        """Return the URL scheme of this source in conf/train.yaml."""
        return "zoo"

    def available(self) -> bool:
        """Return true, because the source needs no file."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Return whether a path is a group."""
        return config_path.strip("/") in self.groups

    def is_config(self, config_path: str) -> bool:
        """Return whether a path is a configuration."""
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        return group in self.groups and name in self.groups[group][1]()

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the configuration at a path.

        Raises:
            ZooError: a default has a type that a configuration does not support.
        """
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        values = self.groups[group][0](name)
        try:
            config = OmegaConf.create(values)
        except UnsupportedValueType as error:
            key = str(error.key).rpartition(".")[2]
            message = f"{name}: the default of {key!r} must be a number, string, boolean, list or dictionary of these"
            raise ZooError(message) from None
        return ConfigResult(self.provider, f"{self.scheme()}://{config_path}", config, {"package": "_global_"})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names in a group, for ``model=glob(*)``."""
        group = config_path.strip("/")
        return [] if results_filter == ObjectType.GROUP or group not in self.groups else sorted(self.groups[group][1]())


def install() -> None:
    """Register the source with Hydra. Repeated calls have no effect."""
    if OptionSource not in Plugins.instance().discover(ConfigSource):
        Plugins.instance().register(OptionSource)


# --- parsing of the zoo's modules without an import ---


def _read(module: str, name: str, imported: Callable[[], Any]) -> Options:
    """Return the options of a class or a function from the source of a zoo module, otherwise from ``imported()``."""
    try:
        values, texts = _declared_in(module, name)
    except (
        KeyError,
        ValueError,
        SyntaxError,
    ):  # not a module of the zoo, a computed default, or a string that looks like a statement
        return declared(imported())
    return {option: Option(option, default, texts.get(option, "")) for option, default in values.items()}


def _declared_in(module: str, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the defaults and the descriptions of a class (including its bases), a dataclass or a function.

    Raises:
        KeyError: the module does not define the name, or is not a module of the zoo.
        ValueError: a default is computed.
    """
    node = _node(module, name)
    if isinstance(node, ast.ImportFrom):
        return _declared_in(str(node.module), name)
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    functions = [node]
    if isinstance(node, ast.ClassDef):
        constructor = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
        for base in node.bases if constructor is None or constructor.args.kwarg else ():
            with contextlib.suppress(KeyError):  # a base class of another library
                inherited = _declared_in(module, ast.unparse(base))
                values, texts = values | inherited[0], texts | inherited[1]
        if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and not isinstance(n.value, ast.Call)]
            values |= {ast.unparse(field.target): _value(module, field.value) for field in fields}
        functions = [constructor] if constructor is not None else []
    for function in functions:
        if not isinstance(function, ast.FunctionDef):
            raise ValueError(name)
        args, positional = function.args, function.args.args
        values = values if args.kwarg else {}  # **options passes options to the base class
        required = [None] * (len(positional) - len(args.defaults))
        pairs = zip([*positional, *args.kwonlyargs], [*required, *args.defaults, *args.kw_defaults], strict=True)
        values |= {a.arg: _value(module, default) for a, default in pairs if a.arg not in NO_OPTIONS}
    assert isinstance(node, (ast.ClassDef, ast.FunctionDef))
    return values, texts | descriptions(ast.get_docstring(node) or "")


def _value(module: str, node: ast.expr | None) -> Any:
    """Return the value of a default: a literal, or the constant that a name refers to. Return REQUIRED for None."""
    if not isinstance(node, ast.Name):
        return REQUIRED if node is None else ast.literal_eval(node)
    origin = _node(module, node.id)
    if isinstance(origin, ast.ImportFrom):
        return _value(str(origin.module), node)
    return _value(module, origin.value) if isinstance(origin, (ast.Assign, ast.AnnAssign)) else ast.literal_eval(node)


@functools.cache
def _node(module: str, name: str) -> ast.stmt:
    """Return the top-level statement of a zoo module that defines or imports a name.

    Raises:
        KeyError: the module does not define the name, or is not a module of the zoo.
    """
    return ast.parse(_statements(module)[name]).body[0]


@functools.cache
def _statements(module: str) -> dict[str, str]:
    """Return the source of each top-level statement of a zoo module, by the names that it defines or imports.

    A parse of the whole module would take as long as the composition of a configuration.
    """
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not module.startswith("zoo.") or not path.is_file():
        return {}
    sources: dict[str, str] = {}
    decorators = ""
    for text in STATEMENT.split(path.read_text(encoding="utf-8")):
        if text.startswith("@"):
            decorators += text
            continue
        names = re.findall(r"\w+", text.partition(" import ")[2]) if text.startswith("from ") else []
        names += DEFINED.findall(text)
        sources |= dict.fromkeys(names, decorators + text)
        decorators = ""
    return sources
