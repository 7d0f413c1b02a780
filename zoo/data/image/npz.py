"""NumPy archives of labelled images, under the names that are common."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from zoo.exceptions import ZooError

NAMES = (("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("X_{}", "y_{}"))
WHOLE = (("images", "labels"), ("x", "y"), ("X", "y"))


LARGEST = 0.8  # share of free memory that an archive may take


def free_memory() -> float:
    """Return the bytes of memory that programs could have now, infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next((1024 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable")), float("inf"))


def labelled_arrays(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images and labels by part; an archive without parts is all train.

    Raises:
        ZooError: no archive of arrays, or one without images and as many labels.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST * free_memory():
            raise ZooError(f"{path}: holds {size / 1e9:,.1f} GB once unpacked, more than there is memory for")
        with np.load(path, allow_pickle=False) as archive:
            known = set(archive.files)
            pairs = {part: (x.format(part), y.format(part)) for x, y in NAMES for part in ("train", "val", "test")}
            for x, y in NAMES:
                for part in ("train", "val", "test"):
                    if {x.format(part), y.format(part)} <= known:
                        pairs[part] = (x.format(part), y.format(part))
            if not set(pairs["train"]) <= known:
                pairs = dict([("train", pair) for pair in WHOLE if set(pair) <= known][:1])
            found = {part: (archive[x], archive[y]) for part, (x, y) in pairs.items() if {x, y} <= known}
    except ZooError:
        raise
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # whatever a damaged archive makes the decoders say
        said = " ".join(str(error).split()) or type(error).__name__
        raise ZooError(f"{path}: is not a whole .npz archive of plain arrays ({said})") from None
    if not found:
        said = f"must hold train_images and train_labels, or images and labels; holds {', '.join(sorted(known))}"
        raise ZooError(f"{path}: {said}")
    for part, (x, y) in found.items():
        if len(x) != len(y) or (y.ndim > 1 and y.size != len(y)):
            raise ZooError(f"{path}: {part} has images {x.shape} and labels {y.shape}; must be one label per image")
    return found
