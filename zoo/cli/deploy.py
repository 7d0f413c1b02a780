"""``zoo export``, ``zoo serve`` and ``zoo demo``: a trained model in use elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import RUN, Args, Command, Option


def _export(args: Args) -> Sequence[str]:
    from zoo.inference.export import FORMATS, export

    model = args.model
    path = export(model, args["out"] or Path(f"{model.name}{FORMATS[args['format']]}"), format=args["format"])
    content = "preprocessing and names of classes" if model.spec.classes else "preprocessing"
    return [f"written         {path}   {path.stat().st_size:,} bytes, with {content}; its outputs equal the model's"]


EXPORT = Command(
    "export",
    RUN,
    "Write a model as one file that runs elsewhere, and check that its outputs equal the model's.\n\n"
    "onnx runs without torch, torch_export (a program of torch.export) without the zoo; safetensors are weights\n"
    "with all that zoo.load needs.",
    _export,
    (
        Option("format", "format of the file", default="onnx", choices=("onnx", "torch_export", "safetensors")),
        Option("out", "file to write; without it the model's name", Path),
    ),
    ("zoo export runs/cnn-mnist", "zoo export best.ckpt format=safetensors out=digits.safetensors"),
)


def _serve(args: Args) -> int:
    from zoo.inference.middleware import Limits
    from zoo.inference.server import serve

    place, host, port = args.path(), args["host"], args["port"]
    limits = Limits(bytes=int(1e6 * args["max_mb"]), seconds=args["seconds"])
    log = args["log"]
    print(f"serving         {place} at http://{host}:{port}/predict   (/docs shows how; Ctrl-C ends it)", flush=True)
    with log.open("a") if log is not None else sys.stderr as file:
        serve(place, host=host, port=port, batch=args["batch"], limits=limits, log=file)
    return 0


SERVE = Command(
    "serve",
    RUN,
    "Answer requests over HTTP: JSON and uploads, batched, with limits, a log and metrics for Prometheus.\n\n"
    "SIGTERM and Ctrl-C end the server once the accepted requests are answered.",
    _serve,
    (
        Option("host", "address to listen on; 0.0.0.0 is all of this machine's", default="127.0.0.1"),
        Option("port", "port to listen on", int, 8000, low=1024),
        Option("batch", "rows that are computed together, at most", int, 64, low=1),
        Option("max_mb", "size of a request in megabytes, at most", float, 16.0, low=0.001),
        Option("seconds", "time for a request, at most", float, 30.0, low=0.1),
        Option("log", "file to which a line per request is appended; without it standard error", Path),
    ),
    ("zoo serve cnn/digits", "zoo serve runs/fnn-adult port=9000 log=requests.jsonl"),
)


def _demo(args: Args) -> int:
    from zoo.inference.demo import demo

    place, host, port = args.path(), args["host"], args["port"]
    print(f"demo            {place} at http://{host}:{port}   (Ctrl-C ends it)", flush=True)
    demo(place, host=host, port=port)
    return 0


DEMO = Command(
    "demo",
    RUN,
    "Open a page in the browser to try a model: drop an image, type a text, upload a CSV, or sample images.",
    _demo,
    (
        Option("host", "address to listen on; 0.0.0.0 is all of this machine's", default="127.0.0.1"),
        Option("port", "port to listen on", int, 7860, low=1024),
    ),
    ("zoo demo cnn/digits", "zoo demo runs/cgan-mnist"),
)
