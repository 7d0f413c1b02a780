"""What a plan is made of: device, precision, data, model, trainer, logger."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.config.schema import options
from zoo.data.from_config import load_dataset, prepare_dataset
from zoo.exceptions import ZooError, install
from zoo.utils.console import print_note

if TYPE_CHECKING:
    import lightning as L

    from zoo.data import Dataset
    from zoo.engine.callbacks import History
    from zoo.engine.signals import Signals
    from zoo.models.base import ZooModule
    from zoo.reporting.results import RunContext


def silence_lightning() -> None:
    """Silence what Lightning says of things that the zoo does on purpose."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    warnings.filterwarnings("ignore", message="LSTM with projections.*")  # has no oneDNN kernel, and is right without


SMALLEST_BATCH = 4  # rows, of data that is smaller than the default batch


def build_run_config(config: DictConfig, **options: Any) -> RunConfig:
    """Return the checked configuration of a run; ``options`` are those of ``RunConfig.from_config``.

    Raises:
        ZooError: the model cannot do the data's task, an option is outside its limits, the folder cannot be made.
    """
    if config.data.get("action_space", "") is None and config.data.get("env"):
        from zoo.data.environment.spaces import action_space

        config.data.action_space = action_space(config.data.env)
    return RunConfig.from_config(config, **options)


def build_data(run_config: RunConfig, dataset: Dataset | None) -> tuple[Dataset, Any]:
    """Return the data set, loaded unless the caller brought it, and its datamodule."""
    from zoo.data.loader import ZooData

    asked = run_config.values["data"]
    augment = None
    augmentation = registry.get_modality(asked["modality"]).augmentation
    if augmentation is not None:
        augment = options(augmentation, "data.augment", asked.get("augment") or {})
    if asked["batch_size"] < run_config.trainer.world:
        raise ZooError(
            f"data.batch_size={asked['batch_size']}: must be at least 1 for each of {run_config.trainer.world} processes"
        )
    if dataset is None:
        dataset = load_dataset(run_config.data, run_config.task, requested_task=run_config.values["task"])
    elif registry.task_entry(run_config.task).target != "reward":
        dataset = prepare_dataset(dataset, run_config.data, run_config.task)
    if registry.task_entry(run_config.task).target == "reward":
        from zoo.data.environment.environments import EnvironmentData, check_replay

        world, envs = run_config.trainer.world, dataset.envs  # type: ignore[attr-defined]
        if envs % world:
            said = f"trainer.devices={run_config.trainer.devices}: {world} processes must share data.envs={envs} evenly"
            raise ZooError(said)
        off_policy = registry.get(run_config.values["model"]["name"]).off_policy
        if off_policy:
            check_replay(dataset, n_step=run_config.values["model"].get("n_step", 1))  # type: ignore[arg-type]
        settings = {"batch_size": asked["batch_size"], "seed": run_config.values["seed"], "off_policy": off_policy}
        return dataset, EnvironmentData(dataset, **settings)
    if dataset.sizes[0] < asked["batch_size"]:
        fitting = max(dataset.sizes[0] // 8, min(dataset.sizes[0], SMALLEST_BATCH), run_config.trainer.world)
        if "data.batch_size" in run_config.overridden or fitting > dataset.sizes[0]:
            raise ZooError(
                f"data.batch_size={asked['batch_size']}: more than the {dataset.sizes[0]} rows to train on; "
                f"data.batch_size={fitting} would make about eight batches of them"
            )
        print_note(f"data.batch_size={fitting}, since there are {dataset.sizes[0]} rows to train on")
        asked["batch_size"] = fitting  # in the plan, so that the run's folder records it
    return dataset, ZooData(
        dataset,
        batch_size=asked["batch_size"],
        seed=run_config.values["seed"],
        augment=augment,
        steps_per_epoch=run_config.trainer.steps_per_epoch,
        carried=registry.get(run_config.values["model"]["name"]).stateful,
    )


def build_model(run_config: RunConfig, dataset: Dataset) -> ZooModule:
    """Return the model as planned, its weights drawn; where a checkpoint has them, they are read from nowhere else."""
    own = {k: v for k, v in run_config.values["model"].items() if k != "name"}
    if run_config.resumed and (run_config.folder / "checkpoints" / "last.ckpt").exists():
        own |= {option: None for option in registry.get(run_config.values["model"]["name"]).sources if option in own}
    model = registry.create(run_config.values["model"]["name"], spec=dataset.spec, **own)
    model.configure(run_config.learning)
    return model


def build_trainer(
    context: RunContext,
    signals: Signals,
    *,
    resumed: dict[str, Any] | None = None,
    callbacks: Sequence[L.Callback] = (),
) -> tuple[L.Trainer, History]:
    """Return the trainer, and the record that it will write; with ``resumed``, a last.ckpt, both go on from there."""
    import lightning as L

    from zoo.engine.callbacks import Checkpoints, History, Patience, Progress
    from zoo.engine.callbacks.user_callbacks import check_monitors

    folder, asked, stopping = context.run_config.folder, context.run_config.trainer, context.run_config.early_stopping
    logger = _logger(context.run_config.values["logger"], folder, context.model.steps) if context.is_rank_zero else None
    history = History(folder / "metrics.csv", logger)
    kept = Checkpoints(folder / "checkpoints", signals, options=context.run_config.checkpoint, resumed=resumed)
    known = context.model.task.metric_names("val")
    if known is not None:
        check_monitors(callbacks, [f"val/{name}" for name in known])
    mine: list[L.Callback] = [history, kept, Progress(), *callbacks]
    if context.is_rank_zero:
        mine += context.model.task.callbacks(context.model, folder)
    if stopping.patience is not None:
        watched, mode = f"val/{context.model.task.monitor}", context.model.task.mode
        mine.append(
            Patience(watched, mode=mode, patience=stopping.patience, min_delta=stopping.min_delta, verbose=False)
        )
    context.model.loop.max_epochs = asked.max_epochs
    made = L.Trainer(
        accelerator=context.device,
        devices=asked.devices,
        num_nodes=asked.num_nodes or 1,
        strategy=_strategy(context, asked.world),
        precision=context.precision,  # type: ignore[arg-type]
        max_epochs=asked.max_epochs - context.model.loop.epochs,  # of this process; the loop has those of the run
        max_time={"seconds": asked.max_minutes * 60} if asked.max_minutes else None,  # type: ignore[dict-item]
        callbacks=mine,
        logger=False,  # History logs, by the steps that were really taken
        enable_checkpointing=any(isinstance(callback, L.pytorch.callbacks.Checkpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    for callback in made.callbacks if resumed else ():  # type: ignore[attr-defined]
        if callback.state_key in resumed["callbacks"]:  # type: ignore[index]
            callback.load_state_dict(resumed["callbacks"][callback.state_key])  # type: ignore[index]
    return made, history


def _strategy(context: RunContext, world: int) -> str:
    if world == 1:
        return "auto"
    return "ddp_find_unused_parameters_true" if context.model.learns_in_parts else "ddp"


def _logger(group: dict[str, Any], folder: Path, steps: int) -> Any:
    if group["name"] == "csv":
        return None
    if group["name"] == "tensorboard":
        import torch.utils.tensorboard  # noqa: F401  (here, and not inside the first epoch's time)
        from lightning.fabric.loggers import TensorBoardLogger

        # Events of a run that went on after its last checkpoint are cut back to it
        return TensorBoardLogger(folder, name="", version="", purge_step=steps + 1 if steps else None)
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise ZooError(f"logger=wandb: is not installed; {install('wandb')}") from None
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(project=group["project"], save_dir=folder)
