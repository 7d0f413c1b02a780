"""Limits of options as types: a constructor that declares ``dropout: Share`` takes numbers in [0, 1) alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, get_type_hints

from zoo.config.schema import check_choice, check_flag, check_number

Check = Callable[[str, object], None]


def number(**limits: Any) -> Check:
    """Return the check of a number by ``check_number``'s ``limits``."""
    return partial(check_number, **limits)


def one_of(choices: Iterable[str]) -> Check:
    """Return the check that a value is one of ``choices``."""
    return partial(check_choice, choices=tuple(choices))


Flag = Annotated[bool, check_flag]
Count = Annotated[int, number(low=1, integer=True)]
Positive = Annotated[float, number(above=0)]
NonNegative = Annotated[float, number(low=0)]
Share = Annotated[float, number(low=0, below=1)]
Probability = Annotated[float, number(low=0, high=1)]


def check_options(cls: type[Any], values: Mapping[str, Any]) -> None:
    """Raise ZooError where one of ``values`` is outside the limits that its argument of a class's constructor declares.

    A constructor whose types only a type checker can resolve declares none.
    """
    for constructor in [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)]:
        with contextlib.suppress(NameError):
            for name, hint in get_type_hints(constructor, include_extras=True).items():
                for check in getattr(hint, "__metadata__", ()):
                    check(f"model.{name}", values[name])
