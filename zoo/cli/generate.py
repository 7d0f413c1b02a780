"""Commands for generative models, policies and autoencoders.

They are ``zoo generate``, ``sample``, ``interpolate``, ``fid``, ``play``, ``encode``, ``denoise`` and ``anomalies``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.cli.command import Args
from zoo.exceptions import ZooError


def run_generate(args: Args) -> Sequence[str]:
    """Generate text with a language model."""
    model = args.model
    if not hasattr(model, "generate"):
        if hasattr(model, "sample"):
            raise ZooError(f"generate: model={model.name} generates images. Use zoo sample.")
        raise ZooError(f"generate: model={model.name} is not a language model")
    prompt = args["prompt"].replace("\\n", "\n")
    options = {name: args[name] for name in ("length", "temperature", "top_k", "seed")}
    return [model.generate(prompt=prompt, **options)]


def run_sample(args: Args) -> Sequence[str]:
    """Sample images from a generative model."""
    from zoo.inference.generated import sample

    return sample(args.model, args["out"], count=args["count"], **args.chosen("seed", "label", "truncation"))


MAX_STEPS = 50  # maximum number of images in one plot


def run_interpolate(args: Args) -> Sequence[str]:
    """Interpolate between two latent codes and plot the images."""
    from zoo.inference.generated import between_images, between_noise

    model = args.model
    if args["steps"] > MAX_STEPS:
        raise ZooError(f"steps={args['steps']}: must be at most {MAX_STEPS}")
    encodes = hasattr(model, "encode_split")
    for name in ("seed", "label") if encodes else ("from", "to"):
        if name in args.explicit:
            needed, options = ("without", "from=, to=") if encodes else ("with", "seed=")
            raise ZooError(f"{name}={args[name]}: is for models {needed} an encoder; {model.name} has {options}")
    if encodes:
        ends = {"first": args["from"], "last": args["to"]}
        return between_images(model, args.dataset(), args["out"], **ends, steps=args["steps"])
    if not hasattr(model, "interpolate"):
        raise ZooError(f"interpolate: model={model.name} has no latent codes")
    return between_noise(model, args["out"], steps=args["steps"], seed=args["seed"], **args.chosen("label"))


def run_fid(args: Args) -> Sequence[str]:
    """Compute the Inception FID of sampled images."""
    from zoo.inference.generated import fid

    return fid(args.model, args.dataset(), weights=args["weights"], count=args["count"], seed=args["seed"])


def run_play(args: Args) -> Sequence[str]:
    """Record an episode of a trained policy."""
    from zoo.data.environment.video import render_episode
    from zoo.tasks.plots import write_gif

    model = args.model
    out = None if args["window"] else args["out"]
    if model.spec.target_type != "reward":
        raise ZooError(f"play: model={model.name} is not a policy (its task is {model.spec.task}). Use zoo predict.")
    options = {"max_steps": args["steps"], "seed": args["seed"], "window": out is None}
    frames = render_episode(model.greedy, args.dataset(), **options)
    if out is None or frames is None:  # displayed in a window
        return []
    return [f"video           {write_gif(frames, out)}   {len(frames)} frames of episode {args['seed']}"]


def open_autoencoder(args: Args) -> tuple[Any, Any]:
    """Return an autoencoder and its dataset.

    Raises:
        ZooError: the model has no latent codes.
    """
    if not hasattr(args.model, "encode_split"):
        raise ZooError(f"{args.command}: model={args.model.name} has no latent codes")
    return args.model, args.dataset()


def run_encode(args: Args) -> Sequence[str]:
    """Write the latent codes of the test rows."""
    from zoo.inference.generated import encode

    return encode(*open_autoencoder(args), args["out"])


def run_denoise(args: Args) -> Sequence[str]:
    """Denoise test images."""
    from zoo.inference.generated import denoise

    return denoise(*open_autoencoder(args), args["out"])


def run_anomalies(args: Args) -> Sequence[str]:
    """Write the anomaly scores of the test rows."""
    from zoo.inference.generated import write_scores

    return write_scores(*open_autoencoder(args), args["out"])
