"""Words of a command line as Hydra's grammar reads them: values with blanks, letters of any language or signs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# Options whose value is a text as it stands, whatever it looks like: a number, a list, several with commas
PLACES = (
    "run_dir",
    "data.path",
    "data.test",
    "data.labels",
    "data.synthetic_path",
    "data.anomaly_windows",
    "data.root",
    "data.cache_dir",
)
WORD = re.compile(r"(\+{0,2}[\w@/:.-]+)=(.*)", re.DOTALL)


def quoted(words: Sequence[str], *, groups: Sequence[str] = (), sweep: bool = False) -> list[str]:
    """Return ``words`` with quotes around the values that mean themselves and that Hydra cannot read so.

    Choices of ``groups`` stay as they are, and in a ``sweep`` commas.
    """
    parser = OverridesParser.create()
    return [_quoted(word, parser, groups, sweep) for word in words]


def _quoted(word: str, parser: OverridesParser, groups: Sequence[str], sweep: bool) -> str:
    matched = WORD.fullmatch(word)
    if matched is None or matched[1].lstrip("+") in groups or matched[1].startswith("hydra."):
        return word
    key, value = matched.groups()
    place = key.lstrip("+") in PLACES
    try:
        parsed = parser.parse_override(word)
    except HydraException:
        return f"{key}={_list(key, value, parser) or _text(value)}" if place or _is_text(value, key, parser) else word
    if not place or "${" in value or parsed.is_delete():
        return word
    if parsed.is_sweep_override():
        return word if sweep else f"{key}={_text(value)}"
    return f"{key}={_text(value)}" if isinstance(parsed.value(), (int, float, list, dict)) else word


def _is_text(value: str, key: str, parser: OverridesParser) -> bool:
    """Tell whether a value that cannot be read may be a text: no list or quote that was begun and not closed."""
    return value[:1] not in "[{'\"" or _list(key, value, parser) is not None


def _list(key: str, value: str, parser: OverridesParser) -> str | None:
    """Return a list with those of its elements quoted that need it; None where the value is no such list."""
    if key.lstrip("+") in PLACES or not (value.startswith("[") and value.endswith("]")):
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
    """Return the value that a word gives an option outside of Hydra: places as they stand, others as YAML."""
    from omegaconf import OmegaConf

    if key in PLACES:
        return None if text in ("null", "") else text
    return OmegaConf.from_dotlist([f"value={text}"]).value
