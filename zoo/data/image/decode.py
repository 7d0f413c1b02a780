"""Decode image files to arrays of equal size. ``python -m zoo.data.image.decode`` is a worker process.

This module does not import torch, so that workers start fast.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from zoo.data.image.bit_depth import EIGHT_BITS, Ranges, depth_of, is_gray, read_deep, refuse_planes, source_of

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
STUBS = ("BUFR", "GRIB", "HDF5", "MPEG")  # formats that Pillow recognizes but cannot decode
LITTER = ("__macosx", "thumbs.db", "desktop.ini")  # files that operating systems add to folders and archives
GRAY = (0.299, 0.587, 0.114)  # weights of red, green and blue, as in Pillow
REPORT = 200  # images between two progress reports


def is_archive(path: Path) -> bool:
    """Return whether ``path`` is an archive, which is read like a folder."""
    return path.is_file() and path.name.lower().endswith(ARCHIVES)


def is_image(name: str) -> bool:
    """Return whether a file name has the extension of a supported image format."""
    Image.init()
    form = Image.EXTENSION.get(PurePosixPath(name).suffix.lower())
    return form in Image.OPEN and form not in STUBS


def left_out(names: list[str]) -> str:
    """Return a message with the number of skipped files that are not images, and the first names."""
    files = "1 file" if len(names) == 1 else f"{len(names):,} files"
    return f"left out {files} that cannot be read as images: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"


def error_text(error: Exception) -> str:
    """Return a decoder's error message on one line, without memory addresses."""
    return " ".join(str(error).split()).partition(" <_io")[0] or type(error).__name__


def listing(path: Path) -> list[tuple[str, int, int]]:
    """Return (name, size, modification time) of each file in a folder or archive, sorted by name.

    Hidden files and system files are skipped. Members of an archive have the modification time of the archive.

    Raises:
        OSError, ValueError, zipfile.BadZipFile, tarfile.TarError: if it cannot be read, or has a name twice.
    """
    members: list[tuple[str, int, int]] = []
    if is_archive(path):
        changed = path.stat().st_mtime_ns
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    archive.open(entry).close()  # raises if a name differs from the archive's directory
                members = [(i.filename, i.file_size, changed) for i in archive.infolist() if not i.is_dir()]
        else:
            with tarfile.open(path) as archive:
                members = [(i.name, i.size, changed) for i in archive if i.isfile()]
    else:
        members = list(_walk(path, ""))
    entries = sorted(entry for entry in members if not any(map(is_litter, entry[0].split("/"))))
    for one, other in pairwise(entries):
        if one[0] == other[0]:
            raise ValueError(f"it has {one[0]} twice")
    return entries


def is_litter(part: str) -> bool:
    """Return whether a file or folder with this name is hidden or a system file."""
    return part.startswith(".") or part.lower() in LITTER


def _walk(folder: Path, above: str) -> Iterator[tuple[str, int, int]]:
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
    """Yield (index in ``names``, function that opens the file) for a folder or archive, in the fastest order.

    A damaged file raises an error when it is opened, before the next one is read.
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
            for member in archive:  # compressed: must be read in order
                if member.isfile() and member.name in places:
                    file = archive.extractfile(member)
                    assert file is not None
                    yield places[member.name], partial(io.BytesIO, file.read())


def _member(archive: zipfile.ZipFile, name: str) -> io.BytesIO:
    return io.BytesIO(archive.read(name))


@contextlib.contextmanager
def opened_image(file: Any, size: tuple[int, int] | None) -> Iterator[Image.Image]:
    """Open an image file (a path, or bytes in memory) for decoding at ``size`` (height, width).

    Raises:
        OSError, ValueError, SyntaxError: if it is not an image, or damaged.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(file, (str, os.PathLike)):  # opened by path, Pillow maps some TIFF files with swapped sides
            file = stack.enter_context(open(file, "rb"))
        with Image.open(file) as opened:
            if opened.format == "PNG":
                opened.verify()  # verifies checksums, which decoding ignores
        with Image.open(file) as opened:
            refuse_planes(opened)
            if size is not None and opened.format == "JPEG":
                height, width = size
                if height != width and upright_size(opened) != opened.size[::-1]:  # rotated by 90°
                    height, width = width, height
                opened.draft(None, (2 * width, 2 * height))  # decode at no more than twice the required size
            yield opened


def decode(
    file: Any, *, size: tuple[int, int] | None, resize_mode: str, channels: int, ranges: Ranges = EIGHT_BITS
) -> np.ndarray:
    """Decode an image file to uint8 (channels, height, width), or to float32 in [0, 1] if ``ranges`` are set.

    EXIF orientation and palettes are applied. Transparent pixels become white. Only the first frame is read.
    ``resize_mode: crop`` scales the shorter side and crops the center. ``resize`` stretches both sides. ``ranges`` are
    those of the training set, and map values of more than 8 bits to black and white.

    Raises:
        OSError, ValueError, SyntaxError: if it is not an image, is damaged, or has values outside ``ranges``.
    """
    with opened_image(file, size) as opened:
        return fitted(opened, size=size, resize_mode=resize_mode, channels=channels, ranges=ranges)


def decode_opened(
    image: Image.Image, *, size: tuple[int, int] | None, resize_mode: str, channels: int, ranges: Ranges = EIGHT_BITS
) -> np.ndarray:
    """Convert an image opened by the caller, like ``decode``.

    An image that is already decoded cannot be decoded at a reduced scale, so it may differ slightly from its file.
    """
    source = source_of(image)
    if source is not None:
        with Image.open(source) as same:
            untouched = same.size == image.size and same.mode == image.mode
        if untouched:
            return decode(source, size=size, resize_mode=resize_mode, channels=channels, ranges=ranges)
    return fitted(image, size=size, resize_mode=resize_mode, channels=channels, ranges=ranges)


def fitted(
    opened: Image.Image, *, size: tuple[int, int] | None, resize_mode: str, channels: int, ranges: Ranges = EIGHT_BITS
) -> np.ndarray:
    """Convert an opened image like ``decode``."""
    if 0 in opened.size:
        raise ValueError("it has no pixels")
    if depth_of(opened):
        array = _fitted_floats(read_deep(opened).unit(ranges), size, resize_mode, channels)
        return array if ranges.deep else np.rint(255 * array).astype(np.uint8)
    image = ImageOps.exif_transpose(opened)
    image = _to_size(on_white(image).convert("L" if channels == 1 else "RGB"), size, resize_mode)
    array = np.asarray(image)
    array = array[None] if channels == 1 else array.transpose(2, 0, 1)
    return array * np.float32(1 / 255) if ranges.deep else array


def _fitted_floats(unit: np.ndarray, size: tuple[int, int] | None, resize_mode: str, channels: int) -> np.ndarray:
    """Resize floats (H, W, C) in [0, 1] to (channels, height, width)."""
    if channels == 1 and unit.shape[2] == 3:
        unit = sum(np.float32(share) * unit[..., k : k + 1] for k, share in enumerate(GRAY))  # type: ignore[assignment]
    planes = [np.asarray(_to_size(Image.fromarray(plane), size, resize_mode)) for plane in unit.transpose(2, 0, 1)]
    return np.stack(planes * (channels // len(planes))).clip(0, 1)


def _to_size(image: Image.Image, size: tuple[int, int] | None, resize_mode: str) -> Image.Image:
    if size is None or image.size == (size[1], size[0]):
        return image
    if resize_mode == "crop":
        return ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BICUBIC)
    return image.resize((size[1], size[0]), Image.Resampling.BICUBIC, reducing_gap=2.0)


def on_white(image: Image.Image) -> Image.Image:
    """Composite an 8-bit image on white."""
    if image.mode == "La":
        image = image.convert("LA")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the height and width of an opened photo after its EXIF rotation."""
    width, height = image.size
    if width != height and image.format in (
        "JPEG",
        "MPO",
        "WEBP",
    ):  # other formats: EXIF is checked by the decoder
        sideways = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return (width, height) if sideways else (height, width)
    return height, width


def traits_of(image: Image.Image, job: dict[str, Any]) -> list[str]:
    """Return the parts of an image that are lost: ``frames`` after the first, or ``colors`` in one channel.

    ``sizes`` means that its size differs from the common size of the inspected files.
    """
    several = getattr(image, "is_animated", False) and image.format != "MPO"  # MPO is a photo with previews
    resized = job["same_size"] and upright_size(image) != tuple(job["size"])
    colors = job["channels"] == 1 and not is_gray(image)
    return ["frames"] * bool(several) + ["sizes"] * bool(resized) + ["colors"] * colors


def main() -> None:
    """Decode the files of the job on standard input, and report progress as JSON lines on standard output.

    Without ``ranges``, high-bit-depth images are not decoded, and the report has their minimum and maximum.
    """
    job = json.loads(sys.stdin.read())
    array = np.lib.format.open_memmap(job["into"], mode="r+")
    size = tuple(job["size"])
    options = {"size": size, "resize_mode": job["resize_mode"], "channels": job["channels"]}
    ranges = Ranges(*(value and tuple(value) for value in job["ranges"])) if job["ranges"] is not None else None
    for done, (place, opener) in enumerate(contents(Path(job["path"]), job["names"]), start=1):
        row = job["first"] + place
        report: dict[str, Any] = {"row": row, "traits": []}
        try:
            with opened_image(opener(), size) as image:
                if ranges is None:
                    report["traits"] = traits_of(image, job)
                if ranges is None and depth_of(image):
                    report["extremes"] = read_deep(image).extremes
                    report["traits"].append("deep")
                else:
                    array[row] = fitted(image, **options, ranges=ranges or EIGHT_BITS)
        except Exception as error:  # damaged files can raise any error
            report["reason"] = error_text(error)
        if report["traits"] or "reason" in report:
            print(json.dumps(report), flush=True)
        if done % REPORT == 0:
            print(json.dumps({"done": REPORT}), flush=True)
    array.flush()


if __name__ == "__main__":
    main()
