"""Factory functions of a run: data, model, device, precision, trainer and logger."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.config.schema import options
from zoo.data.dataset import Dataset
from zoo.data.prepare import load_dataset, prepare_dataset
from zoo.engine.callbacks.checkpoint import Checkpoints
from zoo.engine.callbacks.early_stopping import Patience
from zoo.engine.callbacks.history import History, Progress
from zoo.engine.callbacks.user_callbacks import check_monitors
from zoo.engine.signals import Signals
from zoo.exceptions import ZooError, install
from zoo.models.base import ZooModule
from zoo.reporting.results import RunContext
from zoo.utils.device import narrow_buffers, select_device, select_precision, set_tf32


def silence_lightning() -> None:
    """Silence Lightning's warnings about intentional choices of the zoo."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    warnings.filterwarnings("ignore", message="LSTM with projections.*")  # no oneDNN kernel; results are correct


def build_context(run_config: RunConfig, dataset: Dataset | None = None) -> RunContext:
    """Return the run's data, model, device and precision, after seeding all random generators.

    ``dataset`` replaces the data that the configuration names.
    """
    silence_lightning()
    device = select_device(run_config.trainer.accelerator, run_config.trainer.devices)
    set_tf32(run_config.trainer.tf32)
    dataset, datamodule = build_data(run_config, dataset)
    L.seed_everything(run_config.values["seed"], verbose=False)
    model = build_model(run_config, dataset)
    narrow_buffers(model, device)
    precision = select_precision(run_config.trainer.precision, device)
    return RunContext(run_config, dataset, datamodule, model, device, precision)


def build_data(run_config: RunConfig, dataset: Dataset | None = None) -> tuple[Dataset, Any]:
    """Return the data set and its datamodule; load the data set if ``dataset`` is None.

    Raises:
        ZooError: an invalid option of the data, or a batch smaller than the number of processes.
    """
    data, world = run_config.values["data"], run_config.trainer.world
    modality = registry.get_modality(data["modality"])
    augment = None
    if modality.augmentation is not None:
        augment = options(modality.augmentation, "data.augment", data.get("augment") or {})
    if data["batch_size"] < world:
        raise ZooError(f"data.batch_size={data['batch_size']}: must be at least 1 for each of {world} processes")
    if dataset is None:
        dataset = load_dataset(run_config.data, run_config.task, requested_task=run_config.values["task"])
    else:
        dataset = prepare_dataset(dataset, run_config.data, run_config.task)
    return dataset, modality.datamodule(dataset, run_config, augment)


def build_model(run_config: RunConfig, dataset: Dataset) -> ZooModule:
    """Return the model with its initial weights.

    A resumed run reads its weights from the checkpoint, so options that name other sources of weights are ignored.
    """
    model_options = dict(run_config.values["model"])
    name = model_options.pop("name")
    if run_config.resumed and (run_config.checkpoints / "last.ckpt").exists():
        model_options |= {option: None for option in registry.get(name).sources if option in model_options}
    model: ZooModule = registry.create(name, spec=dataset.spec, **model_options)
    model.configure(run_config.learning)
    return model


def build_trainer(
    context: RunContext,
    signals: Signals,
    *,
    state: dict[str, Any] | None = None,
    callbacks: Sequence[L.Callback] = (),
) -> tuple[L.Trainer, History]:
    """Return the trainer and the history of metrics; both continue from ``state``, the content of last.ckpt.

    Raises:
        ZooError: a callback monitors an unknown metric, or the logger is not installed.
    """
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
        max_epochs=options.max_epochs
        - context.model.loop.epochs,  # epochs of this process; the loop counts those of the run
        max_time={"seconds": options.max_minutes * 60} if options.max_minutes else None,  # type: ignore[dict-item]
        callbacks=run_callbacks,
        logger=False,  # History logs by optimizer steps
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
        import torch.utils.tensorboard  # noqa: F401  (imported here to keep it out of the first epoch's time)
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger

        # A resumed run discards events that are newer than its checkpoint
        return TensorBoardLogger(folder, name="", version="", purge_step=steps + 1 if steps else None)
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise ZooError(f"logger=wandb: wandb is not installed. Run: {install('wandb')}") from None
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(project=group["project"], save_dir=folder)
