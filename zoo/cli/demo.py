"""``zoo demo``: a page in the browser to try a trained model."""

from __future__ import annotations

from zoo.cli.command import RUN, Args, Command, Option


def _run(args: Args) -> int:
    from zoo.inference.demo import demo

    place, host, port = args.path(), args["host"], args["port"]
    print(f"demo            {place} at http://{host}:{port}   (Ctrl-C ends it)", flush=True)
    demo(place, host=host, port=port)
    return 0


COMMAND = Command(
    "demo",
    RUN,
    "Open a page in the browser to try a model: drop an image, type a text, upload a CSV, or sample images.",
    _run,
    (
        Option("host", "address to listen on; 0.0.0.0 is all of this machine's", default="127.0.0.1"),
        Option("port", "port to listen on", int, 7860, low=1024),
    ),
    ("zoo demo cnn/digits", "zoo demo runs/cgan-mnist"),
)
