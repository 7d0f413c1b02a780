"""A trained model and the data that it is used on, from a run's folder, a checkpoint or pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import Tensor

from zoo import registry
from zoo.config import compose as configs
from zoo.config.run_config import check_files, read_run_config, resolve_paths
from zoo.data.dataset import Dataset
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.hub import card, list_weights, load
from zoo.utils.run_paths import find_checkpoint


def open_model(place: str) -> tuple[Any, Path | None]:
    """Return the model that ``place`` names, and the folder of its run where there is one.

    ``place`` is a run's folder, a folder of runs, ``latest``, a checkpoint, or pretrained weights by name.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    path = find_checkpoint(place)
    folder = path.parent.parent
    return load(path), folder if (folder / "config.yaml").is_file() else None


def dataset_for(model: Any, folder: Path | None, overrides: Sequence[str], *, place: str = "") -> Dataset:
    """Return the data that ``overrides`` name, as ``train.py`` takes them, else that of the model's run.

    The data of weights that come with the zoo, named by ``place``, is what they were trained on.

    Raises:
        ZooError: neither is there, or the data is not like what the model was trained on.
    """
    from zoo.data.prepare import load_dataset

    if place in list_weights() and not any(override.startswith("data=") for override in overrides):
        overrides = [f"data={card(place)['data']}", *overrides]
    if any(override.startswith("data=") for override in overrides) and not names_training_file(folder, overrides):
        overrides = [*_sizes(model.spec, overrides), *overrides]
        options: Any = OmegaConf.to_container(configs.compose([f"model={model.name}", *overrides]).data, resolve=True)
    elif folder is not None:
        run_config: Any = OmegaConf.create({**read_run_config(folder), "data": training_data(folder)})
        changed = {key: value for key, value in _pairs(overrides).items() if key != "data"}
        configs.update(run_config, {key: configs.value_of(key, text) for key, text in changed.items()})
        options = OmegaConf.to_container(run_config.data)
        try:
            check_files(resolve_paths(options))
        except ZooError as error:  # they are gone, or were named from another folder
            raise ZooError(f"{error}, of which the run was trained; name another by data.path=") from None
    else:
        raise ZooError("a checkpoint away from its run does not know its data; name it by data=")
    if options["name"] == "arrays":
        raise ZooError("the run was trained on arrays, which it does not keep; name data by data=")
    dataset = load_dataset(resolve_paths(options), model.spec.task)
    if (dataset.spec.modality, dataset.spec.task) == (model.spec.modality, model.spec.task):
        dataset = registry.get_modality(model.spec.modality).translate(dataset, model.spec)
    spec, trained_spec = dataset.spec, model.spec
    if spec.input_shape != trained_spec.input_shape:
        raise ZooError(
            f"{spec.name}: has rows of {spec.input_shape}; the model was trained on {trained_spec.input_shape}"
        )
    labels = {
        name: getattr(spec, name)
        for name in ("classes", "normal_classes", "positive_class", "multilabel", "class_counts", "name")
    }
    return replace(dataset, spec=replace(trained_spec, **labels))


def training_data(folder: Path | None) -> dict[str, Any]:
    """Return the options of the data that the run in ``folder`` was trained on, its files as they are named from here.

    Without a folder there are none.
    """
    values = read_run_config(folder) if folder is not None else {}
    return resolve_paths(values["data"], values.get("working_dir")) if values else {}


def names_training_file(folder: Path | None, overrides: Sequence[str]) -> bool:
    """Tell whether ``overrides`` name the very file that the run in ``folder`` was trained on."""
    values, trained = _pairs(overrides), training_data(folder)
    paths = [trained.get("path"), configs.value_of("data.path", values.get("data.path", ""))]
    if not all(paths) or values.get("data", trained["name"]) != trained["name"]:
        return False
    one, other = (Path(str(path)).expanduser().resolve() for path in paths)
    return one == other


def _sizes(spec: DataSpec, overrides: Sequence[str]) -> list[str]:
    """Return the overrides for how long a model's rows are, where ``overrides`` do not say it of ready-made data."""
    sizes = registry.get_task(spec.task).data_options(spec)
    return [f"{key}={value}" for key, value in sizes.items() if key not in _pairs(overrides)]


def _pairs(overrides: Sequence[str]) -> dict[str, str]:
    return {key: value for key, _, value in (override.partition("=") for override in overrides)}


LARGE = ("reconstruction", "code")  # predictions of the size of a row, which no table shows


def predictions_of(spec: DataSpec, predictions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each row of what ``predict`` returned its ``label``, ``probability`` by class, and numbers.

    A ``value`` is a number, or of a forecast a list of steps (H, columns).
    """
    rows: list[dict[str, Any]] = [{} for _ in range(len(next(iter(predictions.values()))))]
    for name, values in predictions.items():
        if name in LARGE:
            continue
        values = values.tolist() if isinstance(values, Tensor) else values
        if name == "probability":
            values = [dict(zip(spec.classes, value, strict=True)) for value in values]
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows
