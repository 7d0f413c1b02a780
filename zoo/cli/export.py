"""Exporting: a trained model as one file that runs elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.base import RUN, Asked, Verb


def _export(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses
    from zoo.inference.export import FORMATS, export

    place = asked.one("checkpoint or run folder")
    chosen = asked.choice("format", tuple(FORMATS), "onnx")
    model, _ = uses.opened(place)
    out = asked.out(f"{model.name}{FORMATS[chosen]}")
    path = export(model, Path(str(out)), format=chosen)
    size = path.stat().st_size
    inside = "preprocessing and names of classes" if model.spec.classes else "preprocessing"
    return [f"written         {path}   {size:,} bytes, with {inside}; it answers as the model does"]


VERBS = {
    "export": Verb(
        "export",
        RUN,
        "Write a model as one file that runs elsewhere, and have it answer as the model does first.\n\n"
        "onnx runs without torch, torch_export (a program of torch.export) without the zoo; safetensors are weights\n"
        "with all that zoo.load needs.",
        _export,
        {"format": "onnx|torch_export|safetensors", "out": "FILE"},
        ("zoo export runs/cnn-mnist/…", "zoo export best.ckpt format=safetensors out=digits.safetensors"),
    )
}
