"""Names: words that the field does not use are no names of variables, functions, arguments and configuration keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
# Words without a noun of the field behind them. `value`, `logits`, `loss`, `path`, `rows`, … say more.
WORDS = frozenset(
    [
        "found",
        "said",
        "made",
        "told",
        "kept",
        "taken",
        "asked",
        "seen",
        "shown",
        "given",
        "whole",
        "own",
        "mine",
        "theirs",
        "wanted",
        "worth",
        "far",
        "odd",
        "usual",
        "spread",
        "learnt",
        "placed",
        "judge",
        "judged",
        "oddity",
        "realness",
        "chief",
        "followers",
        "insights",
        "remembers",
        "carries",
    ]
)
# Configuration keys that have a standard name, by the group that they would be in; "" is the top level.
OLD_KEYS = {
    "": "schedule promise",
    "model": (
        "widths layers heads projection tied positions locked identity view segment channels_apart reversible direct "
        "freeze weights mirror shake adversarial average spectral discriminator_steps mismatched r1 r2 algorithm "
        "epochs entropy value_weight follow target_every epsilon_share epsilon_end temperature"
    ),
    "data": (
        "past horizon season tokens longest vocabulary least window text fit skip_bad train_rows rows_seed generated "
        "envs rollout memory warmup epoch_steps kind"
    ),
    "trainer": "accumulate max_time find_lr",
    "scheduler": "warmup",
    "regularization": "clip",
    "checkpoint": "every every_steps",
    "objective": "select",
    "expected": "least most",
}


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that a module binds, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.keyword(arg=str()):
                yield node.arg, node.value.lineno
            case ast.alias(asname=str()) | ast.ExceptHandler(name=str()):
                yield (node.asname if isinstance(node, ast.alias) else node.name) or "", node.lineno


def private(source: str) -> list[str]:
    """Return the names of a module that contain one of the WORDS; test functions are sentences."""
    bound = [(name, line) for name, line in names(ast.parse(source)) if not name.startswith("test_")]
    return [f"line {line}: {name}" for name, line in bound if WORDS & set(name.lower().strip("_").split("_"))]


@pytest.mark.parametrize("folder", ["zoo", "benchmarks", "tests", "train.py"])
def test_names_are_the_fields(folder):
    paths = sorted((ROOT / folder).rglob("*.py")) if (ROOT / folder).is_dir() else [ROOT / folder]
    wrong = {str(path): bad for path in paths if (bad := private(path.read_text()))}
    assert not wrong


def test_names_are_found_by_their_detector():
    assert private("def f(asked_for):\n    whole = 1\n    return [x for kept in asked_for]") == [
        "line 1: asked_for",
        "line 2: whole",
        "line 3: kept",
    ]


def old_keys(node: object, group: str = "") -> Iterator[str]:
    """Yield the dotted old keys of a configuration's tree."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key in OLD_KEYS.get(group, "").split():
            yield f"{group}.{key}".lstrip(".")
        yield from old_keys(value, key)


def test_configuration_files_use_standard_keys():
    wrong = []
    for path in sorted((ROOT / "conf").rglob("*.yaml")):
        group = path.parent.name if path.parent.name in ("data", "scheduler", "trainer") else ""
        wrong += [f"{path}: {key}" for key in old_keys(yaml.safe_load(path.read_text()), group)]
    assert not wrong


def test_texts_and_messages_use_standard_keys():
    pattern = re.compile(
        r"(?<![\w.$])(?:"
        + "|".join(f"{g}\\.(?:{'|'.join(k.split())})" for g, k in OLD_KEYS.items() if g)
        + r")(?=[=:\s`'\"),.]|$)"
    )
    wrong = []
    for folder in ("zoo", "benchmarks", "docs", "conf", "README.md", "CONTRIBUTING.md"):
        paths = sorted((ROOT / folder).rglob("*")) if (ROOT / folder).is_dir() else [ROOT / folder]
        for path in paths:
            if path.suffix in (".py", ".md", ".yaml", ".ipynb") and path != Path(__file__):
                lines = path.read_text().splitlines()
                wrong += [f"{path}:{n}: {m[0]}" for n, line in enumerate(lines, 1) for m in pattern.finditer(line)]
    assert not wrong


BRITISH = re.compile(r"labell|colour|grey|centre|licence|behaviour|favour|neighbour|optimis|normalis|initialis", re.I)


def test_spelling_is_american():
    here = Path(__file__).resolve()
    texts = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "train.py")]
    for folder in ("zoo", "conf", "tests", "benchmarks", "docs"):
        texts += [path for ending in ("py", "yaml", "md") for path in (ROOT / folder).rglob(f"*.{ending}")]
    lines = [(path, line) for path in texts if path != here for line in path.read_text("utf-8").splitlines()]
    wrong = [f"{path.relative_to(ROOT)}: {line.strip()}" for path, line in lines if BRITISH.search(line)]
    assert not wrong, "\n".join(wrong[:20])
