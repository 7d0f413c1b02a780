"""``zoo generate``, ``sample``, ``interpolate``, ``fid`` and ``play``: text, images and episodes of trained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import PICTURES, RUN, Args, Command, Option
from zoo.exceptions import ZooError


def _generate(args: Args) -> Sequence[str]:
    model = args.model
    if not hasattr(model, "generate"):
        if hasattr(model, "sample"):
            raise ZooError(f"generate: model={model.name} makes images; zoo sample draws them")
        raise ZooError(f"generate: model={model.name} is not a language model")
    prompt = args["prompt"].replace("\\n", "\n")
    options = {name: args[name] for name in ("length", "temperature", "top_k", "seed")}
    return [model.generate(prompt=prompt, **options)]


GENERATE = Command(
    "generate",
    RUN,
    "Generate text with a language model.",
    _generate,
    (
        Option("prompt", "text to continue; \\n is a line break", default=""),
        Option("length", "tokens to generate", int, 200),
        Option("temperature", "below 1 sharpens the distribution of the next token, above 1 flattens it", float, 1.0),
        Option("top_k", "sample from the k most probable tokens alone", int),
        Option("seed", "seed of the random generator", int, 0),
    ),
    ('zoo generate runs/lstm-shakespeare prompt="ROMEO:" temperature=0.8',),
)


def _sample(args: Args) -> Sequence[str]:
    from zoo.inference.sample import sample

    return sample(args.model, args["out"], count=args["count"], **args.chosen("seed", "label", "truncation"))


SAMPLE = Command(
    "sample",
    RUN,
    "Sample images from a generative model: a picture, or an .npz to train on.",
    _sample,
    (
        Option("out", "picture, or .npz of arrays", Path, "samples.png", suffixes=(*PICTURES, ".npz")),
        Option("count", "number of images", int, 64),
        Option("seed", "seed of the random generator", int),
        Option("label", "class of the images, of a conditional model"),
        Option("truncation", "bound of the latent numbers: smaller is less varied", float),
    ),
    ("zoo sample runs/gan-digits", "zoo sample runs/cgan-mnist label=7 count=1000 out=sevens.npz"),
)


MAX_STEPS = 50  # images in a picture


def _interpolate(args: Args) -> Sequence[str]:
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


INTERPOLATE = Command(
    "interpolate",
    RUN,
    "Draw the images between the latent codes of two test images, or of a model without an encoder between two draws\n"
    "of noise.",
    _interpolate,
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


def _fid(args: Args) -> Sequence[str]:
    from zoo.inference.sample import fid

    return fid(args.model, args.dataset(), weights=args["weights"], count=args["count"], seed=args["seed"])


FID = Command(
    "fid",
    RUN,
    "Compute the Inception FID of sampled images, as papers quote it, and that of other real images.",
    _fid,
    (
        Option("weights", "file of Inception weights: pt_inception-2015-12-05-6726825d.pth"),
        Option("count", "number of images; without it as many as the test set allows, at most 10000", int),
        Option("seed", "seed of the random generator", int, 0),
    ),
    ("zoo fid runs/gan-cifar10 weights=pt_inception-2015-12-05-6726825d.pth",),
    data=True,
)


def _play(args: Args) -> Sequence[str]:
    from zoo.data.environment.video import render_episode
    from zoo.tasks.plots import write_gif

    model = args.model
    out = None if args["window"] else args["out"]
    if model.spec.target_type != "reward":
        raise ZooError(f"play: model={model.name} was trained for {model.spec.task}; zoo predict is for it")
    options = {"max_steps": args["steps"], "seed": args["seed"], "window": out is None}
    frames = render_episode(model.greedy, args.dataset(), **options)
    if out is None or frames is None:  # shown in a window
        return []
    return [f"film            {write_gif(frames, out)}   {len(frames)} frames of episode {args['seed']}"]


PLAY = Command(
    "play",
    RUN,
    "Record an episode that a policy plays, or show it in a window.",
    _play,
    (
        Option("out", "file of the recording", Path, "episode.gif", suffixes=(".gif",)),
        Option("seed", "seed of the environment", int, 0, low=0),
        Option("steps", "steps to play, at most", int, 500, low=1),
        Option("window", "show a window in place of a recording", bool, False),
    ),
    ("zoo play runs/ppo-cartpole", "zoo play ppo/cartpole data=cartpole window=true"),
    data=True,
)
