"""Small files of each kind under the names that README and docs use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

WORDS = ("a good film with a fine plot", "a bad film with a dull plot")


def write_example_files(folder: Path) -> None:
    """Write photos, tables, texts and a time series to ``folder``."""
    rng = np.random.default_rng(0)
    _images(folder, rng)
    _tables(folder, rng)
    _texts(folder, rng)
    _series(folder, rng)


def _images(folder: Path, rng: np.random.Generator) -> None:
    digits = load_digits()
    Image.fromarray((digits.images[0] * 15.9).astype(np.uint8)).save(folder / "digit.png")
    names = []
    for number in range(40):
        breed = ("beagle", "persian")[number % 2]
        path = folder / "photos" / breed / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 128, (48, 48, 3)) + 100 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        names.append((f"{breed}/{number}.png", breed))
    pd.DataFrame(names, columns=["file", "breed"]).to_csv(folder / "labels.csv", index=False)
    parts = {"train": 60, "val": 20, "test": 20}
    arrays = {}
    for part, count in parts.items():
        y = rng.integers(0, 2, (count, 1))
        arrays[f"{part}_images"] = (rng.integers(0, 128, (count, 28, 28)) + 100 * y[:, :, None]).astype(np.uint8)
        arrays[f"{part}_labels"] = y
    np.savez(folder / "pneumoniamnist.npz", **arrays)


def _tables(folder: Path, rng: np.random.Generator) -> None:
    count = 240
    x = rng.normal(size=(count, 3)).round(3)
    frame = pd.DataFrame(x, columns=["age", "income", "visits"])
    left = (x[:, 0] + x[:, 1] > 0).astype(int)
    frame.assign(left=np.where(left, "yes", "no")).to_csv(folder / "churn.csv", index=False)
    dates = pd.date_range("2024-01-01", periods=count).strftime("%Y%m%d")
    price = (100 + 10 * x[:, 0] + x[:, 2]).round(2)
    frame.assign(id=range(count), date=dates, price=price).to_csv(folder / "prices.csv", index=False)
    labels = {name: (x[:, n] > 0).astype(int) for n, name in enumerate(("drama", "comedy", "crime"))}
    frame.assign(**labels).to_csv(folder / "films.csv", index=False)
    fraud = frame + 4 * (np.arange(count) % 10 == 0)[:, None]
    fraud.assign(fraud=(np.arange(count) % 10 == 0).astype(int)).to_csv(folder / "fraud.csv", index=False)
    frame.assign(left=np.where(left, "yes", "no"))[:50].to_csv(folder / "newer.csv", index=False)


def _texts(folder: Path, rng: np.random.Generator) -> None:
    (folder / "novel.txt").write_text("It was a dark night, and the wind was cold. " * 200)
    rows = [(f"{WORDS[n % 2]} {rng.integers(100)}", ("yes", "no")[n % 2]) for n in range(120)]
    frame = pd.DataFrame(rows, columns=["review", "liked"])
    frame.to_csv(folder / "reviews.csv", index=False)
    frame.to_csv(folder / "reviews.tsv", index=False, header=False, sep="\t")
    for number, (review, liked) in enumerate(rows):
        path = folder / "reviews" / liked / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(review)


def _series(folder: Path, rng: np.random.Generator) -> None:
    hours = pd.date_range("2024-01-01", periods=1200, freq="h")
    load = 100 + 20 * np.sin(2 * np.pi * np.arange(1200) / 24) + rng.normal(size=1200)
    load[1100:1110] += 80
    table = pd.DataFrame({"time": hours, "load": load.round(2), "temperature": (10 + load / 20).round(2)})
    table.to_csv(folder / "load.csv", index=False)
    (folder / "outages.json").write_text(json.dumps({"load.csv": [[str(hours[1100]), str(hours[1110])]]}))
