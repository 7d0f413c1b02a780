"""The commands ``zoo export``, ``zoo serve`` and ``zoo demo``: deployment of a trained model."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import Args


def run_export(args: Args) -> Sequence[str]:
    """Export a model to ONNX, torch.export or safetensors."""
    from zoo.inference.export import FORMATS, export

    model = args.model
    path = export(model, args["out"] or Path(f"{model.name}{FORMATS[args['format']]}"), format=args["format"])
    content = "preprocessing and names of classes" if model.spec.classes else "preprocessing"
    return [f"exported        {path}   {path.stat().st_size:,} bytes, with {content}; outputs equal the model's"]


def run_serve(args: Args) -> int:
    """Serve predictions over HTTP."""
    from zoo.inference.middleware import Limits
    from zoo.inference.server import serve

    place, host, port = args.path(), args["host"], args["port"]
    limits = Limits(bytes=int(1e6 * args["max_mb"]), seconds=args["seconds"])
    log = args["log"]
    print(
        f"serving         {place} at http://{host}:{port}/predict   (API docs at /docs; press Ctrl-C to stop)",
        flush=True,
    )
    with log.open("a") if log is not None else contextlib.nullcontext(sys.stderr) as file:
        serve(place, host=host, port=port, batch=args["batch"], limits=limits, log=file)
    return 0


def run_demo(args: Args) -> int:
    """Serve a web page to try a model in the browser."""
    from zoo.inference.demo import demo

    place, host, port = args.path(), args["host"], args["port"]
    print(f"demo            {place} at http://{host}:{port}   (press Ctrl-C to stop)", flush=True)
    demo(place, host=host, port=port)
    return 0
