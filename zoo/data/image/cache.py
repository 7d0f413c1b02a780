"""Cache of decoded images. Files are decoded once, in parallel, and again when they change."""

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

FORMAT = 2  # version of the cache; a new number invalidates all entries
LOOKED_AT = 64  # files inspected to infer size and channels
LARGEST = 256  # largest side at which files of equal size keep it
SIDE = 64  # default side of photos


@dataclass(frozen=True)
class DecodeOptions:
    """Output format of decoded images. ``size`` and ``channels`` of None are inferred from the files."""

    size: tuple[int, int] | None
    resize_mode: str
    channels: int | None


@dataclass(frozen=True)
class DecodedImages:
    """Decoded images ``x`` (N, C, H, W), a memory map. ``corrupt`` has the errors of unreadable files by row.

    Images are uint8. If some files have more than 8 bits per channel, all images are float32 in [0, 1], scaled by
    ``ranges``.

    ``traits`` has the rows of three kinds of files: ``deep`` (more than 8 bits per channel), ``frames`` (several
    frames) and ``sizes`` (resized to the common size).
    """

    x: Tensor
    corrupt: dict[int, str]
    ranges: Ranges = EIGHT_BITS
    traits: dict[str, list[int]] = field(default_factory=dict)


def cache_folder(cache_dir: str | None) -> Path:
    """Return the cache folder: ``cache_dir``, otherwise ``$ZOO_CACHE``, otherwise the cache folder of the user."""
    if folder := cache_dir or os.environ.get("ZOO_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"


def decoded_images(
    path: Path, files: Sequence[tuple[str, int, int]], options: DecodeOptions, *, cache_dir: str | None
) -> DecodedImages:
    """Return the images ``files`` (name, size, modification time) under ``path``, from the cache if it is up to date.

    A cache entry is immutable, and its name is a digest of its files. Processes that decode the same files at the same
    time write to separate temporary folders. The first to finish renames its folder to the entry, and the others use
    that entry.

    Raises:
        ZooError: if the cache folder is not writable.
    """
    names = [name for name, _, _ in files]
    key = _digest([FORMAT, str(path.resolve()), options.size, options.resize_mode, options.channels, names])
    entry = cache_folder(cache_dir) / "images" / f"{key}-{_digest(files)}"
    with contextlib.suppress(OSError, ValueError, KeyError):  # missing or damaged entry
        return _load(entry)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="making-", dir=entry.parent))
    except OSError as error:
        message = f"{entry.parent}: cannot be written ({error.strerror}); choose another folder with data.cache_dir="
        raise ZooError(message) from None
    try:
        _write(temporary / "entry", path, names, options)
        decoded = _load(temporary / "entry")  # the memory map stays valid if the entry is renamed
        _publish(temporary, entry)
        for old in entry.parent.glob(f"{key}-*"):  # entries of older versions of the files
            if old != entry:
                shutil.rmtree(old, ignore_errors=True)
        return decoded
    except OSError as error:
        raise ZooError(f"{entry}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(entry: Path) -> DecodedImages:
    about = json.loads((entry / "about.json").read_text())
    # Copy on write: torch requires a writable array
    x = torch.from_numpy(np.load(entry / "x.npy", mmap_mode="c"))
    ranges = Ranges(*(value and (float(value[0]), float(value[1])) for value in about["ranges"]))
    return DecodedImages(x, {int(row): reason for row, reason in about["corrupt"].items()}, ranges, about["traits"])


def _write(entry: Path, path: Path, names: Sequence[str], options: DecodeOptions) -> None:
    """Decode files into a new entry and flush it to disk."""
    entry.mkdir()
    (entry / "about.json").write_text(json.dumps(_make(path, names, options, entry / "x.npy")))
    for file in (entry / "x.npy", entry / "about.json"):
        fsync(file)


def _publish(temporary: Path, entry: Path) -> None:
    """Rename a new entry into place, unless another process was faster. Move a damaged entry away."""
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
            with contextlib.suppress(OSError):  # another process moved it
                entry.rename(temporary / "damaged")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:20]


def _make(path: Path, names: Sequence[str], options: DecodeOptions, into: Path) -> dict[str, Any]:
    """Decode all files into the new array ``into``, and return the metadata of the cache entry.

    The decoders also inspect the files. If some have more than 8 bits or unexpected colors, all files are decoded
    again with a common value range and number of channels.
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
    """Decode in parallel subprocesses, and return their reports on files. Terminals show a progress bar.

    Threads are half as fast for small files. ``multiprocessing`` would run the user's script again.

    Raises:
        ZooError: if a process ends early.
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
        """Send a process the files from ``first`` on, collect its reports, and return whether it succeeded."""
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
                message = "a process ended early; memory or disk space may be too low"
                raise ZooError(f"decoding images: {message}")
        finally:
            for child in children:
                child.kill()
                child.wait()
    return reports


def suggest(path: Path, names: Sequence[str], options: DecodeOptions) -> tuple[tuple[int, int], int, bool]:
    """Return the image size, the number of channels, and whether the files' common size is kept.

    Values missing in ``options`` are inferred from up to 64 files, spread over the list. A common size of at most 256
    pixels per side is kept, otherwise images become 64×64. If all are gray, images have one channel.
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
        except Exception:  # reported later, when the file is decoded
            continue
    same_size = not options.size and len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST
    size = options.size or (next(iter(sizes)) if same_size else (SIDE, SIDE))
    return size, options.channels or (1 if gray else 3), same_size
