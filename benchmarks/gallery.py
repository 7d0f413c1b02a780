"""Make the README's pictures, ``docs/_static/gallery``, from fresh runs: ``python -m benchmarks.gallery [NAME …]``.

They take about 40 minutes on two cores. MNIST and the texts of Shakespeare must be at hand, and the extras ``render`` and ``box2d``.
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import Tensor

import zoo
from zoo.data import load
from zoo.data.input_readers import to_float
from zoo.utils.random import PerSampleGenerator

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "_static" / "gallery"
WIDTH, HEIGHT = 480, 320  # pixels
FILM = 40  # pictures of the film, at most


def _train(model: str, data: str, **options: Any) -> zoo.Run:
    return zoo.train(model, data=data, run_dir=f"{tempfile.mkdtemp()}/run", **options)


def _rows(images: Tensor, columns: int, name: str) -> None:
    """Write gray images (N, 1, H, W) in rows, as large as they fit."""
    rows = len(images) // columns
    height, width = images.shape[2:]
    tiles = images[: rows * columns].reshape(rows, columns, height, width).transpose(1, 2)
    picture = Image.fromarray((255 * tiles.reshape(rows * height, columns * width)).byte().cpu().numpy())
    scale = min(WIDTH / picture.width, HEIGHT / picture.height)
    size = round(scale * picture.width), round(scale * picture.height)
    canvas = Image.new("L", (WIDTH, HEIGHT))
    canvas.paste(picture.resize(size, Image.Resampling.LANCZOS), ((WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2))
    canvas.save(FOLDER / f"{name}.png", optimize=True)


def _all(values: Any) -> Tensor:
    """Return all rows of a column."""
    return values.index_select(0, torch.arange(len(values)))


def samples() -> None:
    """Draw digits of each class from a conditional GAN."""
    model = _train("cgan", "mnist").model
    images = torch.stack([model.sample(8, label=str(digit)) for digit in range(10)], 1)  # (8, 10, 1, 28, 28)
    _rows(images.flatten(0, 1)[:70], 10, "samples")


def interpolation() -> None:
    """Draw the way between the latent codes of pairs of digits, by a variational autoencoder."""
    model = _train("vae", "mnist", **{"model.latent_dim": 8}).model
    images = load("mnist").test["x"].index_select(0, torch.arange(14))
    pairs = [model.interpolate(images[2 * n], images[2 * n + 1], steps=10).cpu() for n in range(7)]
    _rows(torch.cat(pairs), 10, "interpolation")


def denoising() -> None:
    """Draw noisy digits, each above its reconstruction."""
    model = _train("autoencoder", "mnist", **{"model.noise": "gaussian", "model.noise_level": 0.5}).model.eval()
    rows = torch.arange(30)
    clean = to_float(load("mnist").test["x"].index_select(0, rows))
    with torch.inference_mode():
        noisy = model.add_noise(clean, PerSampleGenerator(rows))
        restored = model.decode(model.encode(noisy))
    pairs = [part for n in range(0, 30, 10) for part in (noisy[n : n + 10], restored[n : n + 10])]
    _rows(torch.cat(pairs), 10, "denoising")


def forecast() -> None:
    """Draw a forecast of the concentration of carbon dioxide, with the central 80 % of the errors on validation."""
    model, dataset = _train("gru", "series").model, load("series")
    parts = {"val": dataset.val, "test": dataset.test}
    x, y = ({name: _all(split[key]) for name, split in parts.items()} for key in ("x", "y"))
    errors = (y["val"] - model.predict(x["val"])["value"])[..., 0]  # (N, steps)
    low, high = (torch.quantile(errors, share, dim=0) for share in (0.1, 0.9))
    row = len(x["test"]) // 2
    past, true = x["test"][row, :, 0], y["test"][row, :, 0]
    value = model.predict(x["test"][row : row + 1])["value"][0, :, 0]
    figure, axes = plt.subplots(figsize=(WIDTH / 100, HEIGHT / 100), dpi=200, layout="constrained")
    steps = torch.arange(1, len(true) + 1)
    axes.plot(torch.arange(1 - len(past), 1), past, color="0.5", lw=1)
    axes.fill_between(steps, value + low, value + high, color="#1f77b4", alpha=0.25, lw=0, label="80 % interval")
    axes.plot(steps, value, color="#1f77b4", lw=2, label="forecast")
    axes.plot(steps, true, color="black", lw=1, label="measured")
    axes.set(xlabel="weeks from now", ylabel="CO₂ (parts per million)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(FOLDER / "forecast.png")
    plt.close(figure)


def episode() -> None:
    """Film a landing."""
    run = _train("ppo", "lunar_lander")
    film = Image.open(next((run.folder / "plots").glob("*.gif")))
    step = -(-film.n_frames // FILM)
    frames = []
    for number in range(0, film.n_frames, step):
        film.seek(number)
        frames.append(film.convert("RGB").resize((HEIGHT * film.width // film.height, HEIGHT)).quantize(32))
    duration = step * film.info.get("duration", 20)
    frames[0].save(FOLDER / "episode.gif", save_all=True, append_images=frames[1:], duration=duration, loop=0)


def text() -> None:
    """Write a scene that a transformer generated from Shakespeare's plays, as a picture."""
    model = _train("transformer", "shakespeare").model
    scene = model.generate("KING RICHARD:\n", length=400, temperature=0.7, seed=1)
    lines = [part for line in scene.split("\n") for part in textwrap.wrap(line, 40) or [""]][:12]
    figure = plt.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=200)
    figure.text(0.04, 0.95, "\n".join(lines), family="monospace", fontsize=13, va="top", linespacing=1.3)
    figure.savefig(FOLDER / "text.png")
    plt.close(figure)


PICTURES: dict[str, Callable[[], None]] = {
    one.__name__: one for one in (samples, interpolation, denoising, forecast, episode, text)
}


def main(names: list[str]) -> None:
    """Make the pictures of these names, or all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        PICTURES[name]()
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
