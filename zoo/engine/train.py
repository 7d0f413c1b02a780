"""Training runs: ``zoo.train``, ``zoo.resume`` and the stages from a configuration to a folder of results."""

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
    """A finished run.

    Attributes:
        metrics: test metrics by name, such as ``test/accuracy`` or ``test/rmse``.
        model: the trained model, on the CPU or on the run's device, in evaluation mode.
        folder: the run's folder, with checkpoints, metrics.csv and results.json.
        plots: paths of the plots; empty without a report.
        results: the content of results.json.
    """

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
    """Train a registered model and return the finished run.

    Lightning calls ``on_train_batch_start`` and ``on_train_batch_end`` of a callback once per macro-batch of up to 16
    batches, with ``outputs=None``. Hooks of epochs, validation and test behave as usual. ``trainer.global_step`` counts
    optimizer steps, and ``module.loop`` counts epochs and samples of the run. In a resumed run,
    ``trainer.current_epoch`` starts at 0 again. EarlyStopping, ModelCheckpoint, Timer and LambdaCallback work. An
    unsupported callback raises an error that names it.

    Args:
        model: name of the model or recipe, such as ``cnn``.
        data: a name, arrays ``(X, y)``, a data frame together with ``target``, or a Dataset with its own splits. Few
            distinct whole numbers as target are classes, unless ``task="regression"``.
        target: target column of a data frame.
        model_kwargs: options of the model, such as ``{"dropout": 0.1}``.
        lr: short for ``optimizer.lr``.
        epochs: short for ``trainer.max_epochs``.
        batch_size: short for ``data.batch_size``.
        callbacks: Lightning callbacks, in addition to those of the zoo.
        report: whether to compute baselines and draw plots.
        overrides: all other options of ``zoo train``. A group is a choice or a dictionary, as in
            ``scheduler="cosine"`` or ``trainer={"max_epochs": 5}``; a single option has a dotted key, as in
            ``**{"data.batch_size": 64}``.

    Raises:
        ZooError: an invalid name, option or data; nothing has been written yet.
        TrainingError: the loss became NaN or infinite.
        Stopped: SIGTERM or SIGINT stopped the run; ``resume`` continues it.
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
        raise ZooError(f"target={target!r}: only for a data frame; data={data!r} defines its own target")
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
    """Return the user's data as a Dataset for a registered model and register it with Hydra as ``data=arrays``."""
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
    """Resume the run in ``folder`` from its last checkpoint and return the finished run.

    A resumed run reaches the same weights as an uninterrupted one.

    Args:
        folder: the run's folder.
        data: arrays or data frame of a run that was trained on such data; None for all other runs.
        target: target column of a data frame.
        callbacks: Lightning callbacks, as in ``train``.
        report: whether to compute baselines and draw plots.
        overrides: options that may change, such as ``trainer.max_epochs`` and ``trainer.max_minutes``, written as
            ``trainer={"max_epochs": 50}`` or with a dotted key.

    Raises:
        ZooError: the folder has no run, the run has finished, the data differs, or an option may not change.
        TrainingError: the loss became NaN or infinite.
        Stopped: SIGTERM or SIGINT stopped the run.
    """
    folder = find_run(folder)
    config, recipe = reopen_run(folder, overrides)
    arrays = None
    if config.data.name == "arrays":
        if data is None:
            raise ZooError(f"{folder}: was trained on arrays. Pass them again: zoo.resume({str(folder)!r}, data=…)")
        settings = {f"data.{key}": config.data[key] for key in ("folds", "fold", "split_seed")}
        arrays = _arrays(data, target, {**settings, "task": config.task}, config.model.name)
    elif data is not None:
        raise ZooError(f"{folder}: was trained on data={config.data.name}; resume it without new data")
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
    """Train, test and report one composed configuration, and return the finished run.

    Args:
        config: the composed configuration.
        recipe: name that the user chose as the model; None: the name of the model's class.
        command: the command that started the run, stored in results.json.
        dataset: data to use in place of the configured data.
        callbacks: Lightning callbacks, as in ``train``.
        report: whether to compute baselines and draw plots.
        resume_from: folder of a run to resume.
        overridden: dotted names of options that the user set; other defaults may adapt to the data.

    Raises:
        ZooError: an invalid option or invalid data; nothing has been written yet.
        TrainingError: the loss became NaN or infinite; the folder keeps the last good checkpoint.
        Stopped: SIGTERM or SIGINT stopped the run.
    """
    run_config = RunConfig.from_config(
        config, recipe=recipe, command=command, resume_from=resume_from, overridden=overridden
    )
    if dataset is None:
        check_files(run_config.data)
    return TrainingRun(run_config, dataset, callbacks, report).start()


@dataclass(frozen=True)
class TrainingRun:
    """The stages of a run in order: build, fit, test, report. Each process of the run executes all of them."""

    run_config: RunConfig
    dataset: Dataset | None
    callbacks: Sequence[L.Callback]
    report: bool

    def start(self) -> Run:
        """Run all stages and return the finished run; start worker processes if the configuration asks for them."""
        if self.callbacks:
            from zoo.engine.callbacks.user_callbacks import check_callbacks

            check_callbacks(self.callbacks)
        with Signals() as signals, open_run(self.run_config) as run_config, guard_run(run_config):
            this = replace(self, run_config=run_config)
            with start_workers(run_config, this.work):
                return this.stages(signals)

    def work(self) -> None:
        """Run all stages in a worker process."""
        with Signals() as signals:
            self.stages(signals)

    def stages(self, signals: Signals) -> Run:
        """Build, fit, test and report; return the finished run."""
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
        """Fit the model.

        Raises:
            TrainingError: the loss is not finite; the message names the last good checkpoint.
        """
        import torch

        if trainer.world_size > 1:  # dropout differs between processes
            torch.manual_seed(self.run_config.values["seed"] + 2**20 * trainer.global_rank)
        try:
            trainer.fit(context.model, datamodule=context.datamodule)
        except TrainingError as error:
            paths = [self.run_config.checkpoints / name for name in ("best.ckpt", "last.ckpt")]
            last = next((f"Last good checkpoint: {path}" for path in paths if path.exists()), None)
            hint = last or "The run has no checkpoint yet."
            raise TrainingError(f"{error}. {hint}", common=error.common) from None

    def _test(self, trainer: L.Trainer, context: RunContext) -> dict[str, float]:
        """Return the test metrics of the weights in best.ckpt.

        A task with a decision threshold chooses it on the validation split first and stores it in best.ckpt.
        """
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
                buffer = io.BytesIO()  # torch's own writer hides the error of a full disk
                torch.save(best, buffer)
                atomic_write(path, lambda to: to.write_bytes(buffer.getvalue()))
        return dict(trainer.test(model, dataloaders=context.datamodule.test_dataloader(), verbose=False)[0])

    def _report(
        self, trainer: L.Trainer, context: RunContext, history: History, metrics: dict[str, float], signals: Signals
    ) -> Run:
        """Write results.json, add the report and print the closing summary, in rank zero only."""
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
                "predictions", lambda: gather_outputs(trainer, context.model.test_outputs, context.dataset.test), None
            )
        leave()  # only rank zero continues
        if context.is_rank_zero:
            signals.check()
            if self.report:
                results, plots = add_report(context, results, history.rows, outputs, guard)
            metrics = {name: value for name, value in results["metrics"].items() if name.startswith("test/")}
            guard.attempt("summary", lambda: print_progress(closing(context, results, plots)), None)
        return Run(metrics, context.model.eval(), self.run_config.folder, plots, results)
