"""Datasets of image files: class folders, a folder with a CSV of labels, or archives of either."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from zoo.config.schema import check_choice, check_flag, check_number
from zoo.data.dataset import Dataset, Splits, rows
from zoo.data.image.cache import DecodedImages, DecodeOptions, decoded_images
from zoo.data.image.datasets import image_spec, split_by_parts
from zoo.data.image.decode import is_litter, left_out
from zoo.data.image.read import list_images
from zoo.data.image.spec import ImageReading
from zoo.data.table.csv_file import read_labels
from zoo.exceptions import ZooError, unknown
from zoo.registry import register_data
from zoo.utils.console import print_note

PARTS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "validating", "dev", "devel", "development"),
    "test": ("test", "testing", "tst"),
}
WORDS = {word: part for part, words in PARTS.items() for word in words}
FILLERS = ("set", "data", "dataset", "images", "image", "imgs", "img", "split")  # as in training_set or test-images
RESIZE_MODES = ("crop", "resize")

Entry = tuple[str, int, int]  # name, size, modification time


@dataclass(frozen=True)
class LabeledFiles:
    """Image files with their classes, and their splits (train, val, test) if folders name them.

    ``left_out`` has the names of files that are not images. ``unnamed`` has images that are missing in the CSV of
    labels.
    """

    entries: list[Entry]
    classes: list[str]
    parts: list[str] | None
    left_out: list[str]
    unnamed: list[str] = field(default_factory=list)


@register_data("image_folder", tasks=("classification",), modality="image")
def image_folder(
    *,
    path: str | None = None,
    labels: str | None = None,
    target: str | None = None,
    classes: Sequence[str] | None = None,
    size: int | Sequence[int] | None = None,
    resize_mode: str = "crop",
    channels: int | None = None,
    skip_corrupt: bool = False,
    cache_dir: str | None = None,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return the images of a folder, zip or tar archive with one folder per class.

    Folders named ``train``, ``val`` and ``test``, above or below the class folders, are the splits. Similar names such
    as ``Training``, ``dev`` or ``test_set`` work too. A missing validation or test set is taken from train. Files with
    more than 8 bits per channel share one value range (see ``zoo.data.image.bit_depth``). A note lists files that are
    not images.

    Args:
        ``path``: folder or archive
        ``labels``: CSV with the class of each file, instead of class folders
        ``target``: column of data.labels with the classes
        ``classes``: subset of the classes; null: all
        ``size``: height and width, or one number for both; null: the size of the files if they are equal, otherwise 64
        ``resize_mode``: crop (keep the aspect ratio, crop the center) | resize (stretch)
        ``channels``: 1 | 3; null: 1 if all images are gray, otherwise 3
        ``skip_corrupt``: skip files that cannot be decoded
        ``cache_dir``: folder of decoded images; null: $ZOO_CACHE, otherwise the cache folder of the user
        ``folds``: number of stratified folds, if there is no test folder
        ``fold``: index of the fold used as the test set
        ``split_seed``: seed of the folds and the validation split

    Raises:
        ZooError: if there are fewer than two classes, an empty class folder or splits without train. Also for a
            corrupt file (unless ``skip_corrupt``), and for a test class that train lacks.
    """
    options = _options(size, resize_mode, channels)
    check_flag("data.skip_corrupt", skip_corrupt)
    if path is None:
        raise ZooError("data.path: must name the image folder, for example data.path=photos")
    files = _listed(Path(path), labels, target) if labels else _in_class_folders(Path(path))
    files = _some_classes(files, classes, path)
    names = sorted(set(files.classes))
    if len(names) < 2:
        raise ZooError(f"{path}: only one class, {names[0]!r}; must be at least two, each in its own folder")
    decoded = decoded_images(Path(path), files.entries, options, cache_dir=cache_dir)
    _note_files(path, files, decoded)
    keep = _without_corrupt(decoded.corrupt, files.entries, path, skip_corrupt)
    y = np.array([names.index(name) for name in files.classes])[keep]
    parts = None if files.parts is None else np.array(files.parts)[keep]
    entries = [files.entries[row] for row in keep]
    splits = Splits(folds, fold, split_seed)
    split = split_by_parts(y, parts, names, splits, place=lambda row: entries[row][0])
    x, target_of = decoded.x, torch.zeros(len(decoded.x), dtype=torch.int64)
    target_of[torch.from_numpy(keep)] = torch.from_numpy(y)
    train, val, test = (rows(x, target_of, keep[index], lazy=True) for index in split)
    integers, floats = decoded.ranges.integer, decoded.ranges.float
    reading = ImageReading(resize_mode, integer_range=integers, float_range=floats)
    return Dataset(image_spec("image_folder", train, tuple(names), reading), train, val, test)


def _note_files(path: str, labeled: LabeledFiles, decoded: DecodedImages) -> None:
    """Print notes on files that are left out or only partly read."""
    files = {
        trait: _some([labeled.entries[row][0] for row in rows], "file")
        for trait, rows in decoded.traits.items()
        if rows
    }
    if labeled.left_out:
        print_note(f"{path}: {left_out(labeled.left_out)}")
    if labeled.unnamed:
        print_note(f"{path}: left out {_some(labeled.unnamed, 'image')} missing in the CSV of labels")
    for low, high in filter(None, (decoded.ranges.integer, decoded.ranges.float)):
        print_note(
            f"{path}: {files['deep']} with more than 8 bits; values from {low:g} to {high:g} map to black to white"
        )
    if "frames" in files:
        print_note(f"{path}: {files['frames']} with several frames or pages; only the first is read")
    if "sizes" in files:
        side = "×".join(map(str, decoded.x.shape[2:]))
        print_note(f"{path}: {files['sizes']} resized to {side}, the size of most files; set data.size= to change it")


def _some(names: Sequence[str], what: str) -> str:
    """Return the number of files and the first names."""
    examples = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names):,} {what}{'' if len(names) == 1 else 's'} ({examples})"


def _options(size: int | Sequence[int] | None, resize_mode: str, channels: int | None) -> DecodeOptions:
    check_choice("data.resize_mode", resize_mode, RESIZE_MODES)
    if channels not in (None, 1, 3):
        raise ZooError(f"data.channels={channels}: must be 1 (gray) or 3 (color)")
    if size is None:
        return DecodeOptions(None, resize_mode, channels)
    sides = [size, size] if isinstance(size, int) else list(size) if isinstance(size, Sequence) else [size]
    if len(sides) != 2:
        raise ZooError(f"data.size={size}: must be one number or [height,width]")
    for side in sides:
        check_number("data.size", side, low=1, high=4096, integer=True)
    return DecodeOptions((sides[0], sides[1]), resize_mode, channels)


def _images(path: Path) -> tuple[list[Entry], list[str]]:
    """Return the image files under ``path``, and the names of other files."""
    images, others = list_images(path)
    if not images:
        content = f"has no image among {len(others):,} files, such as {others[0]}" if others else "is empty"
        raise ZooError(f"{path}: {content}; must have one folder of images per class")
    return images, others


def _in_class_folders(path: Path) -> LabeledFiles:
    images, others = _images(path)
    top = _common(images)
    inside = [PurePosixPath(name).parts[len(top) :] for name, _, _ in images]
    level, part = _parts(path, inside)
    depth = 1 if level is None else 2
    loose = [entry[0] for entry, parts in zip(images, inside, strict=True) if len(parts) <= depth]
    if loose:
        raise ZooError(
            f"{path}: {loose[0]} and {len(loose) - 1} other images are not in a class folder; use "
            f"one folder per class, or pass a CSV of labels with data.labels="
        )
    filled = {parts[: 2 if level == 0 else 1] for parts in inside}
    _check_empty(path, top, sorted(part) if level == 0 else [""], filled, others)
    classes = [p[1 if level == 0 else 0] for p in inside]
    return LabeledFiles(images, classes, None if level is None else [part[p[level]] for p in inside], others)


def parts_of(folders: Iterable[str]) -> dict[str, str]:
    """Return the split (train, val or test) of each folder with a name such as ``Training`` or ``test_set``.

    Case, separators and words common to all folders are ignored.
    """
    words = {folder: [word for word in re.split(r"[^a-z]+", folder.lower()) if word] for folder in folders}
    shared = set.intersection(*map(set, words.values())) - WORDS.keys() if len(words) > 1 else set()
    result: dict[str, str] = {}
    for folder, parts in words.items():
        left = [word for word in parts if word not in FILLERS and word not in shared]
        if len(left) == 1:
            names = [left[0], *(left[0].removesuffix(filler) for filler in FILLERS)]
            part = next((WORDS[name] for name in names if name in WORDS), None)
            result |= {} if part is None else {folder: part}
    return result


def _parts(path: Path, inside: Sequence[tuple[str, ...]]) -> tuple[int | None, dict[str, str]]:
    """Return the folder level that names the splits, if any, and the split of each folder at that level.

    Raises:
        ZooError: if there are splits without train, or splits next to other folders.
    """
    for level in (0, 1):
        folders = {parts[level] for parts in inside if len(parts) > level + 1}
        part = parts_of(folders)
        several = len(set(part.values())) > 1
        complete = bool(folders) and folders == part.keys()
        if complete and "train" in part.values():
            return level, part
        if several or (complete and level == 0):
            others = f"{min(folders - part.keys())} is not" if folders > part.keys() else "none of them is train"
            raise ZooError(
                f"{path}: the folders {', '.join(sorted(part))} are named like splits, but {others}; "
                f"name the splits train, val and test, each with one folder per class, or rename the classes"
            )
    return None, {}


def _common(images: Sequence[Entry]) -> tuple[str, ...]:
    """Return the folders that all images have in common, for example the top folder of an archive."""
    split = [PurePosixPath(name).parts[:-1] for name, _, _ in images]
    shared: list[str] = []
    for level in zip(*split, strict=False):
        if len(set(level)) > 1 or "train" in parts_of(level[:1]).values():
            break
        shared.append(level[0])
    # The folder directly above an image is its class
    return tuple(shared[: max(min(map(len, split)) - 1, 0)])


def _check_empty(
    path: Path, top: tuple[str, ...], parts: Sequence[str], filled: set[tuple[str, ...]], others: Sequence[str]
) -> None:
    """Reject class folders without images, in each of the folders ``parts``."""
    above = path.joinpath(*top)
    if not above.is_dir():  # an archive
        return
    for part in parts:
        for folder in sorted((above / part).iterdir()):
            if folder.is_dir() and not is_litter(folder.name):
                place = (part, folder.name) if part else (folder.name,)
                if place not in filled:
                    held = [name for name in others if (path / name).is_relative_to(folder)]
                    content = f"has no readable image: {left_out(held)}" if held else "has no image"
                    raise ZooError(f"{folder}: {content}; add images or delete the folder")


def _listed(path: Path, labels: str, target: str | None) -> LabeledFiles:
    """Return the files that a CSV lists."""
    images, others = _images(path)
    others = [name for name in others if (path / name).resolve() != Path(labels).resolve()]
    files, classes = [], []
    for line, name, matching, label in match_labels([entry[0] for entry in images], labels, target):
        if not matching:
            raise ZooError(f"{labels}, line {line}: {name!r}: no such image under {path}")
        files.append(images[matching[0]])
        classes.append(label)
    doubled = len(files) - len(set(files))
    if doubled:
        raise ZooError(f"{labels}: lists {doubled} images more than once")
    unnamed = sorted({name for name, _, _ in images} - {name for name, _, _ in files})
    return LabeledFiles(files, classes, None, others, unnamed)


def match_labels(names: Sequence[str], labels: str, target: str | None) -> Iterator[tuple[int, str, list[int], str]]:
    """Yield line, name, row indices in ``names`` (one or none) and class of each line of a CSV.

    A file may be listed by its path, its name, or its name without extension.

    Raises:
        ZooError: if several files match.
    """
    by_name: dict[str, list[int]] = {}
    for row, path in enumerate(names):
        for key in {path, PurePosixPath(path).name, PurePosixPath(path).stem}:
            by_name.setdefault(key, []).append(row)
    for line, name, label in read_labels(Path(labels), target, set(by_name)):
        matching = by_name.get(name, [])
        if len(matching) > 1:
            raise ZooError(f"{labels}, line {line}: {name!r}: {len(matching)} files have this name")
        yield line, name, matching, label


def _some_classes(files: LabeledFiles, classes: Sequence[str] | None, path: str) -> LabeledFiles:
    if classes is None:
        return files
    for name in classes:
        if str(name) not in files.classes:
            raise unknown("class in data.classes", name, sorted(set(files.classes)))
    index = [i for i, name in enumerate(files.classes) if name in set(map(str, classes))]
    parts = None if files.parts is None else [files.parts[i] for i in index]
    entries, labels = [files.entries[i] for i in index], [files.classes[i] for i in index]
    return replace(files, entries=entries, classes=labels, parts=parts)


def _without_corrupt(corrupt: dict[int, str], files: Sequence[Entry], path: str, skip: bool) -> np.ndarray:
    """Return the rows that were decoded. Print how many were not."""
    if corrupt:
        row = min(corrupt)
        named = f"{Path(path) / files[row][0]}: cannot be decoded ({corrupt[row]})"
        if not skip:
            more = f", nor can {len(corrupt) - 1} others" if len(corrupt) > 1 else ""
            raise ZooError(f"{named}{more}; replace or delete it, or skip such files with data.skip_corrupt=true")
        print(f"left out {len(corrupt):,} of {len(files):,} images; the first: {named}", flush=True)
    return np.setdiff1d(np.arange(len(files)), list(corrupt))
