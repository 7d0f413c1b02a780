"""Images of the user's own: folders of class folders, a folder with a list of labels, archives of either, ``.npz``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from zoo.data.archives import labelled_arrays
from zoo.data.cache import Wanted, pixels
from zoo.data.csvfile import read_labels
from zoo.data.dataset import Dataset, Splits, rows
from zoo.data.images import image_spec
from zoo.decoding import is_image, listing
from zoo.errors import ZooError, unknown
from zoo.options import check_choice, check_flag, check_number
from zoo.reading import ImageReading
from zoo.registry import register_data

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
FITS = ("crop", "resize")

Entry = tuple[str, int, int]  # name, size, time of change


@dataclass(frozen=True)
class Labelled:
    """Files with the class of each, and the part (train, val, test) that each belongs to where folders say so."""

    files: list[Entry]
    classes: list[str]
    parts: list[str] | None


@register_data("image_folder", tasks=("classification",), kind="image")
def image_folder(
    *,
    path: str | None = None,
    labels: str | None = None,
    target: str | None = None,
    classes: Sequence[str] | None = None,
    size: int | Sequence[int] | None = None,
    fit: str = "crop",
    channels: int | None = None,
    skip_bad: bool = False,
    cache: str | None = None,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return the images under ``path``, a folder or an archive (zip, tar): a folder per class.

    With ``train/``, and perhaps ``val/`` and ``test/``, above the class folders the parts are those; what is missing
    is cut from train, test as one of ``folds``. With ``labels``, a CSV, its column ``target`` says each file's class,
    wherever the file lies. ``classes`` takes some of the classes alone. Images become ``size`` (height and width, or
    one number), ``fit: crop`` keeps proportions and ``resize`` does not; ``channels`` is 1 or 3. Where ``size`` or
    ``channels`` are not given, up to 64 of the files suggest them. Decoded images are kept in ``cache`` (null:
    ``$ZOO_CACHE``, else the user's cache folder) until a file changes.

    Raises:
        ZooError: no images, one class only, an empty class folder, a file that cannot be decoded (unless
            ``skip_bad``), a class in test that train lacks.
    """
    wanted = _wanted(size, fit, channels)
    check_flag("data.skip_bad", skip_bad)
    if path is None:
        raise ZooError("data.path: must name the folder of images, as data.path=photos")
    found = _listed(Path(path), labels, target) if labels else _in_class_folders(Path(path))
    found = _some_classes(found, classes, path)
    names = sorted(set(found.classes))
    if len(names) < 2:
        raise ZooError(f"{path}: one class only, {names[0]!r}; must be at least two, a folder each")
    decoded = pixels(Path(path), found.files, wanted, cache=cache)
    keep = _without_bad(decoded.bad, found.files, path, skip_bad)
    y = np.array([names.index(name) for name in found.classes])[keep]
    parts = None if found.parts is None else np.array(found.parts)[keep]
    split = given_split(y, parts, names, Splits(folds, fold, split_seed))
    x, target_of = decoded.x, torch.zeros(len(decoded.x), dtype=torch.int64)
    target_of[torch.from_numpy(keep)] = torch.from_numpy(y)
    train, val, test = (rows(x, target_of, keep[index], lazy=True) for index in split)
    return Dataset(
        image_spec("image_folder", train["x"], train["y"], tuple(names), ImageReading(fit)), train, val, test
    )


def _wanted(size: int | Sequence[int] | None, fit: str, channels: int | None) -> Wanted:
    check_choice("data.fit", fit, FITS)
    if channels not in (None, 1, 3):
        raise ZooError(f"data.channels={channels}: must be 1 (grey) or 3 (colour)")
    if size is None:
        return Wanted(None, fit, channels)
    sides = [size, size] if isinstance(size, int) else list(size) if isinstance(size, Sequence) else [size]
    if len(sides) != 2:
        raise ZooError(f"data.size={size}: must be one number or [height,width]")
    for side in sides:
        check_number("data.size", side, low=1, high=4096, whole=True)
    return Wanted((sides[0], sides[1]), fit, channels)


def _images(path: Path) -> tuple[list[Entry], list[Entry]]:
    """Return the image files under ``path``, and all files."""
    try:
        files = listing(path)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # an archive that is none, or a damaged one
        raise ZooError(f"{path}: is not a whole archive ({' '.join(str(error).split())})") from None
    images = [entry for entry in files if is_image(entry[0])]
    if not images:
        said = f"holds no image among {len(files):,} files" if files else "is empty"
        raise ZooError(f"{path}: {said}; must hold a folder of images per class")
    return images, files


def _in_class_folders(path: Path) -> Labelled:
    images, _ = _images(path)
    top = _common(images)
    inside = [PurePosixPath(name).parts[len(top) :] for name, _, _ in images]
    first = {parts[0] for parts in inside}
    parted = "train" in first and first <= set(PARTS)
    depth = 2 if parted else 1
    loose = [entry[0] for entry, parts in zip(images, inside, strict=True) if len(parts) <= depth]
    if loose:
        raise ZooError(
            f"{path}: {loose[0]} lies in no class folder, as do {len(loose) - 1} other images; must be "
            f"a folder per class, or name each file's class in a CSV by data.labels="
        )
    _check_empty(path, top, parted, {parts[:depth] for parts in inside})
    parts = [PARTS[p[0]] for p in inside] if parted else None
    return Labelled(images, [p[depth - 1] for p in inside], parts)


def _common(images: Sequence[Entry]) -> tuple[str, ...]:
    """Return the folders that all images have above them, as an archive of one folder has."""
    split = [PurePosixPath(name).parts[:-1] for name, _, _ in images]
    shared: list[str] = []
    for level in zip(*split, strict=False):
        if len(set(level)) > 1 or level[0] in PARTS:
            break
        shared.append(level[0])
    # The folder right above the images is their class
    return tuple(shared[: max(min(map(len, split)) - 1, 0)])


def _check_empty(path: Path, top: tuple[str, ...], parted: bool, filled: set[tuple[str, ...]]) -> None:
    """Refuse a class folder without images."""
    above = path.joinpath(*top)
    if not above.is_dir():  # an archive
        return
    parts = [p.name for p in above.iterdir() if p.is_dir() and p.name in PARTS] if parted else [""]
    for part in parts:
        for folder in sorted((above / part).iterdir()):
            if folder.is_dir() and not folder.name.startswith("."):
                place = (part, folder.name) if parted else (folder.name,)
                if place not in filled:
                    raise ZooError(f"{folder}: holds no image; put some there, or delete the folder")


def _listed(path: Path, labels: str, target: str | None) -> Labelled:
    """Return the files that a CSV names: by their path, their name, or their name without its ending."""
    images, _ = _images(path)
    by_name: dict[str, list[Entry]] = {}
    for entry in images:
        place = PurePosixPath(entry[0])
        for key in {entry[0], place.name, place.stem}:
            by_name.setdefault(key, []).append(entry)
    files, classes = [], []
    for line, name, label in read_labels(Path(labels), target, set(by_name)):
        matching = by_name.get(name, [])
        if len(matching) != 1:
            said = f"{len(matching)} files are so named" if matching else "no such image"
            raise ZooError(f"{labels}, line {line}: {name!r}: {said} under {path}")
        files.append(matching[0])
        classes.append(label)
    doubled = len(files) - len(set(files))
    if doubled:
        raise ZooError(f"{labels}: names {doubled} images more than once")
    return Labelled(files, classes, None)


def _some_classes(found: Labelled, classes: Sequence[str] | None, path: str) -> Labelled:
    if classes is None:
        return found
    for name in classes:
        if str(name) not in found.classes:
            raise unknown("class in data.classes", name, sorted(set(found.classes)))
    kept = [i for i, name in enumerate(found.classes) if name in set(map(str, classes))]
    parts = None if found.parts is None else [found.parts[i] for i in kept]
    return Labelled([found.files[i] for i in kept], [found.classes[i] for i in kept], parts)


def _without_bad(bad: dict[int, str], files: Sequence[Entry], path: str, skip: bool) -> np.ndarray:
    """Return the rows that were decoded; says how many were not."""
    if bad:
        row = min(bad)
        named = f"{Path(path) / files[row][0]}: cannot be decoded ({bad[row]})"
        if not skip:
            more = f", nor can {len(bad) - 1} others" if len(bad) > 1 else ""
            raise ZooError(f"{named}{more}; mend or delete it, or leave such files out by data.skip_bad=true")
        print(f"left out {len(bad):,} of {len(files):,} images; the first: {named}", flush=True)
    return np.setdiff1d(np.arange(len(files)), list(bad))


def given_split(
    y: np.ndarray, parts: np.ndarray | None, names: Sequence[str], splits: Splits
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row numbers of train, validation and test: as ``parts`` says of each row, the rest cut from train.

    Raises:
        ZooError: a class in validation or test that train lacks.
    """
    if parts is None:
        return splits.cut(y, stratify=True)
    train, val, test = (np.flatnonzero(parts == part) for part in ("train", "val", "test"))
    for part, index in (("validation", val), ("test", test)):
        strange = set(y[index]) - set(y[train])
        if strange:
            raise ZooError(f"{part}: holds the class {names[min(strange)]!r}, which train lacks")
    if not len(test):
        kept, more, held = splits.cut(y[train], stratify=True)
        rest, test = train[np.sort(np.concatenate([kept, more]))], train[held]
        if len(val):
            return rest, val, test
        return train[kept], train[more], test
    if not len(val):
        kept, held = splits.cut_val(y[train], stratify=True)
        train, val = train[kept], train[held]
    return train, val, test


@register_data("npz", tasks=("classification",), kind="image")
def npz(
    *,
    path: str | None = None,
    classes: Sequence[str] | None = None,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return the images of a NumPy archive, as MedMNIST's: ``train_images``, ``train_labels``, ``val_…``, ``test_…``.

    ``x_train``, ``y_train``, … are understood too, and so are ``images`` and ``labels`` (or ``x`` and ``y``) without
    parts. What is missing is cut from train, test as one of ``folds``. ``classes`` names the classes in order.

    Raises:
        ZooError: not such an archive, or arrays that do not fit together.
    """
    from zoo.data.arrays import as_images, labels_of

    if path is None:
        raise ZooError("data.path: must name the archive, as data.path=pneumoniamnist.npz")
    arrays = labelled_arrays(Path(path))
    xs, ys, parts = [], [], []
    for part in ("train", "val", "test"):
        if part in arrays:
            x, y = arrays[part]
            xs.append(as_images(x, f"{path}: {part}"))
            ys.append(y.reshape(len(y)))
            parts += [part] * len(y)
    shapes = {x.shape[1:] for x in xs}
    if len(shapes) > 1:
        raise ZooError(f"{path}: images of different shapes, {' and '.join(map(str, shapes))}")
    y, names = labels_of(np.concatenate(ys), "classification")
    reading = ImageReading()
    if classes is not None:
        if len(classes) != len(names):
            raise ZooError(f"data.classes={list(classes)}: names {len(classes)} classes; {path} holds {len(names)}")
        reading, names = ImageReading(labels=names), tuple(map(str, classes))
    given = None if set(parts) == {"train"} else np.array(parts)
    split = given_split(y, given, names, Splits(folds, fold, split_seed))
    x, target = torch.from_numpy(np.concatenate(xs)), torch.from_numpy(y)
    train, val, test = (rows(x, target, index) for index in split)
    return Dataset(image_spec("npz", train["x"], train["y"], names, reading), train, val, test)
