"""Export of a trained model to a single file: ONNX, torch.export or safetensors."""

from __future__ import annotations

import copy
import io
import json
import logging
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.data.dataset import Batch
from zoo.data.spec import UNKNOWN, DataSpec
from zoo.exceptions import ZooError, install, unknown
from zoo.models.base import ZooModule
from zoo.utils.atomic_io import atomic_write


class Predictor(nn.Module):
    """Wraps a model so that ``forward`` maps raw input to named predictions, including the task's postprocessing."""

    def __init__(self, model: ZooModule) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Return predictions by name, such as probabilities (B, classes), or values (B,) in original units."""
        batch = {"x": x} if lengths is None else {"x": x, "lengths": lengths}
        return self.model.predictions(batch)


class Cell(nn.Module):
    """A layer of nn.RNN, nn.LSTM or nn.GRU as the ONNX operator, for any sequence length.

    The exporter of torch 2.14 unrolls nn.RNN for one length. For nn.LSTM and nn.GRU, it fixes the output length to the
    traced one.
    """

    # Indices of torch's gates in the order of ONNX: i, o, f, c for LSTM and z, r, h for GRU
    GATES: ClassVar = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
    w: Tensor
    u: Tensor
    b: Tensor

    def __init__(self, cell: nn.RNNBase) -> None:
        super().__init__()
        self.kind, self.size = type(cell).__name__, cell.hidden_size
        self.attributes: dict[str, Any] = {"hidden_size": cell.hidden_size}
        if isinstance(cell, nn.RNN):
            self.attributes["activations"] = [cell.nonlinearity.capitalize()]
        if isinstance(cell, nn.GRU):
            self.attributes["linear_before_reset"] = 1
        weights = [self._ordered(getattr(cell, f"{name}_l0")) for name in ("weight_ih", "weight_hh")]
        biases = [self._ordered(getattr(cell, f"{name}_l0")) for name in ("bias_ih", "bias_hh")]
        for name, value in zip("wub", [*weights, torch.cat(biases)], strict=True):
            self.register_buffer(name, value.detach().unsqueeze(0))

    def _ordered(self, x: Tensor) -> Tensor:
        gates = x.chunk(len(self.GATES[self.kind]))
        return torch.cat([gates[number] for number in self.GATES[self.kind]])

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return symbolic outputs (B, T, hidden) and the last state (1, B, hidden) for tracing."""
        rows, count = x.shape[0], 2 if self.kind == "LSTM" else 1
        states = () if state is None else state if isinstance(state, tuple) else (state,)
        h, *last = torch.onnx.ops.symbolic_multi_out(
            self.kind,
            [x.transpose(0, 1), self.w, self.u, self.b, *([None, *states] if states else [])],
            attrs=self.attributes,
            dtypes=(x.dtype,) * (1 + count),
            shapes=((x.shape[1], 1, rows, self.size), *([(1, rows, self.size)] * count)),
        )
        return h.squeeze(1).transpose(0, 1), tuple(last) if count > 1 else last[0]


class Loop(nn.Module):
    """A layer of nn.RNN, nn.LSTM or nn.GRU as a loop over steps, for any length; torch.export would unroll it."""

    STEPS: ClassVar[dict[str, Callable[..., Any]]] = {"LSTM": torch.lstm_cell, "GRU": torch.gru_cell}
    STEPS |= {"RNN_TANH": torch.rnn_tanh_cell, "RNN_RELU": torch.rnn_relu_cell}

    def __init__(self, cell: nn.RNNBase) -> None:
        super().__init__()
        self.size, self.step, self.states = cell.hidden_size, self.STEPS[cell.mode], 2 if cell.mode == "LSTM" else 1
        # while_loop rejects weights that share memory
        for name, value in zip("wubc", cell.parameters(), strict=True):
            self.register_buffer(name, value.detach().clone())

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the outputs (B, T, hidden) and the last state (1, B, hidden)."""
        from torch._higher_order_ops.while_loop import while_loop

        steps = x.transpose(0, 1)
        first = state if isinstance(state, tuple) else (state,) if state is not None else ()
        first = tuple(one[0] for one in first) or (x.new_zeros(x.shape[0], self.size),) * self.states

        def more(at: Tensor, out: Tensor, *held: Tensor) -> Tensor:
            return at < steps.shape[0]

        def step(at: Tensor, out: Tensor, *held: Tensor) -> tuple[Tensor, ...]:
            here = at.reshape(1)
            before = held if self.states > 1 else held[0]
            left = self.step(steps.index_select(0, here)[0], before, *self.buffers())
            left = left if self.states > 1 else (left,)
            return (at + 1, out.index_copy(0, here, left[0].unsqueeze(0)), *left)

        begin = torch.zeros((), dtype=torch.int64), x.new_zeros(steps.shape[0], x.shape[0], self.size)
        start = (*begin, *(one.clone() for one in first))
        _, out, *last = while_loop(more, step, start)  # type: ignore[no-untyped-call]
        states = tuple(one.unsqueeze(0) for one in last)
        return out.transpose(0, 1), states if self.states > 1 else states[0]


def replace(model: nn.Module, by: type[Cell] | type[Loop]) -> None:
    """Replace each unidirectional recurrent layer in ``model`` by a module of class ``by``.

    Raises:
        ZooError: a layer has a projection.
    """
    for name, child in model.named_children():
        if getattr(child, "proj_size", 0):
            raise ZooError(
                "export: LSTM layers with a projection cannot be exported as ONNX or torch.export. "
                "Use format=safetensors."
            )
        one_way = getattr(child, "num_layers", 0) == 1 and not child.bidirectional
        if isinstance(child, nn.RNNBase) and one_way and child.batch_first and child.bias:
            setattr(model, name, by(child))
        else:
            replace(child, by)


FORMATS = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ".safetensors"}


def export(model: ZooModule, path: str | Path, *, format: str | None = None) -> Path:
    """Export ``model`` to a file, check that its predictions equal the model's, and return the path.

    Input ``x`` is float ``(batch, *input_shape)``. Images are in [0, 1]. Columns are in original units, minus the
    ``offsets`` of the spec's ``reading`` for large numbers. Texts are int64 tokens (batch, length). Batch and sequence
    length are dynamic. Sequences and texts with a label need ``lengths``, int64 (batch,), too.

    Outputs depend on the task:

    * ``probability`` (batch, classes), or (batch, length, tokens) for language models;
    * ``value`` (batch,), or (batch, prediction_length, columns) for forecasts, in original units;
    * ``reconstruction``, ``code`` and ``error`` for autoencoders, and ``score`` for anomaly detection.

    The metadata of the file contains the classes and the data spec as JSON. In a torch.export file, the extra file
    ``zoo.json`` holds them.

    Args:
        model: the trained model.
        path: the file to write.
        format: ``onnx`` runs without torch, ``torch_export`` runs without the zoo, and ``safetensors`` holds weights
            and options for ``zoo.load``; None: chosen by the suffix .onnx, .pt2 or .safetensors.

    Raises:
        ZooError: unknown format, missing extra ``export``, a model that cannot be traced, different predictions, or a
            path that cannot be written.
    """
    path = Path(path).expanduser()
    known = {ending: name for name, ending in FORMATS.items()}
    chosen = format or known.get(path.suffix)
    if chosen not in FORMATS:
        raise unknown("format", chosen or path.suffix, FORMATS)
    plain = copy.deepcopy(model).cpu().eval()  # ONNX lacks some CUDA operators
    write, predict = {"onnx": _onnx, "torch_export": _program, "safetensors": _weights}[chosen](plain)
    try:
        atomic_write(path, lambda to: _checked(plain, write, predict, to))
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
    return path


Write = Callable[[Path], object]
Predict = Callable[[Path, Batch], dict[str, Tensor]]  # predictions of an exported file for a batch


@torch.no_grad()
def _checked(model: ZooModule, write: Write, predict: Predict, to: Path) -> None:
    """Write a file and compare its predictions with the model's.

    Raises:
        ZooError: the predictions differ.
    """
    write(to)
    batch = _example(model.spec, rows=3, shorter=1)
    try:
        outputs = predict(to, batch)
    except Exception as error:  # each runtime has its own exceptions
        reason = " ".join(str(error).split())
        advice = "Control flow must not depend on values or on the number of rows."
        raise ZooError(
            f"{model.name}: the exported file does not run for other sizes ({reason[:200]}). {advice}"
        ) from None
    for name, value in Predictor(model)(**batch).items():
        alike = outputs[name].shape == value.shape
        most = float((outputs[name] - value.float()).abs().max()) if alike else math.inf
        if not alike or not torch.allclose(outputs[name], value.float(), rtol=1e-3, atol=1e-4):
            raise ZooError(f"{model.name}: {name} of the exported file differs from the model's by up to {most:.2g}")


def _onnx(model: ZooModule) -> tuple[Write, Predict]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (used by torch)
    except ImportError:
        raise ZooError(f"zoo.export: packages for ONNX are not installed. Run: {install('export')}") from None
    predictor = Predictor(copy.deepcopy(model)).eval()
    replace(predictor, Cell)
    proto = _trace(predictor, _example(model.spec)).model_proto
    onnx.helper.set_model_props(proto, {"model": model.name, **_described(model.spec)})

    def predict(path: Path, batch: Batch) -> dict[str, Tensor]:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_outputs()]
        outputs = session.run(names, {key: value.numpy() for key, value in batch.items()})
        return {name: torch.from_numpy(value).float() for name, value in zip(names, outputs, strict=True)}

    return lambda to: onnx.save(proto, to), predict


def _described(spec: DataSpec) -> dict[str, str]:
    return {"classes": json.dumps(spec.classes), "spec": json.dumps(spec.to_dict())}


def _program(model: ZooModule) -> tuple[Write, Predict]:
    batch, predictor = _example(model.spec), Predictor(copy.deepcopy(model)).eval()
    if 1 in _sizes(batch)["x"]:  # dynamic length
        replace(predictor, Loop)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            program = torch.export.export(predictor, (), dict(batch), dynamic_shapes=_sizes(batch), strict=False)
    except Exception as error:
        raise _untraced(model, error) from None

    def write(to: Path) -> None:
        file, about = io.BytesIO(), json.dumps({"model": model.name, **_described(model.spec)})
        with warnings.catch_warnings(action="ignore"):  # about weights that share memory
            torch.export.save(program, file, extra_files={"zoo.json": about})
        to.write_bytes(file.getvalue())

    def predict(path: Path, batch: Batch) -> dict[str, Tensor]:
        outputs = torch.export.load(io.BytesIO(path.read_bytes())).module()(**batch)
        return {name: value.float() for name, value in outputs.items()}

    return write, predict


def _weights(model: ZooModule) -> tuple[Write, Predict]:
    from zoo.checkpoint import load_weights, save_weights

    def predict(path: Path, batch: Batch) -> dict[str, Tensor]:
        return {name: value.float() for name, value in Predictor(load_weights(path))(**batch).items()}

    return lambda to: save_weights(model, to), predict


def _example(spec: DataSpec, *, rows: int = 2, shorter: int = 0) -> Batch:
    """Return an example batch for tracing; it has two rows by default, because torch treats size 1 as a constant.

    For variable lengths, the length is the maximum minus ``shorter`` steps.
    """
    shape = spec.input_shape
    length = max(shape[0] - shorter, 1) if spec.variable_length else shape[0]
    batch = {"x": torch.rand(rows, length, *shape[1:])}
    if spec.vocab_size:
        batch["x"] = torch.randint(UNKNOWN, spec.vocab_size, (rows, length))
    if spec.has_lengths:
        batch["lengths"] = torch.tensor([length] + [1] * (rows - 1))
    return batch


def _sizes(batch: Batch) -> dict[str, Any]:
    """Return the dynamic dimensions of each tensor of a batch."""
    many = torch.export.Dim("batch")
    if "lengths" not in batch and batch["x"].dtype != torch.int64:
        return {"x": {0: many}}
    sizes: dict[str, Any] = {"x": {0: many, 1: torch.export.Dim("length")}}
    return sizes | ({"lengths": {0: many}} if "lengths" in batch else {})


def _untraced(model: ZooModule, error: Exception) -> ZooError:
    reason = " ".join(str(error).split())
    return ZooError(
        f"{model.name}: forward cannot be traced ({reason[:300]}). Control flow must not depend on values or on the "
        "number of rows."
    )


def _trace(predictor: Predictor, batch: Batch) -> Any:
    sizes = _sizes(batch)
    with torch.no_grad():
        names = list(predictor(**batch))
    logger = logging.getLogger("torch.onnx")
    level, logger.disabled = logger.level, True
    _forget_kernels()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                predictor,
                kwargs=dict(batch),
                input_names=list(batch),
                output_names=names,
                dynamic_shapes=sizes,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        raise _untraced(predictor.model, error) from None
    finally:
        _forget_kernels()
        logger.disabled = False
        logger.setLevel(level)


def _forget_kernels() -> None:
    """Clear torch's caches of recurrent kernels and traced loops.

    The exporter of torch 2.14 replaces the kernels of these operators, but the operators keep using a cached one. A
    loop traced for one length is reused for another. Without this call, the second export in a process supported only
    one length.
    """
    for operator in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        getattr(operator, "_dispatch_cache", {}).clear()
    torch.compiler.reset()
