"""Other libraries for some cases, each with the rows and the metric of the zoo's run.

- cnn on mnist: PyTorch's own MNIST example (github.com/pytorch/examples, mnist) with its network, a DataLoader over
  torchvision's dataset, and Adadelta. It trains for as many seconds as a run of the zoo.
- fnn on digits: skorch with the same network, batch size, learning rate and number of epochs.
- gru on series: statsmodels, with exponential smoothing fitted to each window, and with an autoregression.
"""

from __future__ import annotations

import gzip
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job
from benchmarks.quality import Case
from benchmarks.report_results import same_runs
from zoo.exceptions import ZooError, install

Figures = dict[str, float]


def fits(case: Case) -> bool:
    """Return whether a case has other libraries."""
    return (case.model, case.data) in LIBRARIES and not case.words


def jobs(case: Case, seeds: int, earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each library and seed of a case. Combinations in the ``earlier`` rows are skipped.

    Raises:
        ZooError: suite=quality has no rows of the case, or a package is not installed.
    """
    measured = same_runs(case.model, case.data, case.words)
    if not measured:
        raise ZooError(f"model={case.model} data={case.data}: no rows of suite=quality. Run it first.")
    seconds = statistics.median(row["train_seconds"] for row in measured)
    done = {(row["model"], row["data"], row["library"], row["seed"]) for row in earlier}
    jobs = []
    for library, (package, drawn, run) in LIBRARIES[case.model, case.data].items():
        if find_spec(package) is None:
            raise ZooError(f"suite=third_party model={case.model}: needs {package}; {install('benchmarks')}")
        for seed in range(seeds if drawn else 1):
            if (case.model, case.data, library, seed) not in done:
                job = partial(_one, case, library, run, seconds, seed)
                jobs.append(Job(f"{library} on {case.data}, seed {seed}", job, seconds))
    return jobs


def _one(case: Case, library: str, run: Callable[..., Figures], seconds: float, seed: int) -> Iterator[dict[str, Any]]:
    from zoo.engine.build import build_data
    from zoo.reporting.results import origin

    fold = ["data.fold=0"] if case.folds("quick") != [None] else []
    plan = case.plan(*fold)
    dataset, _ = build_data(plan)
    started = time.perf_counter()
    figures = run(plan, dataset, seconds, seed)
    took = time.perf_counter() - started
    print(f"    {figures}, {took:.0f} s", flush=True)
    row = {"model": case.model, "data": case.data, "overrides": [], "seed": seed, "fold": 0 if fold else None}
    yield row | {"library": library, "metrics": figures, "seconds": round(took, 1), "tried": 1} | origin("cpu")


# --- PyTorch's example ---


def _example(plan: Any, dataset: Any, seconds: float, seed: int) -> Figures:
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torchvision import datasets, transforms

    from zoo.data.download import root_folder

    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for packed in (root_folder(None) / "MNIST" / "raw").glob("*.gz"):
            (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
        change = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        parts = [datasets.MNIST(root, train=train, transform=change) for train in (True, False)]
    train = torch.utils.data.DataLoader(parts[0], batch_size=64, shuffle=True)
    test = torch.utils.data.DataLoader(parts[1], batch_size=1000)
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)
    ended = time.perf_counter() + seconds
    while time.perf_counter() < ended:
        for x, y in train:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if time.perf_counter() > ended:
                break
        schedule.step()
    model.eval()
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in test)
    return {"test/accuracy": right / len(parts[1])}


# --- skorch ---


def _skorch(plan: Any, dataset: Any, seconds: float, seed: int) -> Figures:
    import torch
    from skorch import NeuralNetClassifier

    from zoo.engine.build import build_model

    torch.manual_seed(seed)
    values, spec = plan.values, dataset.spec

    def rows(part: Any) -> Any:
        return ((part["x"].flatten(1).float() / 255 - spec.mean[0]) / spec.std[0]).numpy(), part["y"].numpy()

    net = NeuralNetClassifier(
        build_model(plan, dataset).network,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=values["optimizer"]["weight_decay"],
        lr=values["optimizer"]["lr"],
        max_epochs=values["trainer"]["max_epochs"],
        batch_size=values["data"]["batch_size"],
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.fit(*rows(dataset.train))
    x, y = rows(dataset.test)
    return {"test/accuracy": float((net.predict(x) == y).mean())}


# --- statsmodels ---


def _smoothing(plan: Any, dataset: Any, seconds: float, seed: int) -> Figures:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    season, ahead = dataset.spec.seasonal_period, dataset.spec.target_shape[0]

    def forecast(past: Any) -> Any:
        model = ExponentialSmoothing(past, trend="add", seasonal="add", seasonal_periods=season)
        return model.fit().forecast(ahead)

    return _forecasts(dataset, forecast)


def _autoregression(plan: Any, dataset: Any, seconds: float, seed: int) -> Figures:
    from statsmodels.tsa.ar_model import AutoReg

    past, ahead = dataset.spec.input_shape[0], dataset.spec.target_shape[0]
    lags = past // 2 - 1  # the maximum for a window, about one season
    fitted = AutoReg(dataset.train["x"].base[:, 0].double().numpy(), lags=lags).fit()
    return _forecasts(dataset, lambda past: fitted.apply(past).forecast(ahead))


def _forecasts(dataset: Any, forecast: Callable[[Any], Any]) -> Figures:
    """Return the test metrics of forecasts from the context of each window, with the zoo's definitions."""
    import warnings

    import torch

    from zoo.data.loader import EvalLoader
    from zoo.tasks import build_task

    objective: Any = build_task(dataset.spec)
    metrics = objective.metrics("test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fits that did not converge
        for batch in EvalLoader(dataset.test):
            forecasts = [torch.from_numpy(forecast(row[:, 0].double().numpy())).float() for row in batch["x"]]
            objective.update(metrics, objective.standard(torch.stack(forecasts)[..., None]), batch)
    return {f"test/{name}": value for name, value in metrics.scalars().items()}


# By model and data: the library, its package, whether it depends on the seed, and its function
LIBRARIES: dict[tuple[str, str], dict[str, tuple[str, bool, Callable[..., Figures]]]] = {
    ("cnn", "mnist"): {"PyTorch's MNIST example": ("torchvision", True, _example)},
    ("fnn", "digits"): {"skorch": ("skorch", True, _skorch)},
    ("gru", "series"): {
        "statsmodels' ExponentialSmoothing": ("statsmodels", False, _smoothing),
        "statsmodels' AutoReg": ("statsmodels", False, _autoregression),
    },
}
