"""The command line's verbs: which module of this package has which. None is imported before it is asked for."""

from __future__ import annotations

import importlib

from zoo.errors import unknown
from zoo.verbs.base import Verb

MODULES = {
    "train": "training",
    "list": "showing",
    "info": "showing",
    "evaluate": "evaluating",
    "predict": "predicting",
    "compare": "comparing",
    "export": "exporting",
    "serve": "serving",
    "demo": "demonstrating",
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
    found: Verb = importlib.import_module(f"zoo.verbs.{MODULES[name]}").VERBS[name]
    return found
