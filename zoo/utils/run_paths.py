"""Resolve the name of a run to its folder or to its checkpoint."""

from __future__ import annotations

from pathlib import Path

from zoo.exceptions import ZooError

LATEST = "latest"
BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run folder."""
    return (folder / "config.yaml").is_file()


def newest_run(folder: str | Path = "runs", *, holding: str = "config.yaml") -> Path:
    """Return the newest run in a folder or below it that contains the file ``holding``.

    Raises:
        ZooError: there is no such run.
    """
    times = {}
    for config in Path(folder).rglob("config.yaml"):
        if (config.parent / holding).is_file():
            times[config.parent] = config.stat().st_mtime_ns
    if not times:
        raise ZooError(f"{folder}: no run with {holding} in this folder")
    return max(times, key=lambda run: (times[run], str(run)))


def find_run(place: str | Path, *, holding: str = "config.yaml") -> Path:
    """Return the folder of the run that ``place`` refers to.

    ``place`` is a run folder, a folder of runs (the newest run), ``latest`` (the newest run below runs/), or a
    checkpoint in a run folder. Any other path is returned unchanged.

    Raises:
        ZooError: a folder without a run that contains the file ``holding``.
    """
    path = Path(place).expanduser()
    if str(place) == LATEST and not path.exists():
        return newest_run(holding=holding)
    if path.is_file() and is_run(path.parent.parent):
        return path.parent.parent
    return newest_run(path, holding=holding) if path.is_dir() and not is_run(path) else path


def find_checkpoint(place: str | Path) -> Path:
    """Return the checkpoint that ``place`` refers to: a file, or best.ckpt of a run (see ``find_run``).

    A name that is not a path is returned unchanged, because it may be the name of pretrained weights.

    Raises:
        ZooError: a folder without a run that contains a checkpoint.
    """
    path = Path(place).expanduser()
    if path.is_dir() and not is_run(path) and (path / BEST).is_file():
        return path / BEST  # without its configuration
    if path.is_dir() or (str(place) == LATEST and not path.exists()):
        return find_run(place, holding=BEST) / BEST
    return path
