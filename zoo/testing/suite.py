"""The conformance checks as tests, for the models of ``--zoo-model`` or by default for every registered model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from zoo.exceptions import ConformanceError
from zoo.registry import list_models
from zoo.testing.checklist import ON_CUDA, check_create, checks_of
from zoo.testing.devices import check_accelerator


def _parameters(name: str) -> Iterator[Any]:
    yield pytest.param(check_create, name, id=f"{name}-create")
    for device in ("cpu", "cuda"):
        needs = []
        if device == "cuda":
            needs = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
        for check, subject in checks_of(name, device):
            if device == "cpu" or check in ON_CUDA:
                promise = check.__name__.removeprefix("check_")
                label = "-".join([name, str(subject.case), promise] + ([device] if device != "cpu" else []))
                marks = [pytest.mark.accelerator] if check is check_accelerator else []
                yield pytest.param(check, subject, id=label, marks=needs + marks)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Generate a test per model, check and subject."""
    if "check" not in metafunc.fixturenames:
        return
    names = metafunc.config.getoption("zoo_model", default=[]) or list_models()
    here = getattr(metafunc.module, "belongs", lambda name: True)  # several test files may share the models
    names = [name for name in names if here(name)]
    metafunc.parametrize(("check", "subject"), [p for name in names for p in _parameters(name)])


def test_conformance(check: Callable[[Any], None], subject: Any) -> None:
    """Run one check; a failed check shows a message without a traceback."""
    try:
        check(subject)
    except ConformanceError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
