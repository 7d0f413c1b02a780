"""``zoo interpolate``: images between two latent codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import PICTURES, RUN, Args, Command, Option
from zoo.exceptions import ZooError

MAX_STEPS = 50  # images in a picture


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.autoencoders import between_images
    from zoo.inference.sample import between_noise

    model = args.model
    if args["steps"] > MAX_STEPS:
        raise ZooError(f"steps={args['steps']}: must be at most {MAX_STEPS}")
    encodes = hasattr(model, "encode_split")
    for name in ("seed", "label") if encodes else ("from", "to"):
        if name in args.explicit:
            use, options = ("sample from noise", "from=, to=") if encodes else ("encode images", "seed=")
            raise ZooError(f"{name}={args[name]}: is for models that {use}; {model.name} has {options}")
    if encodes:
        ends = {"first": args["from"], "last": args["to"]}
        return between_images(model, args.dataset(), args["out"], **ends, steps=args["steps"])
    if not hasattr(model, "interpolate"):
        raise ZooError(f"interpolate: model={model.name} has no latent codes")
    return between_noise(model, args["out"], steps=args["steps"], seed=args["seed"], **args.chosen("label"))


COMMAND = Command(
    "interpolate",
    RUN,
    "Draw the images between the latent codes of two test images, or of a model without an encoder between two draws\n"
    "of noise.",
    _run,
    (
        Option("out", "picture to write", Path, "interpolation.png", suffixes=PICTURES),
        Option("from", "test row of the first image", int, 0),
        Option("to", "test row of the last image", int, 1),
        Option("steps", "number of images", int, 10),
        Option("seed", "seed of the noise", int, 0),
        Option("label", "class of the images, of a conditional model"),
    ),
    ("zoo interpolate runs/vae-mnist from=3 to=8", "zoo interpolate gan/digits"),
    data=True,
)
