"""Image files to arrays of one size: ``python -m zoo.decoding`` is a process that does a share of them.

Imports neither torch nor the rest of the zoo, so that several processes begin at once.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageOps

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
REPORT = 200  # images between two reports


def is_archive(path: Path) -> bool:
    """Tell whether ``path`` is an archive that is read as a folder would be."""
    return path.is_file() and path.name.lower().endswith(ARCHIVES)


def is_image(name: str) -> bool:
    """Tell whether a file's name ends as those do that can be decoded."""
    Image.init()
    return Image.EXTENSION.get(PurePosixPath(name).suffix.lower()) in Image.OPEN


def wrong(error: Exception) -> str:
    """Return what a decoder said of a file, in a line, without the address that it has in memory."""
    return " ".join(str(error).split()).partition(" <_io")[0] or type(error).__name__


def listing(path: Path) -> list[tuple[str, int, int]]:
    """Return (name, size, time of change) of each file under a folder or in an archive, sorted by name.

    Hidden files are left out. An archive's members carry the archive's own time.
    """
    found: list[tuple[str, int, int]] = []
    if is_archive(path):
        changed = path.stat().st_mtime_ns
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    archive.open(entry).close()  # which finds names that are not those in the archive's directory
                found = [(i.filename, i.file_size, changed) for i in archive.infolist() if not i.is_dir()]
        else:
            with tarfile.open(path) as archive:
                found = [(i.name, i.size, changed) for i in archive if i.isfile()]
    else:
        found = list(_walk(path, ""))
    return sorted(entry for entry in found if not any(part.startswith(".") for part in entry[0].split("/")))


def _walk(folder: Path, above: str) -> Iterator[tuple[str, int, int]]:
    import os

    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{name}/")
            elif entry.is_file():
                state = entry.stat()
                yield name, state.st_size, state.st_mtime_ns


def contents(path: Path, names: list[str]) -> Iterator[tuple[int, Callable[[], io.BytesIO | Path]]]:
    """Yield (place in ``names``, what opens the file) for files of a folder or an archive, in the order that reads
    fastest. One that is damaged raises when it is opened, before the next is asked for.
    """
    if not is_archive(path):
        for place, name in enumerate(names):
            yield place, partial(Path, path, name)
    elif path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for place, name in enumerate(names):
                yield place, partial(_member, archive, name)
    else:
        places = {name: place for place, name in enumerate(names)}
        with tarfile.open(path) as archive:
            for member in archive:  # compressed: from the first to the last
                if member.isfile() and member.name in places:
                    file = archive.extractfile(member)
                    assert file is not None
                    yield places[member.name], partial(io.BytesIO, file.read())


def _member(archive: zipfile.ZipFile, name: str) -> io.BytesIO:
    return io.BytesIO(archive.read(name))


def decode(file: Any, *, size: tuple[int, int] | None, fit: str, channels: int) -> np.ndarray:
    """Return an image file as uint8 (channels, height, width).

    Turned as its EXIF says; palettes looked up; what is transparent becomes white; 16 bits become 8, floats are taken
    as [0, 1]. ``fit: crop`` scales the shorter side and cuts the middle out, ``resize`` stretches both.

    Raises:
        OSError, ValueError, SyntaxError: not an image, or a damaged one.
    """
    with Image.open(file) as opened:
        if opened.format == "PNG":
            opened.verify()  # checksums, which decoding itself does not look at
    with Image.open(file) as opened:
        if size is not None and opened.format == "JPEG":
            opened.draft(None, (2 * size[1], 2 * size[0]))  # decodes no more than twice what is needed
        return fitted(opened, size=size, fit=fit, channels=channels)


def fitted(opened: Image.Image, *, size: tuple[int, int] | None, fit: str, channels: int) -> np.ndarray:
    """Return an image as ``decode`` does a file's."""
    image = ImageOps.exif_transpose(opened)
    image = to_eight_bits(image).convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size[1], size[0]):
        wanted = (size[1], size[0])
        if fit == "crop":
            image = ImageOps.fit(image, wanted, Image.Resampling.BICUBIC)
        else:
            image = image.resize(wanted, Image.Resampling.BICUBIC, reducing_gap=2.0)
    array = np.asarray(image)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return the image in a mode of 8 bits, without transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        if image.mode == "F":
            values = values * 255 if values.max(initial=0) <= 1 else values
        elif values.max(initial=0) > 255 or ";16" in image.mode:
            values = values / 257
        return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image


def main() -> None:
    """Decode the share of a job that comes on standard input; say on standard output how it goes, in JSON lines."""
    job = json.loads(sys.stdin.read())
    array = np.lib.format.open_memmap(job["into"], mode="r+")
    size, done = tuple(job["size"]), 0
    for place, opened in contents(Path(job["path"]), job["names"]):
        try:
            array[job["rows"][place]] = decode(opened(), size=size, fit=job["fit"], channels=job["channels"])
        except Exception as error:  # whatever a damaged file makes a decoder say
            print(json.dumps({"bad": job["rows"][place], "said": wrong(error)}), flush=True)
        done += 1
        if done % REPORT == 0:
            print(json.dumps({"done": REPORT}), flush=True)
    array.flush()
    print(json.dumps({"done": done % REPORT, "end": True}), flush=True)


if __name__ == "__main__":
    main()
