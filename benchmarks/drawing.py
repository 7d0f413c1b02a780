"""Colors, figures and image files for the pages of the models."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from torch import Tensor

import zoo

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "_static" / "models"
DPI, COLORS = 140, 128  # a figure of 7 inches is 980 pixels wide; number of colors in the palette
BLUE, ORANGE, GREEN, PURPLE, BLACK = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#222222"  # Okabe-Ito palette
STYLE: dict[str, Any] = {"font.size": 12, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 12}


def figure_of(height: float, *shape: int, **options: Any) -> tuple[Any, Any]:
    """Return a figure of 7 inches width and its axes."""
    return plt.subplots(*shape, figsize=(7, height), layout="constrained", **options)


def save(figure: Any, name: str) -> None:
    """Write a figure as ``NAME.png`` with a color palette."""
    path = FOLDER / f"{name}.png"
    figure.savefig(path, dpi=DPI, facecolor="white")
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def train(model: str, data: Any, **options: Any) -> Any:
    """Train a model in a temporary folder and return it."""
    return zoo.train(model, data=data, run_dir=f"{tempfile.mkdtemp()}/run", report=False, **options).model


def show(ax: Any, image: Any, title: str = "", **options: Any) -> None:
    """Draw a gray image (H, W), dark on white, or a color image (H, W, 3)."""
    ax.imshow(np.asarray(image), cmap="gray_r", **options)
    ax.set_title(title)
    ax.set_axis_off()


def tiles(images: Tensor, columns: int) -> Tensor:
    """Return gray images (N, 1, H, W) as one image: a grid with ``columns`` columns and white borders."""
    images = torch.nn.functional.pad(images, (1, 1, 1, 1))
    rows, (height, width) = len(images) // columns, images.shape[2:]
    tiles = images.reshape(rows, columns, height, width).transpose(1, 2)
    return tiles.reshape(rows * height, columns * width)
