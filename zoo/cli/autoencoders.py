"""``zoo encode``, ``zoo denoise`` and ``zoo anomalies``: an autoencoder on the test rows of its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.cli.command import PICTURES, RUN, Args, Command, Option
from zoo.exceptions import ZooError


def open_autoencoder(args: Args) -> tuple[Any, Any]:
    """Return the model of a run and its data.

    Raises:
        ZooError: the model has no latent codes.
    """
    if not hasattr(args.model, "encode_split"):
        raise ZooError(f"{args.command}: model={args.model.name} has no latent codes")
    return args.model, args.dataset()


def _encode(args: Args) -> Sequence[str]:
    from zoo.inference.autoencoders import encode

    return encode(*open_autoencoder(args), args["out"])


ENCODE = Command(
    "encode",
    RUN,
    "Write the latent code of each test row, and draw the codes in a plane.",
    _encode,
    (Option("out", "file of codes: .npz (codes, y) or .csv", Path, "codes.npz", suffixes=(".npz", ".csv")),),
    ("zoo encode runs/autoencoder-mnist out=codes.csv",),
    data=True,
)


def _denoise(args: Args) -> Sequence[str]:
    from zoo.inference.autoencoders import denoise

    return denoise(*open_autoencoder(args), args["out"])


DENOISE = Command(
    "denoise",
    RUN,
    "Draw test images clean, noisy and restored, and print PSNR and SSIM of the model and of filters.",
    _denoise,
    (Option("out", "picture to write", Path, "denoised.png", suffixes=PICTURES),),
    ("zoo denoise runs/autoencoder-digits",),
    data=True,
)


def _anomalies(args: Args) -> Sequence[str]:
    from zoo.inference.autoencoders import write_scores

    return write_scores(*open_autoencoder(args), args["out"])


ANOMALIES = Command(
    "anomalies",
    RUN,
    "Write each test row's anomaly score and whether it is an alarm. The model must have been trained on normal rows\n"
    "alone, by data.normal_classes=.",
    _anomalies,
    (Option("out", "file of scores", Path, "scores.csv", suffixes=(".csv",)),),
    ("zoo anomalies runs/autoencoder-mnist data.normal_classes=[3]",),
    data=True,
)
