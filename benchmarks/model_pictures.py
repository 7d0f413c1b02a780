"""Make the pictures of the models' pages, ``docs/_static/models``: ``python -m benchmarks.model_pictures [NAME …]``.

``NAME.png`` shows a model at work. ``NAME-curves.png`` shows the curves of the runs in ``benchmarks/results``.
Pretrained weights are used if they exist; the other models train for seconds. MNIST must be at hand, and the extra ``render``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from sklearn.datasets import load_wine
from torch import Tensor

import zoo
from benchmarks.drawing import BLACK, BLUE, FOLDER, GREEN, ORANGE, PURPLE, STYLE, figure_of, save, show, train
from benchmarks.model_curves import curves
from benchmarks.model_episodes import a2c, dqn, ppo, reinforce, sac
from benchmarks.model_samples import autoencoder, gan, vae
from zoo.data import load
from zoo.data.input_readers import to_float
from zoo.models.transformer import apply_rotary


def fnn() -> None:
    """Draw the classes that a network gives to wines by two of their columns."""
    wine = load_wine()
    columns = [wine.feature_names.index(name) for name in ("alcohol", "color_intensity")]
    x, y = wine.data[:, columns].astype(np.float32), wine.target
    model = train("fnn", (x, y), epochs=40)
    low, high = x.min(0) - 0.3, x.max(0) + 0.3
    a, b = np.meshgrid(np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300))
    grid = torch.tensor(np.stack([a.ravel(), b.ravel()], 1), dtype=torch.float32)
    with torch.no_grad():
        classes = model(grid).argmax(1).view(a.shape)
    figure, ax = figure_of(4.0)
    ax.contourf(a, b, classes, levels=[-0.5, 0.5, 1.5, 2.5], cmap=ListedColormap(["#cfe3f1", "#f8ddcc", "#ccece3"]))
    for label, (color, marker) in enumerate(((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"))):
        ax.scatter(*x[y == label].T, c=color, marker=marker, s=28, edgecolors="white", label=f"cultivar {label}")
    ax.set_xlabel("alcohol (% by volume)")
    ax.set_ylabel("color intensity")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    save(figure, "fnn")


def cnn() -> None:
    """Draw a digit, and the four strongest maps after each convolution."""
    model, x = zoo.load("cnn/mnist"), to_float(load("mnist").test["x"][1:2])
    maps: list[Tensor] = []
    for layer in model.network:
        if isinstance(layer, torch.nn.ReLU):
            layer.register_forward_hook(lambda _, inputs, output: maps.append(output.detach()))
    with torch.no_grad():
        probability = model(x).softmax(1)[0]
    figure, axes = figure_of(4.4, 3, 5)
    for ax in axes[:, 0]:
        ax.set_axis_off()
    show(axes[1, 0], x[0, 0], "input")
    axes[2, 0].text(0.5, 0.9, f"class {probability.argmax()}:\n{probability.max():.1%}", ha="center", va="top")
    for row, level in enumerate(m for m in maps[:3] if m.dim() == 4):
        for ax, channel in zip(axes[row, 1:], level[0].amax((1, 2)).topk(4).indices, strict=True):
            show(ax, level[0, channel])
        axes[row, 1].set_title(
            f"layer {row + 1}: {level.shape[1]} maps of {level.shape[2]}×{level.shape[3]}", loc="left"
        )
    save(figure, "cnn")


def rnn() -> None:
    """Draw a digit, and the probabilities of classes as the network reads its rows."""
    model, test = zoo.load("rnn/digits"), load("digits").test
    x = to_float(test["x"][7:8])
    with torch.no_grad():
        network, steps = model.network, range(1, 9)
        h, _ = network.core(*network.core_input(model.normalize(x), None))
        read = torch.cat([network.head(h[:, :step], None) for step in steps]).softmax(1)
    figure, (left, right) = figure_of(2.9, 1, 2, width_ratios=[1, 2])
    left.imshow(x[0, 0], cmap="gray_r", extent=(0, 8, 8.5, 0.5))
    left.set_ylabel("row")
    left.set_xticks([])
    classes = read.amax(0).topk(4).indices.sort().values.tolist()
    for label, (color, style) in zip(classes, ((BLUE, "-"), (ORANGE, "--"), (GREEN, ":"), (PURPLE, "-.")), strict=True):
        right.plot(list(steps), read[:, label], style, color=color, linewidth=2.5, label=f"class {label}")
    right.set(xlabel="rows read", ylabel="probability", ylim=(-0.02, 1.02))
    right.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, "rnn")


def lstm() -> None:
    """Write a text that a network generated, each character shaded by its probability."""
    model, prompt, width = zoo.load("lstm/text_file"), "The statement ", 40
    text = model.generate(prompt, length=146, temperature=0.4, seed=0).replace("\n", " ")
    tokens = _tokens(model, text)
    with torch.no_grad():
        probability = model(tokens)[0, :-1].softmax(1).gather(1, tokens[0, 1:, None])[:, 0]
    shade = torch.full((len(text) // width, width), torch.nan)
    shade.view(-1)[len(prompt) :] = probability[len(prompt) - 1 : shade.numel() - 1]
    figure, ax = figure_of(2.3)
    mesh = ax.pcolormesh(shade, cmap="Blues", vmin=0, vmax=1, alpha=0.6)
    for place, character in enumerate(text[: shade.numel()]):
        weight = "bold" if place < len(prompt) else "normal"
        at = place % width + 0.5, place // width + 0.5
        ax.text(*at, character, ha="center", va="center", family="monospace", fontsize=15, weight=weight)
    ax.invert_yaxis()
    ax.set_axis_off()
    figure.colorbar(mesh, orientation="horizontal", label="probability of the character", aspect=50, pad=0.02)
    save(figure, "lstm")


def _tokens(model: Any, text: str) -> Tensor:
    return torch.tensor([[model.spec.vocabulary.index(character) for character in text]])


def gru() -> None:
    """Draw two years of forecasts of the concentration of carbon dioxide, and the measurements."""
    model, test = zoo.load("gru/series"), load("series").test
    with torch.no_grad():
        past, ahead = model.spec.input_shape[0], model.spec.target_shape[0]
        starts = list(range(0, len(test["x"]), ahead))[:4]
        rows = {key: test[key].index_select(0, torch.tensor(starts)).float() for key in ("x", "y")}
        forecast = model.task.predictions(model(rows["x"]))["value"]
    figure, ax = figure_of(3.2)
    weeks = torch.arange(-past, 0)
    ax.plot(weeks, rows["x"][0, :, 0], color=BLACK, label="measured")
    for part, (value, measured) in enumerate(zip(forecast, rows["y"], strict=True)):
        ahead_weeks = torch.arange(ahead) + part * ahead
        ax.plot(ahead_weeks, measured[:, 0], color=BLACK)
        label = None if part else f"forecasts of {ahead} weeks"
        ax.plot(ahead_weeks, value[:, 0], "--", color=ORANGE, linewidth=2.5, label=label)
        ax.axvline(part * ahead, color="#bbbbbb", linewidth=1)
    ax.set(xlabel="week", ylabel="CO₂ (ppm)")
    ax.legend(frameon=False)
    save(figure, "gru")


def transformer() -> None:
    """Draw the weights of one attention head of each block over a text."""
    model, text = zoo.load("transformer/text_file"), "a class statement"
    weights: list[Tensor] = []

    def record(layer: Any, inputs: Any) -> None:
        q, k, _ = layer.qkv(inputs[0]).unflatten(2, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4)
        scores = apply_rotary(q) @ apply_rotary(k).transpose(2, 3) / q.shape[3] ** 0.5
        weights.append(scores.masked_fill(torch.ones(scores.shape[2:]).triu(1) > 0, -torch.inf).softmax(3)[0])

    for block in model.network.core.blocks:
        block.attention.register_forward_pre_hook(record)
    with torch.no_grad():
        model(_tokens(model, text))
    figure, axes = figure_of(4.2, 1, 2)
    for ax, (layer, head) in zip(axes, ((0, 2), (2, 2)), strict=True):
        mesh = ax.imshow(weights[layer][head], cmap="Blues", vmin=0, vmax=1)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(range(len(text)), text.replace(" ", "␣"), family="DejaVu Sans Mono", fontsize=12)
        ax.tick_params(length=0)
        ax.set(title=f"block {layer + 1}, head {head + 1}", xlabel="attended character")
    axes[0].set_ylabel("step")
    figure.colorbar(mesh, ax=axes, orientation="horizontal", label="attention weight", aspect=50, shrink=0.6)
    save(figure, "transformer")


PICTURES: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (fnn, cnn, rnn, lstm, gru, transformer, autoencoder, vae, gan, ppo, a2c, reinforce, dqn, sac)
}


def main(names: Sequence[str]) -> None:
    """Make the pictures of these models, or of all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(STYLE)
    for name in names or PICTURES:
        PICTURES[name]()
        curves(name)


if __name__ == "__main__":
    main(sys.argv[1:])
