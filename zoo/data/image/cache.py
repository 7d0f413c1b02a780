"""Cache of decoded images: decoded once, by all cores, and again when the files have changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from zoo.data.image.bit_depth import EIGHT_BITS, Ranges, is_gray, ranges_of
from zoo.data.image.decode import contents, upright_size
from zoo.exceptions import ZooError
from zoo.utils.atomic_io import fsync

FORMAT = 2  # of the cache; another number makes all anew
LOOKED_AT = 64  # files that say which size and how many channels all get
LARGEST = 256  # side up to which files of one size keep it
SIDE = 64  # of photos, where nothing is said


@dataclass(frozen=True)
class DecodeOptions:
    """The form that each image is decoded to; ``size`` and ``channels`` None: as the files suggest."""

    size: tuple[int, int] | None
    resize_mode: str
    channels: int | None


@dataclass(frozen=True)
class DecodedImages:
    """Decoded images ``x`` (N, C, H, W), a memory map; ``corrupt`` has the errors of files that cannot be decoded.

    They are uint8; where files have more than 8 bits a channel, all are float32 in [0, 1] by ``ranges``. ``traits`` has
    the rows of such files as ``deep``, of those with several frames as ``frames``, and of those that were resized to
    the size of all others as ``sizes``.
    """

    x: Tensor
    corrupt: dict[int, str]
    ranges: Ranges = EIGHT_BITS
    traits: dict[str, list[int]] = field(default_factory=dict)


def cache_folder(cache_dir: str | None) -> Path:
    """Return the folder of decoded data: ``cache_dir``, else ``$ZOO_CACHE``, else the user's cache folder."""
    if folder := cache_dir or os.environ.get("ZOO_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"


def decoded_images(
    path: Path, files: Sequence[tuple[str, int, int]], options: DecodeOptions, *, cache_dir: str | None
) -> DecodedImages:
    """Return the images ``files`` (name, size, time of change) under ``path``, from the cache where it is fresh.

    An entry of the cache is immutable: its name is a digest of its files. Processes that decode the same files at once
    each write to a temporary folder; the first to finish renames it to the entry, which the others then use.

    Raises:
        ZooError: the cache cannot be written.
    """
    names = [name for name, _, _ in files]
    key = _digest([FORMAT, str(path.resolve()), options.size, options.resize_mode, options.channels, names])
    entry = cache_folder(cache_dir) / "images" / f"{key}-{_digest(files)}"
    with contextlib.suppress(OSError, ValueError, KeyError):  # there is none, or one that is damaged
        return _load(entry)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="making-", dir=entry.parent))
    except OSError as error:
        message = f"{entry.parent}: cannot be written ({error.strerror}); choose another with data.cache_dir="
        raise ZooError(message) from None
    try:
        _write(temporary / "entry", path, names, options)
        decoded = _load(temporary / "entry")  # the map stays valid whatever becomes of the entry's name
        _publish(temporary, entry)
        for old in entry.parent.glob(f"{key}-*"):  # of files that have changed since
            if old != entry:
                shutil.rmtree(old, ignore_errors=True)
        return decoded
    except OSError as error:
        raise ZooError(f"{entry}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(entry: Path) -> DecodedImages:
    about = json.loads((entry / "about.json").read_text())
    # Copy on write: torch asks for an array that could be written to
    x = torch.from_numpy(np.load(entry / "x.npy", mmap_mode="c"))
    ranges = Ranges(*(value and (float(value[0]), float(value[1])) for value in about["ranges"]))
    return DecodedImages(x, {int(row): reason for row, reason in about["corrupt"].items()}, ranges, about["traits"])


def _write(entry: Path, path: Path, names: Sequence[str], options: DecodeOptions) -> None:
    """Decode files into a new entry, on the disk once this returns."""
    entry.mkdir()
    report = _make(path, names, options, entry / "x.npy")
    traits = {**{trait: sorted(rows) for trait, rows in report.traits.items()}, "deep": sorted(report.deep)}
    about = {"path": str(path), "corrupt": report.corrupt, "ranges": astuple(report.ranges), "traits": traits}
    (entry / "about.json").write_text(json.dumps(about))
    for file in (entry / "x.npy", entry / "about.json"):
        fsync(file)


def _publish(temporary: Path, entry: Path) -> None:
    """Give a new entry its name, unless another process has done so with its own; a damaged one is moved away."""
    for _ in range(2):
        try:
            (temporary / "entry").rename(entry)
            return
        except OSError:
            if not entry.is_dir():
                raise
        try:
            _load(entry)
            return
        except (OSError, ValueError, KeyError):
            with contextlib.suppress(OSError):  # another process has
                entry.rename(temporary / "damaged")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:20]


@dataclass
class Report:
    """The outcome of decoding, by row: the error of a corrupt file, and the extremes of a file of more than 8 bits.

    ``traits`` has the rows of files of which something is lost (see ``zoo.data.image.decode.traits_of``).
    """

    corrupt: dict[int, str] = field(default_factory=dict)
    deep: dict[int, tuple[str, float, float]] = field(default_factory=dict)
    ranges: Ranges = EIGHT_BITS
    traits: dict[str, list[int]] = field(default_factory=dict)

    def add(self, report: dict[str, Any]) -> None:
        """Add the report of a process on a file."""
        if "corrupt" in report:
            self.corrupt[report["corrupt"]] = report["reason"]
        if "deep" in report:
            self.deep[report["deep"]] = tuple(report["extremes"])
        for trait in report.get("traits", []):
            self.traits.setdefault(trait, []).append(report["row"])


def _make(path: Path, names: Sequence[str], options: DecodeOptions, into: Path) -> Report:
    """Decode all files into the new array ``into``.

    They are surveyed meanwhile. Where some have more than 8 bits, or colors that nobody asked to take away, all are
    decoded again: one range of values, and one number of channels, hold for all of them.
    """
    size, channels, same_size = suggest(path, names, options)
    job = {
        "path": str(path),
        "into": str(into),
        "size": size,
        "resize_mode": options.resize_mode,
        "same_size": same_size,
    }
    survey = _decode({**job, "channels": channels, "ranges": None}, names)
    ranges, colored = ranges_of(survey.deep.values()), options.channels is None and "colors" in survey.traits
    if not ranges.deep and not colored:
        return survey
    report = _decode({**job, "channels": 3 if colored else channels, "ranges": astuple(ranges)}, names)
    return Report(report.corrupt, survey.deep, ranges, survey.traits)


def _decode(job: dict[str, Any], names: Sequence[str]) -> Report:
    """Share a job among processes and wait for them."""
    deep = job["ranges"] is not None and any(job["ranges"])
    shape, into = (len(names), job["channels"], *job["size"]), Path(job["into"])
    into.unlink(missing_ok=True)
    np.lib.format.open_memmap(into, mode="w+", dtype=np.float32 if deep else np.uint8, shape=shape).flush()
    workers = max(1, min(os.cpu_count() or 1, len(names) // 50))
    result = Report()
    reports: SimpleQueue[dict[str, Any]] = SimpleQueue()
    share = -(-len(names) // workers)
    children = []
    try:
        for first in range(0, len(names), share):
            rows = list(range(first, min(first + share, len(names))))
            children.append(_child({**job, "names": [names[r] for r in rows], "rows": rows}, reports.put))
        for report in _watched(reports, len(names), len(children)):
            result.add(report)
    finally:
        for child in children:
            child.kill()
            child.wait()
    return result


def _child(job: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> subprocess.Popen[str]:
    """Start a process on a share of the work; its reports, and that it ended, go to ``report``."""
    package = str(Path(__file__).resolve().parents[3])
    above = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    child = subprocess.Popen(
        [sys.executable, "-m", "zoo.data.image.decode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": above},
    )

    def talk() -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        with child.stdin as stdin:
            stdin.write(json.dumps(job))
        for line in child.stdout:
            report(json.loads(line))
        report({"over": True})

    threading.Thread(target=talk, daemon=True).start()
    return child


def _watched(reports: SimpleQueue[dict[str, Any]], total: int, children: int) -> Any:
    """Yield reports until all children ended, with a progress bar on a terminal.

    Raises:
        ZooError: a child ended before its work did.
    """
    over = ended = 0

    def steps() -> Any:
        nonlocal over, ended
        while over < children:
            report = reports.get()
            over += "over" in report
            ended += "end" in report
            yield report

    console = Console(stderr=True)
    if console.is_terminal and total > 1000:
        from rich.progress import Progress

        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(f"decoding {total:,} images", total=total)
            for report in steps():
                bar.advance(task, report.get("done", 0))
                yield report
    else:
        yield from steps()
    if ended < children:
        raise ZooError("decoding images: a process ended before its time; there may be too little memory or disk")


def suggest(path: Path, names: Sequence[str], options: DecodeOptions) -> tuple[tuple[int, int], int, bool]:
    """Return size, channels, and whether the files' common size is kept.

    What ``options`` leave open is found in up to 64 files, spread over the list: a common size of at most 256 pixels a
    side is kept, other images become 64×64; all-gray files have one channel.
    """
    if options.size and options.channels:
        return options.size, options.channels, False
    picked = np.linspace(0, len(names) - 1, min(LOOKED_AT, len(names))).round().astype(int)
    sizes, gray = set(), True
    for _, opened in contents(path, [names[i] for i in sorted(set(picked))]):
        try:
            with Image.open(opened()) as image:
                sizes.add(upright_size(image))
                gray = gray and is_gray(image)
        except Exception:  # named when it is its turn to be decoded
            continue
    same_size = not options.size and len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST
    size = options.size or (next(iter(sizes)) if same_size else (SIDE, SIDE))
    return size, options.channels or (1 if gray else 3), same_size
