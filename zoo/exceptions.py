"""Errors that a user can cause. Each message is one line: the mistake and a way to correct it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class ZooError(ValueError):
    """Invalid input, such as a name, an option or a file. The command line prints the message and exits with code 2."""


class ConformanceError(AssertionError):
    """A conformance check that a model fails: the observed behavior and a way to fix it."""


class TrainingError(RuntimeError):
    """A failure during training, such as a NaN loss. The command line exits with code 1.

    ``common`` is true if all processes of the run raise the same error. Only rank zero prints such an error.
    """

    def __init__(self, message: str, *, common: bool = False) -> None:
        super().__init__(message)
        self.common = common


class Stopped(RuntimeError):  # noqa: N818  (not an error)
    """A run that stopped on request and can resume from the training state in ``folder``.

    ``signal`` is the number of the signal that stopped it, or None. ``common`` is that of TrainingError.
    """

    def __init__(self, message: str, folder: Path, signal: int | None = None, *, common: bool = False) -> None:
        super().__init__(message)
        self.folder, self.signal, self.common = folder, signal, common


def install(extra: str) -> str:
    """Return the command that installs an extra from the checkout: the package index has another project of this name."""
    return f'pip install -e ".[{extra}]"'


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice whose spelling is closest to ``name``, or None if no choice is similar."""
    matches = get_close_matches(str(name), [str(c) for c in choices], n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(what: str, name: object, choices: Iterable[str]) -> ZooError:
    """Return the error for a name that is not in ``choices``; the message suggests the nearest choice."""
    choices = [str(c) for c in choices]
    near = nearest(str(name), choices)
    hint = f"did you mean {near!r}? " if near else ""
    return ZooError(f"unknown {what} {str(name)!r}: {hint}choices are {', '.join(choices)}")
