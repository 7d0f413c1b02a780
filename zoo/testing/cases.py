"""The data that models are checked on: one generated set with a structure that can be learnt, per task and modality."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zoo import registry
from zoo.data.dataset import Dataset, Windows, class_counts
from zoo.data.environment.environments import Environments, environments
from zoo.data.series.spec import SeriesSpec
from zoo.data.spec import UNKNOWN
from zoo.data.table.frames import quantile_edges
from zoo.data.text.spec import TextSpec
from zoo.data.text.tokenizer import SPECIAL
from zoo.data.unlabelled import unlabelled
from zoo.registry import ModelEntry
from zoo.testing.games import CONTINUOUS, DISCRETE

TRAIN, VAL, TEST = 384, 96, 95  # rows; an odd number of test rows cannot be shared evenly
NOISE = 0.05
TEXTS = ("low", "middle", "high")  # of the table's last column, which says nothing

Inputs = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # x, y, lengths


@dataclass(frozen=True)
class Case:
    """A task on a modality, of environments with one kind of actions."""

    task: str
    modality: str
    action_space: str = ""

    @property
    def dataset(self) -> Dataset:
        """The generated data set, the same each time."""
        return _dataset(self.task, self.modality, self.action_space)

    @property
    def data(self) -> str:
        """The action space, or the modality where there is none."""
        return self.action_space or self.modality

    def __str__(self) -> str:
        return f"{self.task}-{self.data}"


def cases_of(entry: ModelEntry) -> list[Case]:
    """Return all that a model claims to do, tasks and modalities in its own order."""
    return [
        Case(task, modality, action_space)
        for task in entry.tasks
        for modality in entry.modalities
        if task in registry.supported_tasks(modality)
        for action_space in (entry.action_spaces if modality == "environment" else ("",))
    ]


def bars(rng: np.random.Generator, rows: int, target: str) -> Inputs:
    """Return images of two channels, 12×9: a bar across, upright or aslant; or how far up a bar lies."""
    x = rng.random((rows, 2, 12, 9)) * 0.3
    way = rng.integers(0, 3, rows) if target == "class" else np.zeros(rows, int)
    place = rng.integers(1, 8, rows)
    for row, (turn, at) in enumerate(zip(way, place, strict=True)):
        down, right = [(np.full(9, at), np.arange(9)), (np.arange(12), np.full(12, at)), (np.arange(9), np.arange(9))][
            turn
        ]
        x[row, 0, down, right] += 0.7
    y = way if target == "class" else 1000 + 50.0 * place
    return (255 * x.clip(0, 1)).astype(np.uint8), y, None


def columns(rng: np.random.Generator, rows: int, target: str) -> Inputs:
    """Return a table of five columns of very different size and one of text: the side of a plane, or how far from it.

    A plane, so that linear models pass; two columns count alike, so that one that sees but one of them does not.
    """
    z = rng.uniform(-1, 1, (rows, 5))
    height = z[:, 0] - z[:, 1]
    z[:, 0] += 0.1 * np.sign(height)  # a gap between the classes
    y = (height > 0).astype(int) if target == "class" else 1000 + 100 * (height + NOISE * z[:, 2])
    numbers = z * [1, 30, 1e-3, 5, 1] + [2000, 0, 0.5, -40, 0]
    return np.column_stack([numbers, rng.integers(1, len(TEXTS) + 1, rows)]), y, None


def pulses(rng: np.random.Generator, rows: int, target: str) -> Inputs:
    """Return sequences of 4 to 12 steps with two pulses each: which came first, or how high both were together."""
    lengths = rng.integers(4, 13, rows)
    x = rng.normal(size=(rows, 12, 3)) * NOISE
    height = rng.uniform(0.5, 1.5, (rows, 2))
    first = rng.integers(0, 2, rows)
    for row, length in enumerate(lengths):
        early, late = np.sort(rng.choice(length, 2, replace=False))
        x[row, early, first[row]] += height[row, 0]
        x[row, late, 1 - first[row]] += height[row, 1]
        x[row, length:] = 0
    y = first if target == "class" else 1000 + 100 * height.sum(1)
    return x, y, lengths


def words(rng: np.random.Generator, rows: int, target: str) -> Inputs:
    """Return texts of 4 to 12 symbols with one of two among them, whose turn decides."""
    lengths = rng.integers(4, 13, rows)
    first = rng.integers(0, 2, rows)
    x = rng.integers(UNKNOWN + 3, UNKNOWN + 1 + len(LETTERS), (rows, 12))
    for row, length in enumerate(lengths):
        early, late = np.sort(rng.choice(length, 2, replace=False))
        x[row, early], x[row, late] = UNKNOWN + 1 + first[row], UNKNOWN + 2 - first[row]
        x[row, length:] = 0
    return x, first, lengths


MAKERS: dict[str, Callable[[np.random.Generator, int, str], Inputs]] = {
    "image": bars,
    "table": columns,
    "sequence": pulses,
    "text": words,
}
LETTERS = "abcdefgh"
WINDOW, HORIZON = 8, 4  # of a text and of a series' past; of its future


def _language() -> Dataset:
    """Return a text in which most symbols say which one follows."""
    rng = np.random.default_rng(0)
    parts = []
    for symbols in (TRAIN * WINDOW + WINDOW, VAL * WINDOW + 1, VAL * WINDOW + 1):
        text, surprise = [0], rng.random(symbols) < 0.1
        for odd in surprise[1:]:
            text.append(int(rng.integers(len(LETTERS))) if odd else (3 * text[-1] + 1) % len(LETTERS))
        parts.append(torch.tensor(text, dtype=torch.int32) + len(SPECIAL))
    spec = TextSpec(
        name="generated text",
        task="language_modeling",
        input_shape=(WINDOW,),
        vocabulary=(*SPECIAL, *LETTERS),
        rows=TRAIN,
    )
    train, val, test = ({"x": Windows(p, WINDOW, drop=1), "y": Windows(p, WINDOW, first=1)} for p in parts)
    return Dataset(spec, train, val, test, stride=WINDOW)


def _waves() -> Dataset:
    """Return two columns that swing, one slowly, one fast and high up."""
    rng = np.random.default_rng(0)
    past = 2 * WINDOW
    step = np.arange(TRAIN + VAL + TEST + past + HORIZON)
    values = np.stack([np.sin(step * 2 * np.pi / 16), 1000 + 50 * np.cos(step * 2 * np.pi / 6)], 1)
    values += rng.normal(size=values.shape) * NOISE * values.std(0)
    base = torch.from_numpy(values.astype(np.float32))
    seen = values[: TRAIN + past]
    spec = SeriesSpec(
        name="generated series",
        task="forecasting",
        input_shape=(past, 2),
        target_shape=(HORIZON, 2),
        columns=("slow", "fast"),
        targets=(0, 1),
        mean=tuple(map(float, seen.mean(0))),
        std=tuple(map(float, seen.std(0))),
        seasonal_period=16,
        rows=TRAIN,
    )
    parts, begin = [], 0
    for rows in (TRAIN, VAL, TEST):
        part = base[begin : begin + rows + past + HORIZON - 1]
        parts.append({"x": Windows(part, past, drop=HORIZON), "y": Windows(part, HORIZON, first=past)})
        begin += rows
    return Dataset(spec, *parts)


def _game(action_space: str) -> Environments:
    """Return an environment; a batch of steps has as many as one of rows."""
    identity = {"discrete": DISCRETE, "continuous": CONTINUOUS}[action_space]
    sizes = {"num_envs": 4, "num_steps": 4, "steps_per_epoch": TRAIN // 4, "n_val_episodes": 8, "n_test_episodes": 15}
    sizes |= {"buffer_size": 2000, "learning_starts": 32}
    return environments(
        f"generated {action_space} actions",
        f"zoo.testing.games:{identity}",
        action_space,
        vectorization="sync",
        **sizes,
    )


@functools.cache
def _dataset(task: str, modality: str, action_space: str = "") -> Any:
    target = registry.task_entry(task).target
    if target == "reward":
        return _game(action_space)
    if target == "next_symbol":
        return _language()
    if modality == "series":
        return _waves() if target == "future" else unlabelled(_waves(), task)
    if task in registry.unsupervised_tasks():
        return unlabelled(_dataset("classification", modality), task)
    rng = np.random.default_rng(0)
    x, y, lengths = MAKERS[modality](rng, TRAIN + VAL + TEST, target)
    inputs = torch.from_numpy(x if x.dtype in (np.uint8, np.int64) else x.astype(np.float32))
    labels = torch.from_numpy(y.astype(np.int64 if target == "class" else np.float32))
    whole = {"x": inputs, "y": labels}
    whole |= {} if lengths is None else {"lengths": torch.from_numpy(lengths)}
    parts = {key: value.split([TRAIN, VAL, TEST]) for key, value in whole.items()}
    train, val, test = ({key: part[n] for key, part in parts.items()} for n in range(3))
    axes = (0, 2, 3) if modality == "image" else (0,) if modality == "table" else (0, 1)
    seen = x[:TRAIN] / 255 if modality == "image" else x[:TRAIN]
    spec = registry.get_modality(modality).spec(
        name=f"generated {modality}s",
        task=task,
        input_shape=tuple(x.shape[1:]),
        classes=tuple("abc"[: int(y.max()) + 1]) if target == "class" else (),
        **(
            {}
            if modality == "text"
            else {"mean": tuple(seen.mean(axes).tolist()), "std": tuple(seen.std(axes).tolist())}
        ),
        **({"vocabulary": (*SPECIAL, *LETTERS)} if modality == "text" else {}),
        class_counts=class_counts(y[:TRAIN], int(y.max()) + 1) if target == "class" else (),
        rows=TRAIN,
        **(_columns(x[:TRAIN]) if modality == "table" else {}),
        target_mean=0.0 if target == "class" else float(y[:TRAIN].mean()),
        target_std=1.0 if target == "class" else float(y[:TRAIN].std()),
    )
    return Dataset(spec, train, val, test)


def _columns(x: np.ndarray) -> dict[str, Any]:
    """Return what a spec says of the columns."""
    numbers = x.shape[1] - 1
    return {
        "columns": tuple(f"column_{n + 1}" for n in range(numbers + 1)),
        "categories": ((),) * numbers + (TEXTS,),
        "impute_values": (0.0,) * (numbers + 1),
        "bin_edges": (*(quantile_edges(x[:, n]) for n in range(numbers)), ()),
    }
