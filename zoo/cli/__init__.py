"""The commands of the command line. A TOML file declares each command; the module of the same name has ``run_NAME``."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

from zoo.cli.command import Command, Option
from zoo.exceptions import unknown

COMMANDS = {
    "train": "Train a model, test it, and write a run folder.",
    "resume": "Resume a stopped run, or train a finished run for longer.",
    "lr-find": "Suggest a learning rate by a range test.",
    "compare": "Train every compatible model on a dataset for the same time and rank them.",
    "list": "List models, datasets or pretrained weights.",
    "info": "Show the paper, size, expected metrics and options of a model.",
    "evaluate": "Evaluate a model on the test set of its run, or on other data.",
    "predict": "Predict images, CSV rows, lines of text, recordings, or the next steps of a time series.",
    "export": "Export a model to ONNX, torch.export or safetensors.",
    "serve": "Serve predictions over HTTP.",
    "demo": "Serve a web page to try a model in the browser.",
    "generate": "Generate text with a language model.",
    "sample": "Sample images from a generative model.",
    "interpolate": "Interpolate between two latent codes and plot the images.",
    "encode": "Write the latent codes of the test rows.",
    "denoise": "Denoise test images.",
    "anomalies": "Write the anomaly scores of the test rows.",
    "fid": "Compute the Inception FID of sampled images.",
    "play": "Record an episode of a trained policy.",
    "plot": "Plot the learning curves of several runs.",
    "completion": "Print the completion script for a shell.",
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
    """Return the command with this name.

    Raises:
        ZooError: the name is unknown.
    """
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    home = next(home for home, names in _MODULES.items() if name in names)
    declared = tomllib.loads(Path(__file__).with_name(f"{home}.toml").read_text(encoding="utf-8"))[name]
    options = tuple(Option(**option) for option in declared.pop("options", ()))
    run = getattr(importlib.import_module(f"zoo.cli.{home}"), f"run_{name.replace('-', '_')}")
    return Command(name, run=run, options=options, **{"description": COMMANDS[name], **declared})
