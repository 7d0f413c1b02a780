"""A command of the command line. Its declaration defines the parser, the help and the completion."""

from __future__ import annotations

import functools
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.config.schema import check_choice, check_number
from zoo.exceptions import TrainingError, ZooError
from zoo.utils.console import option_lines, os_error_text
from zoo.utils.options import unknown_option

RUN = "RUN"
RUN_HELP = (
    "RUN is a run folder, a folder of runs (newest run), latest (newest run), a checkpoint, or pretrained weights."
)
DATA = ("data", "task")  # options of train that commands with data also accept, in addition to data.…
TYPES: dict[str, tuple[Callable[[str], Any], str]] = {  # the function that parses a value, and its placeholder in help
    "text": (str, "TEXT"),
    "integer": (int, "INTEGER"),
    "number": (float, "NUMBER"),
    "flag": (bool, "true|false"),
    "file": (Path, "FILE"),
}
KEY = re.compile(r"[+~]*[a-z_.@/0-9]+")


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Args:
        ``name``: name, as in ``name=value``
        ``description``: text in the help
        ``type``: one of TYPES; ``file`` is an output file
        ``default``: default value
        ``choices``: valid values; empty: any
        ``low``: minimum of a number
        ``suffixes``: valid suffixes of an output file; empty: any
    """

    name: str
    description: str
    type: str = "text"
    default: Any = None
    choices: Sequence[str] = ()
    low: float | None = None
    suffixes: Sequence[str] = ()

    @property
    def values(self) -> str:
        """The placeholder or the choices that the help shows for the value."""
        return "|".join(self.choices) or TYPES[self.type][1]

    def parse(self, text: str) -> Any:
        """Return the parsed value of ``text``.

        Raises:
            ZooError: the value has the wrong type or is outside its limits.
        """
        if self.type == "flag":
            check_choice(self.name, text, ("true", "false"))
            return text == "true"
        if self.type == "file":
            return self.file(text)
        if self.choices:
            check_choice(self.name, text, self.choices)
        try:
            value = TYPES[self.type][0](text)
        except ValueError:
            kind = "an integer" if self.type == "integer" else "a number"
            raise ZooError(f"{self.name}={text}: must be {kind}") from None
        if self.low is not None:
            check_number(self.name, value, low=self.low, integer=self.type == "integer")
        return value

    def file(self, text: str) -> Path:
        """Return the path of an output file.

        Raises:
            ZooError: the suffix is invalid or the parent folder does not exist.
        """
        path = Path(text).expanduser()
        if self.suffixes and path.suffix not in self.suffixes:
            *others, last = self.suffixes
            raise ZooError(f"{self.name}={path}: must end in {', '.join(others)}{' or ' if others else ''}{last}")
        if not path.absolute().parent.is_dir():
            raise ZooError(f"{self.name}={path}: the folder {path.parent} does not exist")
        return path


@dataclass
class Args:
    """The parsed arguments of a command.

    Args:
        ``command``: name of the command
        ``paths``: positional arguments
        ``options``: value of each option, with defaults
        ``explicit``: names of the options that the user set
        ``overrides``: configuration overrides, such as ``data.path=my.csv``
    """

    command: str
    paths: list[str]
    options: dict[str, Any]
    explicit: frozenset[str] = frozenset()
    overrides: list[str] = field(default_factory=list)

    def __getitem__(self, option: str) -> Any:
        """Return the value of an option."""
        return self.options[option]

    def path(self, name: str = "checkpoint or run folder") -> str:
        """Return the only positional argument. ``name`` describes it in the error message.

        Raises:
            ZooError: the number of positional arguments is not one.
        """
        if len(self.paths) != 1:
            raise ZooError(f"{self.command}: needs one {name}, got {len(self.paths)}. See zoo {self.command} --help")
        return self.paths[0]

    @functools.cached_property
    def opened(self) -> tuple[Any, Path | None]:
        """The model of the positional argument, and its run folder or None."""
        from zoo.inference.loading import open_model

        return open_model(self.path())

    @property
    def model(self) -> Any:
        """The model of the positional argument."""
        return self.opened[0]

    def dataset(self) -> Any:
        """Return the dataset of the arguments; by default that of the model's run."""
        from zoo.inference.loading import dataset_for

        return dataset_for(*self.opened, self.overrides, place=self.path())

    def chosen(self, *names: str) -> dict[str, Any]:
        """Return the named options whose value is not None."""
        return {name: self.options[name] for name in names if self.options[name] is not None}


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Args:
        ``name``: name of the command
        ``paths``: usage of the positional arguments
        ``description``: text in the help
        ``run``: function that returns an exit code, or lines to print
        ``options``: options of the command
        ``examples``: command lines in the help
        ``overrides``: configuration overrides that it accepts: data (data=, data.… and task=), all, or empty for none
        ``raw``: pass the arguments to ``run`` unparsed, including --help
    """

    name: str
    paths: str
    description: str
    run: Callable[[Any], int | Sequence[str]]
    options: Sequence[Option] = ()
    examples: Sequence[str] = ()
    overrides: str = ""
    raw: bool = False

    def main(self, arguments: Sequence[str]) -> int:
        """Run the command with command-line arguments, print its output, and return the exit code."""
        if not self.raw and {"-h", "--help"} & set(arguments):
            print(self.help())
            return 0
        try:
            result = self.run(list(arguments) if self.raw else self.parse(arguments))
        except ZooError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except TrainingError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except BrokenPipeError:  # the reader closed the pipe
            return 128 + signal.SIGPIPE
        except OSError as error:
            print(f"error: {os_error_text(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        if isinstance(result, int):
            return result
        print("\n".join(result))
        return 0

    def parse(self, arguments: Sequence[str]) -> Args:
        """Return the parsed arguments.

        Raises:
            ZooError: an unknown option, or an invalid value.
        """
        known = {option.name: option for option in self.options}
        paths, texts, overrides = [], {}, []
        for argument in joined(arguments, flags=[o.name for o in self.options if o.type == "flag"]):
            key, equals, value = argument.partition("=")
            if not equals or not KEY.fullmatch(key) or Path(argument).exists():
                paths.append(argument)
            elif key in known:
                texts[key] = value
            elif self.overrides == "all" or (self.overrides and (key in DATA or key.startswith("data."))):
                overrides.append(argument)
            else:
                names = [option.name for option in self.options] + (["data"] if self.overrides else [])
                raise unknown_option(self.name, key, names)
        values = {name: known[name].parse(text) for name, text in texts.items()}
        defaults = {
            o.name: o.file(o.default) if o.type == "file" and o.default and o.name not in values else o.default
            for o in self.options
        }
        return Args(self.name, paths, defaults | values, frozenset(values), overrides)

    def help(self) -> str:
        """Return the help: usage, description, options with values and defaults, and examples."""
        usage = " ".join(part for part in ("zoo", self.name, self.paths, "[option=value …]") if part)
        lines = [f"usage: {usage if self.options or self.overrides else usage.removesuffix(' [option=value …]')}", ""]
        lines += self.description.splitlines()
        if self.paths.startswith(RUN):
            lines += ["", RUN_HELP]
        rows = [(f"{o.name}={o.values}", o.description + _default_text(o.default)) for o in self.options]
        if self.overrides == "data":
            default = "" if self.name == "compare" else " (default: the data of the run)"
            rows += [("data=NAME data.KEY=VALUE", f"dataset and its options, as in zoo train{default}")]
        if rows:
            lines += ["", "options (also --option value, --option=value):", *option_lines(rows, widest=34, width=110)]
        lines += ["", "examples:", *(f"  {example}" for example in self.examples)] if self.examples else []
        return "\n".join(lines)


def _default_text(default: Any) -> str:
    value = str(default).lower() if isinstance(default, bool) else default
    return f" (default: {value})" if default is not None else ""


def joined(arguments: Sequence[str], flags: Sequence[str] = ()) -> list[str]:
    """Return the arguments with ``--key value`` and ``--key=value`` rewritten as ``key=value``.

    A single ``--flag`` becomes ``flag=true``. An option in ``flags`` consumes the next argument only if it is ``true``
    or ``false``. Hyphens in a key become underscores.
    """
    result: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return result + waiting
        if not argument.startswith("--"):
            result.append(argument)
            continue
        key, equals, value = argument[2:].partition("=")
        key = key.replace("-", "_")
        if not equals:
            follows = waiting[0] if waiting else None
            takes_next = follows in ("true", "false") if key in flags else _is_value(follows)
            value = waiting.pop(0) if takes_next else "true"
        result.append(f"{key}={value}")
    return result


def _is_value(argument: str | None) -> bool:
    """Return whether an argument can be the value of the preceding option."""
    if argument is None or argument.startswith("--"):
        return False
    key, equals, _ = argument.partition("=")
    return not (equals and KEY.fullmatch(key))
