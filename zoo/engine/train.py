"""One run, from a configuration to a folder with its results; ``zoo.train`` and ``zoo.load``."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from zoo import registry
from zoo.config import compose as configs
from zoo.config.run_config import RunConfig, check_files, dotted_keys, reopen_run
from zoo.engine.build import build_run_config
from zoo.engine.distributed import check_launch
from zoo.engine.run_dir import discard_run, guard_run_dir, read_results, resume_hint
from zoo.engine.signals import Interrupt, Signals
from zoo.exceptions import Stopped, TrainingError, ZooError
from zoo.utils.atomic_io import atomic_write
from zoo.utils.device import select_device, select_precision, set_tf32
from zoo.utils.rank import find_launch

if TYPE_CHECKING:
    import lightning as L
    from torch import Tensor

    from zoo.data import Dataset
    from zoo.data.dataset import Split
    from zoo.engine.callbacks import History
    from zoo.models.base import ZooModule
    from zoo.reporting.results import RunContext


@dataclass(frozen=True)
class Run:
    """A finished run. ``metrics`` are the test's, by name: ``test/accuracy``, ``test/rmse``, …"""

    metrics: dict[str, float]
    model: ZooModule
    folder: Path
    plots: list[Path]
    results: dict[str, Any]


def train(
    model: str,
    data: Any = "digits",
    *,
    target: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    lr: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    callbacks: Sequence[L.Callback] = (),
    report: bool = True,
    **overrides: Any,
) -> Run:
    """Train a model by name and return the finished run.

    ``data`` is a name, arrays ``(X, y)``, a data frame with the name of its ``target`` column (whole numbers are
    classes where they are few, unless ``task="regression"``), or a Dataset with splits of its own. ``model_kwargs``
    are the model's own options, as ``{"dropout": 0.1}``; ``lr``, ``epochs`` and ``batch_size`` are short for
    ``optimizer.lr``, ``trainer.max_epochs`` and ``data.batch_size``. ``overrides`` are all other options of
    ``train.py``: a group as a choice or a dictionary (``scheduler="cosine"``,
    ``trainer={"max_epochs": 5}``), any by its dotted key
    (``**{"data.batch_size": 64}``), ``seed=1``. ``report=False`` leaves out baselines and pictures.

    ``callbacks`` are Lightning's, beside the zoo's own. ``on_train_batch_start`` and ``on_train_batch_end`` are called
    for each macro-batch of up to 16 batches, with outputs of None. All hooks of epochs, validation and test are called
    as Lightning calls them. ``trainer.global_step`` counts the optimizer's steps; ``module.loop`` has the run's epochs
    and samples. ``trainer.current_epoch`` begins at 0 again where a run is resumed. EarlyStopping, ModelCheckpoint,
    Timer and LambdaCallback work; callbacks that cannot work are refused by name.

    Raises:
        ZooError: a name, an option or data that does not fit, before anything is written.
        TrainingError: the loss became NaN or infinite.
        Stopped: by SIGTERM or SIGINT; ``resume`` goes on.
    """
    shortcuts = {"optimizer.lr": lr, "trainer.max_epochs": epochs, "data.batch_size": batch_size}
    overrides |= {key: value for key, value in shortcuts.items() if value is not None}
    overrides |= {"model": dict(model_kwargs)} if model_kwargs else {}
    model = registry.SYNONYMS.get(model, model)
    settings = dict(overrides)
    arrays, name = None, data
    if not isinstance(data, str):
        arrays, name = _arrays(data, target, settings, configs.recipe_class(model)), "arrays"
    elif target is not None:
        raise ZooError(f"target={target!r}: is for a data frame; data={data!r} knows its target")
    words = [f"model={model}", f"data={name}"]
    words += [f"{group}={settings.pop(group)}" for group in configs.GROUPS if isinstance(settings.get(group), str)]
    config = configs.compose(words)
    configs.update(config, settings)
    said = ", ".join([repr(model), f"data={name!r}", *(f"{k}={v!r}" for k, v in overrides.items())])
    command = f"zoo.train({said})"
    return run(
        config,
        recipe=model,
        command=command,
        dataset=arrays,
        callbacks=callbacks,
        report=report,
        named=dotted_keys(overrides),
    )


def _arrays(data: Any, target: str | None, settings: dict[str, Any], model: str) -> Dataset:
    """Return the caller's own data as a Dataset for a registered model, known to Hydra as data=arrays."""
    from zoo.data import Dataset
    from zoo.data.arrays import from_arrays
    from zoo.data.environment.environments import Environments

    cut = {k: settings.get(f"data.{k}", v) for k, v in (("folds", 5), ("fold", 0), ("split_seed", 0))}
    whole = isinstance(data, (Dataset, Environments))
    tasks = registry.entry(model).tasks
    task = settings.get("task") or (tasks[0] if set(tasks) <= set(registry.unsupervised_tasks()) else None)
    arrays = data if whole else from_arrays(data, target=target, task=task, **cut)
    configs.store_arrays(arrays.spec.modality, arrays.spec.task)
    return arrays


def resume(
    folder: str | Path,
    data: Any = None,
    *,
    target: str | None = None,
    callbacks: Sequence[L.Callback] = (),
    report: bool = True,
    **overrides: Any,
) -> Run:
    """Go on with the run in ``folder`` from its last checkpoint, to the weights that it would have reached unstopped.

    ``data`` are the arrays or the frame of a run that was given such, ``overrides`` the few options that may change:
    ``trainer.max_epochs`` and ``trainer.max_minutes``, as ``trainer={"max_epochs": 50}`` or by the dotted key.

    Raises:
        ZooError: no run there, one that has finished, other data than before, or an option that may not change.
        TrainingError, Stopped: as in ``train``.
    """
    folder = Path(folder).expanduser()
    config, recipe = reopen_run(folder, overrides)
    arrays = None
    if config.data.name == "arrays":
        if data is None:
            raise ZooError(f"{folder}: was trained on arrays; give them again, zoo.resume({str(folder)!r}, data=…)")
        settings = {f"data.{key}": config.data[key] for key in ("folds", "fold", "split_seed")}
        arrays = _arrays(data, target, {**settings, "task": config.task}, config.model.name)
    elif data is not None:
        raise ZooError(f"{folder}: was trained on data={config.data.name}, and goes on with it")
    said = ", ".join([repr(str(folder)), *(f"{k}={v!r}" for k, v in overrides.items())])
    return run(
        config,
        recipe=recipe,
        command=f"zoo.resume({said})",
        dataset=arrays,
        callbacks=callbacks,
        report=report,
        resumed=folder,
    )


def run(
    config: DictConfig,
    *,
    recipe: str | None = None,
    command: str = "",
    dataset: Dataset | None = None,
    callbacks: Sequence[L.Callback] = (),
    report: bool = True,
    resumed: Path | None = None,
    named: Collection[str] = (),
) -> Run:
    """Train, test and write the folder of one composed configuration; go on in the folder ``resumed`` where given.

    ``named`` are the dotted options that the user gave: a default may be changed to suit the data.

    Raises:
        ZooError: an option or data that does not fit, before anything is written.
        TrainingError: the loss became NaN or infinite; the folder keeps the last good checkpoint.
        Stopped: the run was asked to stop.
    """
    run_config = build_run_config(config, recipe=recipe, command=command, resume_from=resumed, overridden=named)
    if dataset is None:
        check_files(run_config.data)
    if callbacks:
        from zoo.engine.callbacks.user_callbacks import check_callbacks

        check_callbacks(callbacks)
    from zoo.engine.distributed import ProcessError, join_launch, shared, warm

    launch, devices = find_launch(), run_config.trainer.devices
    if launch is not None:
        run_config = replace(run_config, trainer=check_launch(launch, run_config.trainer))
    elif (run_config.trainer.num_nodes or 1) > 1:
        nodes = run_config.trainer.num_nodes
        raise ZooError(f"trainer.num_nodes={nodes}: start it by torchrun --nnodes {nodes} on each, or by SLURM's srun")
    elif devices > 1:
        warm()
    with Signals() as signals:
        if launch is not None:
            device = select_device(run_config.trainer.accelerator, devices)
            with join_launch(launch, run_config, device) as run_config, _ended_well(run_config):
                return _work(run_config, dataset, callbacks, report, signals)
        with run_config.create_run_dir() as run_config, _ended_well(run_config):
            if devices == 1:
                return _work(run_config, dataset, callbacks, report, signals)
            try:
                with shared(devices, _share, _homes(run_config), run_config, dataset, callbacks, report):
                    return _work(run_config, dataset, callbacks, report, signals)
            except ProcessError as error:
                raise TrainingError(f"{error}; {resume_hint(run_config.folder)}") from error.__cause__


@contextlib.contextmanager
def _ended_well(run_config: RunConfig) -> Iterator[None]:
    """Have a run that is interrupted say what there is of it, and one that failed without a checkpoint leave nothing.

    Raises:
        Stopped: in place of an Interrupt.
    """
    folder = run_config.folder
    try:
        yield
    except Interrupt as interrupt:
        if read_results(folder) is not None:
            left = f"its test figures are in {folder / 'results.json'}; add the rest of its report with"
        elif (folder / "checkpoints" / "last.ckpt").exists():
            left = "go on with"
        else:
            left = "before its first checkpoint; begin again with" if (folder / "config.yaml").exists() else ""
        way = f"{left} python train.py resume={folder}" if left else "before it began"
        joint = " " if way.startswith("before") else "; "
        raise Stopped(f"stopped by {interrupt}{joint}{way}", folder, interrupt.number) from None
    except TrainingError:
        if not run_config.resumed:
            discard_run(folder)
        raise


def _homes(run_config: RunConfig) -> list[str]:
    """Return the modules that register the run's model and data."""
    homes = [registry.entry(run_config.values["model"]["name"]).module]
    name = run_config.values["data"]["name"]
    homes += [registry.data_entry(name).load.__module__] if name != "arrays" else []
    return [home for home in homes if home not in ("__main__", "__mp_main__")]  # each process runs those by itself


def _share(
    homes: Sequence[str], run_config: RunConfig, dataset: Dataset | None, callbacks: Sequence[L.Callback], report: bool
) -> None:
    """Do this process's share of a run, in a process that knows no more than what ``homes`` register."""
    for home in homes:
        importlib.import_module(home)
    with Signals() as signals:
        _work(run_config, dataset, callbacks, report, signals)


def _work(
    run_config: RunConfig, dataset: Dataset | None, callbacks: Sequence[L.Callback], report: bool, signals: Signals
) -> Run:
    """Do a planned run, or this process's share of it."""
    import lightning as L
    import torch

    from zoo.engine import build as parts
    from zoo.reporting.results import RunContext, opening
    from zoo.utils.console import print_progress
    from zoo.utils.precision import narrow_buffers

    parts.silence_lightning()
    device = select_device(run_config.trainer.accelerator, run_config.trainer.devices)
    set_tf32(run_config.trainer.tf32)
    dataset, data = parts.build_data(run_config, dataset)
    L.seed_everything(run_config.values["seed"], verbose=False)
    model = parts.build_model(run_config, dataset)
    narrow_buffers(model, device)
    context = RunContext(run_config, dataset, model, device, select_precision(run_config.trainer.precision, device))
    state = _last(context, report) if run_config.resumed else None
    trainer, history = parts.build_trainer(context, signals, resumed=state, callbacks=callbacks)
    if context.is_rank_zero:
        print_progress(opening(context))
        run_config.write()
    if trainer.world_size > 1:  # each with dropout of its own
        torch.manual_seed(run_config.values["seed"] + 2**20 * trainer.global_rank)
    ended = state is not None and state["ended"] and not run_config.changed
    with guard_run_dir(run_config.folder):
        if trainer.max_epochs and not ended:
            _fit(trainer, model, data, run_config.folder)
        figures = _test(trainer, model, data, run_config.folder)
        return _close(context, trainer, history, figures, data, signals, report=report)


def _last(context: RunContext, report: bool) -> dict[str, Any] | None:
    """Return the training state in the run's folder, its weights and counters in the model; None: no such state yet.

    A run that has finished goes on where its ``report`` lacks parts.

    Raises:
        ZooError: the run has finished, the file is damaged, or the data is not what it was.
    """
    from zoo.checkpoint import read

    path = context.run_config.folder / "checkpoints" / "last.ckpt"
    if not path.exists():
        return None
    content = read(path)
    try:
        spec, processes = content["hyper_parameters"]["spec"], content["processes"]
    except (KeyError, TypeError) as error:
        raise ZooError(f"{path}: holds no state of training to go on from ({type(error).__name__})") from None
    if spec != context.dataset.spec.to_dict():
        raise ZooError(
            f"{context.run_config.folder}: the data of {context.dataset.spec.name} is not what the run began with"
        )
    if len(processes) != context.run_config.trainer.world:
        content["processes"] = processes = shared_anew(processes, context)
    context.model.load_state_dict(content["state_dict"])
    context.model.on_load_checkpoint(content)
    loop = context.model.loop
    loop.epochs = processes[0]["training"]["loop"]["epochs"]
    if (monitor := processes[0]["training"]["loop"].get("monitor")) is not None:
        context.model.watch(monitor)
    if loop.epochs > context.run_config.trainer.max_epochs:
        raise ZooError(
            f"trainer.max_epochs={context.run_config.trainer.max_epochs}: {loop.epochs} epochs of the run are done"
        )
    ended = loop.epochs == context.run_config.trainer.max_epochs or (
        content["ended"] and not context.run_config.changed
    )
    earlier = read_results(context.run_config.folder, steps=context.model.steps)
    if ended and earlier is not None and not (report and earlier.get("missing")):
        raise ZooError(
            f"{context.run_config.folder}: has finished, after {loop.epochs} epochs; "
            f"trainer.max_epochs={2 * loop.epochs} would train on"
        )
    return content


def shared_anew(processes: list[dict[str, Any]], context: RunContext) -> list[dict[str, Any]]:
    """Return the states of as many processes as a run goes on with, from those of others.

    Gradients that wait are those of all processes in each; the epoch's sums become the first one's.

    Raises:
        ZooError: each process has a state of its own, such as environments or a text that it is amid.
    """
    import torch

    states = [one["training"] for one in processes]
    first, known = states[0], {"loader", "loop", "gradients", "plateau", "scaler"}
    own = [key for state in states for key, value in state.items() if key not in known and value is not None]
    if own or set(first["loader"]) != {"epoch", "batch"}:
        raise ZooError(
            f"trainer.devices={context.run_config.trainer.devices}: each of {len(states)} processes has a state of its own, "
            f"which others cannot go on from; {context.run_config.recipe} goes on with as many as before"
        )
    loops = [state["loop"] for state in states]
    sums = {key: sum(loop["sums"].get(key, 0) for loop in loops) for key in loops[0]["sums"]}
    nothing = {key: torch.zeros_like(value) for key, value in sums.items()}
    if context.is_rank_zero:
        print(
            f"note: {context.run_config.trainer.world} processes go on from where {len(states)} were; sums round otherwise"
        )
    made = []
    for rank in range(context.run_config.trainer.world):
        counted = {"sums": nothing, "rows": 0} if rank else {"sums": sums, "rows": sum(loop["rows"] for loop in loops)}
        made.append({"training": {**first, "loop": {**first["loop"], **counted}}, "random": None})
    return made


def _fit(trainer: L.Trainer, model: ZooModule, data: Any, folder: Path) -> None:
    """Fit; a loss that is not finite names the last good checkpoint, or leaves nothing where there is none."""
    try:
        trainer.fit(model, datamodule=data)
    except TrainingError as error:
        for kept in (folder / "checkpoints" / "best.ckpt", folder / "checkpoints" / "last.ckpt"):
            if kept.exists():
                raise TrainingError(f"{error}; last good checkpoint: {kept}", common=error.common) from None
        message = f"{error}; no epoch was finished, so there is no checkpoint"
        raise TrainingError(message, common=error.common) from None


def _test(trainer: L.Trainer, model: ZooModule, data: Any, folder: Path) -> dict[str, float]:
    """Return the test figures of the best epoch's weights."""
    import torch

    path = folder / "checkpoints" / "best.ckpt"
    mine = torch.load(path, map_location="cpu", weights_only=True) if trainer.is_global_zero else {}
    best = trainer.strategy.broadcast(mine)  # other machines may not have the folder
    model.load_state_dict(best["state_dict"])
    model.on_load_checkpoint(best)
    if model.task.threshold_metric is not None:
        model.stage = "val"
        trainer.test(model, dataloaders=data.val_dataloader(), verbose=False)
        model.stage = "test"
        kept = _answers(trainer, model, data.dataset.val)
        assert kept is not None
        threshold = model.task.choose_threshold(kept, data.dataset.val["y"])
        best["zoo"]["threshold"] = model.task.threshold = threshold
        if trainer.is_global_zero:
            atomic_write(path, lambda to: _saved(best, to))
    return dict(trainer.test(model, dataloaders=data.test_dataloader(), verbose=False)[0])


def _saved(content: dict[str, Any], path: Path) -> None:
    import torch

    buffer = io.BytesIO()  # torch's own writer says less of a full disk
    torch.save(content, buffer)
    path.write_bytes(buffer.getvalue())


def _answers(trainer: L.Trainer, model: ZooModule, split: Split) -> Tensor | None:
    """Return what was kept of the last test, of ``split``, in the order of its rows; None: nothing was."""
    import torch

    from zoo.data.loader import EvalLoader, Share

    if not model.test_outputs:
        return None
    kept = torch.cat(model.test_outputs)
    if trainer.world_size == 1:
        return kept
    shares: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(shares, kept)
    kept = kept.new_empty(sum(map(len, shares)), *kept.shape[1:])
    for rank, share in enumerate(shares):
        kept[torch.cat(EvalLoader(split, share=Share(rank, trainer.world_size)).index).cpu()] = share
    return kept


def _close(
    context: RunContext,
    trainer: L.Trainer,
    history: History,
    figures: dict[str, float],
    data: Any,
    signals: Signals,
    *,
    report: bool,
) -> Run:
    """Write results.json, add the report to it and say how it went; of several processes the first does."""
    from zoo.engine.distributed import leave
    from zoo.reporting.results import add_report, closing, results, write
    from zoo.utils.console import print_progress
    from zoo.utils.guard import Guard

    folder, guard = context.run_config.folder, Guard()
    content: dict[str, Any] = {}
    pictures: list[Path] = []
    if context.is_rank_zero:
        earlier = read_results(folder, steps=history.rows[-1]["steps"]) if context.run_config.resumed else None
        content = earlier or results(context, history.rows, (history.seconds, history.validating), figures)
        write({**content, "missing": ["report"]} if report else content, folder)  # nothing from here on can lose it
    kept = (
        guard.attempt("answers", lambda: _answers(trainer, context.model, data.dataset.test), None) if report else None
    )
    leave()  # what follows is the first process's own affair
    if context.is_rank_zero:
        signals.check()
        if report:
            content, pictures = add_report(context, content, history.rows, kept, data, guard)
        figures = {name: value for name, value in content["metrics"].items() if name.startswith("test/")}
        guard.attempt("closing lines", lambda: print_progress(closing(context, content, pictures)), None)
    return Run(metrics=figures, model=context.model.eval(), folder=folder, plots=pictures, results=content)
