"""Errors that a user can cause: one line each, saying what was wrong and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class ZooError(ValueError):
    """Wrong input: a name, an option, a file. The command line prints it in one line and exits with 2."""


class ConformanceError(AssertionError):
    """A promise that a model breaks: the observed behavior, and a way to fix it."""


class TrainingError(RuntimeError):
    """A run that went wrong after it had begun, such as a loss that became NaN. Exits with 1.

    ``common`` says that all processes of the run raise it alike, so that one of them is enough to say it.
    """

    def __init__(self, message: str, *, common: bool = False) -> None:
        super().__init__(message)
        self.common = common


class Stopped(RuntimeError):  # noqa: N818  (nothing went wrong)
    """A run that was asked to stop, by ``signal`` where by one, and wrote all that it goes on from to ``folder``.

    ``common`` is as of TrainingError.
    """

    def __init__(self, message: str, folder: Path, signal: int | None = None, *, common: bool = False) -> None:
        super().__init__(message)
        self.folder, self.signal, self.common = folder, signal, common


def install(extra: str) -> str:
    """Return the command that installs an extra from the checkout: on the index the name is another project's."""
    return f'pip install -e ".[{extra}]"'


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is spelled most like ``name``, or None where none comes close."""
    matches = get_close_matches(str(name), [str(c) for c in choices], n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(what: str, name: object, choices: Iterable[str]) -> ZooError:
    """Return the error for a name that is none of ``choices``, with the nearest of them."""
    choices = [str(c) for c in choices]
    near = nearest(str(name), choices)
    hint = f"did you mean {near!r}? " if near else ""
    return ZooError(f"unknown {what} {str(name)!r}: {hint}choices are {', '.join(choices)}")
