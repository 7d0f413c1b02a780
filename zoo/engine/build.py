"""Factories of a run: configuration, device, precision, data, model, trainer, logger."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.config.schema import options
from zoo.data.from_config import load_dataset, prepare_dataset
from zoo.exceptions import ZooError, install
from zoo.utils.console import print_note
from zoo.utils.device import select_device, select_precision, set_tf32

if TYPE_CHECKING:
    import lightning as L

    from zoo.data import Dataset
    from zoo.engine.callbacks import History
    from zoo.engine.signals import Signals
    from zoo.models.base import ZooModule
    from zoo.reporting.results import RunContext


def silence_lightning() -> None:
    """Silence Lightning's advice against choices that the zoo makes on purpose."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    warnings.filterwarnings("ignore", message="LSTM with projections.*")  # has no oneDNN kernel, and is right without


SMALLEST_BATCH = 4  # rows, of data that is smaller than the default batch


def build_context(run_config: RunConfig, dataset: Dataset | None) -> RunContext:
    """Return the run's data, model, device and precision, with all random generators seeded."""
    import lightning as L

    from zoo.reporting.results import RunContext
    from zoo.utils.precision import narrow_buffers

    silence_lightning()
    device = select_device(run_config.trainer.accelerator, run_config.trainer.devices)
    set_tf32(run_config.trainer.tf32)
    dataset, datamodule = build_data(run_config, dataset)
    L.seed_everything(run_config.values["seed"], verbose=False)
    model = build_model(run_config, dataset)
    narrow_buffers(model, device)
    precision = select_precision(run_config.trainer.precision, device)
    return RunContext(run_config, dataset, datamodule, model, device, precision)


def build_data(run_config: RunConfig, dataset: Dataset | None) -> tuple[Dataset, Any]:
    """Return the data set, loaded unless the caller brought it, and its datamodule."""
    from zoo.data.loader import ZooData

    data_options = run_config.values["data"]
    augment = None
    augmentation = registry.get_modality(data_options["modality"]).augmentation
    if augmentation is not None:
        augment = options(augmentation, "data.augment", data_options.get("augment") or {})
    if data_options["batch_size"] < run_config.trainer.world:
        raise ZooError(
            f"data.batch_size={data_options['batch_size']}: must be at least 1 for each of {run_config.trainer.world} processes"
        )
    if dataset is None:
        dataset = load_dataset(run_config.data, run_config.task, requested_task=run_config.values["task"])
    elif registry.task_entry(run_config.task).target != "reward":
        dataset = prepare_dataset(dataset, run_config.data, run_config.task)
    if registry.task_entry(run_config.task).target == "reward":
        from zoo.data.environment.environments import check_replay
        from zoo.data.environment.loaders import EnvironmentData

        world, num_envs = run_config.trainer.world, dataset.num_envs  # type: ignore[attr-defined]
        if num_envs % world:
            devices = run_config.trainer.devices
            raise ZooError(f"trainer.devices={devices}: {world} processes must share data.num_envs={num_envs} evenly")
        if run_config.trainer.steps_per_epoch is not None:
            steps = dataset.steps_per_epoch  # type: ignore[attr-defined]
            print_note(
                f"trainer.steps_per_epoch is for data with rows; an epoch has data.steps_per_epoch={steps} steps"
            )
        off_policy = registry.get(run_config.values["model"]["name"]).off_policy
        if off_policy:
            check_replay(dataset, n_step=run_config.values["model"].get("n_step", 1))  # type: ignore[arg-type]
        settings = {
            "batch_size": data_options["batch_size"],
            "seed": run_config.values["seed"],
            "off_policy": off_policy,
        }
        return dataset, EnvironmentData(dataset, **settings)  # type: ignore[arg-type]
    if dataset.sizes[0] < data_options["batch_size"]:
        fitting = max(dataset.sizes[0] // 8, min(dataset.sizes[0], SMALLEST_BATCH), run_config.trainer.world)
        if "data.batch_size" in run_config.overridden or fitting > dataset.sizes[0]:
            raise ZooError(
                f"data.batch_size={data_options['batch_size']}: more than the {dataset.sizes[0]} rows to train on; "
                f"data.batch_size={fitting} would make about eight batches of them"
            )
        print_note(f"data.batch_size={fitting}, since there are {dataset.sizes[0]} rows to train on")
        data_options["batch_size"] = fitting  # so that the run's folder records it
    return dataset, ZooData(
        dataset,
        batch_size=data_options["batch_size"],
        seed=run_config.values["seed"],
        augment=augment,
        steps_per_epoch=run_config.trainer.steps_per_epoch,
        stateful=registry.get(run_config.values["model"]["name"]).stateful,
    )


def build_model(run_config: RunConfig, dataset: Dataset) -> ZooModule:
    """Return the model with its first weights; where a checkpoint has them, they are read from nowhere else."""
    model_options = {k: v for k, v in run_config.values["model"].items() if k != "name"}
    if run_config.resumed and (run_config.folder / "checkpoints" / "last.ckpt").exists():
        model_options |= {
            option: None
            for option in registry.get(run_config.values["model"]["name"]).sources
            if option in model_options
        }
    model: ZooModule = registry.create(run_config.values["model"]["name"], spec=dataset.spec, **model_options)
    model.configure(run_config.learning)
    return model


def build_trainer(
    context: RunContext,
    signals: Signals,
    *,
    state: dict[str, Any] | None = None,
    callbacks: Sequence[L.Callback] = (),
) -> tuple[L.Trainer, History]:
    """Return the trainer and its history; both continue from ``state``, the content of last.ckpt, where given."""
    import lightning as L

    from zoo.engine.callbacks import Checkpoints, History, Patience, Progress
    from zoo.engine.callbacks.user_callbacks import check_monitors

    run_config, task = context.run_config, context.model.task
    folder, options, stopping = run_config.folder, run_config.trainer, run_config.early_stopping
    logger = _logger(run_config.values["logger"], folder, context.model.steps) if context.is_rank_zero else None
    history = History(folder / "metrics.csv", logger)
    checkpoints = Checkpoints(folder / "checkpoints", signals, options=run_config.checkpoint, resumed=state)
    names = task.metric_names("val")
    if names is not None:
        check_monitors(callbacks, [f"val/{name}" for name in names])
    run_callbacks: list[L.Callback] = [history, checkpoints, Progress(), *callbacks]
    if context.is_rank_zero:
        run_callbacks += task.callbacks(context.model, folder)
    if stopping.patience is not None:
        monitor, limits = f"val/{task.monitor}", {"patience": stopping.patience, "min_delta": stopping.min_delta}
        run_callbacks.append(Patience(monitor, mode=task.mode, verbose=False, **limits))  # type: ignore[arg-type]
    context.model.loop.max_epochs = options.max_epochs
    trainer = L.Trainer(
        accelerator=context.device,
        devices=options.devices,
        num_nodes=options.num_nodes or 1,
        strategy=_strategy(context, options.world),
        precision=context.precision,  # type: ignore[arg-type]
        max_epochs=options.max_epochs - context.model.loop.epochs,  # of this process; the loop has those of the run
        max_time={"seconds": options.max_minutes * 60} if options.max_minutes else None,  # type: ignore[dict-item]
        callbacks=run_callbacks,
        logger=False,  # History logs, by the steps that were really taken
        enable_checkpointing=any(isinstance(callback, L.pytorch.callbacks.Checkpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    for callback in trainer.callbacks if state else ():  # type: ignore[attr-defined]
        if callback.state_key in state["callbacks"]:  # type: ignore[index]
            callback.load_state_dict(state["callbacks"][callback.state_key])  # type: ignore[index]
    return trainer, history


def _strategy(context: RunContext, world: int) -> str:
    if world == 1:
        return "auto"
    return "ddp_find_unused_parameters_true" if context.model.learns_in_parts else "ddp"


def _logger(group: dict[str, Any], folder: Path, steps: int) -> Any:
    if group["name"] == "csv":
        return None
    if group["name"] == "tensorboard":
        import torch.utils.tensorboard  # noqa: F401  (here, and not inside the first epoch's time)
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger

        # Events of a run that went on after its last checkpoint are cut back to it
        return TensorBoardLogger(folder, name="", version="", purge_step=steps + 1 if steps else None)
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise ZooError(f"logger=wandb: is not installed; {install('wandb')}") from None
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(project=group["project"], save_dir=folder)
