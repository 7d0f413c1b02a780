"""Pages in docs/: each command, script and notebook cell runs."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import zoo
from benchmarks import reference
from zoo import registry
from zoo.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)
SLOW = ("train/distributed", "data/tables")  # pages whose commands take ten seconds or more
TWICE = "$NUMBER"  # a command that stands for one on each of two machines


def run_command(command, folder, monkeypatch):
    """Run a command: of the zoo in this process, where torch is imported already; any other as a user does."""
    words = shlex.split(command)
    words = words[2:] if words[:2] == ["python", "-m"] else words
    if words[0] == "zoo":
        monkeypatch.chdir(folder)
        assert main(words[1:]) == 0, command
    else:
        run_process(["bash", "-c", command], folder)


def run_process(words, folder, **more):
    """Run a command as a user of an installed zoo does; return its output."""
    scripts = Path(sys.executable).parent
    known = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1", **more}
    known["PYTHONPATH"] = str(Path(zoo.__file__).parents[1])
    folder.mkdir(exist_ok=True)
    process = subprocess.run(words, cwd=folder, env=known, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, f"{words}\n{process.stdout}\n{process.stderr}"
    return process.stdout


def commands(content):
    """Return the commands of a block, those over several lines as one."""
    return [line for line in content.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def name_of(page):
    return str(page.relative_to(DOCS).with_suffix(""))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page), marks=[pytest.mark.slow] * (name_of(page) in SLOW))
        for page in PAGES
        if BLOCK.search(page.read_text())
    ],
)
def test_docs_commands_run(page, tmp_path, monkeypatch):
    blocks = BLOCK.findall(page.read_text())
    for kind, content in blocks:
        if kind == "python":
            (tmp_path / "script.py").write_text(content)
            monkeypatch.chdir(tmp_path)
            for name in registry.list_models():
                registry.get(name)  # an import within the patch would be lost after it
            for table in ("_MODELS", "_DATA", "_TASKS"):  # what a page registers is its own
                monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
            runpy.run_path("script.py", run_name="__main__")
            continue
        for command in commands(content):
            if TWICE not in command:
                run_command(command, tmp_path, monkeypatch)
                continue
            with ThreadPoolExecutor() as two:
                machines = [(["bash", "-c", command], tmp_path / f"machine{n}", str(n)) for n in (0, 1)]
                outputs = list(two.map(lambda m: run_process(m[0], m[1], NUMBER=m[2], FIRST="127.0.0.1"), machines))
            assert "test accuracy" in outputs[0]
            assert [len(list((tmp_path / f"machine{n}").rglob("results.json"))) for n in (0, 1)] == [1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", [pytest.param(path, id=path.stem) for path in NOTEBOOKS])
def test_docs_notebook_runs(notebook, tmp_path):
    """Each cell runs, and prints the words that the page shows, with other digits at most."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    stored = nbformat.read(notebook, as_version=4)
    code = [cell for cell in stored.cells if cell.cell_type == "code" and cell.outputs]
    stored_text = [printed(cell) for cell in code]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **os.environ}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        nbclient.NotebookClient(stored, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    assert [printed(cell) for cell in code] == stored_text


def printed(cell):
    """Return the printed text of a cell without its digits, and how many pictures it draws."""
    texts = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    pictures = sum("image/png" in output.get("data", {}) for output in cell.outputs)
    return re.sub(r"[-+]?\d[\d,.e+-]*", "#", texts).split(), pictures


def test_docs_links_lead_to_files():
    for page in [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_docs_reference_is_current():
    assert (DOCS / "reference" / "configuration.md").read_text() == reference.page(), (
        "run python -m benchmarks.reference"
    )
