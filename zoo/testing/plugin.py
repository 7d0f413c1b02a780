"""The pytest plugin: ``--zoo-model`` runs the conformance checks on models. Imports neither torch nor the checks itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option, which may be given several times."""
    parser.getgroup("zoo").addoption(
        "--zoo-model",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="run the conformance checks on this model, or on one of a registered name",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the conformance checks, instead of the project's own tests where none are named."""
    config.addinivalue_line("markers", "cuda: needs a CUDA device")
    config.addinivalue_line("markers", "accelerator: runs on a pretended accelerator, which needs no device")
    if not config.getoption("zoo_model"):
        return
    from zoo import registry  # a run without the option needs none of it
    from zoo.exceptions import ConformanceError, ZooError

    try:
        for model in config.getoption("zoo_model"):
            if ":" not in model:
                registry.entry(model)  # a typo is said before torch is imported
    except ZooError as error:
        raise pytest.UsageError(f"--zoo-model: {error}") from None

    here = str(config.invocation_params.dir)
    if here not in sys.path:  # where the user's module lies
        sys.path.insert(0, here)
    from zoo.engine.distributed import warm

    warm()
    from zoo.testing.subject import name_of

    try:
        config.option.zoo_model = [name_of(model) for model in config.getoption("zoo_model")]
    except (ConformanceError, ZooError) as error:
        raise pytest.UsageError(f"--zoo-model: {error}") from None
    suite = str(Path(__file__).with_name("suite.py"))
    config.option.log_level = config.option.log_level or "WARNING"  # torch's traces of an export are thousands of lines
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    config.args[:] = [*config.args, suite] if named else [suite]
