"""The checked configuration of a run and of a run's folder. Needs no torch, so rejections are instant."""

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
    """The configuration of one run.

    ``values`` is all of it as Python primitives; ``overridden`` are the dotted options that the user set, the others
    are defaults.
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
    working_dir: str | None = None  # where the run began: relative paths in its options start there
    resumed: bool = False  # continues what is in the folder
    changed: bool = False  # with other options than it began with

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
        """Return the checked form of a composed configuration; ``resume_from`` is the folder of a run that continues.

        Raises:
            ZooError: the model cannot do the data's task, an option is outside its limits, the folder cannot be made.
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
                raise ZooError(f"data.{option}: is for models that find anomalies: {', '.join(fitting)}")
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
        """The options of the data, with paths as they are from here."""
        return resolve_paths(self.values["data"], self.working_dir)

    @property
    def checkpoints(self) -> Path:
        """The folder of best.ckpt and last.ckpt."""
        return self.folder / "checkpoints"

    @contextlib.contextmanager
    def create_run_dir(self) -> Iterator[RunConfig]:
        """Yield the configuration with an empty folder of its own: two runs of one second get two.

        A folder that is still empty at the end is removed, as are the parents that were created for it.

        Raises:
            ZooError: the file system does not allow it.
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
            with contextlib.suppress(OSError):  # one is not empty
                for path in [folder, *(parent for parent in created if parent != self.folder)]:
                    path.rmdir()

    def _unwritable(self, error: OSError) -> ZooError:
        return ZooError(f"{self.folder}: cannot be written ({error.strerror}); choose another with run_dir=")

    def write(self) -> None:
        """Write config.yaml and create the folder of checkpoints; a run that continues writes its changed options.

        Raises:
            ZooError: the file system does not allow it.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=self.resumed)
            content = OmegaConf.create({"recipe": self.recipe, "working_dir": self.working_dir, **self.values})
            atomic_write(self.folder / "config.yaml", lambda to: OmegaConf.save(content, to))
        except OSError as error:
            raise self._unwritable(error) from None


def _fit_to_launch(trainer: TrainerOptions) -> TrainerOptions:
    """Return the trainer's options with as many machines as torchrun or srun uses.

    Raises:
        ZooError: other processes were requested than were started.
    """
    launch = find_launch()
    if launch is None:
        if (nodes := trainer.num_nodes or 1) > 1:
            raise ZooError(
                f"trainer.num_nodes={nodes}: start it by torchrun --nnodes {nodes} on each, or by SLURM's srun"
            )
        return trainer
    if (trainer.num_nodes or launch.num_nodes) != launch.num_nodes:
        started = f"{launch.launcher} started processes on {launch.num_nodes}"
        raise ZooError(f"trainer.num_nodes={trainer.num_nodes}: {started}")
    if trainer.devices * launch.num_nodes != launch.world_size:
        each = launch.world_size // launch.num_nodes
        raise ZooError(f"trainer.devices={trainer.devices}: {launch.launcher} started {each} on each machine")
    return replace(trainer, num_nodes=launch.num_nodes)


def folder_name(source: str) -> str:
    """Return a data set, or the id of an environment, as a folder's name: ``module:Name/Id-v0`` becomes ``Name-Id-v0``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", source.rpartition(":")[2]).strip("-.") or "environment"


BUNDLED = ("text_file", "series", "binarized_mnist")  # data with files of its own, where no path is given
SOURCES = {  # options of data that must be given
    "path": "the file or folder to read",
    "env": "an id of gymnasium, or module:id where a module has it",
}


def resolve_paths(data: dict[str, Any], working_dir: object = None) -> dict[str, Any]:
    """Return options of data with ``~`` expanded and relative paths taken from ``working_dir`` where they exist there.

    ``working_dir`` is where a run was started, as its config.yaml records it.
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
    """Reject files that do not exist, before anything heavy is imported.

    Raises:
        ZooError: ``data.path`` or ``data.env`` is not given, or one of the data's files does not exist.
    """
    for key, source in SOURCES.items():
        if data.get(key, "given") in (None, "") and data["name"] not in BUNDLED:
            raise ZooError(f"data={data['name']}: needs data.{key}=, {source}")
    for key in FILES:
        if isinstance(data.get(key), str) and not Path(data[key]).exists():
            raise ZooError(f"data.{key}={data[key]}: no such file or folder")


EXTENDING = ("max_epochs", "max_minutes")  # options of the trainer: a run that ended may continue with another
MAY_CHANGE = (*(f"trainer.{key}" for key in EXTENDING), "checkpoint.every_n_seconds", "checkpoint.every_n_steps")
MAY_CHANGE += ("trainer.devices", "trainer.num_nodes", "logger")


def reopen_run(folder: Path, overrides: dict[str, Any]) -> tuple[DictConfig, str]:
    """Return configuration and recipe of the run in ``folder``, with ``overrides`` (nested, or by dotted keys).

    Raises:
        ZooError: there is no run, or an option that may not change.
    """
    if not (folder / "config.yaml").exists():
        raise ZooError(f"resume={folder}: holds no run (no config.yaml)")
    values = read_run_config(folder)
    recipe, config = values.pop("recipe"), OmegaConf.create(values)
    for key in configs.dotted_keys(overrides):
        if key not in MAY_CHANGE:
            raise ZooError(f"{key}: cannot change where a run goes on; what can is {', '.join(MAY_CHANGE)}")
    overrides = dict(overrides)
    if "logger" in overrides:
        name = str(overrides.pop("logger"))
        if name not in choices("logger"):
            raise unknown("logger", name, choices("logger"))
        config.logger = OmegaConf.load(conf_dir() / "logger" / f"{name}.yaml")
    configs.update(config, overrides)
    return config, recipe


# What each configuration has, and what its groups have
GROUPS = {"model": ("name",), "data": ("name", "modality", "tasks", "batch_size"), "logger": ("name",)}
GROUPS |= {"trainer": ("accumulate_grad_batches", "gradient_clip_val")}
GROUPS |= dict.fromkeys(("optimizer", "scheduler", "regularization", "early_stopping"), ())
SINGLE = ("recipe", "seed", "task", "run_dir", "init")
LARGEST = 1 << 20  # bytes of a configuration, which has some thousand


def read_run_config(folder: Path) -> dict[str, Any]:
    """Return the configuration in a run's folder, with its ``recipe``. Safe for files from strangers.

    Raises:
        ZooError: there is none, or it is not the configuration of a run.
    """
    path = folder / "config.yaml"
    try:
        raw = path.read_bytes()
        text = raw[:LARGEST].decode()
        if len(raw) > LARGEST or any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ZooError("larger than any, or with aliases")  # a few of which make gigabytes of a line
        values: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        if "${" in repr(values):  # in any key or text
            raise ZooError("it holds ${…}, which a run never writes; nothing of it is looked up")
        missing = [key for key in SINGLE if key not in values]
        missing += [f"{group}.{key}" for group, keys in GROUPS.items() for key in keys if key not in values[group]]
        if missing or not all(isinstance(values[group], dict) for group in GROUPS):
            raise ZooError(f"without {', '.join(missing) or 'groups of options'}")
    except FileNotFoundError:
        raise ZooError(f"{folder}: holds no run (no config.yaml)") from None
    except Exception as error:  # whatever a damaged file makes the two parsers say
        reason = error if isinstance(error, ZooError) else type(error).__name__
        raise ZooError(f"{path}: is not the configuration of a run ({reason})") from None
    return dict(values)


def _new_folder(run_dir: str | None, name: str) -> Path:
    """Return the folder that a run will create: ``run_dir``, or one under runs/ named by its time.

    Raises:
        ZooError: it exists already, or cannot be written.
    """
    if run_dir is not None:
        folder = Path(run_dir).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ZooError(f"run_dir={folder}: exists already; choose a folder that does not")
    else:
        folder = Path("runs") / name / time.strftime("%Y-%m-%d_%H-%M-%S")
    parent = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ZooError(f"{folder}: cannot be written, {parent} does not allow it; choose another with run_dir=")
    return folder
