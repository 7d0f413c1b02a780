"""Comparing: every model that can do the task of one's data, with the same time, in one table."""

from __future__ import annotations

import signal
import sys

from zoo.cli.base import PICTURES, Asked, Verb
from zoo.exceptions import Stopped, ZooError


def _compare(asked: Asked) -> int:
    from zoo import load
    from zoo.engine.compare import compare, kept, picture, table, written

    if asked.places or not asked.words:
        raise ZooError("compare: needs data=, as zoo compare data=csv data.path=my.csv data.target=price")
    models = asked.own["models"].strip("[]").split(",") if "models" in asked.own else None
    minutes = asked.number("minutes", 5.0, low=0.1, integer=False)
    out = asked.out(None, *PICTURES)
    try:
        entries, figure, folder = compare(asked.words, minutes=minutes, models=models)
    except Stopped as stopped:
        print(f"stopped; {stopped.folder.parent.parent} has what was done", file=sys.stderr)
        return 128 + (stopped.signal or signal.SIGTERM)
    print("\n".join(["", *table(entries, figure), ""]))
    best = kept(entries)
    if best is None:
        raise ZooError("compare: no model learnt from this data in so little time; minutes= gives more")
    shown = picture(entries, figure, out or folder / "comparison.png")
    print(f"picture         {shown}")
    print(f"written         {written(entries, figure, folder)}")
    what = "best" if entries[0] is best else "best network"
    then = load(f"{best.folder}/checkpoints/best.ckpt").task.command.format(best.folder)
    print(f"{what:<15} {best.folder}/checkpoints/best.ckpt   ({best.name}; {then})")
    return 0


VERBS = {
    "compare": Verb(
        "compare",
        "data=NAME …",
        "Give every model that can do the task of one's data the same time, and rank them.\n\n"
        "minutes are for all of them together. They are ranked on validation, beside what needs no network; the test\n"
        "figure stands beside. Tables have scikit-learn's HistGradientBoosting among them, tuned for as long.",
        _compare,
        {"minutes": "5", "models": "[cnn,fnn]", "out": "FILE.png"},
        (
            "zoo compare data=csv data.path=houses.csv data.target=price minutes=5",
            "zoo compare data=image_folder data.path=photos minutes=10",
            "zoo compare data=text_file data.path=novel.txt models=[lstm,transformer]",
            "zoo compare data=cartpole minutes=1",
        ),
        data=True,
    )
}
