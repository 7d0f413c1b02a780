"""What models that make things are used for: texts, images, the way from one image to another, films of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.cli.base import PICTURES, RUN, Asked, Verb
from zoo.exceptions import ZooError


def _opened(asked: Asked) -> tuple[Any, Any]:
    from zoo.inference import uses

    return uses.opened(asked.one("checkpoint or run folder"))


def _generate(asked: Asked) -> Sequence[str]:
    model, _ = _opened(asked)
    if not hasattr(model, "generate"):
        if hasattr(model, "sample"):
            raise ZooError(f"generate: model={model.name} makes images; zoo sample draws them")
        raise ZooError(f"generate: model={model.name} writes no text")
    text = model.generate(
        prompt=asked.own.get("prompt", "").replace("\\n", "\n"),
        length=asked.number("length", 200),
        temperature=asked.number("temperature", 1.0, integer=False),
        top_k=asked.number("top_k"),
        seed=asked.number("seed", 0),
    )
    return [text]


def _sample(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses

    model, _ = _opened(asked)
    out = asked.out("samples.png", *PICTURES, ".npz")
    assert out is not None
    options = {"seed": asked.number("seed"), "label": asked.own.get("label")}
    options |= {"truncation": asked.number("truncation", integer=False)}
    given = {key: value for key, value in options.items() if value is not None}
    return uses.sample(model, out, count=asked.number("count", 64), **given)


def _walk(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses

    model, folder = _opened(asked)
    out, steps = asked.out("walk.png", *PICTURES), asked.number("steps", 10)
    assert out is not None
    noise = model.spec.target_type == "none"  # where no image has a code
    for name in ("from", "to") if noise else ("seed", "label"):
        if name in asked.own:
            what, has = ("code images", "seed=") if noise else ("make images of noise", "from=, to=")
            raise ZooError(f"{name}={asked.own[name]}: is for models that {what}; {model.name} has {has}")
    if noise:
        given = {"label": asked.own["label"]} if "label" in asked.own else {}
        return uses.noise_walk(model, out, steps=steps, seed=asked.number("seed", 0), **given)
    if not hasattr(model, "codes"):
        raise ZooError(f"walk: model={model.name} makes no codes")
    dataset = uses.data_for(model, folder, asked.words, place=asked.places[0])
    return uses.walk(model, dataset, out, first=asked.number("from", 0), last=asked.number("to", 1), steps=steps)


def _fid(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses

    model, folder = _opened(asked)
    options = {"count": asked.number("count"), "seed": asked.number("seed", 0)}
    return uses.fid(
        model,
        uses.data_for(model, folder, asked.words, place=asked.places[0]),
        weights=asked.own.get("weights"),
        **options,
    )


def _play(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses
    from zoo.tasks.control.plots import write_gif

    model, folder = _opened(asked)
    out = asked.out("episode.gif", ".gif")
    if model.spec.target_type != "reward":
        raise ZooError(f"play: model={model.name} was trained for {model.spec.task}; zoo predict is for it")
    games: Any = uses.data_for(model, folder, asked.words, place=asked.places[0])
    seed, window = asked.number("seed", 0, low=0), asked.flag("window")
    options = {"most": asked.number("steps", 500, low=1), "seed": seed, "window": window}
    frames = games.record(lambda x: model.acted(x.to(model.device), greedy=True), **options)
    if window:
        return []
    assert out is not None
    return [f"film            {write_gif(frames, out)}   {len(frames)} frames of episode {seed}"]


VERBS = {
    "generate": Verb(
        "generate",
        RUN,
        "Have a language model write.",
        _generate,
        {"prompt": "TEXT", "length": "200", "temperature": "1", "top_k": "N", "seed": "0"},
        ('zoo generate runs/lstm-shakespeare/… prompt="ROMEO:" temperature=0.8',),
    ),
    "sample": Verb(
        "sample",
        RUN,
        "Draw new images: a picture, or an .npz to learn from.",
        _sample,
        {"out": "samples.png", "count": "64", "seed": "0", "label": "CLASS", "truncation": "X"},
        ("zoo sample runs/gan-digits/…", "zoo sample runs/cgan-mnist/… label=7 count=1000 out=sevens.npz"),
    ),
    "walk": Verb(
        "walk",
        RUN,
        "Draw the way from one image to another, or from one noise to another.",
        _walk,
        {"out": "walk.png", "from": "0", "to": "1", "steps": "10", "seed": "0", "label": "CLASS"},
        ("zoo walk runs/vae-mnist/… from=3 to=8",),
        data=True,
    ),
    "play": Verb(
        "play",
        RUN,
        "Show an episode that a policy plays, as a film or in a window.",
        _play,
        {"out": "episode.gif", "seed": "0", "steps": "500", "window": "false"},
        ("zoo play runs/policy-cartpole/…", "zoo play policy/cartpole data=cartpole window=true"),
        data=True,
    ),
    "fid": Verb(
        "fid",
        RUN,
        "Measure the Inception FID of new images, as papers quote it.",
        _fid,
        {"weights": "FILE", "count": "10000", "seed": "0"},
        ("zoo fid runs/gan-cifar10/… weights=pt_inception-2015-12-05-6726825d.pth",),
        data=True,
    ),
}
