"""``zoo denoise``: test images, noisy and restored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import PICTURES, RUN, Args, Command, Option
from zoo.cli.encode import open_autoencoder


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.autoencoders import denoise

    return denoise(*open_autoencoder(args), args["out"])


COMMAND = Command(
    "denoise",
    RUN,
    "Draw test images clean, noisy and restored, and print PSNR and SSIM of the model and of filters.",
    _run,
    (Option("out", "picture to write", Path, "denoised.png", suffixes=PICTURES),),
    ("zoo denoise runs/autoencoder-digits",),
    data=True,
)
