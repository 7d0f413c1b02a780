"""What verbs have in common: words in, lines out; an error is one line and exit code 2."""

from __future__ import annotations

import math
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.config.schema import check_choice, check_number
from zoo.exceptions import TrainingError, ZooError, unknown
from zoo.utils.console import os_error_text

PICTURES = (".png", ".pdf", ".svg")
RUN = "RUN|CKPT"  # what most verbs take: a run's folder, a checkpoint, or weights by name


@dataclass
class Asked:
    """The words of a verb: ``places`` without an equals sign, its ``own`` options, and ``words`` for the data."""

    verb: str
    places: list[str]
    own: dict[str, str]
    words: list[str]

    def one(self, what: str) -> str:
        """Return the only place.

        Raises:
            ZooError: there is none, or more than one.
        """
        if len(self.places) != 1:
            raise ZooError(f"{self.verb}: takes one {what}, not {len(self.places)}; see zoo {self.verb} --help")
        return self.places[0]

    def number(self, name: str, default: Any = None, *, low: float = -math.inf, integer: bool = True) -> Any:
        """Return a number that was asked for, or the default."""
        if name not in self.own:
            return default
        text = self.own[name]
        try:
            value = int(text) if integer else float(text)
        except ValueError:
            raise ZooError(f"{name}={text}: must be a {'whole number' if integer else 'number'}") from None
        check_number(name, value, low=low, integer=integer)
        return value

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of ``choices``."""
        value = self.own.get(name, default)
        check_choice(name, value, choices)
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; false where it was not asked for."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def out(self, default: str | None, *endings: str) -> Path | None:
        """Return the file to write, in a folder that exists; with one of ``endings`` where these are given."""
        text = self.own.get("out", default)
        if text is None:
            return None
        path = Path(text).expanduser()
        if endings and path.suffix not in endings:
            *most, last = endings
            raise ZooError(f"out={path}: must end in {', '.join(most)}{' or ' if most else ''}{last}")
        if not path.absolute().parent.is_dir():
            raise ZooError(f"out={path}: there is no such folder")
        return path


@dataclass(frozen=True)
class Verb:
    """What can be asked for: ``takes`` and ``options`` as the help shows them, ``work`` returns lines or an exit code.

    ``raw`` gives the words to ``work`` as they came; ``data`` lets ``data=``, ``data.…`` and ``task=`` stand
    beside the options.
    """

    name: str
    takes: str
    about: str
    work: Callable[[Any], int | Sequence[str]]
    options: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[str] = ()
    data: bool = False
    raw: bool = False

    @property
    def usage(self) -> str:
        """The line that says how it is asked for."""
        data = ["[data=NAME …]"] if self.data else []
        options = [f"[{key}={value}]" for key, value in self.options.items()]
        return " ".join(part for part in ["zoo", self.name, self.takes, *data, *options] if part)

    def run(self, words: Sequence[str]) -> int:
        """Do what is asked for and say how it went; returns the exit code."""
        if self.raw:
            return self.work(list(words))  # type: ignore[return-value]
        if {"-h", "--help"} & set(words):
            print(self.help())
            return 0
        try:
            answer = self.work(self._asked(words))
        except ZooError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except TrainingError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except BrokenPipeError:  # who reads has seen enough
            return 128 + signal.SIGPIPE
        except OSError as error:
            print(f"error: {os_error_text(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        if isinstance(answer, int):
            return answer
        print("\n".join(answer))
        return 0

    def help(self) -> str:
        """Return what ``--help`` prints."""
        lines = [f"usage: {self.usage}", "", self.about]
        return "\n".join([*lines, *(["", *(f"    {one}" for one in self.examples)] if self.examples else [])])

    def _asked(self, words: Sequence[str]) -> Asked:
        asked = Asked(self.name, [], {}, [])
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not re.fullmatch(r"[+~]*[a-z_.@/0-9]+", key) or Path(word).exists():
                asked.places.append(word)
            elif key in self.options:
                asked.own[key] = value
            elif self.data and (key in ("data", "task") or key.startswith("data.")):
                asked.words.append(word)
            else:
                raise unknown(f"option of {self.name}", key, [*self.options, *(["data"] if self.data else [])])
        return asked
