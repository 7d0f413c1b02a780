"""``zoo resume``: continue a run."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.cli.command import RUN, Command, joined
from zoo.cli.train import train
from zoo.exceptions import ZooError


def _run(arguments: Sequence[str]) -> int:
    options = joined(arguments)
    places = [argument for argument in options if "=" not in argument]
    if len(places) != 1:
        raise ZooError(f"resume: takes one run, not {len(places)}; see zoo resume --help")
    return train([f"resume={places[0]}", *(option for option in options if option not in places)])


COMMAND = Command(
    "resume",
    f"{RUN} [option=value …]",
    "Continue a run that was stopped, to the same weights that it would have reached, or train a finished one for longer."
    "\n\nOptions that may change are those of the run's length, such as trainer.max_epochs, its checkpoints, devices and\n"
    "logger.",
    _run,
    examples=("zoo resume latest", "zoo resume runs/cnn-mnist trainer.max_epochs=40"),
    raw=True,
)
