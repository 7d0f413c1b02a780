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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from pathlib import Path
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
    (entry / "about.json").write_text(json.dumps(_make(path, names, options, entry / "x.npy")))
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


def _make(path: Path, names: Sequence[str], options: DecodeOptions, into: Path) -> dict[str, Any]:
    """Decode all files into the new array ``into``, and return the cache's entry about them.

    They are surveyed meanwhile. Where some have more than 8 bits, or colors that nobody asked to take away, all are
    decoded again: one range of values, and one number of channels, hold for all of them.
    """
    size, channels, same_size = suggest(path, names, options)
    job = {"path": str(path), "into": str(into), "size": size, "same_size": same_size}
    job |= {"resize_mode": options.resize_mode, "channels": channels, "ranges": None}
    reports = _decode(job, names)
    traits: dict[str, list[int]] = {}
    for report in sorted(reports, key=lambda report: report["row"]):
        for trait in report["traits"]:
            traits.setdefault(trait, []).append(report["row"])
    ranges = ranges_of(report["extremes"] for report in reports if "extremes" in report)
    colored = options.channels is None and "colors" in traits
    if ranges.deep or colored:
        reports = _decode({**job, "channels": 3 if colored else channels, "ranges": astuple(ranges)}, names)
    corrupt = {report["row"]: report["reason"] for report in reports if "reason" in report}
    return {"path": str(path), "corrupt": corrupt, "ranges": astuple(ranges), "traits": traits}


def _decode(job: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Share a job among processes, and return their reports on files, with a progress bar on a terminal.

    Processes, since threads are half as fast for small files, and of their own kind: those of ``multiprocessing`` run
    the user's script again.

    Raises:
        ZooError: a process ended before its work did.
    """
    from rich.progress import Progress

    deep = job["ranges"] is not None and any(job["ranges"])
    shape, into = (len(names), job["channels"], *job["size"]), Path(job["into"])
    into.unlink(missing_ok=True)
    np.lib.format.open_memmap(into, mode="w+", dtype=np.float32 if deep else np.uint8, shape=shape).flush()
    workers = max(1, min(os.cpu_count() or 1, len(names) // 50))
    share = -(-len(names) // workers)
    above = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH")]))
    command, environment = [sys.executable, "-m", "zoo.data.image.decode"], {**os.environ, "PYTHONPATH": above}
    console, reports = Console(stderr=True), []
    bar = Progress(console=console, transient=True) if console.is_terminal and len(names) > 1000 else None
    children: list[subprocess.Popen[str]] = []

    def follow(child: subprocess.Popen[str], first: int) -> bool:
        """Give a process the files from ``first`` on, take in its reports, and return whether it did all its work."""
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError), child.stdin as stdin:
            stdin.write(json.dumps({**job, "names": names[first : first + share], "first": first}))
        for line in child.stdout:
            report = json.loads(line)
            if "row" in report:
                reports.append(report)
            elif bar:
                bar.advance(bar.task_ids[0], report["done"])
        return child.wait() == 0

    with bar or contextlib.nullcontext(), ThreadPoolExecutor(workers) as pool:
        if bar:
            bar.add_task(f"decoding {len(names):,} images", total=len(names))
        try:
            begins = range(0, len(names), share)
            for _ in begins:
                pipe = subprocess.PIPE
                children.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment))
            if not all(pool.map(follow, children, begins)):
                message = "a process ended before its time; there may be too little memory or disk"
                raise ZooError(f"decoding images: {message}")
        finally:
            for child in children:
                child.kill()
                child.wait()
    return reports


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
