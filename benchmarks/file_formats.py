"""The file formats that the zoo reads: for each one an intact file, its regions and size fields, and its reader."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import re
import tarfile
import wave
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

Region = tuple[int, int]  # offsets: first byte, and the byte after the last one


@dataclass(frozen=True)
class Reader:
    """A file format: ``make`` writes an intact file, and ``read`` returns the content of a file.

    ``sealed`` formats have a checksum over the content, so each damage must raise an error. ``lies`` returns the size
    fields as (offset, number of bytes, byte order).
    """

    file: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    regions: Callable[[bytes], Mapping[str, Region]]
    lies: Callable[[bytes], list[tuple[int, int, str]]]
    sealed: bool = False


def digest(value: Any) -> str:
    """Return a digest of tensors, arrays and primitives."""
    digest = hashlib.sha256()
    for part in _parts(value):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _parts(one)
    elif isinstance(value, torch.Tensor):
        yield from _parts(value.numpy())
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    elif hasattr(value, "index_select"):  # a view of rows of a tensor
        yield from _parts(value.index_select(0, torch.arange(len(value))))
    else:
        yield repr(value).encode()


def _split(dataset: Any) -> Any:
    return [dataset.spec.to_dict(), dict(dataset.train), dict(dataset.val), dict(dataset.test)]


def _data(name: str, path: Path, **options: Any) -> Any:
    from zoo.data import load

    return _split(load(name, path=str(path), **options))


# --- checkpoints and configurations ---


def _checkpoint(path: Path) -> None:
    import zoo

    x = np.random.default_rng(0).normal(size=(64, 4))
    with contextlib.redirect_stdout(io.StringIO()):
        settings: dict[str, Any] = {
            "trainer": {"max_epochs": 1, "accelerator": "cpu"},
            "model_kwargs": {"hidden_sizes": [8]},
        }
        settings |= {"report": False, "data.batch_size": 16, "logger": "csv"}
        run = zoo.train("fnn", (x, (x.sum(1) > 0).astype(int)), run_dir=str(path.parent / "trained"), **settings)
    path.write_bytes((run.folder / "checkpoints" / "best.ckpt").read_bytes())


def _weights(path: Path) -> None:
    from zoo import export, load

    _checkpoint(path.parent / "best.ckpt")
    export(load(path.parent / "best.ckpt"), path)


def _head_and_data(raw: bytes) -> dict[str, Region]:
    after = 8 + int.from_bytes(raw[:8], "little")
    return {"length": (0, 8), "header": (8, after), "data": (after, len(raw))}


def _loaded(path: Path) -> Any:
    from zoo import load

    return dict(load(path).state_dict())


def _config(path: Path) -> None:
    from omegaconf import OmegaConf

    from zoo.config.compose import compose

    content = {"recipe": "fnn", **OmegaConf.to_container(compose(["model=fnn", "data=wine"]), resolve=True)}
    OmegaConf.save(OmegaConf.create(content), path)


def _reopened(path: Path) -> Any:
    from omegaconf import OmegaConf

    from zoo.config.run_config import RunConfig, reopen_run

    config, recipe = reopen_run(path.parent, {})
    run_config = RunConfig.from_config(config, recipe=recipe, resume_from=path.parent)
    return [OmegaConf.to_container(config), run_config.recipe]


# --- tables, texts, series ---


def _csv(path: Path) -> None:
    random = np.random.default_rng(0)
    lines = ["weight,color,price"]
    lines += [f"{w:.3f},{'red' if w > 0 else 'blue, dark'!r},{p:.2f}" for w, p in random.normal(size=(80, 2))]
    path.write_text("\n".join(lines).replace("'", '"') + "\n")


def _text(path: Path) -> None:
    words = np.random.default_rng(0).choice(["wide", "sea", "über", "stone\n", "lamp,", "Zürich"], 2000)
    path.write_text(" ".join(words))


def _series(path: Path) -> None:
    days = np.arange("2020-01-01", "2021-12-31", dtype="datetime64[D]")
    values = 10 + np.sin(np.arange(len(days)) / 7) + np.random.default_rng(0).normal(size=len(days)) / 10
    path.write_text("date,load\n" + "".join(f"{d},{v:.4f}\n" for d, v in zip(days, values, strict=True)))


# --- images and sounds ---


def _pixels(seed: int, side: int = 16) -> np.ndarray:
    pixels: np.ndarray = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return pixels


def _image(path: Path) -> None:
    from PIL import Image

    Image.fromarray(_pixels(0)).resize((24, 24)).save(path)


def _decoded(path: Path) -> Any:
    """Read a folder of class folders that contains the file ``path``."""
    from PIL import Image

    folder = path.parent / "photos"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(11):
            if not (folder / name / f"{number}.bmp").exists():
                Image.fromarray(_pixels(number)).save(folder / name / f"{number}.bmp")
    for old in (folder / "cat").glob("damaged.*"):
        old.unlink()
    (folder / "cat" / f"damaged{path.suffix}").write_bytes(path.read_bytes())
    return _data("image_folder", folder, size=16, cache_dir=str(path.parent / "cache"))


def _archived(path: Path) -> Any:
    return _data("image_folder", path, size=16, cache_dir=str(path.parent / "cache"))


def _bitmaps() -> Iterator[tuple[str, bytes]]:
    from PIL import Image

    for name in ("cat", "dog"):
        for number in range(11):
            file = io.BytesIO()
            Image.fromarray(_pixels(number)).save(file, "bmp")
            yield f"{name}/{number}.bmp", file.getvalue()


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _bitmaps():
            archive.writestr(name, content)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in _bitmaps():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _npz(path: Path) -> None:
    random = np.random.default_rng(0)
    np.savez_compressed(path, images=random.integers(0, 256, (60, 8, 8)).astype(np.uint8), labels=np.arange(60) % 3)


def _idx(path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + np.array([20, 8, 8], ">i4").tobytes()
    path.write_bytes(gzip.compress(header + _pixels(0, 32).tobytes()[: 20 * 64]))
    (path.parent / "md5").write_text(hashlib.md5(path.read_bytes()).hexdigest())


def _unpacked(path: Path) -> Any:
    from zoo.data.download import read_checked
    from zoo.data.image.datasets import read_idx

    return read_idx(read_checked(path, (path.parent / "md5").read_text()))


def _wav(path: Path) -> None:
    tone = 8000 * np.sin(np.arange(4000) / 5)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(tone.astype("<i2").tobytes())


def _heard(path: Path) -> Any:
    from zoo.data.sequence.read import log_mel, read_wav

    return log_mel(read_wav(path))


# --- where things stand in a file ---


def _thirds(raw: bytes) -> dict[str, Region]:
    third = len(raw) // 3
    return {"begin": (0, third), "middle": (third, 2 * third), "end": (2 * third, len(raw))}


def _lines(raw: bytes) -> dict[str, Region]:
    first = raw.index(b"\n") + 1
    return {"first line": (0, first), "body": (first, len(raw) - 20), "last line": (len(raw) - 20, len(raw))}


def _zip_regions(raw: bytes) -> dict[str, Region]:
    end, central = raw.rindex(b"PK\5\6"), raw.index(b"PK\1\2")
    return {"headers": (0, 30), "content": (30, central), "directory": (central, end), "end": (end, len(raw))}


def _zip_lies(raw: bytes) -> list[tuple[int, int, str]]:
    fields = []
    for mark, places in ((b"PK\3\4", ((18, 4), (22, 4), (26, 2))), (b"PK\1\2", ((20, 4), (24, 4), (28, 2), (42, 4)))):
        fields += [
            (hit.start() + at, size, "little") for hit in re.finditer(re.escape(mark), raw) for at, size in places
        ]
    end = raw.rindex(b"PK\5\6")
    return [*fields, (end + 10, 2, "little"), (end + 12, 4, "little"), (end + 16, 4, "little")]


def _png_regions(raw: bytes) -> dict[str, Region]:
    data, end = raw.index(b"IDAT"), raw.index(b"IEND")
    return {"signature": (0, 8), "header": (8, 33), "data": (data, end - 4), "end": (end - 4, len(raw))}


def _png_lies(raw: bytes) -> list[tuple[int, int, str]]:
    chunks = [(hit.start() - 4, 4, "big") for hit in re.finditer(b"IHDR|IDAT|IEND", raw)]
    return [*chunks, (16, 4, "big"), (20, 4, "big")]


def _jpeg_regions(raw: bytes) -> dict[str, Region]:
    frame, scan = raw.index(b"\xff\xc0"), raw.index(b"\xff\xda")
    return {"tables": (0, frame), "frame": (frame, frame + 19), "codes": (frame + 19, scan), "scan": (scan, len(raw))}


def _jpeg_lies(raw: bytes) -> list[tuple[int, int, str]]:
    frame = raw.index(b"\xff\xc0")
    segments = [(hit.start() + 2, 2, "big") for hit in re.finditer(b"\xff[\xc0\xc4\xda\xdb]", raw)]
    return [*segments, (frame + 5, 2, "big"), (frame + 7, 2, "big")]


def _tar_regions(raw: bytes) -> dict[str, Region]:
    return {"first header": (0, 512), "content": (512, len(raw) - 4096), "end": (len(raw) - 4096, len(raw))}


def _wav_regions(raw: bytes) -> dict[str, Region]:
    return {"riff": (0, 12), "format": (12, 36), "length": (36, 44), "samples": (44, len(raw))}


def _wav_lies(raw: bytes) -> list[tuple[int, int, str]]:
    return [(at, size, "little") for at, size in ((4, 4), (16, 4), (22, 2), (24, 4), (32, 2), (34, 2), (40, 4))]


def _gz_regions(raw: bytes) -> dict[str, Region]:
    return {"header": (0, 10), "data": (10, len(raw) - 8), "trailer": (len(raw) - 8, len(raw))}


def _none(raw: bytes) -> list[tuple[int, int, str]]:
    return []


READERS: dict[str, Reader] = {
    "checkpoint": Reader("best.ckpt", _checkpoint, _loaded, _zip_regions, _zip_lies, sealed=True),
    "safetensors": Reader(
        "a.safetensors", _weights, _loaded, _head_and_data, lambda raw: [(0, 8, "little")], sealed=True
    ),
    "npz": Reader("a.npz", _npz, lambda path: _data("npz", path), _zip_regions, _zip_lies, sealed=True),
    "gz": Reader("a.gz", _idx, _unpacked, _gz_regions, lambda raw: [(len(raw) - 4, 4, "little")], sealed=True),
    "zip of images": Reader("a.zip", _zip, _archived, _zip_regions, _zip_lies, sealed=True),
    "tar of images": Reader("a.tar", _tar, _archived, _tar_regions, lambda raw: [(124, 11, "octal")]),
    "png": Reader("a.png", _image, _decoded, _png_regions, _png_lies, sealed=True),
    "jpeg": Reader("a.jpg", _image, _decoded, _jpeg_regions, _jpeg_lies),
    "wav": Reader("a.wav", _wav, _heard, _wav_regions, _wav_lies),
    "csv": Reader("a.csv", _csv, lambda path: _data("csv", path, target="price"), _lines, _none),
    "series": Reader("s.csv", _series, lambda path: _data("series", path), _lines, _none),
    "yaml": Reader("config.yaml", _config, _reopened, _thirds, _none),
}
READERS["text"] = Reader("a.txt", _text, lambda path: _data("text_file", path, block_size=16), _thirds, _none)
