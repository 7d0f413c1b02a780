"""Loading of trained models and their data, from a run's folder, a checkpoint or pretrained weights."""

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
    """Return the model that ``place`` names, and the folder of its run or None.

    ``place`` is a run's folder, a folder of runs, ``latest``, a checkpoint, or the name of pretrained weights.

    Raises:
        ZooError: the file does not exist or is not a checkpoint of the zoo.
    """
    path = find_checkpoint(place)
    folder = path.parent.parent
    return load(path), folder if (folder / "config.yaml").is_file() else None


def dataset_for(model: Any, folder: Path | None, overrides: Sequence[str], *, place: str = "") -> Dataset:
    """Return the data named by ``overrides``, or by default the data of the model's run.

    Args:
        model: the trained model.
        folder: the folder of its run, if any.
        overrides: options of the data, as for ``zoo train``.
        place: name of the model; the default data of pretrained weights is their training data.

    Raises:
        ZooError: no data is known, or its shape differs from the training data.
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
        except ZooError as error:  # the files were deleted, or the path was relative to another folder
            raise ZooError(f"{error} (the training data of the run). Set data.path= to another file.") from None
    else:
        raise ZooError("the checkpoint is not in a run's folder, so its data is unknown. Set data=.")
    if options["name"] == "arrays":
        raise ZooError("the run was trained on arrays, which are not stored with it. Set data=.")
    dataset = load_dataset(resolve_paths(options), model.spec.task)
    if (dataset.spec.modality, dataset.spec.task) == (model.spec.modality, model.spec.task):
        dataset = registry.get_modality(model.spec.modality).translate(dataset, model.spec)
    spec, trained_spec = dataset.spec, model.spec
    if spec.input_shape != trained_spec.input_shape:
        raise ZooError(
            f"{spec.name}: rows have shape {spec.input_shape}, but the model was trained on {trained_spec.input_shape}"
        )
    labels = {
        name: getattr(spec, name)
        for name in ("classes", "normal_classes", "positive_class", "multilabel", "class_counts", "name")
    }
    return replace(dataset, spec=replace(trained_spec, **labels))


def training_data(folder: Path | None) -> dict[str, Any]:
    """Return the data options of the run in ``folder``, with paths relative to the current folder.

    Without a folder, the result is empty.
    """
    values = read_run_config(folder) if folder is not None else {}
    return resolve_paths(values["data"], values.get("working_dir")) if values else {}


def names_training_file(folder: Path | None, overrides: Sequence[str]) -> bool:
    """Return whether ``overrides`` name the training file of the run in ``folder``."""
    values, trained = _pairs(overrides), training_data(folder)
    paths = [trained.get("path"), configs.value_of("data.path", values.get("data.path", ""))]
    if not all(paths) or values.get("data", trained["name"]) != trained["name"]:
        return False
    one, other = (Path(str(path)).expanduser().resolve() for path in paths)
    return one == other


def _sizes(spec: DataSpec, overrides: Sequence[str]) -> list[str]:
    """Return overrides for the length of the model's rows, unless ``overrides`` already set it."""
    sizes = registry.get_task(spec.task).data_options(spec)
    return [f"{key}={value}" for key, value in sizes.items() if key not in _pairs(overrides)]


def _pairs(overrides: Sequence[str]) -> dict[str, str]:
    return {key: value for key, _, value in (override.partition("=") for override in overrides)}


LARGE = ("reconstruction", "code")  # predictions as large as a row, which tables omit


def predictions_of(spec: DataSpec, predictions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one dictionary per row from the result of ``predict``.

    It has the keys of the task, such as ``label``, ``probability`` by class, or ``value``. The ``value`` of a forecast
    is a list of steps (prediction_length, columns); otherwise it is a number.
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
