"""Serving: a trained model behind HTTP."""

from __future__ import annotations

import sys
from pathlib import Path

from zoo.cli.base import RUN, Asked, Verb
from zoo.exceptions import ZooError


def _serve(asked: Asked) -> int:
    from zoo.inference.middleware import Limits
    from zoo.inference.server import serve

    place = asked.one("checkpoint or run folder")
    host, port = asked.own.get("host", "127.0.0.1"), asked.number("port", 8000, low=1024)
    limits = Limits(
        bytes=int(1e6 * asked.number("max_mb", 16.0, low=0.001, integer=False)),
        seconds=asked.number("seconds", 30.0, low=0.1, integer=False),
    )
    log = str(Path(asked.own["log"]).expanduser()) if "log" in asked.own else None
    if log is not None and not Path(log).absolute().parent.is_dir():
        raise ZooError(f"log={log}: there is no such folder")
    print(f"serving         {place} at http://{host}:{port}/predict   (/docs shows how; Ctrl-C ends it)", flush=True)
    with Path(log).open("a") if log is not None else sys.stderr as file:
        serve(place, host=host, port=port, batch=asked.number("batch", 64, low=1), limits=limits, log=file)
    return 0


VERBS = {
    "serve": Verb(
        "serve",
        RUN,
        "Answer questions over HTTP: JSON and uploads, batched, with limits, a log and figures for Prometheus.\n\n"
        "It listens to this machine alone, unless host=0.0.0.0. SIGTERM and Ctrl-C end it once what was accepted is\n"
        "answered.",
        _serve,
        {"host": "127.0.0.1", "port": "8000", "batch": "64", "max_mb": "16", "seconds": "30", "log": "FILE"},
        ("zoo serve cnn/digits", "zoo serve runs/fnn-adult/… port=9000 log=requests.jsonl"),
    )
}
