"""One run, from a configuration to a folder with its results; ``zoo.train`` and ``zoo.resume``."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from zoo import registry
from zoo.config import compose as configs
from zoo.config import groups
from zoo.config.run_config import RunConfig, check_files, reopen_run
from zoo.engine.distributed import gather_outputs, leave, open_run, start_workers
from zoo.engine.run_dir import guard_run
from zoo.engine.signals import Signals
from zoo.exceptions import TrainingError, ZooError
from zoo.utils.atomic_io import atomic_write
from zoo.utils.run_paths import find_run

if TYPE_CHECKING:
    import lightning as L

    from zoo.data.dataset import Dataset
    from zoo.engine.callbacks.history import History
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
    model = registry.SYNONYMS.get(model, model)
    kwargs = {"model_kwargs": dict(model_kwargs)} if model_kwargs else {}
    settings = {**overrides, "model": kwargs["model_kwargs"]} if kwargs else dict(overrides)
    overridden = configs.dotted_keys(settings)
    arrays, name = None, data
    if not isinstance(data, str):
        arrays, name = _arrays(data, target, settings, groups.recipe_class(model)), "arrays"
    elif target is not None:
        raise ZooError(f"target={target!r}: is for a data frame; data={data!r} knows its target")
    words = [f"model={model}", f"data={name}"]
    words += [f"{group}={settings.pop(group)}" for group in groups.GROUPS if isinstance(settings.get(group), str)]
    config = configs.compose(words)
    configs.update(config, settings)
    arguments = ", ".join([repr(model), f"data={name!r}", *(f"{k}={v!r}" for k, v in (kwargs | overrides).items())])
    return run(
        config,
        recipe=model,
        command=f"zoo.train({arguments})",
        dataset=arrays,
        callbacks=callbacks,
        report=report,
        overridden=overridden,
    )


def _arrays(data: Any, target: str | None, settings: dict[str, Any], model: str) -> Dataset:
    """Return the caller's own data as a Dataset for a registered model, known to Hydra as data=arrays."""
    from zoo.data.arrays import from_arrays
    from zoo.data.spec import DataSpec

    splits = {k: settings.get(f"data.{k}", v) for k, v in (("folds", 5), ("fold", 0), ("split_seed", 0))}
    is_dataset = isinstance(getattr(data, "spec", None), DataSpec)
    tasks = registry.entry(model).tasks
    task = settings.get("task") or (tasks[0] if set(tasks) <= set(registry.unsupervised_tasks()) else None)
    arrays = data if is_dataset else from_arrays(data, target=target, task=task, **splits)
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
    folder = find_run(folder)
    config, recipe = reopen_run(folder, overrides)
    arrays = None
    if config.data.name == "arrays":
        if data is None:
            raise ZooError(f"{folder}: was trained on arrays; give them again, zoo.resume({str(folder)!r}, data=…)")
        settings = {f"data.{key}": config.data[key] for key in ("folds", "fold", "split_seed")}
        arrays = _arrays(data, target, {**settings, "task": config.task}, config.model.name)
    elif data is not None:
        raise ZooError(f"{folder}: was trained on data={config.data.name}, and goes on with it")
    arguments = ", ".join([repr(str(folder)), *(f"{k}={v!r}" for k, v in overrides.items())])
    return run(
        config,
        recipe=recipe,
        command=f"zoo.resume({arguments})",
        dataset=arrays,
        callbacks=callbacks,
        report=report,
        resume_from=folder,
    )


def run(
    config: DictConfig,
    *,
    recipe: str | None = None,
    command: str = "",
    dataset: Dataset | None = None,
    callbacks: Sequence[L.Callback] = (),
    report: bool = True,
    resume_from: Path | None = None,
    overridden: Collection[str] = (),
) -> Run:
    """Train, test and report one composed configuration; continue the run in the folder ``resume_from`` where given.

    ``overridden`` are the dotted options that the user set; a default may be changed to suit the data.

    Raises:
        ZooError: an option or data that does not fit, before anything is written.
        TrainingError: the loss became NaN or infinite; the folder keeps the last good checkpoint.
        Stopped: the run was asked to stop.
    """
    run_config = RunConfig.from_config(
        config, recipe=recipe, command=command, resume_from=resume_from, overridden=overridden
    )
    if dataset is None:
        check_files(run_config.data)
    return TrainingRun(run_config, dataset, callbacks, report).start()


@dataclass(frozen=True)
class TrainingRun:
    """The stages of one run, in order: build, fit, test, report. Each process of the run goes through all of them."""

    run_config: RunConfig
    dataset: Dataset | None
    callbacks: Sequence[L.Callback]
    report: bool

    def start(self) -> Run:
        """Run all stages in this process, and in others that it starts or that a launcher started."""
        if self.callbacks:
            from zoo.engine.callbacks.user_callbacks import check_callbacks

            check_callbacks(self.callbacks)
        with Signals() as signals, open_run(self.run_config) as run_config, guard_run(run_config):
            this = replace(self, run_config=run_config)
            with start_workers(run_config, this.work):
                return this.stages(signals)

    def work(self) -> None:
        """Run all stages in a process that another one started."""
        with Signals() as signals:
            self.stages(signals)

    def stages(self, signals: Signals) -> Run:
        """Build, fit, test and report."""
        from zoo.engine.build import build_context, build_trainer
        from zoo.engine.callbacks.checkpoint import load_training_state
        from zoo.reporting.results import start_report

        context = build_context(self.run_config, self.dataset)
        state = load_training_state(context, self.report) if self.run_config.resumed else None
        trainer, history = build_trainer(context, signals, state=state, callbacks=self.callbacks)
        start_report(context)
        if trainer.max_epochs and not (state is not None and state["ended"] and not self.run_config.changed):
            self._fit(trainer, context)
        metrics = self._test(trainer, context)
        return self._report(trainer, context, history, metrics, signals)

    def _fit(self, trainer: L.Trainer, context: RunContext) -> None:
        """Fit the model; the error of a loss that is not finite names the last good checkpoint.

        Raises:
            TrainingError: the loss is not finite.
        """
        import torch

        if trainer.world_size > 1:  # dropout differs between processes
            torch.manual_seed(self.run_config.values["seed"] + 2**20 * trainer.global_rank)
        try:
            trainer.fit(context.model, datamodule=context.datamodule)
        except TrainingError as error:
            paths = [self.run_config.checkpoints / name for name in ("best.ckpt", "last.ckpt")]
            last = next((f"last good checkpoint: {path}" for path in paths if path.exists()), None)
            hint = last or "no epoch was finished, so there is no checkpoint"
            raise TrainingError(f"{error}; {hint}", common=error.common) from None

    def _test(self, trainer: L.Trainer, context: RunContext) -> dict[str, float]:
        """Return the test metrics of the weights in best.ckpt; choose the threshold of a task that has one before."""
        import torch

        model, path = context.model, self.run_config.checkpoints / "best.ckpt"
        local = torch.load(path, map_location="cpu", weights_only=True) if trainer.is_global_zero else {}
        best = trainer.strategy.broadcast(local)  # other machines may not have the folder
        model.load_state_dict(best["state_dict"])
        model.on_load_checkpoint(best)
        if model.task.threshold_metric is not None:
            model.stage = "val"
            trainer.test(model, dataloaders=context.datamodule.val_dataloader(), verbose=False)
            model.stage = "test"
            outputs, labels = gather_outputs(trainer, model.test_outputs, context.dataset.val), context.dataset.val["y"]
            assert outputs is not None
            assert isinstance(labels, torch.Tensor)
            best["zoo"]["threshold"] = model.task.threshold = model.task.choose_threshold(outputs, labels)
            if trainer.is_global_zero:
                buffer = io.BytesIO()  # torch's own writer says less of a full disk
                torch.save(best, buffer)
                atomic_write(path, lambda to: to.write_bytes(buffer.getvalue()))
        return dict(trainer.test(model, dataloaders=context.datamodule.test_dataloader(), verbose=False)[0])

    def _report(
        self, trainer: L.Trainer, context: RunContext, history: History, metrics: dict[str, float], signals: Signals
    ) -> Run:
        """Write results.json, add the report to it and print the closing lines, in rank zero."""
        from zoo.reporting.results import add_report, closing, write_results
        from zoo.utils.console import Guard, print_progress

        guard = Guard()
        results: dict[str, Any] = {}
        plots: list[Path] = []
        if context.is_rank_zero:
            seconds = history.seconds, history.validating
            results = write_results(context, history.rows, seconds, metrics, report=self.report)
        outputs = None
        if self.report:
            outputs = guard.attempt(
                "answers", lambda: gather_outputs(trainer, context.model.test_outputs, context.dataset.test), None
            )
        leave()  # the rest is rank zero's
        if context.is_rank_zero:
            signals.check()
            if self.report:
                results, plots = add_report(context, results, history.rows, outputs, guard)
            metrics = {name: value for name, value in results["metrics"].items() if name.startswith("test/")}
            guard.attempt("closing lines", lambda: print_progress(closing(context, results, plots)), None)
        return Run(metrics, context.model.eval(), self.run_config.folder, plots, results)
