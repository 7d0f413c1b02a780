"""Pretrained weights: those in the package, such as ``zoo.load("cnn/mnist")``, and those on the Hugging Face Hub.

The package has a safetensors file in ``zoo/weights/`` for each, with a JSON card: training command, data and metrics.
``python -m benchmarks.pretrain`` recreates them.
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
FILE = "model.safetensors"  # name of the file in a hub repository


def load(place: str | Path) -> Any:
    """Return a trained model in evaluation mode.

    ``place`` is a checkpoint, a run folder, a folder of runs, ``latest``, the name of pretrained weights, or
    ``hub:owner/name``. A folder of runs and ``latest`` select the newest run.

    Safe to load from untrusted sources: tensors and plain values only, no pickle.

    Raises:
        ZooError: the file does not exist or is not a checkpoint of the zoo.
    """
    return load_checkpoint(find_checkpoint(find(place)))


def list_weights() -> list[str]:
    """Return the names of the pretrained weights in the package, such as ``cnn/mnist``."""
    return sorted(path.stem.replace("-", "/", 1) for path in FOLDER.glob("*.safetensors"))


def path_of(name: str) -> Path:
    """Return the file of pretrained weights in the package.

    Raises:
        ZooError: the name is unknown.
    """
    if name not in list_weights():
        raise unknown("weights", name, list_weights())
    return FOLDER / f"{name.replace('/', '-', 1)}.safetensors"


def card(name: str) -> dict[str, Any]:
    """Return the card of pretrained weights: recipe, data, seed, command, parameters and metrics."""
    content: dict[str, Any] = json.loads(path_of(name).with_suffix(".json").read_text())
    return content


def find(place: str | Path) -> Path:
    """Return the path of ``place``: a path, the name of pretrained weights, or ``hub:owner/name``.

    Raises:
        ZooError: the name is unknown, or the download fails.
    """
    text = str(place)
    if text.startswith(HUB):
        return _download(text.removeprefix(HUB))
    if not Path(place).exists() and re.fullmatch(r"\w+/\w+", text):
        if text in list_weights():
            return path_of(text)
        raise ZooError(
            f"{text}: no such file or run folder, and no pretrained weights of this name. Pass a path, latest, or one of "
            f"{', '.join(list_weights())}"
        )
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
    except Exception as error:  # the hub raises a different error for each cause: network, repository, file
        raise ZooError(f"{HUB}{name}: cannot be downloaded ({' '.join(str(error).split())[:200]})") from None


def push_to_hub(model: Any, name: str, *, private: bool = True) -> str:
    """Upload a model to the Hugging Face Hub as ``owner/name`` and return its URL.

    ``zoo.load("hub:owner/name")`` loads it.

    Raises:
        ZooError: the extra ``hub`` is not installed, or the hub rejects the upload.
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
        except Exception as error:  # the hub raises a different error for each cause: network, permission
            raise ZooError(f"{HUB}{name}: cannot be uploaded ({' '.join(str(error).split())[:200]})") from None
