"""The validated configuration of a run and of a run folder. It needs no torch, so error messages are instant."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from zoo import registry
from zoo.config import compose as configs
from zoo.config.compose import FILES, FOLDERS
from zoo.config.groups import choices, conf_dir
from zoo.config.schema import (
    CheckpointOptions,
    EarlyStopping,
    Learning,
    TrainerOptions,
    check_number,
    learning_of,
    options,
)
from zoo.exceptions import ZooError, unknown
from zoo.utils.atomic_io import atomic_write
from zoo.utils.rank import find_launch


@dataclass(frozen=True)
class RunConfig:
    """The validated configuration of one run.

    ``values`` holds the whole configuration as Python primitives. ``overridden`` holds the dotted keys that the user
    set; all other options have their defaults.
    """

    values: dict[str, Any]
    recipe: str
    command: str
    task: str
    learning: Learning
    trainer: TrainerOptions
    early_stopping: EarlyStopping
    checkpoint: CheckpointOptions
    folder: Path
    overridden: frozenset[str] = frozenset()
    working_dir: str | None = None  # folder in which the run was started; relative paths are relative to it
    resumed: bool = False  # continues from the training state in the folder
    changed: bool = False  # resumed with another duration

    @classmethod
    def from_config(
        cls,
        config: DictConfig,
        *,
        recipe: str | None = None,
        command: str = "",
        resume_from: Path | None = None,
        overridden: Collection[str] = (),
    ) -> RunConfig:
        """Return the validated form of a composed configuration. ``resume_from`` is the folder of a resumed run.

        Raises:
            ZooError: model and data are incompatible, an option is invalid, or the folder is not writable.
        """
        registry.complete_options(config.data)
        values: Any = OmegaConf.to_container(config, resolve=True)
        working_dir = values.pop("working_dir", None)
        check_number("data.batch_size", values["data"]["batch_size"], low=1, integer=True)
        check_number("seed", values["seed"], low=0, integer=True)
        recipe, task = recipe or values["model"]["name"], configs.task_of(config)
        detecting = [name for name in registry.list_tasks() if registry.task_entry(name).target == "input"]
        for option in ("normal_classes", "anomaly_windows"):
            if values["data"].get(option) is not None and task not in detecting:
                fitting = [m for name in detecting for m in configs.fitting_models(name, values["data"]["modality"])]
                raise ZooError(f"data.{option}: needs a model for anomaly detection: {', '.join(fitting)}")
        before = values["trainer"] if resume_from is None else read_run_config(resume_from)["trainer"]
        source = values["data"]["env" if "data.env" in overridden else "name"]
        return cls(
            values=values,
            recipe=recipe,
            command=command,
            task=task,
            learning=learning_of(values),
            trainer=_fit_to_launch(options(TrainerOptions, "trainer", values["trainer"])),
            early_stopping=options(EarlyStopping, "early_stopping", values["early_stopping"]),
            checkpoint=options(CheckpointOptions, "checkpoint", values.get("checkpoint") or {}),
            folder=resume_from or _new_folder(values["run_dir"], f"{recipe}-{folder_name(source)}"),
            overridden=frozenset(overridden),
            working_dir=working_dir or os.getcwd(),
            resumed=resume_from is not None,
            changed=any(before.get(key) != values["trainer"].get(key) for key in EXTENDING),
        )

    @property
    def data(self) -> dict[str, Any]:
        """The options of the data, with paths that are valid from the current folder."""
        return resolve_paths(self.values["data"], self.working_dir)

    @property
    def checkpoints(self) -> Path:
        """The folder that contains best.ckpt and last.ckpt."""
        return self.folder / "checkpoints"

    @contextlib.contextmanager
    def create_run_dir(self) -> Iterator[RunConfig]:
        """Yield the configuration with a new run folder. Runs that start in the same second get different folders.

        On exit an empty folder is removed, together with the parents that were created for it.

        Raises:
            ZooError: the folder cannot be created.
        """
        if self.resumed:
            yield self
            return
        folder, number = self.folder, 1
        created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=self.values["run_dir"] is not None)
                break
            except FileExistsError:
                number += 1
                folder = self.folder.with_name(f"{self.folder.name}_{number}")
            except OSError as error:
                raise self._unwritable(error) from None
        try:
            yield replace(self, folder=folder)
        finally:
            with contextlib.suppress(OSError):  # a folder is not empty
                for path in [folder, *(parent for parent in created if parent != self.folder)]:
                    path.rmdir()

    def _unwritable(self, error: OSError) -> ZooError:
        return ZooError(f"{self.folder}: cannot be written ({error.strerror}). Choose another folder with run_dir=.")

    def write(self) -> None:
        """Write config.yaml and create the folder of checkpoints. A resumed run writes its changed options.

        Raises:
            ZooError: the folder is not writable.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=self.resumed)
            content = OmegaConf.create({"recipe": self.recipe, "working_dir": self.working_dir, **self.values})
            atomic_write(self.folder / "config.yaml", lambda to: OmegaConf.save(content, to))
        except OSError as error:
            raise self._unwritable(error) from None


def _fit_to_launch(trainer: TrainerOptions) -> TrainerOptions:
    """Return the options of the trainer with the number of machines that torchrun or srun uses.

    Raises:
        ZooError: the options differ from the processes that the launcher started.
    """
    launch = find_launch()
    if launch is None:
        if (nodes := trainer.num_nodes or 1) > 1:
            raise ZooError(
                f"trainer.num_nodes={nodes}: start the run with torchrun --nnodes {nodes} on each machine, or with srun"
            )
        return trainer
    if (trainer.num_nodes or launch.num_nodes) != launch.num_nodes:
        started = f"{launch.launcher} started processes on {launch.num_nodes} machines"
        raise ZooError(f"trainer.num_nodes={trainer.num_nodes}: {started}")
    if trainer.devices * launch.num_nodes != launch.world_size:
        each = launch.world_size // launch.num_nodes
        raise ZooError(f"trainer.devices={trainer.devices}: {launch.launcher} started {each} on each machine")
    return replace(trainer, num_nodes=launch.num_nodes)


def folder_name(source: str) -> str:
    """Return the folder name for a dataset or an environment id: ``module:Name/Id-v0`` becomes ``Name-Id-v0``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", source.rpartition(":")[2]).strip("-.") or "environment"


BUNDLED = ("text_file", "series", "binarized_mnist")  # datasets with a default path
SOURCES = {  # required options of data
    "path": "the file or folder to read",
    "env": "a gymnasium id, or module:id for an environment of a module",
}


def resolve_paths(data: dict[str, Any], working_dir: object = None) -> dict[str, Any]:
    """Return the options of data with ``~`` expanded, and relative paths resolved in ``working_dir`` if they exist there.

    ``working_dir`` is the folder in which the run was started. The config.yaml of a run contains it.
    """
    values, folder = dict(data), Path(working_dir) if isinstance(working_dir, str) else None
    for key in (*FILES, *FOLDERS):
        if isinstance(values.get(key), str):
            path = Path(values[key]).expanduser()
            if folder is not None and folder != Path.cwd() and (folder / path).exists():
                path = folder / path
            values[key] = str(path)
    default_root = "root" in values and values["root"] is None and "ZOO_DATA" not in os.environ
    if default_root and folder is not None and not Path("data").is_dir() and (folder / "data").is_dir():
        values["root"] = str(folder / "data")
    return values


def check_files(data: dict[str, Any]) -> None:
    """Reject missing files before the import of heavy modules.

    Raises:
        ZooError: ``data.path`` or ``data.env`` is missing, or a file of the data does not exist.
    """
    for key, source in SOURCES.items():
        if data.get(key, "given") in (None, "") and data["name"] not in BUNDLED:
            raise ZooError(f"data={data['name']}: needs data.{key}=, {source}")
    for key in FILES:
        if isinstance(data.get(key), str) and not Path(data[key]).exists():
            raise ZooError(f"data.{key}={data[key]}: no such file or folder")


EXTENDING = ("max_epochs", "max_minutes")  # trainer options that let a finished run train for longer
MAY_CHANGE = (*(f"trainer.{key}" for key in EXTENDING), "checkpoint.every_n_seconds", "checkpoint.every_n_steps")
MAY_CHANGE += ("trainer.devices", "trainer.num_nodes", "logger")


def reopen_run(folder: Path, overrides: dict[str, Any]) -> tuple[DictConfig, str]:
    """Return the configuration and the recipe of a run, with ``overrides`` (nested or with dotted keys).

    Raises:
        ZooError: the folder contains no run, or an option cannot change on resume.
    """
    if not (folder / "config.yaml").exists():
        raise ZooError(f"resume={folder}: not a run folder (no config.yaml)")
    values = read_run_config(folder)
    recipe, config = values.pop("recipe"), OmegaConf.create(values)
    for key in configs.dotted_keys(overrides):
        if key not in MAY_CHANGE:
            raise ZooError(f"{key}: cannot change on resume. Options that can change: {', '.join(MAY_CHANGE)}")
    overrides = dict(overrides)
    if "logger" in overrides:
        name = str(overrides.pop("logger"))
        if name not in choices("logger"):
            raise unknown("logger", name, choices("logger"))
        config.logger = OmegaConf.load(conf_dir() / "logger" / f"{name}.yaml")
    configs.update(config, overrides)
    return config, recipe


# Required keys of each group, and required keys at the top of a configuration
GROUPS = {"model": ("name",), "data": ("name", "modality", "tasks", "batch_size"), "logger": ("name",)}
GROUPS |= {"trainer": ("accumulate_grad_batches", "gradient_clip_val")}
GROUPS |= dict.fromkeys(("optimizer", "scheduler", "regularization", "early_stopping"), ())
SINGLE = ("recipe", "seed", "task", "run_dir", "init")
LARGEST = 1 << 20  # maximum size of a configuration in bytes; a real one has a few thousand


def read_run_config(folder: Path) -> dict[str, Any]:
    """Return the configuration in a run folder, including its ``recipe``. Safe to load from untrusted sources.

    Raises:
        ZooError: the file does not exist or is not the configuration of a run.
    """
    path = folder / "config.yaml"
    try:
        raw = path.read_bytes()
        text = raw[:LARGEST].decode()
        if len(raw) > LARGEST or any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ZooError("too large, or contains YAML aliases")  # a few aliases expand one line to gigabytes
        values: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        if "${" in repr(values):  # in any key or text
            raise ZooError("contains an interpolation ${…}, which a run never writes")
        missing = [key for key in SINGLE if key not in values]
        missing += [f"{group}.{key}" for group, keys in GROUPS.items() for key in keys if key not in values[group]]
        if missing or not all(isinstance(values[group], dict) for group in GROUPS):
            raise ZooError(f"missing: {', '.join(missing) or 'groups of options'}")
    except FileNotFoundError:
        raise ZooError(f"{folder}: not a run folder (no config.yaml)") from None
    except Exception as error:  # any error of the two parsers for a damaged file
        reason = error if isinstance(error, ZooError) else type(error).__name__
        raise ZooError(f"{path}: not the configuration of a run ({reason})") from None
    return dict(values)


def _new_folder(run_dir: str | None, name: str) -> Path:
    """Return the folder that a run will create: ``run_dir``, or by default runs/NAME/TIME.

    Raises:
        ZooError: the folder already exists or is not writable.
    """
    if run_dir is not None:
        folder = Path(run_dir).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ZooError(f"run_dir={folder}: already exists. Choose another folder.")
    else:
        folder = Path("runs") / name / time.strftime("%Y-%m-%d_%H-%M-%S")
    parent = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ZooError(
            f"{folder}: cannot be written, because {parent} is not writable. Choose another folder with run_dir=."
        )
    return folder
