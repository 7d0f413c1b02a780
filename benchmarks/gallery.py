"""Make the README's pictures, ``docs/_static/gallery``, from fresh runs: ``python -m benchmarks.gallery [NAME …]``.

They take about half an hour on two cores. MNIST must be at hand, and the extras ``render`` and ``box2d``.
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


def samples() -> None:
    """Draw digits of each class from a conditional GAN."""
    model = _train("cgan", "mnist").model
    images = torch.stack([model.sample(8, label=str(digit)) for digit in range(10)], 1)  # (8, 10, 1, 28, 28)
    _rows(images.flatten(0, 1)[:70], 10, "samples")


def interpolation() -> None:
    """Draw the way between latent codes of a variational autoencoder."""
    model = _train("vae", "mnist", **{"model.latent_dim": 8}).model
    _rows(torch.cat([model.interpolate(steps=10, seed=seed) for seed in range(7)]), 10, "interpolation")


def denoising() -> None:
    """Draw noisy digits above their reconstruction."""
    run = _train("autoencoder", "mnist", **{"model.noise": "gaussian", "model.noise_level": 0.5})
    images = run.model.reconstructions(load("mnist"))
    noisy, restored = images["noisy"], images["restored"]
    pairs = [
        part
        for row in range(len(noisy) // 10)
        for part in (noisy[10 * row : 10 * row + 10], restored[10 * row : 10 * row + 10])
    ]
    _rows(torch.cat(pairs), 10, "denoising")


def forecast() -> None:
    """Draw the forecast of the concentration of carbon dioxide."""
    run = _train("gru", "series")
    picture = Image.open(run.folder / "plots" / "forecasts.png").convert("RGB")
    picture.thumbnail((2 * WIDTH, 2 * HEIGHT))
    picture.quantize(64).save(FOLDER / "forecast.png", optimize=True)


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
    """Write a text that a transformer generated, as a picture."""
    model = zoo.load("transformer/text_file")
    lines = textwrap.wrap(model.generate("The ", length=330, temperature=0.7, seed=1), 44)[:9]
    figure = plt.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    figure.text(0.04, 0.95, "\n".join(lines), family="monospace", fontsize=11, va="top", linespacing=1.4)
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
