"""Reconstruction: the error of reconstructed rows, and anomalies ranked by it."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryF1Score
from torchmetrics.image import StructuralSimilarityIndexMeasure

from zoo import registry
from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.labeled import has_class_labels
from zoo.data.loader import EvalLoader
from zoo.data.modality import Scaler
from zoo.data.noise import add_noise
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError, install
from zoo.metrics.defined import TwoClassAUROC, TwoClassAveragePrecision
from zoo.metrics.scores import Scores, best_threshold, code_figures
from zoo.registry import register_task
from zoo.tasks.base import Baselines, Example, Metrics, Plots, Task, TransformedMean, number_schema, object_schema
from zoo.utils.device import to_widest_dtype
from zoo.utils.random import PerSampleGenerator

SMALLEST = 16  # pixels a side: SSIM uses windows of 11
FALSE_ALARMS = 0.01  # share of normal rows above the threshold if validation has no anomalies


def relative_mse(metrics: Mapping[str, float], dataset: Dataset) -> float:
    """Return the mean squared error as a multiple of that of the test rows' own mean."""
    target = Reconstruction(dataset.spec).target(next(iter(EvalLoader(dataset.test)))["x"])
    return metrics["mse"] / float((target - target.mean(0)).square().mean())


@register_task("reconstruction", target="input")
class Reconstruction(Task):
    """Reconstruction by squared error. ``output`` is like ``target(x)``: images in [0, 1], other data standardized.

    ``mse`` is the mean per value, ``sse`` the sum per row, and for images ``psnr`` is −10 log₁₀ mse in decibels. If
    there are anomalies, they are ranked by their error, ``mse`` covers normal rows only, and ``f1`` uses a threshold
    from validation.
    """

    monitor, mode, fallback_monitor = "mse", "min", "mse"
    metric_labels: ClassVar[Mapping[str, str]] = {
        "mse": "MSE per value",
        "sse": "squared error per image",
        "psnr": "PSNR (dB)",
        "nll": "−log p(x) (nats)",
    }
    example = Example(relative_mse, 0.9, 0.8, "MSE {:.3f} times that of the mean row is above")
    rejected_options = dict.fromkeys(("class_weights", "loss"), "the target is the input itself")
    demo = "reconstruct"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec, self.detects_anomalies = spec, bool(spec.normal_classes)
        self.monitors = [name for name in self.names("test") if name not in ("f1", "ssim", "kl", "nll")]
        self.scaler: Scaler = registry.get_modality(spec.modality).scaler(spec)

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return the shape of ``target(x)``."""
        return spec.input_shape if spec.encoded_size == spec.inputs else (spec.encoded_size,)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Apply the options of a run."""
        super().configure(options, label_smoothing=label_smoothing)
        self.threshold_metric = options.threshold or ("f1" if self.detects_anomalies else None)
        if options.threshold and not self.detects_anomalies:
            reason = "there are no anomalies to detect; set data.normal_classes"
            raise ZooError(f"objective.threshold: does not apply to this task: {reason}")

    def target(self, x: Tensor) -> Tensor:
        """Return the target of the reconstruction for raw ``x``: images unchanged, tables encoded, series standardized."""
        return self.scaler.transform(x)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error, a scalar."""
        return F.mse_loss(output.float(), self.target(batch["x"]))

    def error(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the squared error (B,) of each row, summed over its values."""
        return (output.float() - self.target(x)).square().flatten(1).sum(1)

    def anomaly_score(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the mean squared error (B,) of each row.

        For images, the difference is first averaged over each 3×3 pixels. An edge shifted by one pixel then counts less
        than a missing part.
        """
        error = output.float() - self.target(x)
        if self.spec.spatial:
            error = F.avg_pool2d(error, 3, stride=1, padding=1)
        return error.square().flatten(1).mean(1)

    def names(self, stage: str) -> list[str]:
        """Return the names of a stage's metrics."""
        names = ["mse", "sse"] + (["psnr"] if self.spec.bounded else [])
        detection = ["auroc", "average_precision"] + (["f1"] if stage == "test" else [])
        if stage == "test" and self.spec.spatial and self.spec.bounded and min(self.spec.input_shape[1:]) >= SMALLEST:
            names.append("ssim")
        names += detection if self.detects_anomalies else []
        return names if stage == "test" else [name for name in names if name in ("mse", self.monitor)]

    def metrics(self, stage: str) -> Metrics:
        """Return metrics of the error and of the anomaly ranking; the test has all of them."""
        known: dict[str, Any] = {
            "psnr": lambda: TransformedMean(lambda mse: -10 * mse.log10()),
            "ssim": lambda: StructuralSimilarityIndexMeasure(data_range=1.0),
            "auroc": TwoClassAUROC,
            "average_precision": TwoClassAveragePrecision,
            "f1": BinaryF1Score,
        }
        return Metrics({name: known.get(name, MeanMetric)() for name in self.names(stage)})

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Update the metrics with a batch. ``output`` is the network's output, or also has an anomaly ``score`` (B,)."""
        out, x = (output["output"] if isinstance(output, dict) else output).float(), batch["x"]
        normal = self.normal(batch)
        with torch.autocast(x.device.type, enabled=False):  # SSIM is a difference of large numbers
            error, weight = self.error(out, x), normal.float()
            pair = (error / self.spec.outputs, weight)
            metrics.feed(mse=pair, psnr=pair, sse=(error, weight))
            if "ssim" in metrics and bool(normal.any()):
                metrics.feed(ssim=(out[normal], x[normal]))
        if self.detects_anomalies:
            score = to_widest_dtype(self.score(output, x))
            alarm = score >= (math.inf if self.threshold is None else self.threshold)
            share = 0.5 + 0.5 * score / (1 + score.abs())  # torchmetrics treats values outside [0, 1] as logits
            both = (share, batch["y"])
            metrics.feed(auroc=both, average_precision=both, f1=(alarm.long(), batch["y"]))

    def normal(self, batch: Batch) -> Tensor:
        """Return a mask (B,) of the rows that are not anomalies, over which errors are averaged."""
        if self.detects_anomalies:
            return batch["y"] == 0
        return torch.ones(len(batch["x"]), dtype=torch.bool, device=batch["x"].device)

    def score(self, output: Any, x: Tensor) -> Tensor:
        """Return the anomaly score (B,) of each row: the output's own if it has one."""
        named = output if isinstance(output, dict) else {"output": output}
        score: Tensor = named["score"] if "score" in named else self.anomaly_score(named["output"], x)
        return score

    def collect(self, output: Any, batch: Batch) -> Tensor | None:
        """Return the score of each row."""
        return self.score(output, batch["x"])

    def postprocess_outputs(self, collected: Tensor) -> dict[str, Any]:
        """Return the scores."""
        return {"score": collected}

    def choose_threshold(self, collected: Tensor, y: Tensor) -> float:
        """Return the threshold on the score; without anomalies, one that few normal rows exceed."""
        assert self.threshold_metric is not None
        if not bool((y == 1).any()):
            return float(collected.double().quantile(1 - FALSE_ALARMS))
        return best_threshold(collected, y == 1, self.threshold_metric)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``reconstruction`` in original units; for a table its numbers, then each category in [0, 1]."""
        return {"reconstruction": self.scaler.inverse_transform(output.float())}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the predictions and, for an anomaly detector, each row's ``label`` by its score."""
        if "score" not in predictions or self.threshold is None:
            return {**predictions}
        anomalies = (predictions["score"] >= self.threshold).long().tolist()
        return {"label": [self.spec.classes[on] for on in anomalies], **predictions}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return ``pca`` with ``latent_dim`` components, and further baselines for a denoiser, VAE or anomaly detector."""
        return reconstruction_baselines(self, dataset, options)

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return the scores of the training rows' ``mean``; none if columns are categorical."""
        if any(self.spec.categories):
            return {}
        centers = ((self.scaler.center(self.target(batch["x"])), batch) for batch in EvalLoader(split))
        return {"mean": self.test_scores(centers)}

    def test_scores(self, outputs: Iterable[tuple[Any, Batch]]) -> Scores:
        """Return the test metrics except f1, which needs a threshold."""
        return {name: value for name, value in super().test_scores(outputs).items() if name != "f1"}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return plots of reconstructions, codes, samples and anomaly scores."""
        from zoo.tasks import plots as draw
        from zoo.utils.plotting import grid

        y: Any = dataset.test.get("y")
        plots, image, score = Plots(), self.spec.spatial, predictions.get("score")
        if "clean" in visualizations and visualizations["clean"].ndim > 2:
            reconstructions = draw.reconstructions if image else draw.series_reconstructions
            plots["reconstructions.png"] = partial(reconstructions, visualizations)
        if "interpolation" in visualizations:
            images = visualizations["interpolation"]
            title = "from one test image to another"
            plots["interpolation.png"] = partial(grid, images, title, columns=len(images))
        if "samples" in visualizations and image:
            plots["samples.png"] = partial(grid, visualizations["samples"], "new images")
        if "codes" in visualizations:
            labels = y if isinstance(y, Tensor) and y.ndim == 1 else None
            plots["codes.png"] = partial(draw.plane, visualizations["codes"], labels, self.spec.classes)
        if score is not None and self.spec.normal_classes and isinstance(y, Tensor):
            plots["scores.png"] = partial(draw.score_histogram, score, y)
            if image:
                plots["anomalies.png"] = partial(draw.top_anomalies, dataset.test["x"], score, y)
        return plots

    @classmethod
    def output_schema(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the schema of the ``error``; for an anomaly detector also ``score`` and ``label``."""
        schema = object_schema(error=number_schema())
        if spec.normal_classes:
            schema["properties"] |= {"label": {"type": "string", "enum": list(spec.classes)}, "score": number_schema()}
        return schema


MAX_TEST, MAX_VAL = 1000, 50  # maximum numbers of images to test and to select filters; each image takes milliseconds
Denoise = Callable[
    [np.ndarray, float], np.ndarray
]  # from an image (H, W) or (C, H, W) and a strength to the denoised image
STRENGTHS = (0.4, 0.6, 0.8, 1.0, 1.3)  # as multiples of the noise level
MAX_FIT_ROWS = 20_000  # maximum number of rows to fit principal components and the forest


def reconstruction_baselines(task: Any, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
    """Return the baselines of a Reconstruction: ``pca`` with the model's ``latent_dim``, and others by its options.

    For a denoiser: the ``noisy input`` itself, and the filters ``non-local means`` and ``wavelets`` on the first 1,000
    images. For an anomaly detector: also an ``isolation forest``. For a VAE: a density.
    """
    noise = options.get("noise", "none"), options.get("noise_level", 0.0)

    @functools.cache
    def train() -> np.ndarray:
        return _rows(task, dataset.train)

    def normal_test() -> np.ndarray:
        x = _rows(task, dataset.test, every=True)
        return x[dataset.test["y"].numpy() == 0] if task.detects_anomalies else x  # type: ignore[union-attr]

    if task.detects_anomalies:
        noise = ("none", 0.0)
    size = options.get("latent_dim", 16)
    measures = {"pca": lambda: _components(dataset, task, train(), size, noise)}
    if "beta" in options:
        likelihood = options["likelihood"]
        if likelihood == "bernoulli" or (likelihood == "auto" and dataset.spec.bounded):
            measures["independent pixels"] = lambda: _independent_pixels(train(), normal_test())
        else:
            measures["probabilistic pca"] = lambda: _density(train(), normal_test(), size)
    if task.detects_anomalies:
        measures["isolation forest"] = lambda: _forest(train(), _rows(task, dataset.test, every=True), dataset.test)
    if noise[0] != "none" and dataset.spec.spatial:
        measures |= _filters(dataset, task, noise)
    return measures


def _components(dataset: Dataset, task: Any, train: np.ndarray, count: int, noise: tuple[str, float]) -> Scores:
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *train.shape), random_state=0).fit(train)

    def reconstruct(batch: Batch) -> Tensor:
        target = task.target(batch["x"])
        noisy = add_noise(target, *noise, image=dataset.spec.bounded, generator=PerSampleGenerator(batch["row"]))
        code = pca.transform(noisy.flatten(1).numpy())
        return torch.from_numpy(pca.inverse_transform(code)).float().view_as(target)

    scores: Scores = task.test_scores((reconstruct(batch), batch) for batch in EvalLoader(dataset.test))
    if has_class_labels(dataset.spec):
        codes = [pca.transform(_rows(task, split, every=True)) for split in (dataset.train, dataset.test)]
        scores |= code_figures(codes[0], dataset.train["y"].numpy(), codes[1], dataset.test["y"].numpy())  # type: ignore[union-attr]
    return scores


def _independent_pixels(train: np.ndarray, x: np.ndarray) -> Scores:
    """Return the nats per test row of independent pixels, each black with its frequency in training."""
    share = train.mean(0, dtype=np.float64).clip(1e-4, 1 - 1e-4)
    nll = -float((x * np.log(share) + (1 - x) * np.log(1 - share)).sum(1).mean())
    return {"nll": nll, "elbo": -nll}


def _density(train: np.ndarray, x: np.ndarray, size: int) -> Scores:
    """Return the nats per test row by probabilistic PCA."""
    from sklearn.decomposition import PCA

    pca = PCA(min(size, train.shape[1] - 1), random_state=0).fit(train.astype(np.float64))
    nll = -float(pca.score(x.astype(np.float64)))
    return {"nll": nll, "elbo": -nll}


def _forest(train: np.ndarray, x: np.ndarray, test: Split) -> Scores:
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import average_precision_score, roc_auc_score

    forest = IsolationForest(random_state=0).fit(train)
    score = -forest.score_samples(x)
    y = test["y"].numpy()  # type: ignore[union-attr]
    if y.min() == y.max():
        return {}
    return {"auroc": float(roc_auc_score(y, score)), "average_precision": float(average_precision_score(y, score))}


def _filters(dataset: Dataset, task: Task, noise: tuple[str, float]) -> Baselines:
    """Return denoising filters on the same noisy test images; their strength is chosen on validation."""
    name, level = noise
    gray = dataset.spec.input_shape[0] == 1
    channel_axis = None if gray else 0

    def measure(split: Split, denoise: Denoise, strength: float, limit: int) -> Scores:
        first = {key: value.index_select(0, torch.arange(min(limit, len(value)))) for key, value in split.items()}

        def pairs() -> Iterator[tuple[Tensor, Any]]:
            for batch in EvalLoader(first):
                generator = PerSampleGenerator(batch["row"])
                noisy = add_noise(batch["x"], name, level, image=True, generator=generator).numpy()
                restored = [denoise(image[0] if gray else image, strength).reshape(image.shape) for image in noisy]
                yield torch.from_numpy(np.stack(restored).clip(0, 1)).float(), batch

        return task.test_scores(pairs())

    def select(denoise: Denoise) -> Scores:
        strength = min(STRENGTHS, key=lambda s: measure(dataset.val, denoise, s * level, MAX_VAL)["mse"])
        return measure(dataset.test, denoise, strength * level, MAX_TEST)

    measures = {"noisy input": lambda: measure(dataset.test, lambda image, _: image, 1.0, MAX_TEST)}
    try:
        import pywt  # noqa: F401  (denoise_wavelet imports it later)
        from skimage.restoration import denoise_nl_means, denoise_wavelet
    except ImportError:
        print(f"note: the filter baselines need scikit-image; {install('images')}", file=sys.stderr)
        return measures
    options = {"patch_size": 5, "patch_distance": 6, "fast_mode": False, "channel_axis": channel_axis}
    denoisers: dict[str, Denoise] = {
        "non-local means": lambda image, strength: denoise_nl_means(image, h=strength, **options),
        "wavelets": partial(denoise_wavelet, channel_axis=channel_axis, rescale_sigma=True),
    }
    return measures | {name: partial(select, denoise) for name, denoise in denoisers.items()}


def _rows(task: Any, split: Split, *, every: bool = False) -> np.ndarray:
    """Return the reconstruction targets (N, numbers) of a split: of all rows, or of a sample for a fit."""
    count = len(split["x"])
    index = torch.arange(count)
    if not every and count > MAX_FIT_ROWS:
        index = torch.from_numpy(np.sort(np.random.default_rng(0).permutation(count)[:MAX_FIT_ROWS]))
    picked = {"x": split["x"].index_select(0, index)}
    return np.concatenate([task.target(batch["x"]).flatten(1).numpy() for batch in EvalLoader(picked)])
