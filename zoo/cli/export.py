"""``zoo export``: a trained model as one file that runs elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import RUN, Args, Command, Option


def _run(args: Args) -> Sequence[str]:
    from zoo.inference.export import FORMATS, export

    model = args.model
    path = export(model, args["out"] or Path(f"{model.name}{FORMATS[args['format']]}"), format=args["format"])
    content = "preprocessing and names of classes" if model.spec.classes else "preprocessing"
    return [f"written         {path}   {path.stat().st_size:,} bytes, with {content}; its outputs equal the model's"]


COMMAND = Command(
    "export",
    RUN,
    "Write a model as one file that runs elsewhere, and check that its outputs equal the model's.\n\n"
    "onnx runs without torch, torch_export (a program of torch.export) without the zoo; safetensors are weights\n"
    "with all that zoo.load needs.",
    _run,
    (
        Option("format", "format of the file", default="onnx", choices=("onnx", "torch_export", "safetensors")),
        Option("out", "file to write; without it the model's name", Path),
    ),
    ("zoo export runs/cnn-mnist", "zoo export best.ckpt format=safetensors out=digits.safetensors"),
)
