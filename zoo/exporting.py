"""A trained model as one ONNX file, which runs without the zoo and without torch."""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.dataset import Batch
from zoo.errors import ZooError
from zoo.module import ZooModule


class Answering(nn.Module):
    """From raw input to named answers, as ``predict`` gives them: a model with its objective's decoding."""

    def __init__(self, model: ZooModule) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Return probabilities (B, classes), or values (B,) in original units."""
        batch = {"x": x} if lengths is None else {"x": x, "lengths": lengths}
        return self.model.objective.answer(self.model.output(batch))


def export(model: ZooModule, path: str | Path) -> Path:
    """Write ``model`` as ONNX and return the path.

    Input ``x`` is float (batch, *input_shape), as ``predict`` takes it: images in [0, 1], columns in their own units;
    batch is any number, for sequences the length too, with ``lengths`` (batch,) int64 beside it. Output is
    ``probability`` (batch, classes) or ``value`` (batch,) in original units. The file's metadata names the classes
    and holds the data's spec as JSON.

    Raises:
        ZooError: the extra ``export`` is not installed, the model's code cannot be traced, or the path not written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (what torch writes with)
    except ImportError:
        raise ZooError('zoo.export: onnx is not installed; pip install "zoo[export]"') from None
    path, spec, training = Path(path), model.spec, model.training
    try:
        proto = _trace(Answering(model).eval(), _example(model)).model_proto
    finally:
        model.train(training)
    described = {"model": model.name, "classes": json.dumps(spec.classes), "spec": json.dumps(spec.to_dict())}
    onnx.helper.set_model_props(proto, described)
    temporary = path.with_name(path.name + ".tmp")
    try:
        onnx.save(proto, temporary)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def _example(model: ZooModule) -> Batch:
    """Return a batch whose sizes stand for any: two rows, since one would be taken for a constant."""
    shape = model.spec.input_shape
    batch = {"x": torch.rand(2, *shape)}
    if model.spec.kind == "sequence":
        batch["lengths"] = torch.tensor([shape[0], 1])
    return {key: value.to(model.device) for key, value in batch.items()}


def _trace(answering: Answering, batch: Batch) -> Any:
    many = torch.export.Dim("batch")
    sizes: dict[str, Any] = {"x": {0: many}}
    if "lengths" in batch:
        sizes = {"x": {0: many, 1: torch.export.Dim("length")}, "lengths": {0: many}}
    names = list(answering(**batch))
    spoken = logging.getLogger("torch.onnx")
    level, spoken.disabled = spoken.level, True
    _forget_kernels()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                answering,
                kwargs=dict(batch),
                input_names=list(batch),
                output_names=names,
                dynamic_shapes=sizes,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        said = " ".join(str(error).split())
        raise ZooError(
            f"{answering.model.name}: forward cannot be traced for ONNX; its steps must not depend on values or on "
            f"the number of rows ({said[:300]})"
        ) from None
    finally:
        _forget_kernels()
        spoken.disabled = False
        spoken.setLevel(level)


def _forget_kernels() -> None:
    """Have torch look its recurrent kernels up anew.

    Its exporter lends these operators other kernels, for any length, but they answer by the one that they found first
    (torch 2.14): the second export of a process was for one length only.
    """
    for operator in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        getattr(operator, "_dispatch_cache", {}).clear()
