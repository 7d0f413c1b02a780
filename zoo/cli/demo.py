"""Demonstrating: a page where a person asks a trained model."""

from __future__ import annotations

from zoo.cli.base import RUN, Asked, Verb


def _demo(asked: Asked) -> int:
    from zoo.inference.demo import demo

    place = asked.one("checkpoint or run folder")
    host, port = asked.own.get("host", "127.0.0.1"), asked.number("port", 7860, low=1024)
    print(f"demo            {place} at http://{host}:{port}   (Ctrl-C ends it)", flush=True)
    demo(place, host=host, port=port)
    return 0


VERBS = {
    "demo": Verb(
        "demo",
        RUN,
        "Open a page where a person drops an image, types a text, uploads a CSV, or draws samples.",
        _demo,
        {"host": "127.0.0.1", "port": "7860"},
        ("zoo demo cnn/digits", "zoo demo runs/cgan-mnist/…"),
    )
}
