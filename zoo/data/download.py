"""Files of built-in datasets: mirrors, checksums, local folder and download."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from zoo.data.input_readers import read_bytes
from zoo.exceptions import ZooError

PATIENCE = 15  # seconds to wait for a server


@cache
def card(name: str) -> dict[str, Any]:
    """Return source, license, citation, mirrors and MD5 checksums of a built-in dataset."""
    cards: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("cards.json").read_text(encoding="utf-8"))
    return cards[name]


def root_folder(root: str | None) -> Path:
    """Return the folder of built-in datasets: ``root``, otherwise ``$ZOO_DATA``, otherwise ``data/``."""
    return Path(root or os.environ.get("ZOO_DATA") or "data").expanduser()


def read_checked(path: Path, md5: str) -> bytes:
    """Return the content of a file after a check of its MD5 checksum.

    Raises:
        ZooError: if the file cannot be read, or the checksum differs.
    """
    content = read_bytes(path)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != md5:
        raise ZooError(f"{path}: truncated or altered (MD5 {digest}, expected {md5}); delete it and try again")
    return content


def fetch(data: str, folder: Path) -> dict[str, bytes]:
    """Return the content of each file of a built-in dataset, as listed in cards.json.

    Missing files are downloaded to a temporary folder first, so that ``folder`` never has incomplete files.

    Raises:
        ZooError: if the network or the folder is unavailable, or a checksum differs.
    """
    md5 = card(data)["md5"]
    if missing := [file for file in md5 if not (folder / file).is_file()]:
        _download(data, folder, missing)
    return {file: read_checked(folder / file, md5[file]) for file in md5}


def _download(data: str, folder: Path, missing: Sequence[str]) -> None:
    from torchvision.datasets.utils import download_url

    about = card(data)
    print(f"{data}: downloading {', '.join(missing)} to {folder}", flush=True)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    temporary = Path(tempfile.mkdtemp(prefix="zoo-download-"))
    try:
        for file in missing:
            for mirror in about["mirrors"]:
                try:
                    download_url(mirror.format(file=file), str(temporary), file, about["md5"][file])
                    break
                except (OSError, RuntimeError):
                    continue
            else:
                raise ZooError(
                    f"data={data}: {', '.join(missing)} not found in {folder}, and the download failed; "
                    f"copy them there, or set data.root or ZOO_DATA to the folder that contains "
                    f"{folder.parent.name}/{folder.name} (data=digits needs no files)"
                )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file in missing:
                shutil.move(temporary / file, folder / file)
        except OSError as error:
            raise ZooError(f"{folder}: cannot be written ({error.strerror}); choose another data.root") from None
    finally:
        socket.setdefaulttimeout(patience)
        shutil.rmtree(temporary, ignore_errors=True)
