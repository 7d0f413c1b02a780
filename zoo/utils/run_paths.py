"""Runs on disk: the folder or the checkpoint that a user means."""

from __future__ import annotations

from pathlib import Path

from zoo.exceptions import ZooError

LATEST = "latest"
BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"


def is_run(folder: Path) -> bool:
    """Tell whether a folder is a run's."""
    return (folder / "config.yaml").is_file()


def newest_run(folder: str | Path = "runs", *, holding: str = "config.yaml") -> Path:
    """Return the newest run in a folder or below it that has the file ``holding``.

    Raises:
        ZooError: there is none.
    """
    times = {}
    for config in Path(folder).rglob("config.yaml"):
        if (config.parent / holding).is_file():
            times[config.parent] = config.stat().st_mtime_ns
    if not times:
        raise ZooError(f"{folder}: holds no run with {holding}")
    return max(times, key=lambda run: (times[run], str(run)))


def find_run(place: str | Path, *, holding: str = "config.yaml") -> Path:
    """Return the folder of the run that ``place`` names.

    It is a run's folder, a folder with runs below it (the newest is meant), ``latest`` (the newest below runs/), or a
    checkpoint in a run's folder. What is none of these is returned as it is.

    Raises:
        ZooError: a folder without a run that has the file ``holding``.
    """
    path = Path(place).expanduser()
    if str(place) == LATEST and not path.exists():
        return newest_run(holding=holding)
    if path.is_file() and is_run(path.parent.parent):
        return path.parent.parent
    return newest_run(path, holding=holding) if path.is_dir() and not is_run(path) else path


def find_checkpoint(place: str | Path) -> Path:
    """Return the checkpoint that ``place`` names: a file as it is, of a run (see ``find_run``) that of its best epoch.

    A name that is no path is returned as it is: it may be pretrained weights.

    Raises:
        ZooError: a folder without a run that has a checkpoint.
    """
    path = Path(place).expanduser()
    if path.is_dir() and not is_run(path) and (path / BEST).is_file():
        return path / BEST  # without its configuration
    if path.is_dir() or (str(place) == LATEST and not path.exists()):
        return find_run(place, holding=BEST) / BEST
    return path
