"""One run, from a configuration to a folder with its results; ``zoo.train`` and ``zoo.load``."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from zoo import config as configs
from zoo import registry
from zoo.errors import TrainingError, ZooError
from zoo.options import EarlyStopping, TrainerOptions, check_number, learning_of, options

if TYPE_CHECKING:
    import lightning as L
    from torch import Tensor

    from zoo.callbacks import History
    from zoo.data import Dataset
    from zoo.module import ZooModule


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

    ``data`` is a name, arrays ``(X, y)``, or a data frame with the name of its ``target`` column. ``overrides`` are the
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
        arrays, name = from_arrays(data, target=target, **cut), "arrays"
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

    from zoo.options import Learning, Optimizer, Regularization, Schedule

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        made_by, arguments = content["zoo"], content["hyper_parameters"]
        learning = dict(made_by["learning"])
    except FileNotFoundError:
        raise ZooError(f"{path}: no such file") from None
    except Exception as error:
        raise ZooError(f"{path}: not a checkpoint of the zoo ({type(error).__name__})") from None
    model = registry.create(made_by["model"], **arguments)
    for key, cls in (("optimizer", Optimizer), ("schedule", Schedule), ("regularization", Regularization)):
        learning[key] = options(cls, key, learning[key])
    model.configure(options(Learning, "learning", learning))
    model.load_state_dict(content["state_dict"])
    model.on_load_checkpoint(content)
    return model.eval()


def run(config: DictConfig, *, recipe: str | None = None, command: str = "", dataset: Dataset | None = None) -> Run:
    """Train, test and write the folder of one composed configuration.

    Raises:
        ZooError: an option or data that does not fit, before anything is written.
        TrainingError: the loss became NaN or infinite; the folder keeps the last good checkpoint.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True)
    task = configs.task_of(config)
    learning = learning_of(plain)
    trainer_options = options(TrainerOptions, "trainer", plain["trainer"])
    stopping = options(EarlyStopping, "early_stopping", plain["early_stopping"])
    check_number("data.batch_size", plain["data"]["batch_size"], low=1, whole=True)
    check_number("seed", plain["seed"], low=0, whole=True)
    folder = _folder(plain, recipe or plain["model"]["name"])

    import lightning as L

    _quiet()
    device = _device(trainer_options.accelerator)
    dataset, data = _data(plain, dataset, trainer_options)
    L.seed_everything(plain["seed"], verbose=False)
    model = _model(plain, dataset, task)
    model.configure(learning)
    precision = _precision(trainer_options.precision, device)
    print(_opening(recipe or model.name, model, dataset, device, precision), flush=True)

    trainer, history = _trainer(plain, trainer_options, stopping, folder, device, precision, model)
    _make(folder, plain)
    _fit(trainer, model, data, folder)
    figures, decoded = _test(trainer, model, data, folder)
    return _report(
        plain,
        recipe or model.name,
        command,
        model,
        dataset,
        folder,
        history,
        figures,
        decoded,
        device,
        precision,
    )


def _folder(plain: dict[str, Any], recipe: str) -> Path:
    """Return the folder that the run will make, refused now where it cannot be."""
    if plain["run_dir"] is not None:
        folder = Path(plain["run_dir"])
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ZooError(f"run_dir={folder}: exists already; choose a folder that does not")
    else:
        name = f"{recipe}-{plain['data']['name']}"
        folder = first = Path("runs") / name / time.strftime("%Y-%m-%d_%H-%M-%S")
        number = 1
        while folder.exists():
            number += 1
            folder = first.with_name(f"{first.name}_{number}")
    above = next(p for p in [folder, *folder.absolute().parents] if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ZooError(f"{folder}: cannot be written, {above} does not allow it; choose another with run_dir=")
    return folder


def _make(folder: Path, plain: dict[str, Any]) -> None:
    try:
        (folder / "checkpoints").mkdir(parents=True)
        OmegaConf.save(OmegaConf.create(plain), folder / "config.yaml")
    except OSError as error:
        raise ZooError(f"{folder}: cannot be written ({error.strerror}); choose another with run_dir=") from None


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
            able = torch.cpu.get_capabilities()
            fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
        asked = "bf16" if fast else "32"
    return "bf16-mixed" if str(asked) == "bf16" else "32-true"


def _data(plain: dict[str, Any], dataset: Dataset | None, trainer: TrainerOptions) -> tuple[Dataset, Any]:
    """Return the data set, loaded unless the caller brought it, and its datamodule."""
    from zoo.data import load as load_data
    from zoo.data.augment import Augment
    from zoo.data.loader import ZooData

    shared = ("name", "kind", "tasks", "batch_size", "augment")
    own = {k: v for k, v in plain["data"].items() if k not in shared}
    augment = options(Augment, "data.augment", plain["data"].get("augment") or {})
    if dataset is None:
        dataset = load_data(plain["data"]["name"], **own)
    return dataset, ZooData(
        dataset,
        batch_size=plain["data"]["batch_size"],
        seed=plain["seed"],
        augment=augment,
        steps_per_epoch=trainer.steps_per_epoch,
    )


def _model(plain: dict[str, Any], dataset: Dataset, task: str) -> ZooModule:
    if dataset.spec.task != task:
        raise ZooError(f"task={task}: data={dataset.spec.name} is {dataset.spec.task}")
    own = {k: v for k, v in plain["model"].items() if k != "name"}
    return registry.create(plain["model"]["name"], spec=dataset.spec, **own)


def _opening(recipe: str, model: ZooModule, dataset: Dataset, device: str, precision: str) -> str:
    import torch

    train_rows, val_rows, test_rows = dataset.sizes
    shape = "×".join(map(str, dataset.spec.input_shape))
    where = torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return (
        f"{recipe} on {dataset.spec.name}   {train_rows:,} train, {val_rows:,} validation, {test_rows:,} test rows of "
        f"{shape}   {_parameters(model):,} parameters   {where}, {precision}"
    )


def _parameters(model: ZooModule) -> int:
    return sum(p.numel() for p in model.parameters())


def _trainer(
    plain: dict[str, Any],
    trainer: TrainerOptions,
    stopping: EarlyStopping,
    folder: Path,
    device: str,
    precision: str,
    model: ZooModule,
) -> tuple[L.Trainer, History]:
    import lightning as L
    from lightning.pytorch.callbacks import EarlyStopping as Stopper

    from zoo.callbacks import Checkpoints, History, Progress

    history = History(folder / "metrics.csv", _logger(plain["logger"], folder))
    callbacks: list[L.Callback] = [history, Checkpoints(folder / "checkpoints"), Progress()]
    if stopping.patience is not None:
        watched, mode = f"val/{model.objective.monitor}", model.objective.mode
        callbacks.append(
            Stopper(watched, mode=mode, patience=stopping.patience, min_delta=stopping.min_delta, verbose=False)
        )
    made = L.Trainer(
        accelerator=device,
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        max_epochs=trainer.max_epochs,
        max_time={"seconds": trainer.max_time * 60} if trainer.max_time else None,  # type: ignore[dict-item]
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
    outputs: list[Tensor] = []
    collect = _Collect(outputs)
    trainer.callbacks.append(collect)  # type: ignore[attr-defined]
    figures = trainer.test(model, datamodule=data, verbose=False)[0]
    return dict(figures), model.objective.decode(torch.cat(outputs))


def _Collect(outputs: list[Tensor]) -> L.Callback:  # noqa: N802
    import lightning as L

    class Collect(L.Callback):
        def on_test_batch_end(self, trainer: Any, module: Any, out: Any, *_: Any) -> None:
            outputs.append(out.detach().float().cpu())

    return Collect()


def _report(
    plain: dict[str, Any],
    recipe: str,
    command: str,
    model: ZooModule,
    dataset: Dataset,
    folder: Path,
    history: History,
    figures: dict[str, float],
    decoded: dict[str, Any],
    device: str,
    precision: str,
) -> Run:
    from zoo.baselines import baselines
    from zoo.plots import run_pictures

    beside = baselines(dataset)
    pictures = run_pictures(dataset, history.rows, decoded, folder / "plots")
    samples = history.rows[-1]["samples"]
    results = {
        "model": recipe,
        "class": model.name,
        "data": dataset.spec.name,
        "task": dataset.spec.task,
        "seed": plain["seed"],
        "epochs": len(history.rows),
        "steps": history.rows[-1]["steps"],
        "samples": samples,
        "train_seconds": round(history.seconds, 3),
        "samples_per_second": round(samples / history.seconds, 1),
        "params": _parameters(model),
        "peak_memory_mb": _peak_memory(device),
        "metrics": {**{k: v for k, v in history.rows[-1].items() if k.startswith("train/")}, **figures},
        "baselines": beside,
        **_circumstances(plain, command, device, precision),
    }
    best = max if model.objective.mode == "max" else min
    monitor = f"val/{model.objective.monitor}"
    results["metrics"][monitor] = best(row[monitor] for row in history.rows)
    temporary = folder / "results.tmp"
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(temporary, folder / "results.json")
    print(_closing(results, folder, pictures, model), flush=True)
    return Run(metrics=figures, model=model.eval(), folder=folder, plots=pictures, results=results)


def _peak_memory(device: str) -> float:
    import torch

    if device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is bytes there, kilobytes on Linux
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


def _circumstances(plain: dict[str, Any], command: str, device: str, precision: str) -> dict[str, Any]:
    """Return what a reader needs to make the figures again, and to know on what they were made."""
    import lightning
    import torch

    from zoo import __version__

    kept = {k: v for k, v in plain.items() if k not in ("run_dir", "logger", "promise", "hydra")}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:12]
    versions = {"zoo": __version__, "torch": torch.__version__, "lightning": lightning.__version__}
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {
        "device": f"{device} ({name})",
        "precision": precision,
        "threads": torch.get_num_threads(),
        "versions": {**versions, "python": platform.python_version()},
        "commit": _commit(),
        "command": command,
        "config_hash": digest,
    }


def _commit() -> str | None:
    """Return the commit of the checkout that the zoo runs from; None where it is installed as a package."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    said = subprocess.run(["git", "-C", here, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    return said.stdout.strip() or None


def _closing(results: Mapping[str, Any], folder: Path, pictures: Sequence[Path], model: ZooModule) -> str:
    monitor, data = model.objective.monitor, results["data"]
    beside = ", ".join(f"{name} {value:.3g}" for name, value in results["baselines"].items())
    names = ",".join(p.stem for p in pictures)
    others = [m for m in configs.fitting_models(results["task"], model.spec.kind) if m != results["class"]]
    sets = [d for d in configs.fitting_data(registry.entry(model.name)) if d != data]
    following = [f"model={m} data={data}" for m in others[:1] if data != "arrays"]
    following += [f"model={results['model']} data={d}" for d in sets[:1]]
    return "\n".join(
        [
            f"{results['model']} on {data}   test {monitor} {results['metrics'][f'test/{monitor}']:.4g} ({beside})   "
            f"{results['params']:,} parameters   {results['train_seconds']:.0f} s   "
            f"{results['samples_per_second']:,.0f} samples/s",
            f"pictures        {folder}/plots/{{{names}}}.png",
            "next            " + " · ".join(f"python train.py {words}" for words in following),
        ]
    )
