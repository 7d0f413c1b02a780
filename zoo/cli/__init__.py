"""The command line's verbs: which module of this package has which. None is imported before it is asked for."""

from __future__ import annotations

import importlib

from zoo.cli.base import Verb
from zoo.exceptions import unknown

MODULES = {
    "train": "train",
    "list": "showing",
    "info": "showing",
    "evaluate": "evaluate",
    "predict": "predict",
    "compare": "compare",
    "export": "export",
    "serve": "serve",
    "demo": "demo",
    "generate": "making",
    "sample": "making",
    "walk": "making",
    "encode": "coding",
    "denoise": "coding",
    "detect": "coding",
    "fid": "making",
    "play": "making",
    "plot": "showing",
}


def verb(name: str) -> Verb:
    """Return a verb by its name.

    Raises:
        ZooError: there is no such verb, with the nearest one.
    """
    if name not in MODULES:
        raise unknown("verb", name, MODULES)
    found: Verb = importlib.import_module(f"zoo.cli.{MODULES[name]}").VERBS[name]
    return found
