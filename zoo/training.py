"""One run, from a configuration to a folder with its results; ``zoo.train`` and ``zoo.load``."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from zoo import config as configs
from zoo import registry
from zoo.errors import TrainingError, ZooError
from zoo.options import learning_of, options
from zoo.plan import Plan, plan

if TYPE_CHECKING:
    import lightning as L

    from zoo.callbacks import History
    from zoo.data import Dataset
    from zoo.module import ZooModule
    from zoo.report import Job


@dataclass(frozen=True)
class Run:
    """A finished run. ``metrics`` are the test's, by name: ``test/accuracy``, ``test/rmse``, …"""

    metrics: dict[str, float]
    model: ZooModule
    folder: Path
    plots: list[Path]
    results: dict[str, Any]


def train(model: str, data: Any = "digits", *, target: str | None = None, **overrides: Any) -> Run:
    """Train a model by name and return the finished run.

    ``data`` is a name, arrays ``(X, y)``, or a data frame with the name of its ``target`` column (whole numbers are
    classes where they are few, unless ``task="regression"``). ``overrides`` are the
    options of ``train.py``: a group as a choice or a dictionary (``schedule="cosine"``, ``trainer={"max_epochs": 5}``),
    the model's own as ``options={"dropout": 0.1}``, any by its dotted key (``**{"data.batch_size": 64}``), ``seed=1``.

    Raises:
        ZooError: a name, an option or data that does not fit, before anything is written.
        TrainingError: the loss became NaN or infinite.
    """
    settings = dict(overrides)
    if "options" in settings:
        settings["model"] = settings.pop("options")
    arrays, name = None, data
    if not isinstance(data, str):
        from zoo.data.arrays import from_arrays

        cut = {k: settings.get(f"data.{k}", v) for k, v in (("folds", 5), ("fold", 0), ("split_seed", 0))}
        arrays, name = from_arrays(data, target=target, task=settings.get("task"), **cut), "arrays"
        configs.store_arrays(arrays.spec.kind, arrays.spec.task)
    elif target is not None:
        raise ZooError(f"target={target!r}: is for a data frame; data={data!r} knows its target")
    words = [f"model={model}", f"data={name}"]
    words += [f"{group}={settings.pop(group)}" for group in configs.GROUPS if isinstance(settings.get(group), str)]
    config = configs.compose(words)
    configs.update(config, settings)
    said = ", ".join([repr(model), f"data={name!r}", *(f"{k}={v!r}" for k, v in overrides.items())])
    return run(config, recipe=model, command=f"zoo.train({said})", dataset=arrays)


def load(path: str | Path) -> ZooModule:
    """Return the model of a checkpoint, ready to ``predict``; loads weights and primitives alone, never code.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        made_by, arguments = content["zoo"], content["hyper_parameters"]
        learning = dict(made_by["learning"])
    except FileNotFoundError:
        raise ZooError(f"{path}: no such file") from None
    except Exception as error:
        raise ZooError(f"{path}: not a checkpoint of the zoo ({type(error).__name__})") from None
    model = registry.create(made_by["model"], **arguments)
    model.configure(learning_of(learning))
    model.load_state_dict(content["state_dict"])
    model.on_load_checkpoint(content)
    return model.eval()


def run(config: DictConfig, *, recipe: str | None = None, command: str = "", dataset: Dataset | None = None) -> Run:
    """Train, test and write the folder of one composed configuration.

    Raises:
        ZooError: an option or data that does not fit, before anything is written.
        TrainingError: the loss became NaN or infinite; the folder keeps the last good checkpoint.
    """
    planned = plan(config, recipe=recipe, command=command)
    # From here on torch is needed.
    import lightning as L

    from zoo.baselines import baselines
    from zoo.plots import run_pictures
    from zoo.report import Job, closing, opening, results, write

    _quiet()
    device = _device(planned.trainer.accelerator)
    dataset, data = _data(planned, dataset)
    L.seed_everything(planned.values["seed"], verbose=False)
    job = Job(planned, dataset, _model(planned, dataset), device, _precision(planned.trainer.precision, device))
    print(opening(job), flush=True)

    trainer, history = _trainer(job)
    planned.make_folder()
    _fit(trainer, job.model, data, planned.folder)
    figures, answers = _test(trainer, job.model, data, planned.folder)

    pictures = run_pictures(dataset, history.rows, answers, planned.folder / "plots")
    content = results(job, history.rows, history.seconds, figures, baselines(dataset))
    write(content, planned.folder)
    print(closing(job, content, pictures), flush=True)
    return Run(metrics=figures, model=job.model.eval(), folder=planned.folder, plots=pictures, results=content)


def _quiet() -> None:
    """Silence what Lightning says of things that the zoo does on purpose."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")


def _device(accelerator: str) -> str:
    import torch

    if torch.cuda.is_available():
        return "cpu" if accelerator == "cpu" else "cuda"
    if accelerator == "cuda":
        raise ZooError("trainer=cuda: no CUDA device was found; trainer=auto takes what there is")
    # Lightning has torch ask the driver library for devices, which every optimiser step then does again: 60 µs each.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    return "cpu"


def _precision(asked: str, device: str) -> str:
    """Return Lightning's name of the precision; auto is bf16 where the processor has instructions for it."""
    import torch

    if str(asked) == "auto":
        if device == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell
            fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
        asked = "bf16" if fast else "32"
    return "bf16-mixed" if str(asked) == "bf16" else "32-true"


def _data(planned: Plan, dataset: Dataset | None) -> tuple[Dataset, Any]:
    """Return the data set, loaded unless the caller brought it, and its datamodule."""
    from zoo.data import load as load_data
    from zoo.data.augment import Augment
    from zoo.data.loader import ZooData

    asked = planned.values["data"]
    shared = ("name", "kind", "tasks", "batch_size", "augment")
    augment = options(Augment, "data.augment", asked.get("augment") or {})
    if dataset is None:
        dataset = load_data(asked["name"], **{k: v for k, v in asked.items() if k not in shared})
    return dataset, ZooData(
        dataset,
        batch_size=asked["batch_size"],
        seed=planned.values["seed"],
        augment=augment,
        steps_per_epoch=planned.trainer.steps_per_epoch,
    )


def _model(planned: Plan, dataset: Dataset) -> ZooModule:
    """Return the model as planned, its weights drawn."""
    own = {k: v for k, v in planned.values["model"].items() if k != "name"}
    model = registry.create(planned.values["model"]["name"], spec=dataset.spec, **own)
    model.configure(planned.learning)
    return model


def _trainer(job: Job) -> tuple[L.Trainer, History]:
    import lightning as L
    from lightning.pytorch.callbacks import EarlyStopping

    from zoo.callbacks import Checkpoints, History, Progress

    folder, asked, stopping = job.plan.folder, job.plan.trainer, job.plan.stopping
    history = History(folder / "metrics.csv", _logger(job.plan.values["logger"], folder))
    callbacks: list[L.Callback] = [history, Checkpoints(folder / "checkpoints"), Progress()]
    if stopping.patience is not None:
        watched, mode = f"val/{job.model.objective.monitor}", job.model.objective.mode
        callbacks.append(
            EarlyStopping(watched, mode=mode, patience=stopping.patience, min_delta=stopping.min_delta, verbose=False)
        )
    made = L.Trainer(
        accelerator=job.device,
        devices=1,
        precision=job.precision,  # type: ignore[arg-type]
        max_epochs=asked.max_epochs,
        max_time={"seconds": asked.max_time * 60} if asked.max_time else None,  # type: ignore[dict-item]
        callbacks=callbacks,
        logger=False,  # History logs, by the steps that were really taken
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    return made, history


def _logger(group: dict[str, Any], folder: Path) -> Any:
    if group["name"] == "csv":
        return None
    if group["name"] == "tensorboard":
        import torch.utils.tensorboard  # noqa: F401  (here, and not inside the first epoch's time)
        from lightning.fabric.loggers import TensorBoardLogger

        return TensorBoardLogger(folder, name="", version="")
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise ZooError('logger=wandb: is not installed; pip install "zoo[wandb]"') from None
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(project=group["project"], save_dir=folder)


def _fit(trainer: L.Trainer, model: ZooModule, data: Any, folder: Path) -> None:
    """Fit; a loss that is not finite names the last good checkpoint, or leaves nothing where there is none."""
    try:
        trainer.fit(model, datamodule=data)
    except TrainingError as error:
        best = folder / "checkpoints" / "best.ckpt"
        if best.exists():
            raise TrainingError(f"{error}; last good checkpoint: {best}") from None
        shutil.rmtree(folder)
        raise TrainingError(f"{error}; no epoch was finished, so there is no checkpoint") from None


def _test(trainer: L.Trainer, model: ZooModule, data: Any, folder: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the test figures of the best epoch's weights, and the decoded answers."""
    import torch

    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    model.load_state_dict(best["state_dict"])
    model.on_load_checkpoint(best)
    figures = trainer.test(model, datamodule=data, verbose=False)[0]
    return dict(figures), model.objective.decode(torch.cat(model.answers))
