"""The commands of the command line. One is declared in a TOML file beside the module with its function ``run_NAME``."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

from zoo.cli.command import Command, Option
from zoo.exceptions import unknown

COMMANDS = {
    "train": "Train a model, test it, and write its folder.",
    "resume": "Continue a run that was stopped, or train a finished one for longer.",
    "lr-find": "Suggest a learning rate by a range test.",
    "compare": "Train each model that fits a data set for the same time, and rank them.",
    "list": "List models, data sets or pretrained weights.",
    "info": "Show a model: its paper, size, expected metrics and options.",
    "evaluate": "Measure a model on the test data of its run, or on other data.",
    "predict": "Predict images, rows of a CSV, lines of a text, recordings, or the next steps of a series.",
    "export": "Write a model as one file that runs elsewhere.",
    "serve": "Answer requests over HTTP.",
    "demo": "Open a page in the browser to try a model.",
    "generate": "Generate text with a language model.",
    "sample": "Sample images from a generative model.",
    "interpolate": "Draw the images between two latent codes.",
    "encode": "Write the latent code of each test row.",
    "denoise": "Restore noisy test images.",
    "anomalies": "Write the anomaly score of each test row.",
    "fid": "Compute the Inception FID of sampled images.",
    "play": "Record an episode that a policy plays.",
    "plot": "Draw the curves of several runs in one picture.",
    "completion": "Print the completion script of a shell.",
}

_MODULES = {
    "train": ("train", "resume", "lr-find"),
    "catalog": ("list", "info"),
    "analyze": ("evaluate", "compare", "plot"),
    "predict": ("predict",),
    "deploy": ("export", "serve", "demo"),
    "generate": ("generate", "sample", "interpolate", "fid", "play", "encode", "denoise", "anomalies"),
    "completion": ("completion",),
}


def find_command(name: str) -> Command:
    """Return a command by its name.

    Raises:
        ZooError: there is no such command, with the nearest one.
    """
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    home = next(home for home, names in _MODULES.items() if name in names)
    declared = tomllib.loads(Path(__file__).with_name(f"{home}.toml").read_text(encoding="utf-8"))[name]
    options = tuple(Option(**option) for option in declared.pop("options", ()))
    run = getattr(importlib.import_module(f"zoo.cli.{home}"), f"run_{name.replace('-', '_')}")
    return Command(name, run=run, options=options, **{"description": COMMANDS[name], **declared})
