"""What a plan is made of: device, precision, data, model, trainer, logger."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.config.schema import PRECISIONS, options
from zoo.engine.launcher import rank
from zoo.engine.run_config import RunConfig, placed
from zoo.exceptions import ZooError, install

if TYPE_CHECKING:
    import lightning as L

    from zoo.data import Dataset
    from zoo.engine.callbacks import History
    from zoo.engine.signals import Signals
    from zoo.models.base import ZooModule
    from zoo.reporting.results import Job


def quiet() -> None:
    """Silence what Lightning says of things that the zoo does on purpose."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    warnings.filterwarnings("ignore", message="LSTM with projections.*")  # has no oneDNN kernel, and is right without


def device_of(accelerator: str, devices: int = 1) -> str:
    """Return cpu, cuda or mps; what is computed on CUDA is the same each time from then on.

    Raises:
        ZooError: a device was asked for that is not there.
    """
    import torch

    count = torch.cuda.device_count()
    if count and accelerator in ("auto", "cuda", "gpu"):
        _make_deterministic()
        if devices > count:
            raise ZooError(f"trainer.devices={devices}: {count} CUDA devices were found; trainer=cpu takes processes")
        return "cuda"
    if accelerator in ("mps", "gpu") and torch.backends.mps.is_available():
        if devices > 1:
            raise ZooError(f"trainer.devices={devices}: there is one MPS device; trainer=cpu takes processes")
        return "mps"
    if accelerator in ("cuda", "gpu", "mps"):
        name = {"cuda": "CUDA", "gpu": "CUDA or MPS", "mps": "MPS"}[accelerator]
        raise ZooError(f"trainer={accelerator}: no {name} device was found; trainer=auto takes what there is")
    # Lightning has torch ask the driver library for devices, which every optimiser step then does again: 60 µs each.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    return "cpu"


def _make_deterministic() -> None:
    """Have CUDA compute the same each time, or a run that goes on ends with other weights; warn where it cannot."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is computed
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # which costs time, and no kernel here reads such


def round_products(tf32: bool | None) -> None:
    """Have float32 products on CUDA round their inputs to 10 bits (TF32), or not; None leaves torch's choice."""
    import torch

    if tf32 is not None:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32


def precision_of(precision: str, device: str) -> str:
    """Return Lightning's name of the precision.

    auto is bf16 where the processor has instructions for it, else fp16 on CUDA devices with units for that.

    Raises:
        ZooError: fp16 on another device, where small gradients would vanish.
    """
    import torch

    name = PRECISIONS[str(precision)]
    if name == "16-mixed" and device != "cuda":
        raise ZooError(f"trainer.precision={precision}: needs a CUDA device; bf16 and 32 do not")
    if name != "auto":
        return name
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed"
        return "16-mixed" if torch.cuda.get_device_capability() >= (7, 0) else "32-true"
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell
    fast = device == "cpu" and (able.get("amx_bf16") or able.get("avx512_bf16"))
    return "bf16-mixed" if fast else "32-true"


SMALLEST_BATCH = 4  # rows, of data that is smaller than the default batch
TRAINED_ON = {"rows": "train_rows", "seed": "rows_seed", "generated": "generated"}  # of trained_on, and of data
# Options of data that any data has
SHARED = ("name", "modality", "tasks", "batch_size", "augment", "normal_classes", *TRAINED_ON.values())


def load_asked(asked: dict[str, Any], task: str, wanted: str | None = None) -> Dataset:
    """Return the data set of a configuration's ``data`` for a task; ``wanted`` is the one that a user named."""
    from zoo.data import load as load_data

    own = {k: v for k, v in asked.items() if k not in SHARED}
    if "task" in registry.signature(registry.data_entry(asked["name"]).load):  # found out from the data, or asked
        own["task"] = task if task in registry.unsupervised_tasks() else wanted
    return _as_asked(load_data(asked["name"], **own), asked, task)


def _as_asked(dataset: Dataset, asked: dict[str, Any], task: str) -> Dataset:
    """Return a data set with the training rows and for the task that were asked for."""
    from zoo.data.subsets import trained_on
    from zoo.data.unlabelled import unlabelled

    if task == "control":
        modality = dataset.spec.modality
        if asked.get("modality") not in (None, modality):
            raise ZooError(f"data={asked['name']}: its environment takes {modality} actions; data.modality={modality}")
        for option in TRAINED_ON.values():
            if asked.get(option) is not None:
                raise ZooError(f"data.{option}: is for data with rows; {dataset.spec.name} is an environment")
        return dataset
    dataset = trained_on(dataset, **{name: asked.get(option) for name, option in TRAINED_ON.items()})
    return (
        unlabelled(dataset, task, normal=asked.get("normal_classes"))
        if task in registry.unsupervised_tasks()
        else dataset
    )


def data_of(run_config: RunConfig, dataset: Dataset | None) -> tuple[Dataset, Any]:
    """Return the data set, loaded unless the caller brought it, and its datamodule."""
    from zoo.data.augment import AUGMENTS
    from zoo.data.loader import ZooData

    asked = run_config.values["data"]
    augment = None
    if asked["modality"] in AUGMENTS:
        augment = options(AUGMENTS[asked["modality"]], "data.augment", asked.get("augment") or {})
    if asked["batch_size"] < run_config.trainer.world:
        raise ZooError(
            f"data.batch_size={asked['batch_size']}: must be at least 1 for each of {run_config.trainer.world} processes"
        )
    if dataset is None:
        dataset = load_asked(placed(asked, run_config.working_dir), run_config.task, run_config.values["task"])
    elif run_config.task != "control":
        dataset = _as_asked(dataset, placed(asked, run_config.working_dir), run_config.task)
    if run_config.task == "control":
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
        if "data.batch_size" in run_config.named or fitting > dataset.sizes[0]:
            raise ZooError(
                f"data.batch_size={asked['batch_size']}: more than the {dataset.sizes[0]} rows to train on; "
                f"data.batch_size={fitting} would make about eight batches of them"
            )
        if rank() == 0:
            print(
                f"note: data.batch_size={fitting}, since there are {dataset.sizes[0]} rows to train on", file=sys.stderr
            )
        asked["batch_size"] = fitting  # in the plan, so that the run's folder records it
    return dataset, ZooData(
        dataset,
        batch_size=asked["batch_size"],
        seed=run_config.values["seed"],
        augment=augment,
        steps_per_epoch=run_config.trainer.steps_per_epoch,
        carried=registry.get(run_config.values["model"]["name"]).stateful,
    )


def in_order(dataset: Dataset, part: str) -> Any:
    """Return the batches of ``val`` or ``test`` as a process by itself has them, on the CPU."""
    from zoo.data.environment.environments import Environments, EpisodeLoader
    from zoo.data.loader import EvalLoader

    if isinstance(dataset, Environments):
        return EpisodeLoader(dataset, part)
    return EvalLoader(getattr(dataset, part), stride=dataset.stride)


def model_of(run_config: RunConfig, dataset: Dataset) -> ZooModule:
    """Return the model as planned, its weights drawn; where a checkpoint has them, they are read from nowhere else."""
    own = {k: v for k, v in run_config.values["model"].items() if k != "name"}
    if run_config.resumed and (run_config.folder / "checkpoints" / "last.ckpt").exists():
        own |= {option: None for option in registry.get(run_config.values["model"]["name"]).sources if option in own}
    model = registry.create(run_config.values["model"]["name"], spec=dataset.spec, **own)
    model.configure(run_config.learning)
    return model


def trainer_of(
    job: Job, signals: Signals, *, resumed: dict[str, Any] | None = None, callbacks: Sequence[L.Callback] = ()
) -> tuple[L.Trainer, History]:
    """Return the trainer, and the record that it will write; with ``resumed``, a last.ckpt, both go on from there."""
    import lightning as L

    from zoo.engine.callbacks import Checkpoints, History, Patience, Progress
    from zoo.engine.callbacks.user_callbacks import check_monitors

    folder, asked, stopping = job.plan.folder, job.plan.trainer, job.plan.stopping
    logger = _logger(job.plan.values["logger"], folder, job.model.steps) if job.is_rank_zero else None
    history = History(folder / "metrics.csv", logger)
    kept = Checkpoints(folder / "checkpoints", signals, options=job.plan.checkpoint, resumed=resumed)
    if job.dataset.spec.task != "generation":  # whose samples are compared by figures that depend on the data
        known = dict.fromkeys([*job.model.task.metrics("val"), job.model.task.monitor])
        check_monitors(callbacks, [f"val/{name}" for name in known])
    mine: list[L.Callback] = [history, kept, Progress(), *callbacks]
    if job.is_rank_zero and job.dataset.spec.task == "language_modeling" and hasattr(job.model, "generate"):
        from zoo.engine.callbacks.text_samples import Samples

        mine.append(Samples(folder / "samples.txt"))
    if job.is_rank_zero and job.dataset.spec.task == "generation" and hasattr(job.model, "sample"):
        from zoo.engine.callbacks.sample_grids import Grids

        mine.append(Grids(folder / "samples"))
    if stopping.patience is not None:
        watched, mode = f"val/{job.model.task.monitor}", job.model.task.mode
        mine.append(
            Patience(watched, mode=mode, patience=stopping.patience, min_delta=stopping.min_delta, verbose=False)
        )
    job.model.loop.max_epochs = asked.max_epochs
    made = L.Trainer(
        accelerator=job.device,
        devices=asked.devices,
        num_nodes=asked.num_nodes or 1,
        strategy=_strategy(job, asked.world),
        precision=job.precision,  # type: ignore[arg-type]
        max_epochs=asked.max_epochs - job.model.loop.epochs,  # of this process; the loop has those of the run
        max_time={"seconds": asked.max_time * 60} if asked.max_time else None,  # type: ignore[dict-item]
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


def _strategy(job: Job, world: int) -> str:
    if world == 1:
        return "auto"
    return "ddp_find_unused_parameters_true" if job.model.learns_in_parts else "ddp"


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
