"""``zoo play``: an episode that a policy plays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import RUN, Args, Command, Option
from zoo.exceptions import ZooError


def _run(args: Args) -> Sequence[str]:
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
