"""The conformance checks; each raises ConformanceError with the observed behavior and a way to fix it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor, nn

from zoo import registry
from zoo.data.dataset import Batch
from zoo.data.spec import UNKNOWN
from zoo.exceptions import ZooError
from zoo.hub import load
from zoo.models.base import ZooModule
from zoo.testing.subject import Children, Subject

# Largest relative difference of bf16 from float32: for outputs after training, and for the loss of a few small steps
OUTPUTS, LOSS = 0.05, 0.02


# --- 2: forward ---


@torch.no_grad()
def check_forward(subject: Subject) -> None:
    """Check the output: its shape, finite values, determinism, independent rows, and state in buffers only.

    Raises:
        ConformanceError: the model fails the check; as for all checks.
    """
    model, batch = subject.create().to(subject.device).eval(), subject.batch()
    first = model.output(batch)
    stated = (len(batch["x"]), *model.spec.output_shape)
    if tuple(first.shape) != stated:
        raise subject.fail(f"the output has shape {tuple(first.shape)}; spec.output_shape requires {stated}")
    noisy = subject.create().to(subject.device).train().output(batch)
    if not (torch.isfinite(first).all() and torch.isfinite(noisy).all()):
        raise subject.fail("the output of the initial weights has NaN or infinity. Check scales and logarithms.")
    if not torch.equal(model.output(batch), first):
        raise subject.fail("the output is random in evaluation mode. Use noise and dropout only in training.")
    for row, alone in enumerate(_rows(batch)):
        if not torch.allclose(model.output(alone)[0], first[row], **subject.close):
            raise subject.fail(
                f"the output of row {row} depends on the other rows of the batch. In evaluation mode, do not compute "
                f"over rows (a mean or softmax over dimension 0, batch statistics)."
            )
    if "lengths" in batch:
        _check_padding(subject, model, batch, first)
    if subject.dataset.spec.target_type == "next_symbol":
        _check_causal(subject, model, batch, first)
    _check_state(subject, batch)


def _rows(batch: Batch) -> Iterator[Batch]:
    for row in range(len(batch["x"])):
        yield {key: value[row : row + 1] for key, value in batch.items()}


def _check_padding(subject: Subject, model: ZooModule, batch: Batch, first: Tensor) -> None:
    x, lengths = batch["x"], batch["lengths"]
    text = x.ndim == 2
    longer = torch.nn.functional.pad(x, (0, 5) if text else (0, 0, 0, 5))
    inside = torch.arange(longer.shape[1], device=x.device)[None] < lengths[:, None]
    garbage = torch.where(inside, longer, UNKNOWN) if text else torch.where(inside[..., None], longer, 100.0)
    if not torch.allclose(model.output({"x": garbage, "lengths": lengths}), first, **subject.close):
        raise subject.fail("the content or length of the padding changes the output. Mask it with lengths in forward.")
    for row, alone in enumerate(_rows(batch)):
        cut = {"x": alone["x"][:, : int(alone["lengths"])], "lengths": alone["lengths"]}
        if not torch.allclose(model.output(cut)[0], first[row], **subject.close):
            raise subject.fail(
                f"the output of sequence {row} changes without padding. Mask it with lengths in forward."
            )


def _check_causal(subject: Subject, model: ZooModule, batch: Batch, first: Tensor) -> None:
    x = batch["x"]
    for step in range(1, x.shape[1]):
        other = torch.cat([x[:, :step], torch.full_like(x[:, step:], UNKNOWN)], 1)
        if not torch.allclose(model.output({"x": other})[:, :step], first[:, :step], **subject.close):
            raise subject.fail(
                f"the prediction before token {step + 1} depends on that token. A language model must not see later "
                f"tokens: use a causal mask or a unidirectional network."
            )


def _check_state(subject: Subject, batch: Batch) -> None:
    model = subject.create().to("meta")
    try:
        for training in (False, True):
            model.train(training).output({key: value.to("meta") for key, value in batch.items()})
    except (RuntimeError, NotImplementedError) as error:
        raise subject.fail(
            f"does not run on the meta device ({' '.join(str(error).split())[:160]}). Store tensors with "
            f"self.register_buffer, create new ones with device=x.device, and avoid control flow that depends on values."
        ) from None


# --- 3: gradients ---


class Watch(L.Callback):
    """Records the initial parameters and which of them ever had a nonzero gradient."""

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Register a hook that inspects gradients before each optimizer step."""
        self.before = {name: p.detach().clone() for name, p in module.named_parameters()}
        self.moved: set[str] = set()
        names = {id(p): name for name, p in module.named_parameters()}
        for optimizer in trainer.optimizers:
            optimizer.register_step_pre_hook(lambda optimizer, *_: self._look(optimizer, names))

    def _look(self, optimizer: torch.optim.Optimizer, names: dict[int, str]) -> None:
        for group in optimizer.param_groups:
            self.moved |= {names[id(p)] for p in group["params"] if p.grad is not None and bool(p.grad.any())}


def check_gradients(subject: Subject) -> None:
    """Check that a few steps give every parameter a gradient and change it, except in derived modules."""
    watch = Watch()
    run = subject.steps(
        callbacks=(watch,), **{"optimizer.weight_decay": 0.0}
    )  # weight decay alone would change weights
    derived_modules = run.model.derived_modules
    for name, parameter in run.model.named_parameters():
        if any(name == derived or name.startswith(f"{derived}.") for derived in derived_modules):
            continue
        if not parameter.requires_grad:
            raise subject.fail(
                f"{name} is not trained. List a copy or average in `derived_modules`, or register a constant as a buffer."
            )
        if name not in watch.moved:
            raise subject.fail(f"{name} never had a nonzero gradient. Use it in forward, or remove it.")
        if torch.equal(parameter.detach().cpu(), watch.before[name].cpu()):
            raise subject.fail(f"{name} had a gradient but never changed. Pass every parameter to an optimizer.")


# --- 4: learning ---


def check_learns(subject: Subject) -> None:
    """Check that training for seconds beats a floor that no constant prediction reaches."""
    run, example = subject.fitted, registry.get_task(subject.case.task).example
    if example is None:
        return
    score = example.score({key.removeprefix("test/"): value for key, value in run.metrics.items()}, subject.dataset)
    if not example.reaches(score, example.floor):
        message = example.message.format(score)
        raise subject.fail(
            f"does not learn: its test {message} {example.floor} after {run.results['epochs']} epochs on simple data. "
            f"Check forward (does it use all of x, normalized?), the loss and the default options."
        )


# --- 5: seeds ---


def check_seeds(subject: Subject) -> None:
    """Check that the seed determines the initial and the trained weights."""
    makers: dict[str, Callable[[int], ZooModule]] = {
        "initial weights": subject.create,
        "trained weights": lambda seed: subject.steps(seed=seed).model,
    }
    for weights, make in makers.items():
        states = [[v.double().cpu().flatten() for v in make(seed).state_dict().values()] for seed in (0, 0, 1)]
        first, again, other = map(torch.cat, states)
        if not torch.equal(first, again):
            raise subject.fail(f"the same seed gave different {weights}. Use torch's global generator only.")
        if torch.equal(first, other):
            raise subject.fail(
                f"different seeds gave the same {weights}. Use torch's global generator, without a fixed seed."
            )


# --- 6: checkpoints ---


def check_checkpoint(subject: Subject) -> None:
    """Check that a checkpoint holds only primitives and tensors, and that loading it restores the predictions."""
    run, batch = subject.fitted, {key: value.cpu() for key, value in subject.batch(7).items()}
    raw: Any = batch["x"].numpy()
    if "lengths" in batch:
        raw = [row[:length] for row, length in zip(raw, batch["lengths"].tolist(), strict=True)]
    for name in ("best", "last"):
        path = run.folder / "checkpoints" / f"{name}.ckpt"
        try:
            content = torch.load(path, weights_only=True)
        except Exception as error:
            raise subject.fail(
                f"{name}.ckpt does not load with weights_only=True ({' '.join(str(error).split())[:160]}). "
                f"Options and training_state must be primitives and tensors."
            ) from None
        for strange in _strange(content):
            raise subject.fail(
                f"{name}.ckpt contains {strange}. Options and training_state must be primitives and tensors."
            )
    best = run.folder / "checkpoints" / "best.ckpt"
    predictions = _tensors(run.model.predict(raw))
    scrambled = subject.create(seed=1)
    with torch.no_grad():
        for value in scrambled.state_dict().values():
            value.copy_(torch.randn(value.shape).to(value.dtype))
    scrambled.load_state_dict(torch.load(best, weights_only=True)["state_dict"])
    with Children(subject.name) as children:
        numbers = children.call(_predict, best, raw).result()
    alone = {key: torch.from_numpy(value) for key, value in numbers.items()}
    for how, others in (
        ("into a model with random weights", _tensors(scrambled.predict(raw))),
        ("in a new process", alone),
    ):
        if any(not torch.allclose(others[key], predictions[key], **subject.close) for key in predictions):
            raise subject.fail(
                f"best.ckpt loaded {how} gives other predictions than the saved model. All state that predictions "
                f"depend on must be a parameter, a buffer or an option."
            )


def _strange(node: Any, where: str = "checkpoint") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, (str, int)):
                yield f"a key of type {type(key).__name__} in {where}"
            yield from _strange(value, f"{where}[{key!r}]")
    elif isinstance(node, (list, tuple, set)):
        yield from _strange(dict(enumerate(node)), where)
    elif not isinstance(node, (Tensor, str, int, float, bool, bytes, type(None))):
        yield f"a {type(node).__name__} in {where}"


def _tensors(predictions: dict[str, Any]) -> dict[str, Tensor]:
    return {key: value.float().cpu() for key, value in predictions.items() if isinstance(value, Tensor)}


def _predict(path: Path, raw: Any) -> dict[str, Any]:
    return {key: value.numpy() for key, value in _tensors(load(path).predict(raw)).items()}


# --- 8: export ---


@torch.no_grad()
def check_export(subject: Subject) -> None:
    """Check that ONNX Runtime gives the predictions of the model, for one and seven rows and for two lengths."""
    from zoo.inference.export import Predictor, export

    folder = subject.folder()
    folder.mkdir()
    model = subject.fitted.model.to(subject.device)
    try:
        path = export(model, folder / "model.onnx")
    except ZooError as error:
        raise subject.fail(str(error)) from None
    import onnxruntime

    advice = "Control flow in forward must not depend on the number of rows, on lengths or on values."
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    predictor = Predictor(model).eval()
    for rows in (1, 7):
        for cut in (0, 3) if "lengths" in subject.dataset.test else (0,):
            batch = {key: value for key, value in subject.batch(rows).items() if key != "y"}
            if cut:
                batch = {"x": batch["x"][:, :-cut], "lengths": batch["lengths"].clamp(max=batch["x"].shape[1] - cut)}
            want = predictor(**batch)
            try:
                got = session.run(names, {key: value.cpu().numpy() for key, value in batch.items()})
            except Exception as error:
                message = " ".join(str(error).split())[:160]
                raise subject.fail(f"the ONNX file does not run for {rows} rows ({message}). {advice}") from None
            for name, value in zip(names, got, strict=True):
                other, ours = torch.from_numpy(value), want[name].float().cpu()
                if other.shape != ours.shape or not torch.allclose(other, ours, **subject.close):
                    raise subject.fail(f"{name} of the ONNX file differs from the model's for {rows} rows. {advice}")


# --- 10: precision ---


def without_dropout(trainer: L.Trainer, module: L.LightningModule) -> None:
    """Disable dropout, because on CUDA its random numbers differ between precisions."""
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0


@torch.no_grad()
def check_precision(subject: Subject) -> None:
    """Check that bf16 and float32 agree in the outputs after training and in the loss during training."""
    model, batch = subject.fitted.model.to(subject.device).eval(), subject.batch(len(subject.dataset.test["x"]))
    exact = model.output(batch).float()
    with torch.autocast(subject.device, torch.bfloat16):
        rough = model.output(batch).float()
    error = float((rough - exact).norm() / exact.norm())
    advice = "Compute sums, differences of large numbers, exponentials and normalization in float32."
    if not error <= OUTPUTS:
        raise subject.fail(f"outputs in bf16 differ by {error:.1%} from float32, more than {OUTPUTS:.0%}. {advice}")
    alike: dict[str, Any] = {
        "optimizer.lr": 1e-4,
        "callbacks": (LambdaCallback(on_fit_start=without_dropout),),
    }  # larger steps diverge
    with torch.enable_grad():
        runs = [subject.steps(**{"trainer.precision": precision}, **alike) for precision in ("32-true", "bf16-mixed")]
    loss = [run.results["metrics"]["train/loss"] for run in runs]
    if not abs(loss[1] - loss[0]) <= LOSS * abs(loss[0]):
        raise subject.fail(f"the training loss is {loss[1]:.4f} in bf16 and {loss[0]:.4f} in float32. {advice}")
