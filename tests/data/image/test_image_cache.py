"""The cache of decoded images: concurrent writers, damaged entries and changed files."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data.image import cache
from zoo.data.image.cache import DecodeOptions, decoded_images
from zoo.data.image.decode import listing

OPTIONS = DecodeOptions((8, 8), "crop", 3)


def photos_of(folder: Path, *, count: int = 4, seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (9, 9, 3)).astype(np.uint8)).save(folder / f"{number}.bmp")
    return folder


def test_cache_entry_written_by_several_threads_at_once(tmp_path, monkeypatch):
    together, make = threading.Barrier(4), cache._make

    def in_step(*arguments):
        result = make(*arguments)
        together.wait()
        return result

    monkeypatch.setattr(cache, "_make", in_step)
    photos = photos_of(tmp_path / "photos")
    files = listing(photos)
    for number in range(4):
        with ThreadPoolExecutor(4) as pool:
            work = [
                pool.submit(decoded_images, photos, files, OPTIONS, cache_dir=str(tmp_path / str(number)))
                for _ in range(4)
            ]
            results = [one.result().x for one in work]
        assert all(torch.equal(x, results[0]) for x in results)
        (entry,) = (tmp_path / str(number) / "images").iterdir()
        assert np.array_equal(np.load(entry / "x.npy"), results[0].numpy())


# Waits until all processes are there, decodes, and prints a digest of what it got
FILL = """
import hashlib, sys, time
from pathlib import Path
from zoo.data.image.cache import DecodeOptions, decoded_images
from zoo.data.image.decode import listing
photos, cache, me = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for number in range(12):
    (cache / f"ready-{number}-{me}").touch()
    while len(list(cache.glob(f"ready-{number}-*"))) < 4:
        time.sleep(0.001)
    x = decoded_images(photos, listing(photos), DecodeOptions((8, 8), "crop", 3), cache_dir=str(cache / str(number))).x
    print(hashlib.sha256(x.numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_cache_entry_written_by_several_processes_at_once(tmp_path):
    photos = photos_of(tmp_path / "photos")
    words = [sys.executable, "-c", FILL, str(photos), str(tmp_path)]
    started = [subprocess.Popen([*words, str(n)], stdout=subprocess.PIPE, text=True) for n in range(4)]
    digests = [line for one in started for line in one.communicate()[0].splitlines()]
    assert [one.returncode for one in started] == [0] * 4
    assert (len(digests), len(set(digests))) == (48, 1)


def test_cache_rewrites_damaged_and_outdated_entries(tmp_path):
    photos = photos_of(tmp_path / "photos")
    first = decoded_images(photos, listing(photos), OPTIONS, cache_dir=str(tmp_path / "cache")).x
    want = first.clone()
    (entry,) = (tmp_path / "cache" / "images").iterdir()
    for damage in (lambda: (entry / "x.npy").write_bytes(b"no array"), lambda: (entry / "about.json").write_text("{")):
        damage()
        assert torch.equal(decoded_images(photos, listing(photos), OPTIONS, cache_dir=str(tmp_path / "cache")).x, want)
    second = decoded_images(photos, listing(photos), OPTIONS, cache_dir=str(tmp_path / "cache")).x
    photos_of(photos, seed=1)
    changed = decoded_images(photos, listing(photos), OPTIONS, cache_dir=str(tmp_path / "cache")).x
    assert not torch.equal(changed, want)
    assert torch.equal(second, want)  # a map of a file that has no name any more
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 1
