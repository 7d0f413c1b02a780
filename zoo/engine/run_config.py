"""A run as it was asked for: checked, and with a folder that it may make. Needs no torch, so refusals are instant."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from zoo.config import compose as configs
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


@dataclass(frozen=True)
class RunConfig:
    """What a run will do. ``values`` is the whole configuration as Python primitives, ``named`` are the dotted options
    that the user gave values of; the others are defaults.
    """

    values: dict[str, Any]
    recipe: str
    command: str
    task: str
    learning: Learning
    trainer: TrainerOptions
    stopping: EarlyStopping
    checkpoint: CheckpointOptions
    folder: Path
    named: frozenset[str] = frozenset()
    working_dir: str | None = None  # where the run began, which relative places in its options are meant from
    resumed: bool = False  # goes on with what is in the folder
    changed: bool = False  # with other options than it began with

    @contextlib.contextmanager
    def create_run_dir(self) -> Iterator[RunConfig]:
        """Yield the plan with an empty folder that it alone has: two runs of one second get two.

        Where nothing was written into it in the end, it is gone again, as are those above it that were made for it.

        Raises:
            ZooError: the file system does not allow it.
        """
        if self.resumed:
            yield self
            return
        folder, number = self.folder, 1
        made = [above for above in (folder, *folder.parents) if not above.exists()]
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
                for above in [folder, *(one for one in made if one != self.folder)]:
                    above.rmdir()

    def _unwritable(self, error: OSError) -> ZooError:
        return ZooError(f"{self.folder}: cannot be written ({error.strerror}); choose another with run_dir=")

    def make_folder(self) -> None:
        """Fill the folder, with the configuration; where a run goes on, write what has changed.

        Raises:
            ZooError: the file system does not allow it.
        """
        try:
            (self.folder / "checkpoints").mkdir(parents=True, exist_ok=self.resumed)
            content = OmegaConf.create({"recipe": self.recipe, "working_dir": self.working_dir, **self.values})
            atomic_write(self.folder / "config.yaml", lambda to: OmegaConf.save(content, to))
        except OSError as error:
            raise self._unwritable(error) from None


def plan(
    config: DictConfig,
    *,
    recipe: str | None,
    command: str,
    resumed: Path | None = None,
    named: Collection[str] = (),
) -> RunConfig:
    """Return the plan of a composed configuration; of a run that goes on in its folder ``resumed``.

    Raises:
        ZooError: the model cannot do the data's task, an option is outside its limits, the folder cannot be made.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    working_dir = values.pop("working_dir", None)
    if values["data"].get("modality") is None and values["data"].get("env"):
        from zoo.data.environment.spaces import described

        values["data"]["modality"] = config.data.modality = described(values["data"]["env"])["modality"]
    check_number("data.batch_size", values["data"]["batch_size"], low=1, integer=True)
    check_number("seed", values["seed"], low=0, integer=True)
    recipe, task = recipe or values["model"]["name"], configs.task_of(config)
    for option in ("normal_classes", "anomalies"):
        if values["data"].get(option) is not None and task != "reconstruction":
            fitting = configs.fitting_models("reconstruction", values["data"]["modality"])
            raise ZooError(f"data.{option}: is for models that find anomalies: {', '.join(fitting)}")
    return RunConfig(
        values=values,
        recipe=recipe,
        command=command,
        task=task,
        learning=learning_of(values),
        trainer=options(TrainerOptions, "trainer", values["trainer"]),
        stopping=options(EarlyStopping, "early_stopping", values["early_stopping"]),
        checkpoint=options(CheckpointOptions, "checkpoint", values.get("checkpoint") or {}),
        folder=resumed or _folder(values["run_dir"], f"{recipe}-{_data_name(values['data'])}"),
        named=frozenset(named),
        working_dir=working_dir or os.getcwd(),
        resumed=resumed is not None,
        changed=resumed is not None and _longer(config_of(resumed), values),
    )


def _data_name(data: dict[str, Any]) -> str:
    """Return what a run's folder is named by: its data, of environments by their id the id itself."""
    from zoo.data.environment.spaces import folder_name

    env = data.get("env")
    own: Any = OmegaConf.load(configs.conf_dir() / "data" / f"{data['name']}.yaml") if env else {}
    return folder_name(env) if env and env != own.get("env") else str(data["name"])


BUNDLED = ("text_file", "series", "binarized_mnist")  # data with files of its own, where no path is given
FILES = ("path", "labels", "test", "anomalies", "generated")  # options of data that name a file or a folder
FOLDERS = ("root", "cache")


def placed(data: dict[str, Any], base: object = None) -> dict[str, Any]:
    """Return options of data with ``~`` as the home folder, and relative places as the folder ``base`` has them.

    ``base`` is where a run was started, as its config.yaml records it. What is not there is meant from here.
    """
    values, folder = dict(data), Path(base) if isinstance(base, str) else None
    for key in (*FILES, *FOLDERS):
        if isinstance(values.get(key), str):
            place = Path(values[key]).expanduser()
            if folder is not None and folder != Path.cwd() and (folder / place).exists():
                place = folder / place
            values[key] = str(place)
    unnamed = "root" in values and values["root"] is None and "ZOO_DATA" not in os.environ
    if unnamed and folder is not None and not Path("data").is_dir() and (folder / "data").is_dir():
        values["root"] = str(folder / "data")
    return values


def check_files(data: dict[str, Any]) -> None:
    """Refuse files that are not there, before anything heavy is imported.

    Raises:
        ZooError: ``data.path`` is not given, or one of the data's files does not exist.
    """
    if "env" in data and not data["env"]:
        raise ZooError(f"data={data['name']}: needs data.env=, an id of gymnasium, or module:id where a module has it")
    if "path" in data and data["path"] is None and data["name"] not in BUNDLED:
        raise ZooError(f"data={data['name']}: needs data.path=, the file or folder to read")
    for key in FILES:
        if isinstance(data.get(key), str) and not Path(data[key]).exists():
            raise ZooError(f"data.{key}={data[key]}: no such file or folder")


LONGER = ("max_epochs", "max_time")  # of the trainer: a run that ended may go on with another
MAY_CHANGE = (*(f"trainer.{key}" for key in LONGER), "checkpoint.every", "checkpoint.every_steps")
MAY_CHANGE += ("trainer.devices", "trainer.num_nodes", "logger")


def reopen(folder: Path, overrides: dict[str, Any]) -> tuple[DictConfig, str]:
    """Return configuration and recipe of the run in ``folder``, with ``overrides`` (nested, or by dotted keys).

    Raises:
        ZooError: there is no run, or an option that may not change.
    """
    if not (folder / "config.yaml").exists():
        raise ZooError(f"resume={folder}: holds no run (no config.yaml)")
    values = config_of(folder)
    recipe, config = values.pop("recipe"), OmegaConf.create(values)
    for key in dotted(overrides):
        if key not in MAY_CHANGE:
            raise ZooError(f"{key}: cannot change where a run goes on; what can is {', '.join(MAY_CHANGE)}")
    asked = dict(overrides)
    if "logger" in asked:
        name = str(asked.pop("logger"))
        if name not in configs.choices("logger"):
            raise unknown("logger", name, configs.choices("logger"))
        config.logger = OmegaConf.load(configs.conf_dir() / "logger" / f"{name}.yaml")
    configs.update(config, asked)
    return config, recipe


# What each configuration has, and what its groups have
GROUPS = {"model": ("name",), "data": ("name", "modality", "tasks", "batch_size"), "logger": ("name",)}
GROUPS |= {"trainer": ("accumulate",)} | dict.fromkeys(("optimizer", "scheduler", "regularization"), ())
GROUPS |= {"early_stopping": ()}
SINGLE = ("recipe", "seed", "task", "run_dir", "init")
LARGEST = 1 << 20  # bytes of a configuration, which has some thousand


def config_of(folder: Path) -> dict[str, Any]:
    """Return the configuration of a run's folder, with its ``recipe``; it may come from anyone, and builds nothing.

    Raises:
        ZooError: there is none, or it is not the configuration of a run.
    """
    path = folder / "config.yaml"
    try:
        raw = path.read_bytes()
        text = raw[:LARGEST].decode()
        if len(raw) > LARGEST or any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ZooError("larger than any, or with aliases")  # a few of which make gigabytes of a line
        container: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        values: dict[str, Any] = container
        if any("${" in part for part in _texts(values)):
            raise ZooError("it holds ${…}, which a run never writes; nothing of it is looked up")
        lacks = [key for key in SINGLE if key not in values]
        lacks += [f"{group}.{key}" for group, keys in GROUPS.items() for key in keys if key not in values[group]]
        if lacks or not all(isinstance(values[group], dict) for group in GROUPS):
            raise ZooError(f"without {', '.join(lacks) or 'groups of options'}")
    except FileNotFoundError:
        raise ZooError(f"{folder}: holds no run (no config.yaml)") from None
    except Exception as error:  # whatever a damaged file makes the two parsers say
        said = error if isinstance(error, ZooError) else type(error).__name__
        raise ZooError(f"{path}: is not the configuration of a run ({said})") from None
    return values


def _texts(node: Any) -> Iterator[str]:
    """Yield all texts of a configuration, keys too."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node


def _longer(before: dict[str, Any], now: dict[str, Any]) -> bool:
    return any(before["trainer"].get(key) != now["trainer"].get(key) for key in LONGER)


def dotted(values: dict[str, Any], above: str = "") -> list[str]:
    """Return the options that a nested dictionary gives values of, by their dotted keys."""
    found = []
    for key, value in values.items():
        found += dotted(value, f"{above}{key}.") if isinstance(value, dict) else [f"{above}{key}"]
    return found


def _folder(asked: str | None, name: str) -> Path:
    if asked is not None:
        folder = Path(asked).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ZooError(f"run_dir={folder}: exists already; choose a folder that does not")
    else:
        folder = Path("runs") / name / time.strftime("%Y-%m-%d_%H-%M-%S")
    above = next(p for p in [folder, *folder.absolute().parents] if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ZooError(f"{folder}: cannot be written, {above} does not allow it; choose another with run_dir=")
    return folder
