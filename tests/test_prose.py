"""README and docs keep to the style: short sentences, and none of the constructions that read like a translation."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
WORDS = 30  # of a sentence, at most
LISTED = {
    r"^(Beside|Besides|Of|What)\b": "begins with Beside, Of or What",
    r"\b(?!so )what\b(?! if\b)": "has a clause with 'what'",
    r";[^;]*;": "is a chain of fragments",
    r"\b(one's|learnt|whilst|amongst)\b": "has a word of no American text",
    r"\bstands? beside\b": "says 'stands beside'",
}


def prose(text: str) -> str:
    """Return the text without code, tables, formulas, comments, links' targets and directives."""
    text = re.sub(r"```.*?```|~~~.*?~~~", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->|\$\$.*?\$\$", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"^(    |\t).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*\|.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`|\$[^$]*\$", "X", text)
    return re.sub(r"<[^>]+>", "", text)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; a heading and an item of a list end one."""
    broken = []
    for block in re.split(r"\n\s*\n|\n\s*(?=[-*#]|\d+\. )|^#+ .*$", prose(text), flags=re.MULTILINE):
        line = re.sub(r"^[-*#>\d. ]+|\*\*", "", " ".join(block.split()))
        broken += [part for part in re.split(r"(?<=[.!?:])\s+(?=[A-Z`X])", line) if part]
    return broken


def findings(text: str) -> list[str]:
    """Return a line for each sentence that breaks a rule."""
    broken = []
    for sentence in sentences(text):
        if len(sentence.split()) > WORDS:
            broken.append(f"{len(sentence.split())} words: {sentence}")
        for pattern, reason in LISTED.items():
            if re.search(pattern, sentence) and not sentence.endswith("?"):
                broken.append(f"{reason}: {sentence}")
    return broken


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES + NOTEBOOKS])
def test_prose_keeps_to_the_style(page):
    text = page.read_text()
    if page.suffix == ".ipynb":
        text = "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    assert not findings(text), "\n".join(findings(text))


SOURCES = [*sorted((ROOT / "zoo").rglob("*.py")), *sorted((ROOT / "benchmarks").glob("*.py")), ROOT / "train.py"]
SETTINGS = [*sorted((ROOT / "conf").rglob("*.yaml")), *sorted((ROOT / "zoo").rglob("*.toml"))]


def docstrings(source: str) -> str:
    """Return the docstrings of a module as paragraphs; a described argument is one."""
    texts = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = (ast.get_docstring(node) or "").replace("``", "`")
            text = re.sub(r"^(Args|Raises|Returns|Yields|Examples?|Attributes|Notes?):$", "", text, flags=re.MULTILINE)
            text = re.sub(r"^ +(?=(`\w+`|\w+)( \(.*?\))?: )", "\n- ", text, flags=re.MULTILINE)
            texts.append(re.sub(r"^ {4,}(?=\S)", "", text, flags=re.MULTILINE))
    return "\n\n".join(texts)


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in SOURCES + SETTINGS])
def test_docstrings_and_comments_keep_to_the_style(path):
    text = path.read_text()
    prose = docstrings(text) if path.suffix == ".py" else "\n\n".join(re.findall(r"#+ ?(.*)$", text, re.MULTILINE))
    assert not findings(prose), "\n".join(findings(prose))


@pytest.mark.parametrize(
    "sentence",
    [
        "Beside each figure is a baseline.",
        "Of all models this is the largest.",
        "It prints what the model predicts.",
        "It reads; it writes; it ends.",
        " ".join(["word"] * 31) + ".",
    ],
)
def test_style_check_finds_the_listed_constructions(sentence):
    assert findings(f"A heading\n\n{sentence} A short sentence follows.")
