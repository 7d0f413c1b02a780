"""Baseline of generation: other real images in place of generated ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Dataset
from zoo.data.input_readers import to_float
from zoo.metrics.distances import COMPONENTS, principal_components
from zoo.metrics.evaluator import load_evaluator
from zoo.tasks.base import Scores
from zoo.tasks.generation.metrics import SampleMetrics
from zoo.utils.random import EVAL_BATCH


@torch.inference_mode()
def real_to_real(dataset: Dataset) -> Scores:
    """Return test scores of other real images, as many of the training part, in place of generated ones."""
    spec, evaluator = dataset.spec, load_evaluator(dataset.spec)
    center, components = principal_components(dataset.train["x"], COMPONENTS)
    samples = SampleMetrics(evaluator is not None, len(spec.classes), conditional=False)
    count = len(dataset.test["x"])
    picked = np.random.default_rng(0).permutation(len(dataset.train["x"]))[:count]
    sources = {"real": (dataset.test, np.arange(count)), "generated": (dataset.train, np.sort(picked))}
    for name, (split, rows) in sources.items():
        for part in torch.from_numpy(rows).split(EVAL_BATCH):
            images = to_float(split["x"].index_select(0, part))
            values: dict[str, Tensor] = {name: (images.flatten(1) - center) @ components}
            if evaluator is not None:
                values |= {f"{name}_{key}": value for key, value in evaluator(images).items()}
            samples.update(**values)
    return {name: float(value) for name, value in samples.compute().items()}
