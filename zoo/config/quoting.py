"""Overrides of a command line as Hydra's grammar reads them: values with blanks, letters of any language or signs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from zoo.config.groups import GROUPS, canonical

FILES = ("path", "labels", "test", "anomaly_windows", "synthetic_path")  # options of data that name a file or a folder
FOLDERS = ("root", "cache_dir")
# Options whose value is a text as it stands, whatever it looks like: a number, a list, several with commas
PATH_OPTIONS = ("run_dir", *(f"data.{option}" for option in (*FILES, *FOLDERS)))
OVERRIDE = re.compile(r"(\+{0,2}[\w@/:.-]+)=(.*)", re.DOTALL)


def quoted(overrides: Sequence[str], *, sweep: bool = False) -> list[str]:
    """Return ``overrides`` with quotes around the values that mean themselves and that Hydra cannot read so.

    Choices of groups stay as they are, but for synonyms of models and numbers; in a ``sweep`` commas stay too.
    """
    parser = OverridesParser.create()
    return [_quoted(override, parser, sweep) for override in overrides]


def _quoted(override: str, parser: OverridesParser, sweep: bool) -> str:
    matched = OVERRIDE.fullmatch(override)
    if matched is None or matched[1].startswith("hydra."):
        return override
    key, value = matched.groups()
    if key.lstrip("+") in GROUPS:
        return f"{key}={_text(value)}" if re.fullmatch(r"[\d.]+", value) else canonical(override)
    is_path = key.lstrip("+") in PATH_OPTIONS
    try:
        parsed = parser.parse_override(override)
    except HydraException:
        is_text = is_path or value[:1] not in "[{'\"" or _list(key, value, parser) is not None  # nothing left open
        return f"{key}={_list(key, value, parser) or _text(value)}" if is_text else override
    if not is_path or "${" in value or parsed.is_delete():
        return override
    if parsed.is_sweep_override():
        return override if sweep else f"{key}={_text(value)}"
    return f"{key}={_text(value)}" if isinstance(parsed.value(), (int, float, list, dict)) else override


def _list(key: str, value: str, parser: OverridesParser) -> str | None:
    """Return a list with those of its elements quoted that need it; None where the value is no such list."""
    if key.lstrip("+") in PATH_OPTIONS or not (value.startswith("[") and value.endswith("]")):
        return None
    elements = []
    for element in value[1:-1].split(","):
        try:
            parser.parse_override(f"{key}=[{element}]")
            elements.append(element)
        except HydraException:
            elements.append(_text(element.strip()))
    try:
        parser.parse_override(f"{key}=[{','.join(elements)}]")
    except HydraException:
        return None
    return f"[{','.join(elements)}]"


def _text(value: str) -> str:
    """Return a value in single quotes, as the grammar escapes it."""
    inside = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", value)
    tail = len(inside) - len(inside.rstrip("\\"))
    return f"'{inside}{inside[len(inside) - tail :]}'" if tail else f"'{inside}'"


def value_of(key: str, text: str) -> Any:
    """Return the value that an override gives an option outside of Hydra: paths as they stand, others as YAML."""
    if key in PATH_OPTIONS:
        return None if text in ("null", "") else text
    return OmegaConf.from_dotlist([f"value={text}"]).value
