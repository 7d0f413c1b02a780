"""The structure of the package: directions of imports, no cycles, small files, no branch on a task's or modality's name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoo import registry

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "zoo"
# A package imports from those in the rows above its own.
LAYERS = (
    ("exceptions",),
    ("utils",),
    ("config",),
    ("data",),
    ("metrics",),
    ("tasks", "layers", "optim"),
    ("models",),
    ("reporting",),
    ("engine", "inference"),
    ("cli",),
    ("testing",),
)
RANK = {name: number for number, names in enumerate(LAYERS) for name in names}
LEAVES = ("registry", "checkpoint", "hub")  # any package may import them; each imports those before it, and no package
BASE = ("exceptions", "utils")
LARGEST, LARGEST_AT_ROOT, MODULES_AT_ROOT = 400, 250, 6


def modules() -> dict[str, Path]:
    """Return the file of each module by its dotted name."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def imports() -> dict[str, set[str]]:
    """Return the modules of the package that each module imports anywhere, in functions and for type checkers too."""
    known = modules()
    edges: dict[str, set[str]] = {}
    for name, path in known.items():
        targets: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                targets |= {one if one in known else node.module for one in full.values()}
        edges[name] = {target for target in targets if target in known and target != name}
    return edges


def package_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def is_allowed(importer: str, imported: str) -> bool:
    above, below = package_of(importer), package_of(imported)
    if above in ("", "__main__"):  # the public face
        return True
    if above in LEAVES:
        return below in BASE or (below in LEAVES and LEAVES.index(below) < LEAVES.index(above))
    if below in LEAVES:
        return above not in BASE
    return below in RANK and (above == below or RANK[below] < RANK[above])


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return groups of modules that import each other: strongly connected components (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in edges[node]:
            if target not in index:
                visit(target)
            if target in stack:
                low[node] = min(low[node], low[target])
        if low[node] == index[node]:
            group = [stack.pop()]
            while group[-1] != node:
                group.append(stack.pop())
            groups.append(sorted(group))

    for node in edges:
        if node not in index:
            visit(node)
    return [group for group in groups if len(group) > 1]


def test_imports_point_downwards():
    wrong = [f"{a} imports {b}" for a, targets in imports().items() for b in targets if not is_allowed(a, b)]
    assert not sorted(wrong)


def test_imports_have_no_cycles():
    assert not cycles(imports())


def test_import_cycles_are_detected():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}) == [["b", "c"]]


def test_files_are_small_and_few_at_the_root():
    lines = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    root = {path: count for path, count in lines.items() if path.parent == PACKAGE}
    assert len(root) <= MODULES_AT_ROOT
    assert not {path.name: count for path, count in root.items() if count > LARGEST_AT_ROOT}
    assert not {str(path): count for path, count in lines.items() if count > LARGEST}


def names_compared(path: Path, names: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and name where one of ``names`` is compared with, matched, or looked up in a dictionary of them."""
    for node in ast.walk(ast.parse(path.read_text())):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Compare):
            parts = [part for operand in (node.left, *node.comparators) for part in ast.walk(operand)]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Dict) and len(node.keys) > 1:
            keys = [key for key in node.keys if isinstance(key, ast.Constant) and key.value in names]
            parts = list(keys) if len(keys) > 1 else []
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in names:
                yield node.lineno, part.value  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["tasks", "modalities"])
def test_names_of_tasks_and_modalities_have_no_branches_elsewhere(kind):
    names, home = {
        "tasks": (set(registry.list_tasks()), PACKAGE / "tasks"),
        "modalities": (set(registry.list_modalities()), PACKAGE / "data"),
    }[kind]
    wrong = []
    for folder in (PACKAGE, ROOT / "benchmarks"):
        for path in folder.rglob("*.py"):
            folder_name = path.relative_to(home).parts[0].removesuffix(".py") if path.is_relative_to(home) else ""
            wrong += [f"{path}:{line}: {name}" for line, name in names_compared(path, names) if name != folder_name]
    assert not sorted(wrong)
