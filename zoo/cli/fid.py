"""``zoo fid``: the Inception FID of sampled images."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.cli.command import RUN, Args, Command, Option


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.sample import fid

    return fid(args.model, args.dataset(), weights=args["weights"], count=args["count"], seed=args["seed"])


COMMAND = Command(
    "fid",
    RUN,
    "Compute the Inception FID of sampled images, as papers quote it, and that of other real images.",
    _run,
    (
        Option("weights", "file of Inception weights: pt_inception-2015-12-05-6726825d.pth"),
        Option("count", "number of images; without it as many as the test set allows, at most 10000", int),
        Option("seed", "seed of the random generator", int, 0),
    ),
    ("zoo fid runs/gan-cifar10 weights=pt_inception-2015-12-05-6726825d.pth",),
    data=True,
)
