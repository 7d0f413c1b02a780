"""``zoo serve``: a trained model behind HTTP."""

from __future__ import annotations

import sys
from pathlib import Path

from zoo.cli.command import RUN, Args, Command, Option


def _run(args: Args) -> int:
    from zoo.inference.middleware import Limits
    from zoo.inference.server import serve

    place, host, port = args.path(), args["host"], args["port"]
    limits = Limits(bytes=int(1e6 * args["max_mb"]), seconds=args["seconds"])
    log = args["log"]
    print(f"serving         {place} at http://{host}:{port}/predict   (/docs shows how; Ctrl-C ends it)", flush=True)
    with log.open("a") if log is not None else sys.stderr as file:
        serve(place, host=host, port=port, batch=args["batch"], limits=limits, log=file)
    return 0


COMMAND = Command(
    "serve",
    RUN,
    "Answer requests over HTTP: JSON and uploads, batched, with limits, a log and metrics for Prometheus.\n\n"
    "SIGTERM and Ctrl-C end the server once the accepted requests are answered.",
    _run,
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
