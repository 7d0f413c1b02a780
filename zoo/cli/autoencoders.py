"""``zoo encode``, ``zoo denoise`` and ``zoo anomalies``: an autoencoder on the test rows of its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.cli.command import Args
from zoo.exceptions import ZooError


def open_autoencoder(args: Args) -> tuple[Any, Any]:
    """Return the model of a run and its data.

    Raises:
        ZooError: the model has no latent codes.
    """
    if not hasattr(args.model, "encode_split"):
        raise ZooError(f"{args.command}: model={args.model.name} has no latent codes")
    return args.model, args.dataset()


def run_encode(args: Args) -> Sequence[str]:
    """Write the latent code of each test row."""
    from zoo.inference.generated import encode

    return encode(*open_autoencoder(args), args["out"])


def run_denoise(args: Args) -> Sequence[str]:
    """Restore noisy test images."""
    from zoo.inference.generated import denoise

    return denoise(*open_autoencoder(args), args["out"])


def run_anomalies(args: Args) -> Sequence[str]:
    """Write the anomaly score of each test row."""
    from zoo.inference.generated import write_scores

    return write_scores(*open_autoencoder(args), args["out"])
