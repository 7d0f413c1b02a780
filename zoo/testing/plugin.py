"""The pytest plugin: ``--zoo-model`` runs the conformance checks on models. It imports torch only with this option."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``--zoo-model``, which can be repeated."""
    parser.getgroup("zoo").addoption(
        "--zoo-model",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="run the conformance checks on this class, or on a registered model by name; can be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the conformance checks, in place of the project's tests if no test path is given."""
    config.addinivalue_line("markers", "cuda: needs a CUDA device")
    config.addinivalue_line("markers", "accelerator: runs on a simulated accelerator, which needs no device")
    if not config.getoption("zoo_model"):
        return
    from zoo import registry  # imported only with the option
    from zoo.exceptions import ConformanceError, ZooError

    try:
        for model in config.getoption("zoo_model"):
            if ":" not in model:
                registry.entry(model)  # report a typo before torch is imported
    except ZooError as error:
        raise pytest.UsageError(f"--zoo-model: {error}") from None

    here = str(config.invocation_params.dir)
    if here not in sys.path:  # the folder of the user's module
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
