"""Training curves for the pages of the models, from the runs in ``benchmarks/results``."""

from __future__ import annotations

import math

from matplotlib.ticker import MaxNLocator

from benchmarks.drawing import BLACK, BLUE, GREEN, ORANGE, PURPLE, figure_of, save
from benchmarks.report_results import latest
from benchmarks.rows import RESULTS, read
from zoo.metrics.names import metric_label

CURVES = {  # recipes of the curves, by model
    "cnn": [("cnn", "digits")],
    "fnn": [("fnn", "digits"), ("fnn", "diabetes")],
    "gan": [("gan", "digits"), ("dcgan", "digits")],
    "gru": [("gru", "series")],
    "ppo": [("ppo", "cartpole"), ("ppo", "lunar_lander")],
    **{name: [(name, "digits")] for name in ("autoencoder", "rnn", "vae")},
    **{name: [(name, "text_file")] for name in ("lstm", "transformer")},
    **{name: [(name, "cartpole")] for name in ("a2c", "dqn", "reinforce")},
    "sac": [("sac", "pendulum")],
}
LABELS = {"mse": "MSE", "nll": "bits per character", "rmse": "RMSE (disease score)"}
LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, ":"), (PURPLE, "-."), (BLACK, "-"))


def curves(model: str) -> None:
    """Draw the validation metric of the published runs, with a line for the first fold of each seed."""
    groups = latest(row for row in read(RESULTS / "quality.jsonl") if "curve" in row)
    recipes = CURVES[model]
    figure, axes = figure_of(3.2, 1, len(recipes), squeeze=False)
    for ax, (name, data) in zip(axes[0], recipes, strict=True):
        seeds = {row["seed"]: row for row in sorted(groups[name, data, ()], key=lambda row: -(row["fold"] or 0))}
        for seed, (color, style) in zip(sorted(seeds), LINES, strict=False):
            row, curve = seeds[seed], seeds[seed]["curve"]
            metric = curve["figure"].removeprefix("val/")
            unit = 1000 if metric == "return" else row["samples"] / row["epochs"]
            x = [samples / unit for samples in curve["samples"]]
            values = [value / math.log(2) if metric == "nll" else value for value in curve["values"]]  # nats to bits
            ax.plot(x, values, style, color=color, linewidth=2, label=f"seed {seed}")
        ax.set_xlabel("environment steps (thousands)" if metric == "return" else "epoch")
        ax.set_ylabel(LABELS.get(metric, metric_label(metric)))
        ax.set_title(f"model={name} data={data}", family="monospace", fontsize=11)
        ax.margins(x=0.02)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    lines, labels = max((ax.get_legend_handles_labels() for ax in axes[0]), key=lambda pair: len(pair[1]))
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save(figure, f"{model}-curves")
