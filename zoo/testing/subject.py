"""A model under test on one synthetic data set and one device, with the trained runs that the checks share."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import itertools
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from zoo import registry
from zoo.data.dataset import Batch, Dataset
from zoo.data.input_readers import to_float
from zoo.data.prepare import unlabeled
from zoo.engine import train as engine
from zoo.engine.distributed import context
from zoo.engine.train import Run
from zoo.exceptions import ConformanceError
from zoo.models.base import ZooModule
from zoo.registry import Entry


@dataclass(frozen=True)
class Case:
    """A task on a modality; for environments also a kind of action space."""

    task: str
    modality: str
    action_space: str = ""

    @property
    def dataset(self) -> Dataset:
        """The synthetic data set of the case, always the same."""
        return _dataset(self.task, self.modality, self.action_space)

    @property
    def data(self) -> str:
        """The action space of an environment, otherwise the modality."""
        return self.action_space or self.modality

    def __str__(self) -> str:
        return f"{self.task}-{self.data}"


def cases_of(entry: Entry) -> list[Case]:
    """Return all supported combinations of tasks and modalities of a model, in its order."""
    return [
        Case(task, modality, action_space)
        for task in entry.tasks
        for modality in entry.modalities
        if task in registry.supported_tasks(modality)
        for action_space in registry.get_modality(modality).action_spaces(entry.action_spaces)
    ]


@functools.cache
def _dataset(task: str, modality: str, action_space: str) -> Dataset:
    dataset = registry.get_modality(modality).example(task, action_space)
    return unlabeled(dataset, task) if task in registry.unsupervised_tasks() else dataset


BATCH = 16
# Options of the short runs; all others are the model's defaults
QUICK = {"logger": "csv", "data.batch_size": BATCH, "trainer.precision": "32-true"}
STEPS = 8  # steps of a run that only has to change the weights


class UntilLearnt(L.Callback):
    """Stops a run once its validation metric clearly beats the floor for two epochs in a row."""

    def __init__(self, case: Case) -> None:
        self.case, self.good = case, 0

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Inspect the validation metrics of the epoch."""
        named = {key.removeprefix("val/"): float(value) for key, value in trainer.callback_metrics.items()}
        example = registry.get_task(self.case.task).example
        good = example is not None and example.reaches(example.score(named, self.case.dataset), example.enough)
        self.good = self.good + 1 if good else 0
        trainer.should_stop = self.good > 1


class Subject:
    """A registered model on the synthetic data of one of its tasks and modalities.

    Args:
        name: registered name of the model.
        case: the task and modality.
        device: the device to run on.
    """

    def __init__(self, name: str, case: Case, device: str = "cpu") -> None:
        self.name, self.case, self.device = name, case, device
        self._above = tempfile.TemporaryDirectory(prefix="zoo-conformance-")
        self._numbers = itertools.count()

    def __str__(self) -> str:
        where = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.name} ({self.case.task} of {self.case.data} data{where})"

    @property
    def dataset(self) -> Dataset:
        """The data set of the case."""
        return self.case.dataset

    @property
    def close(self) -> dict[str, Any]:
        """The tolerances for equal results; larger on CUDA, whose convolutions round inputs to 10 bits (TF32)."""
        return {"rtol": 1e-4, "atol": 1e-5} if self.device == "cpu" else {"rtol": 1e-2, "atol": 5e-3}

    @property
    def random(self) -> np.random.Generator:
        """A new random generator with a seed that depends on the name of the model."""
        return np.random.default_rng(sum(map(ord, self.name)))

    def folder(self) -> Path:
        """Return the path of a new folder, which does not exist yet."""
        return Path(self._above.name) / str(next(self._numbers))

    def create(self, seed: int = 0) -> ZooModule:
        """Return the model for this data with its initial weights, on the CPU."""
        with quiet():
            L.seed_everything(seed, verbose=False)
            model: ZooModule = registry.create(self.name, spec=self.dataset.spec)
            return model

    def batch(self, rows: int = 7) -> Batch:
        """Return the first test rows as a batch on the device."""
        batch = first_rows(self.dataset, rows)
        return {key: value.to(self.device) for key, value in batch.items()}

    def train(self, *, seed: int = 0, callbacks: tuple[L.Callback, ...] = (), **options: Any) -> Run:
        """Train in a new folder and return the finished run."""
        settings = {"run_dir": str(self.folder()), "trainer.accelerator": self.device, **QUICK, **options}
        with quiet():
            return engine.train(self.name, self.dataset, seed=seed, callbacks=callbacks, report=False, **settings)

    def steps(self, **options: Any) -> Run:
        """Train for a few steps and return the run."""
        short = {"trainer.max_epochs": 1, "trainer.steps_per_epoch": STEPS, "scheduler": "constant"}
        return self.train(**{**short, **options})

    @functools.cached_property
    def fitted(self) -> Run:
        """The trained run of a few seconds; it stops when validation is good enough, or after 25 epochs."""
        return self.train(callbacks=(UntilLearnt(self.case),), **{"trainer.max_epochs": 25})

    def fail(self, message: str) -> ConformanceError:
        """Return the error for a failed check."""
        return ConformanceError(f"{self}: {message}")


def first_rows(dataset: Any, rows: int) -> Batch:
    """Return the first test rows as a batch on the CPU."""
    return {key: to_float(value.index_select(0, torch.arange(rows))) for key, value in dataset.test.items()}


def subjects(name: str, device: str = "cpu") -> list[Subject]:
    """Return a subject for each task and modality that a model supports."""
    return [Subject(name, case, device) for case in cases_of(registry.entry(name))]


def name_of(model: str | type) -> str:
    """Return the registered name of a class, of ``module:Class``, or of a registered name.

    Raises:
        ConformanceError: the class cannot be imported, is not a ZooModule, or is not registered.
    """
    if isinstance(model, str):
        module, colon, attribute = model.partition(":")
        if not colon:
            registry.entry(model)
            return model
        try:
            model = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConformanceError(f"{module}:{attribute}: cannot be imported ({error})") from None
    if not (isinstance(model, type) and issubclass(model, ZooModule)):
        raise ConformanceError(f"{model}: must be a subclass of zoo.ZooModule")
    if not model.__dict__.get("name"):
        raise ConformanceError(
            f'{model.__name__}: is not registered. Decorate it with @zoo.register("{model.__name__.lower()}").'
        )
    return model.name


@contextlib.contextmanager
def quiet() -> Any:
    """Suppress the standard output of runs."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


class Children:
    """Runs each call in a new process with one thread, at most ``count`` at a time.

    Each call has its own pool, because a pool with ``max_tasks_per_child`` can hang (python/cpython#115634).

    Args:
        name: registered name of the model to import in each process.
        count: maximum number of concurrent processes.
    """

    def __init__(self, name: str, count: int = 2) -> None:
        self.home = registry.entry(name).module
        self._threads = ThreadPoolExecutor(count)
        self._pools: set[ProcessPoolExecutor] = set()

    def __enter__(self) -> Children:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for pool in list(self._pools) if kind is not None else ():
            for process in list((pool._processes or {}).values()):
                process.terminate()  # its result is no longer needed
        self._threads.shutdown()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Return a future for ``function(*arguments)``, computed in a new process."""
        return self._threads.submit(self._run, function, arguments)

    def _run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with ProcessPoolExecutor(1, mp_context=context()) as pool:
            self._pools.add(pool)
            try:
                return pool.submit(alone, self.home, function, arguments).result()
            finally:
                self._pools.discard(pool)


def alone(home: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return ``function(*arguments)``, computed with one thread after importing the module ``home``."""
    torch.set_num_threads(1)
    importlib.import_module(home)
    with quiet():
        return function(*arguments)
