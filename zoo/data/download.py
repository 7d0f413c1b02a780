"""Files of ready-made data: where they lie, whether they are what they should be, and where to download them."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.data.input_readers import read_bytes
from zoo.exceptions import ZooError

PATIENCE = 15  # seconds that a server may take to answer


def root_folder(root: str | None) -> Path:
    """Return the folder of ready-made sets: as given, else ``$ZOO_DATA``, else ``data/``."""
    return Path(root or os.environ.get("ZOO_DATA") or "data").expanduser()


def read_checked(path: Path, md5: str) -> bytes:
    """Return the content of a file with this checksum.

    Raises:
        ZooError: the file cannot be read, or is not the one.
    """
    content = read_bytes(path)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != md5:
        raise ZooError(
            f"{path}: truncated or altered, its MD5 is {digest} and should be {md5}; delete it and try again"
        )
    return content


def fetch(data: str, folder: Path, sources: Mapping[str, Sequence[str]], md5: Mapping[str, str]) -> None:
    """Download the files that ``folder`` lacks, into place only when complete; leave nothing behind otherwise.

    ``sources`` has for each file the addresses to try.

    Raises:
        ZooError: no network, or the folder cannot be written.
    """
    from torchvision.datasets.utils import download_url

    missing = [file for file in sources if not (folder / file).is_file()]
    if not missing:
        return
    print(f"{data}: downloading {', '.join(missing)} to {folder}", flush=True)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    temporary = Path(tempfile.mkdtemp(prefix="zoo-download-"))
    try:
        for file in missing:
            for address in sources[file]:
                try:
                    download_url(address, str(temporary), file, md5[file])
                    break
                except (OSError, RuntimeError):
                    continue
            else:
                raise ZooError(
                    f"data={data}: {', '.join(missing)} not found in {folder}, and no network to download them from; "
                    f"put them there, or set data.root or ZOO_DATA to the folder that holds "
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
