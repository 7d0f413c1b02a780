"""A trained model as one ONNX file, which runs without the zoo and without torch."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.dataset import Batch
from zoo.errors import ZooError
from zoo.files import write_whole
from zoo.module import ZooModule
from zoo.spec import UNKNOWN, DataSpec


class Answering(nn.Module):
    """From raw input to named answers, as ``predict`` gives them: a model with its objective's decoding."""

    def __init__(self, model: ZooModule) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Return the answers, such as probabilities (B, classes), or values (B,) in original units."""
        batch = {"x": x} if lengths is None else {"x": x, "lengths": lengths}
        return self.model.answer(batch)


class Elman(nn.Module):
    """A layer of nn.RNN as ONNX's own operator, for any length: torch's exporter unrolls it for one length alone."""

    def __init__(self, cell: nn.RNN) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what stands for the outputs (B, T, hidden) and the last state (1, B, hidden) while it is traced."""
        cell = self.cell
        weights = [cell.weight_ih_l0, cell.weight_hh_l0, torch.cat([cell.bias_ih_l0, cell.bias_hh_l0])]
        inputs = [x.transpose(0, 1), *(one.unsqueeze(0) for one in weights), *([] if state is None else [None, state])]
        rows, size = x.shape[0], cell.hidden_size
        h, last = torch.onnx.ops.symbolic_multi_out(
            "RNN",
            inputs,
            attrs={"hidden_size": size, "activations": [cell.nonlinearity.capitalize()]},
            dtypes=(x.dtype, x.dtype),
            shapes=((x.shape[1], 1, rows, size), (1, rows, size)),
        )
        return h.squeeze(1).transpose(0, 1), last

    @classmethod
    def replace(cls, model: nn.Module) -> None:
        """Put it in the place of each layer of one direction in ``model``."""
        for name, child in model.named_children():
            plain = isinstance(child, nn.RNN) and child.batch_first and child.bias
            if plain and (child.num_layers, child.bidirectional) == (1, False):
                setattr(model, name, cls(child))
            else:
                cls.replace(child)


def export(model: ZooModule, path: str | Path) -> Path:
    """Write ``model`` as ONNX and return the path.

    Input ``x`` is float (batch, *input_shape), as ``predict`` takes it: images in [0, 1], columns in their own units;
    batch is any number, for sequences and texts (int64) the length too, with ``lengths`` (batch,) int64 beside it where
    there is a label. Output is ``probability`` (batch, classes) or (batch, length, symbols), or ``value`` (batch,) or
    (batch, horizon, columns) in original units; of models that give their input back ``reconstruction``, ``code``,
    ``error`` and, where anomalies are looked for, ``score``. The file's metadata names the classes
    and holds the data's spec as JSON.

    Raises:
        ZooError: the extra ``export`` is not installed, the model's code cannot be traced, or the path not written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (what torch writes with)
    except ImportError:
        raise ZooError('zoo.export: onnx is not installed; pip install "zoo[export]"') from None
    path, spec = Path(path), model.spec
    answering = Answering(copy.deepcopy(model).cpu()).eval()  # CUDA has operators of its own, which ONNX has not
    Elman.replace(answering)
    proto = _trace(answering, _example(spec)).model_proto
    described = {"model": model.name, "classes": json.dumps(spec.classes), "spec": json.dumps(spec.to_dict())}
    onnx.helper.set_model_props(proto, described)
    try:
        write_whole(path, lambda to: onnx.save(proto, to))
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def _example(spec: DataSpec) -> Batch:
    """Return a batch whose sizes stand for any: two rows, since one would be taken for a constant."""
    shape = spec.input_shape
    batch = {"x": torch.rand(2, *shape)}
    if spec.kind == "text":
        batch["x"] = torch.randint(UNKNOWN, len(spec.vocabulary), (2, *shape))
    if spec.kind == "sequence" or (spec.kind == "text" and spec.task == "classification"):
        batch["lengths"] = torch.tensor([shape[0], 1])
    return batch


def _trace(answering: Answering, batch: Batch) -> Any:
    many = torch.export.Dim("batch")
    sizes: dict[str, Any] = {"x": {0: many}}
    if "lengths" in batch or batch["x"].dtype == torch.int64:
        sizes = {"x": {0: many, 1: torch.export.Dim("length")}}
        sizes |= {"lengths": {0: many}} if "lengths" in batch else {}
    with torch.no_grad():
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
    """Have torch look its recurrent kernels up anew, and trace their loops anew.

    Its exporter lends these operators other kernels, for any length, but they answer by the one that they found first,
    and a loop that was traced for one length is taken for another (torch 2.14): the second export of a process was for
    one length only.
    """
    for operator in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        getattr(operator, "_dispatch_cache", {}).clear()
    torch.compiler.reset()
