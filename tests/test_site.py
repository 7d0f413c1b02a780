"""The documentation site: it builds from the checkout without a warning or a network, and every name has a description."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from benchmarks import reference
from benchmarks.model_curves import CURVES
from benchmarks.model_pictures import PICTURES
from zoo import registry
from zoo.config.signatures import model_options
from zoo.testing.checklist import CHECKS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".ipynb", ".cff", ""}


def sources():
    """Return the texts of the repository."""
    folders = [*(ROOT / name for name in ("zoo", "conf", "docs", "tests", "benchmarks", ".github"))]
    paths = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return [path for path in [*paths, *ROOT.iterdir()] if path.is_file() and path.suffix in TEXT]


def install_names(text):
    """Return the distributions that a text installs from an index, and extras of a distribution named zoo."""
    installed = re.findall(r"(?:pip|uv|uvx|pipx|conda)3? (?:install|add|run|tool install)[^\n`|&]*", text)
    words = [word.strip("\"',;.()") for line in installed for word in line.split()]
    return [w for w in words if re.fullmatch(r"zoo(\[.*)?([=<>~!].*)?", w)] + re.findall(r"""["']zoo\[[\w,]+\]""", text)


def test_zoo_is_no_install_name():
    """A stranger's package has the name zoo on the index."""
    names = {str(path.relative_to(ROOT)): install_names(path.read_text()) for path in sources()}
    names.pop("tests/test_site.py", None)
    assert not {name: words for name, words in names.items() if words}
    assert re.search(r'^name = "nnzoo"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "text", ["pip install zoo", 'pip install -U "zoo[serve]"', "uv add zoo>=1", 'test = ["zoo[export]"]']
)
def test_install_names_are_found(text):
    assert install_names(text)


def test_public_names_are_described():
    """Every public name, and each public method and property of it, has a docstring and a place on the API page."""
    page = (DOCS / "reference" / "python.md").read_text()
    missing = []
    for name in zoo.__all__:
        value = getattr(zoo, name)
        members = inspect.getmembers(value) if inspect.isclass(value) else []
        methods = [
            (n, m) for n, m in members if not n.startswith("_") and getattr(m, "__module__", "").startswith("zoo")
        ]
        missing += [f"{name}.{n}" for n, m in methods if callable(m) and not inspect.getdoc(m)]
        missing += [] if inspect.getdoc(value) else [name]
        missing += (
            []
            if re.search(rf"\bzoo\.{name}\b|\b{value.__module__}\.{name}\b", page)
            else [f"{name} is not on the page"]
        )
    assert not missing


def test_configuration_keys_are_described():
    """Each key of the generated reference has a description, and each option of a model too."""
    rows = [line for line in reference.page().split("\n") if line.startswith("| `")]
    assert len(rows) > 200
    assert not [row for row in rows if not re.split(r"(?<!\\)\|", row)[-2].strip()]
    names = [name for name in registry.list_models() if registry.entry(name).module.startswith("zoo.")]
    assert not [(n, key) for n in names for key, option in model_options(n).items() if not option.description]


def test_every_model_has_a_page_and_learn_has_eight_notebooks():
    index = (DOCS / "models" / "index.md").read_text()
    for name in registry.list_models():
        if registry.entry(name).module.startswith("zoo."):
            page = (DOCS / "models" / f"{name}.md").read_text()
            for mark in ("table:support", "table:results", "table:options"):
                assert f"<!-- {mark}/{name} -->" in page
            assert f"({name}.md)" in index
    notebooks = sorted((DOCS / "learn").glob("*.ipynb"))
    assert [path.name[:2] for path in notebooks] == [f"{number:02}" for number in range(1, 9)]


def test_every_model_has_pictures():
    """Each page has two pictures with an alternative text and a caption, small enough for the repository."""
    names = [name for name in registry.list_models() if registry.entry(name).module.startswith("zoo.")]
    assert set(names) == set(PICTURES) == set(CURVES)
    paths = [DOCS / "_static" / "models" / f"{name}{part}.png" for name in names for part in ("", "-curves")]
    assert max(path.stat().st_size for path in paths) <= 80_000
    assert sum(path.stat().st_size for path in paths) <= 1_000_000
    figure = r"```{figure} \.\./_static/models/(\S+)\.png\n:alt: .{20,}\n:width: 700px\n\n(?!```)\S"
    for name in names:
        assert re.findall(figure, (DOCS / "models" / f"{name}.md").read_text()) == [name, f"{name}-curves"]


def test_readme_is_a_page():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 200
    assert len(text.encode()) <= 16 * 1024
    assert "```" in "".join(text.splitlines(True)[:20])
    pictures = re.findall(r"!\[[^\]]+\]\((docs/_static/gallery/[^)]+)\)", text)
    assert len(pictures) == 6
    assert sum((ROOT / path).stat().st_size for path in pictures) <= 1_200_000


@pytest.mark.slow
def test_site_builds_without_warnings_or_network(tmp_path):
    pytest.importorskip("myst_nb")
    for builder in ("html", "linkcheck"):
        command = [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            "-b",
            builder,
            "docs",
            str(tmp_path / builder),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
    pages = [path.read_text() for path in (tmp_path / "html").rglob("*.html")]
    assert len(pages) > 80
    remote = [url for page in pages for url in re.findall(r'<(?:script|img|iframe)[^>]*src="(https?:[^"]*)', page)]
    remote += [
        url for page in pages for url in re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]*)', page)
    ]
    assert not remote


def test_pages_list_and_count_the_conformance_checks():
    page = (DOCS / "extend" / "conformance.md").read_text()
    listed = re.findall(r"^\| ([a-z]+) \| ", page, re.MULTILINE)[1:]  # without the header
    assert set(listed) == {"create", *(check.__name__.removeprefix("check_") for check in CHECKS)}
    word = {10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen"}[len(listed)]
    assert f"passes {word} checks" in page
    assert f"passes {word} [conformance checks]" in (ROOT / "README.md").read_text()
