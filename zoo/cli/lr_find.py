"""``zoo lr-find``: a learning rate by a range test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import PICTURES, Command, Option, joined

OUT = Option("out", "picture of the loss over the learning rate", Path, "lr_find.png", suffixes=PICTURES)


def _run(arguments: Sequence[str]) -> Sequence[str]:
    from zoo.config.compose import compose
    from zoo.config.groups import canonical

    overrides = joined(arguments)
    texts = [override.partition("=")[2] for override in overrides if override.startswith("out=")]
    out = OUT.parse(texts[-1] if texts else OUT.default)
    overrides = [canonical(override) for override in overrides if not override.startswith("out=")]
    config = compose(overrides)
    recipe = next((o.partition("=")[2] for o in overrides[::-1] if o.startswith("model=")), config.model.name)
    from zoo.engine.lr_finder import find_lr

    result = find_lr(config, out, recipe=recipe)
    return [
        f"suggested       optimizer.lr={result.suggestion:.2g}   (it is {result.current:g})",
        f"picture         {out}",
    ]


COMMAND = Command(
    "lr-find",
    "model=NAME [data=NAME]",
    "Suggest a learning rate by a range test, and draw the loss over the rate. Nothing is trained. Other options are\n"
    "those of zoo train; zoo train model=NAME --help lists them.",
    _run,
    (OUT,),
    ("zoo lr-find model=cnn data=digits",),
    raw=True,
)
