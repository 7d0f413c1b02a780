"""Control: the return of a policy over episodes in an environment."""

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
        """Add values (B,)."""
        self.values.append(values)

    def compute(self) -> Tensor:
        """Return the population standard deviation."""
        return to_widest_dtype(dim_zero_cat(self.values)).std(correction=0)


def return_gap(metrics: Mapping[str, float], dataset: Any) -> float:
    """Return the gap between the return and a reward of 1 per step, as a multiple of that gap for random actions."""
    best = metrics["length"]
    return (best - metrics["return"]) / (best - at_random(dataset)["return"])


@register_task("control", target="reward")
class Control(Task):
    """Control: evaluation episodes with their own seeds and greedy actions.

    ``return`` is the mean sum of rewards per episode, ``return_std`` its standard deviation over episodes, and
    ``length`` the mean number of steps. In the test, ``return_sampled`` is the mean return of as many episodes with
    sampled actions.
    """

    monitor, mode, fallback_monitor = "return", "max", "return"
    example = Example(return_gap, 0.5, 0.3, "return gap of {:.3f} times that of random actions is above")
    rejected_options = dict.fromkeys(("class_weights", "loss", "threshold"), "rewards take the place of labels")
    progress_axis = "samples"
    collects_outputs = False  # an episode's outputs are not kept
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
        """Return (actions,): a logit per discrete action, or a mean per dimension of a continuous one."""
        return (len(spec.classes) or len(getattr(spec, "low", ())),)

    def metrics(self, stage: str) -> Metrics:
        """Return the means over episodes."""
        metrics: dict[str, Any] = {"return": MeanMetric(), "return_std": StandardDeviation(), "length": MeanMetric()}
        metrics |= {"return_sampled": MeanMetric()} if stage == "test" else {}
        return Metrics(metrics)

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Update the metrics with episodes; ``output`` has named values (E,) of each."""
        for name, values in output.items():
            metrics.feed(**{name: (values,)})
        metrics.feed(return_std=(output["return"],))

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return the ``probability`` (B, actions) of each action, or the likeliest ``action`` (B, numbers)."""
        if self.spec.classes:
            return {"probability": output.float().softmax(1)}
        return {"action": scaled(output.float(), self.low, self.high)}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the predictions, with the name of the likeliest discrete action."""
        if not self.spec.classes:
            return {**predictions}
        likeliest = predictions["probability"].argmax(1).tolist()
        return {**predictions, "label": [self.spec.classes[number] for number in likeliest]}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return ``random`` actions."""
        return {"random": partial(at_random, dataset)}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return plots of the ``frames`` of an episode, and of the ``map`` of actions and values.

        The map is over two-dimensional observations.
        """
        from zoo.tasks.plots import maps, write_gif

        plots: Plots = {}
        if "frames" in visualizations:
            plots["episode.gif"] = partial(write_gif, visualizations["frames"])
        if "map" in visualizations:
            plots["map.png"] = partial(maps, visualizations)
        return plots


def scaled(action: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return actions (…, numbers) clipped to [−1, 1] and scaled to the environment's units."""
    return low + (action.clamp(-1, 1) + 1) / 2 * (high - low)


def at_random(environments: Any) -> Scores:
    """Return the test scores of uniformly random actions."""
    spec, generator = environments.spec, np.random.default_rng(0)
    low, high = (np.array(bound, np.float32) for bound in (spec.low, spec.high))

    def actor(x: Tensor) -> dict[str, Tensor]:
        if spec.classes:
            return {"action": torch.from_numpy(generator.integers(0, len(spec.classes), len(x)))}
        return {"action": torch.from_numpy(generator.uniform(low, high, (len(x), len(low))).astype(np.float32))}

    episodes = EpisodeLoader(environments, "test").evaluate_policy(actor)
    means = {name: float(values.double().mean()) for name, values in episodes.items()}
    return {**means, "return_std": float(episodes["return"].double().std(correction=0))}
