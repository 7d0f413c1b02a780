"""Control: the return of a policy's episodes in an environment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric
from torchmetrics.utilities.data import dim_zero_cat

from zoo.data.dataset import Batch, Dataset
from zoo.data.environment.loaders import EpisodeLoader
from zoo.data.environment.spec import EnvironmentSpec
from zoo.data.spec import DataSpec
from zoo.metrics.scores import Scores
from zoo.registry import register_task
from zoo.tasks.base import Baselines, Example, Metrics, Plots, Task
from zoo.utils.device import to_widest_dtype


class StandardDeviation(Metric):
    """The standard deviation of values."""

    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", default=[], dist_reduce_fx="cat")

    def update(self, values: Tensor) -> None:
        """Add (B,)."""
        self.values.append(values)

    def compute(self) -> Tensor:
        """Return it, that of a population."""
        return to_widest_dtype(dim_zero_cat(self.values)).std(correction=0)


def return_gap(metrics: Mapping[str, float], dataset: Any) -> float:
    """Return what the return lacks of a reward of 1 at each step, as a share of what random actions lack."""
    best = metrics["length"]
    return (best - metrics["return"]) / (best - at_random(dataset)["return"])


@register_task("control", target="reward")
class Control(Task):
    """Episodes of seeds of their own, in which the likeliest action is taken.

    ``return`` is the mean sum of rewards of an episode, ``return_std`` its deviation over episodes, ``length`` their
    mean number of steps; in test ``return_sampled`` is the return of as many episodes in which actions are drawn.
    """

    monitor, mode, fallback_monitor = "return", "max", "return"
    example = Example(return_gap, 0.5, 0.3, "return lacks {:.3f} of what actions at random lack, which is above")
    rejected_options = dict.fromkeys(("class_weights", "loss", "threshold"), "nothing is labeled")
    progress_axis = "samples"
    collects_outputs = False  # of episodes that are over
    demo = "play"
    command = "zoo play {}"
    low: Tensor
    high: Tensor

    def __init__(self, spec: EnvironmentSpec) -> None:
        super().__init__()
        self.spec = spec
        self.constant("low", torch.tensor(spec.low))
        self.constant("high", torch.tensor(spec.high))

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (actions,): a logit of each, or a mean of each number."""
        return (len(spec.classes) or len(getattr(spec, "low", ())),)

    def metrics(self, stage: str) -> Metrics:
        """Return the means over episodes."""
        metrics: dict[str, Any] = {"return": MeanMetric(), "return_std": StandardDeviation(), "length": MeanMetric()}
        metrics |= {"return_sampled": MeanMetric()} if stage == "test" else {}
        return Metrics(metrics)

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Add episodes; ``output`` has their figures (E,) by name."""
        for name, values in output.items():
            metrics.feed(**{name: (values,)})
        metrics.feed(return_std=(output["return"],))

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, actions) of each action, or the likeliest ``action`` (B, numbers)."""
        if self.spec.classes:
            return {"probability": output.float().softmax(1)}
        return {"action": scaled(output.float(), self.low, self.high)}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the answer, and the names of the likeliest of actions."""
        if not self.spec.classes:
            return {**predictions}
        likeliest = predictions["probability"].argmax(1).tolist()
        return {**predictions, "label": [self.spec.classes[number] for number in likeliest]}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return ``random`` actions."""
        return {"random": partial(at_random, dataset)}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return what draws ``frames`` of an episode, and the ``map`` of actions and values over two observed numbers."""
        from zoo.tasks.plots import maps, write_gif

        plots: Plots = {}
        if "frames" in visualizations:
            plots["episode.gif"] = partial(write_gif, visualizations["frames"])
        if "map" in visualizations:
            plots["map.png"] = partial(maps, visualizations)
        return plots


def scaled(action: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return actions (…, numbers), whose range is [−1, 1], cut to it and in the environment's units."""
    return low + (action.clamp(-1, 1) + 1) / 2 * (high - low)


def at_random(environments: Any) -> Scores:
    """Return the test's scores of actions that are drawn evenly."""
    spec, generator = environments.spec, np.random.default_rng(0)
    low, high = (np.array(bound, np.float32) for bound in (spec.low, spec.high))

    def actor(x: Tensor) -> dict[str, Tensor]:
        if spec.classes:
            return {"action": torch.from_numpy(generator.integers(0, len(spec.classes), len(x)))}
        return {"action": torch.from_numpy(generator.uniform(low, high, (len(x), len(low))).astype(np.float32))}

    episodes = EpisodeLoader(environments, "test").evaluate_policy(actor)
    means = {name: float(values.double().mean()) for name, values in episodes.items()}
    return {**means, "return_std": float(episodes["return"].double().std(correction=0))}
