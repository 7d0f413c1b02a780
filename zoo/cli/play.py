"""``zoo play``: an episode that a policy plays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import RUN, Args, Command, Option


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.play import record_episode

    out = None if args["window"] else args["out"]
    return record_episode(args.model, args.dataset, out, steps=args["steps"], seed=args["seed"])


COMMAND = Command(
    "play",
    RUN,
    "Record an episode that a policy plays, or show it in a window.",
    _run,
    (
        Option("out", "file of the recording", Path, "episode.gif", suffixes=(".gif",)),
        Option("seed", "seed of the environment", int, 0, low=0),
        Option("steps", "steps to play, at most", int, 500, low=1),
        Option("window", "show a window in place of a recording", bool, False),
    ),
    ("zoo play runs/ppo-cartpole", "zoo play ppo/cartpole data=cartpole window=true"),
    data=True,
)
