"""Pretrained weights: those that come with the zoo, ``zoo.load("cnn/mnist")``, and those on a hub.

Each is a file of safetensors in ``zoo/weights/`` with a JSON card: the command that made it, the data, its metrics. ``python -m benchmarks.pretrain`` makes them anew.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from zoo.checkpoint import load_checkpoint, save_weights
from zoo.exceptions import ZooError, install, unknown
from zoo.utils.run_paths import find_checkpoint

FOLDER = Path(__file__).parent / "weights"
HUB = "hub:"
FILE = "model.safetensors"  # in a repository of a hub


def load(place: str | Path) -> Any:
    """Return a model, ready to ``predict``.

    ``place`` is a checkpoint, a run's folder, a folder of runs or ``latest`` (the newest run is meant), the name of
    pretrained weights, or ``hub:owner/name``.

    Loads tensors and plain values only, never code.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    return load_checkpoint(find_checkpoint(find(place)))


def list_weights() -> list[str]:
    """Return the names of weights that come with the zoo, as ``cnn/mnist``."""
    return sorted(path.stem.replace("-", "/", 1) for path in FOLDER.glob("*.safetensors"))


def path_of(name: str) -> Path:
    """Return the file of weights that come with the zoo.

    Raises:
        ZooError: there are none of that name, with the nearest one.
    """
    if name not in list_weights():
        raise unknown("weights", name, list_weights())
    return FOLDER / f"{name.replace('/', '-', 1)}.safetensors"


def card(name: str) -> dict[str, Any]:
    """Return the card of weights: recipe, data, seed, command, parameters, metrics."""
    content: dict[str, Any] = json.loads(path_of(name).with_suffix(".json").read_text())
    return content


def find(place: str | Path) -> Path:
    """Return the file of ``place``: a file, weights that come with the zoo, or ``hub:owner/name``.

    Raises:
        ZooError: there is none.
    """
    text = str(place)
    if text.startswith(HUB):
        return _download(text.removeprefix(HUB))
    if not Path(place).exists() and re.fullmatch(r"\w+/\w+", text):
        if text in list_weights():
            return path_of(text)
        raise ZooError(f"{text}: no such file, and no weights of that name; there are {', '.join(list_weights())}")
    return Path(place).expanduser()


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ZooError(f"hub: huggingface_hub is not installed; {install('hub')}") from None
    return huggingface_hub


def _download(name: str) -> Path:
    hub = _hub()
    try:
        return Path(hub.hf_hub_download(name, FILE))
    except Exception as error:  # no network, no such repository, no such file: each an error of its own there
        raise ZooError(f"{HUB}{name}: cannot be fetched ({' '.join(str(error).split())[:200]})") from None


def push_to_hub(model: Any, name: str, *, private: bool = True) -> str:
    """Put a model on a hub, as ``owner/name``, to be loaded by ``zoo.load("hub:owner/name")``; return its address.

    Raises:
        ZooError: the extra ``hub`` is not installed, or the hub does not allow it.
    """
    api = _hub().HfApi()
    with tempfile.TemporaryDirectory() as folder:
        save_weights(model, Path(folder) / FILE)
        card_text = f"---\nlibrary_name: zoo\ntags: [{model.name}, {model.spec.task}]\n---\n"
        card_text += f"# {model.name} on {model.spec.name}\n\n"
        card_text += f'```python\nimport zoo\n\nmodel = zoo.load("{HUB}{name}")\n```\n'
        (Path(folder) / "README.md").write_text(card_text)
        try:
            api.create_repo(name, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=name, folder_path=folder))
        except Exception as error:  # no network, no right to: each an error of its own there
            raise ZooError(f"{HUB}{name}: cannot be written ({' '.join(str(error).split())[:200]})") from None
