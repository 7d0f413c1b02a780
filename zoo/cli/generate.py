"""``zoo generate``: text from a language model."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.cli.command import RUN, Args, Command, Option
from zoo.exceptions import ZooError


def _run(args: Args) -> Sequence[str]:
    model = args.model
    if not hasattr(model, "generate"):
        if hasattr(model, "sample"):
            raise ZooError(f"generate: model={model.name} makes images; zoo sample draws them")
        raise ZooError(f"generate: model={model.name} is not a language model")
    prompt = args["prompt"].replace("\\n", "\n")
    options = {name: args[name] for name in ("length", "temperature", "top_k", "seed")}
    return [model.generate(prompt=prompt, **options)]


COMMAND = Command(
    "generate",
    RUN,
    "Generate text with a language model.",
    _run,
    (
        Option("prompt", "text to continue; \\n is a line break", default=""),
        Option("length", "tokens to generate", int, 200),
        Option("temperature", "below 1 sharpens the distribution of the next token, above 1 flattens it", float, 1.0),
        Option("top_k", "sample from the k most probable tokens alone", int),
        Option("seed", "seed of the random generator", int, 0),
    ),
    ('zoo generate runs/lstm-shakespeare prompt="ROMEO:" temperature=0.8',),
)
