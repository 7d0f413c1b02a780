"""The command ``zoo completion``: completion of commands, options and names in bash, zsh and fish."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.cli import COMMANDS, find_command
from zoo.cli.command import RUN, Args, Command
from zoo.exceptions import ZooError, unknown

SCRIPTS = {shell: Path(__file__).with_suffix(f".{shell}") for shell in ("bash", "zsh", "fish")}


def candidates(line: str) -> list[str]:
    """Return the possible completions of the last word of a command line."""
    try:
        typed = shlex.split(line)
    except ValueError:  # an open quote
        return []
    current = "" if line.endswith(" ") or not typed else typed.pop()
    words = _candidates(typed[1:], current)
    return sorted({word for word in words if word.startswith(current) and word != current})


def _candidates(arguments: Sequence[str], current: str) -> Iterator[str]:
    if not arguments:
        yield from (*COMMANDS, "--help", "--version")
        return
    try:
        chosen = find_command(arguments[0])
    except ZooError:
        return
    previous = arguments[-1]
    if previous.startswith("--") and "=" not in previous and not current.startswith("-"):
        yield from _values(chosen, previous[2:].replace("-", "_"))
        return
    dashes = "--" if current.startswith("--") else ""
    key, equals, _ = current.removeprefix("--").partition("=")
    if equals:
        yield from (f"{dashes}{key}={value}" for value in _values(chosen, key))
        return
    yield "--help"
    yield from (f"{dashes}{option}=" for option in _options(chosen, arguments[1:], current))
    if not dashes:
        yield from _paths(chosen, arguments[1:])


def _options(chosen: Command, arguments: Sequence[str], current: str) -> Iterator[str]:
    """Yield the options of a command. For ``train``, yield all keys only after the user typed a group and a dot."""
    from zoo.config.groups import GROUPS

    yield from (option.name for option in chosen.options)
    if chosen.overrides == "data":
        yield from ("data", "task")
    if chosen.name in ("train", "lr-find"):
        yield from (*GROUPS, "seed", "task", "run_dir", "resume")
    if "." in current:
        from zoo.config.compose import option_keys

        yield from option_keys([argument.removeprefix("--") for argument in arguments if "=" in argument])


def _values(chosen: Command, key: str) -> Sequence[str]:
    from zoo.config.groups import GROUPS, choices

    options: dict[str, Any] = {option.name: option for option in chosen.options}
    if key in options:
        return ("true", "false") if options[key].type == "flag" else options[key].choices
    if key == "resume":
        return ("latest",)
    return choices(key) if key in GROUPS else ()


def _paths(chosen: Command, arguments: Sequence[str]) -> Sequence[str]:
    from zoo.cli.catalog import LISTS
    from zoo.config.groups import choices
    from zoo.hub import list_weights

    names = {"list": LISTS, "info": choices("model"), "completion": tuple(SCRIPTS)}
    if any("=" not in argument for argument in arguments):
        return ()
    if chosen.name in names:
        return names[chosen.name]
    if chosen.name == "resume":
        return ("latest",)
    return ("latest", *list_weights()) if chosen.paths.startswith(RUN) else ()


def run_completion(args: Args) -> Sequence[str]:
    """Print the completion script for a shell."""
    if args["line"] is not None:
        return candidates(args["line"])
    shell = args.path("shell: bash, zsh or fish")
    if shell not in SCRIPTS:
        raise unknown("shell", shell, SCRIPTS)
    return [SCRIPTS[shell].read_text().rstrip()]
