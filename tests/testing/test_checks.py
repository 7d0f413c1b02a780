"""The conformance checks catch broken promises of a user's classes."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import broken
import pytest

from zoo import registry
from zoo.testing import ConformanceError, check_model
from zoo.testing.subject import name_of

PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]


# Out of the registry, which other tests go over.
BROKEN_MODELS = {
    n: registry._MODELS.pop(n) for n, entry in registry.registered_models().items() if entry.module == "broken"
}


def conformance(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder that holds nothing but the user's module."""
    shutil.copy(broken.__file__, folder / "broken.py")
    return subprocess.run([*PYTEST, *words], cwd=folder, capture_output=True, text=True, timeout=300)


def failures(report: Path) -> dict[tuple[str, str], str | None]:
    """Return the message, or None, of each (model, check) that was run."""
    messages: dict[tuple[str, str], str | None] = {}
    for case in ET.parse(report).iter("testcase"):
        if case.find("skipped") is None:
            name, *_, check = case.attrib["name"].partition("[")[2].rstrip("]").split("-")
            failure = case.find("failure")
            message = None if failure is None else failure.text
            messages[name, check] = messages.get((name, check)) or message
    return messages


LONG = ("resume", "export", "processes", "accelerator")  # checks that take seconds each


def _report(folder: Path, names: list[str]) -> dict[tuple[str, str], str | None]:
    """Return what each broken model's own check says of it."""
    models = [f"--zoo-model=broken:{name}" for name in names]
    meant = [f"({getattr(broken, name).name} and {broken.BROKEN[name][0]})" for name in names]
    done = conformance(folder, *models, "-k", " or ".join(meant), f"--junitxml={folder}/report.xml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert {p.name for p in folder.iterdir()} - {"__pycache__"} == {"broken.py", "report.xml"}
    return failures(folder / "report.xml")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Return a function from whether checks are long to the messages of all such, made once."""

    @functools.cache
    def of(long: bool) -> dict[tuple[str, str], str | None]:
        names = [name for name, (check, _) in broken.BROKEN.items() if (check in LONG) == long]
        return _report(tmp_path_factory.mktemp("broken"), names)

    return of


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if c in LONG else []) for n, (c, _) in broken.BROKEN.items()],
)
def test_checks_catch_broken_models_without_traceback(name, reports):
    check, pattern = broken.BROKEN[name]
    message = reports(check in LONG)[getattr(broken, name).name, check]
    assert message is not None
    assert re.search(pattern, message), message
    assert message.count("\n") == 0


def test_checks_have_a_broken_model_each():
    from zoo.testing.checklist import CHECKS

    assert {check for check, _ in broken.BROKEN.values()} == {"create"} | {
        check.__name__.removeprefix("check_") for check in CHECKS
    }


@pytest.mark.slow
def test_checks_pass_a_correct_user_model(tmp_path):
    done = conformance(tmp_path, f"--zoo-model=broken:{broken.KEEPER}", f"--junitxml={tmp_path}/report.xml")
    assert done.returncode == 0, done.stdout
    messages = failures(tmp_path / "report.xml")
    assert len(messages) == 11
    assert not any(messages.values())


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mine:Nameless", r'Decorate it with @zoo\.register\("nameless"\)'),
        ("mine:Other", "must be a subclass of zoo.ZooModule"),
        ("mine:Nothing", "cannot be imported"),
        ("nowhere:Model", "No module named 'nowhere'"),
    ],
)
def test_name_of_rejects_other_references(reference, message, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("import zoo\nclass Nameless(zoo.FNN): pass\nclass Other: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConformanceError, match=message):
        name_of(reference)


def test_zoo_model_option_rejects_unknown_models_in_one_line(tmp_path):
    done = conformance(tmp_path, "--zoo-model=cnnn")
    assert done.returncode == 4
    choices = "fnn, cnn, rnn, lstm, gru, transformer, autoencoder, gan, ppo, a2c, reinforce, dqn, sac, vae"
    message = f"unknown model 'cnnn': did you mean 'cnn'? choices are {choices}"
    assert done.stderr == f"ERROR: --zoo-model: {message}\n\n"


def test_check_model_raises_conformance_errors(monkeypatch):
    monkeypatch.setattr(registry, "_MODELS", {**registry._MODELS, **BROKEN_MODELS})
    with pytest.raises(ConformanceError, match="'width' has no default"):
        check_model(broken.NeedsAnArgument)
    with pytest.raises(ConformanceError, match="does not learn"):
        check_model("broken:SeesOnePixel")
