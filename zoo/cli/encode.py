"""``zoo encode``: latent codes of an autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.cli.command import RUN, Args, Command, Option
from zoo.exceptions import ZooError


def open_autoencoder(args: Args) -> tuple[Any, Any]:
    """Return the model of a run and its data.

    Raises:
        ZooError: the model has no latent codes.
    """
    if not hasattr(args.model, "encode_split"):
        raise ZooError(f"{args.command}: model={args.model.name} has no latent codes")
    return args.model, args.dataset()


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.autoencoders import encode

    return encode(*open_autoencoder(args), args["out"])


COMMAND = Command(
    "encode",
    RUN,
    "Write the latent code of each test row, and draw the codes in a plane.",
    _run,
    (Option("out", "file of codes: .npz (codes, y) or .csv", Path, "codes.npz", suffixes=(".npz", ".csv")),),
    ("zoo encode runs/autoencoder-mnist out=codes.csv",),
    data=True,
)
