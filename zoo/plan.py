"""A run as it was asked for: checked, and with a folder that it may make. Needs no torch, so refusals are instant."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zoo import config as configs
from zoo.errors import ZooError
from zoo.options import EarlyStopping, Learning, TrainerOptions, check_number, learning_of, options


@dataclass(frozen=True)
class Plan:
    """What a run will do. ``values`` is the whole configuration as Python primitives."""

    values: dict[str, Any]
    recipe: str
    command: str
    task: str
    learning: Learning
    trainer: TrainerOptions
    stopping: EarlyStopping
    folder: Path

    def make_folder(self) -> None:
        """Make the folder, with the configuration in it.

        Raises:
            ZooError: the file system does not allow it.
        """
        try:
            (self.folder / "checkpoints").mkdir(parents=True)
            OmegaConf.save(OmegaConf.create(self.values), self.folder / "config.yaml")
        except OSError as error:
            said = f"{self.folder}: cannot be written ({error.strerror}); choose another with run_dir="
            raise ZooError(said) from None


def plan(config: DictConfig, *, recipe: str | None, command: str) -> Plan:
    """Return the plan of a composed configuration.

    Raises:
        ZooError: the model cannot do the data's task, an option is outside its limits, the folder cannot be made.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    check_number("data.batch_size", values["data"]["batch_size"], low=1, whole=True)
    check_number("seed", values["seed"], low=0, whole=True)
    recipe = recipe or values["model"]["name"]
    return Plan(
        values=values,
        recipe=recipe,
        command=command,
        task=configs.task_of(config),
        learning=learning_of(values),
        trainer=options(TrainerOptions, "trainer", values["trainer"]),
        stopping=options(EarlyStopping, "early_stopping", values["early_stopping"]),
        folder=_folder(values["run_dir"], f"{recipe}-{values['data']['name']}"),
    )


def _folder(asked: str | None, name: str) -> Path:
    if asked is not None:
        folder = Path(asked)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ZooError(f"run_dir={folder}: exists already; choose a folder that does not")
    else:
        folder = first = Path("runs") / name / time.strftime("%Y-%m-%d_%H-%M-%S")
        number = 1
        while folder.exists():  # two runs in one second
            number += 1
            folder = first.with_name(f"{first.name}_{number}")
    above = next(p for p in [folder, *folder.absolute().parents] if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ZooError(f"{folder}: cannot be written, {above} does not allow it; choose another with run_dir=")
    return folder
