"""What models that code and restore their input are used for: codes, pictures without noise, anomalies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.cli.base import PICTURES, RUN, Asked, Verb
from zoo.exceptions import ZooError


def _coded(asked: Asked, use: Callable[[Any, Any, Path], Sequence[str]], default: str, *endings: str) -> Sequence[str]:
    from zoo.inference import uses

    model, folder = uses.opened(asked.one("checkpoint or run folder"))
    out = asked.out(default, *endings)
    if not hasattr(model, "codes"):
        raise ZooError(f"{asked.verb}: model={model.name} makes no codes")
    assert out is not None
    return use(model, uses.data_for(model, folder, asked.words, place=asked.places[0]), out)


def _encode(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses

    return _coded(asked, uses.encode, "codes.npz", ".npz", ".csv")


def _denoise(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses

    return _coded(asked, uses.denoise, "denoised.png", *PICTURES)


def _detect(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses

    return _coded(asked, uses.detect, "scores.csv", ".csv")


VERBS = {
    "encode": Verb(
        "encode",
        RUN,
        "Write the code of each test row, and a picture of the plane that shows most of them.",
        _encode,
        {"out": "codes.npz"},
        ("zoo encode runs/autoencoder-mnist/… out=codes.csv",),
        data=True,
    ),
    "denoise": Verb(
        "denoise",
        RUN,
        "Draw test images clean, with the model's noise, and restored, beside filters' figures.",
        _denoise,
        {"out": "denoised.png"},
        ("zoo denoise runs/autoencoder-digits/…",),
        data=True,
    ),
    "detect": Verb(
        "detect",
        RUN,
        "Write each test row's score and whether it is an alarm, of a model trained on what is normal.",
        _detect,
        {"out": "scores.csv"},
        ("zoo detect runs/autoencoder-mnist/… data.normal_classes=[3]",),
        data=True,
    ),
}
