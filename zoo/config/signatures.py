"""Options of models, data and the run, read from the code that declares them: name, default, description.

The zoo's own files are read, not imported: importing a model imports torch, which takes two seconds.
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
STATEMENT = re.compile(r"^(?=[\w@])", re.MULTILINE)  # where one at the top of a module begins, or a decorator
DEFINED = re.compile(r"^(?:(?:class|def) )?(\w+)(?:[:(]| = )")
REQUIRED = "???"  # OmegaConf's sign for a value that is missing
NO_OPTIONS = ("self", "spec")  # spec is the data's


class Option(NamedTuple):
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
    return _read(entry.module, entry.attribute, lambda: registry.get(name))


def data_options(name: str) -> Options:
    """Return the options of a data set's loading function.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    options = _read(*registry.data_origin(name), lambda: registry.data_entry(name).load)
    return {option: options[option] for option in options if option != "task"}  # which is an option of the run


def augment_options(modality: str) -> Options:
    """Return the options of a modality's augmentation; none where it has no augmentation.

    Raises:
        ZooError: unknown name, with the nearest one.
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


# --- as Hydra composes them, beside the files of conf/ ---

CHOSEN = ("optimizer", "scheduler")  # groups of which a file of conf/ holds all options


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
    """Serves ``signature/run``, ``signature/model/NAME``, ``signature/data/NAME``, and names that have no YAML."""

    groups: ClassVar[dict[str, tuple[Callable[[str], dict[str, Any]], Callable[[], list[str]]]]] = {
        "signature": (_run, lambda: ["run"]),
        "signature/model": (_model_signature, lambda: [*registry.list_models(), *files("model")]),
        "signature/data": (_data_signature, registry.list_data),
        "model": (_model, registry.list_models),
        "data": (_data, registry.list_data),
    }

    @staticmethod
    def scheme() -> str:
        """Return the scheme by which conf/train.yaml names this source."""
        return "zoo"

    def available(self) -> bool:
        """Return true: it needs no file."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Tell whether a path is a group."""
        return config_path.strip("/") in self.groups

    def is_config(self, config_path: str) -> bool:
        """Tell whether a path is a configuration."""
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        return group in self.groups and name in self.groups[group][1]()

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a configuration.

        Raises:
            ZooError: a default that a configuration cannot hold.
        """
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        values = self.groups[group][0](name)
        try:
            config = OmegaConf.create(values)
        except UnsupportedValueType as error:
            key = str(error.key).rpartition(".")[2]
            message = f"{name}: the default of {key!r} is not a number, text, flag, list or dictionary of such"
            raise ZooError(message) from None
        return ConfigResult(self.provider, f"{self.scheme()}://{config_path}", config, {"package": "_global_"})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names in a group, as ``model=glob(*)`` needs them."""
        group = config_path.strip("/")
        return [] if results_filter == ObjectType.GROUP or group not in self.groups else sorted(self.groups[group][1]())


def install() -> None:
    """Let Hydra find the source; more than once does no harm."""
    if OptionSource not in Plugins.instance().discover(ConfigSource):
        Plugins.instance().register(OptionSource)


# --- files of the zoo, which are read and not imported ---


def _read(module: str, name: str, imported: Callable[[], Any]) -> Options:
    """Return the options that a file of the zoo declares for a class or a function, elsewhere those of ``imported()``."""
    try:
        values, texts = _declared_in(module, name)
    except (
        KeyError,
        ValueError,
        SyntaxError,
    ):  # not of the zoo, a computed default, a text that looks like a statement
        return declared(imported())
    return {option: Option(option, default, texts.get(option, "")) for option, default in values.items()}


def _declared_in(module: str, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the defaults and the descriptions of a class (with those of its bases), a dataclass or a function.

    Raises:
        KeyError: the module, which may be none of the zoo, does not define it.
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
        values = values if args.kwarg else {}  # **options are the base class's
        required = [None] * (len(positional) - len(args.defaults))
        pairs = zip([*positional, *args.kwonlyargs], [*required, *args.defaults, *args.kw_defaults], strict=True)
        values |= {a.arg: _value(module, default) for a, default in pairs if a.arg not in NO_OPTIONS}
    assert isinstance(node, (ast.ClassDef, ast.FunctionDef))
    return values, texts | descriptions(ast.get_docstring(node) or "")


def _value(module: str, node: ast.expr | None) -> Any:
    """Return a default of a module: a literal, or what a name stands for; REQUIRED where there is none."""
    if not isinstance(node, ast.Name):
        return REQUIRED if node is None else ast.literal_eval(node)
    origin = _node(module, node.id)
    if isinstance(origin, ast.ImportFrom):
        return _value(str(origin.module), node)
    return _value(module, origin.value) if isinstance(origin, (ast.Assign, ast.AnnAssign)) else ast.literal_eval(node)


@functools.cache
def _node(module: str, name: str) -> ast.stmt:
    """Return the statement at the top of a module of the zoo that defines or imports a name.

    Raises:
        KeyError: the module, which may be none of the zoo, has none.
    """
    return ast.parse(_statements(module)[name]).body[0]


@functools.cache
def _statements(module: str) -> dict[str, str]:
    """Return the source of each statement at the top of a module of the zoo, by the names that it defines or imports.

    To parse the whole module would take as long as to compose a configuration.
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
