"""``zoo sample``: images from a generative model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import PICTURES, RUN, Args, Command, Option


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.sample import sample

    return sample(args.model, args["out"], count=args["count"], **args.chosen("seed", "label", "truncation"))


COMMAND = Command(
    "sample",
    RUN,
    "Sample images from a generative model: a picture, or an .npz to train on.",
    _run,
    (
        Option("out", "picture, or .npz of arrays", Path, "samples.png", suffixes=(*PICTURES, ".npz")),
        Option("count", "number of images", int, 64),
        Option("seed", "seed of the random generator", int),
        Option("label", "class of the images, of a conditional model"),
        Option("truncation", "bound of the latent numbers: smaller is less varied", float),
    ),
    ("zoo sample runs/gan-digits", "zoo sample runs/cgan-mnist label=7 count=1000 out=sevens.npz"),
)
