"""Options of training: label smoothing, accumulation, clipping, early stopping, limits, pretrained weights."""

from __future__ import annotations

import itertools
import math

import lightning as L
import numpy as np
import pytest
import torch

import zoo
from zoo.data.image.spec import DIGITS, ImageSpec
from zoo.data.table.spec import TableSpec
from zoo.tasks.classification import Classification

TABLE = TableSpec("t", "classification", (4,), classes=("a", "b", "c"))


def test_label_smoothing_equals_a_uniform_mixture():
    objective = Classification(DIGITS)
    objective.label_smoothing = 0.2
    logits, y = torch.randn(5, 10), torch.arange(5)
    logp = logits.log_softmax(1)
    expected = -(0.8 * logp[torch.arange(5), y] + 0.2 * logp.mean(1)).mean()
    assert torch.allclose(objective.loss(logits, {"y": y}), expected, atol=1e-6)


def test_fnn_gradients_equal_the_chain_rule():
    model = zoo.create("fnn", spec=TABLE, hidden_sizes=[5], norm="none", dropout=0.0, activation="tanh")
    x, y = torch.randn(7, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    loss, _ = model.compute_loss({"x": x, "y": y})
    loss.backward()
    hidden, out = model.network[0][0], model.network[1]
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in (hidden.weight, hidden.bias, out.weight, out.bias))
    X, Y = x.double().numpy(), np.eye(3)[y.numpy()]
    H = np.tanh(X @ w1.T + b1)
    Z = H @ w2.T + b2
    P = np.exp(Z - Z.max(1, keepdims=True))
    P /= P.sum(1, keepdims=True)
    dZ = (P - Y) / len(X)
    dA = (dZ @ w2) * (1 - H**2)
    for got, want in (
        (out.weight, dZ.T @ H),
        (out.bias, dZ.sum(0)),
        (hidden.weight, dA.T @ X),
        (hidden.bias, dA.sum(0)),
    ):
        assert np.allclose(got.grad.numpy(), want, atol=1e-6)


def fit(batch: int, accumulate: int, clip: float | None = None, **regularization) -> dict[str, torch.Tensor]:
    x = torch.randn(70, 4, generator=torch.Generator().manual_seed(1)).numpy()
    y = np.arange(70) % 3
    learned = zoo.train(
        "fnn",
        data=(x, y),
        model_kwargs={"hidden_sizes": [8], "norm": "none", "dropout": 0.0},
        optimizer="sgd",
        scheduler="constant",
        trainer={
            "max_epochs": 2,
            "accumulate_grad_batches": accumulate,
            "gradient_clip_val": clip,
            "accelerator": "cpu",
            "precision": "32-true",
        },
        regularization=regularization,
        logger="csv",
        **{"data.batch_size": batch, "optimizer.lr": 0.1},
    )
    last = torch.load(learned.folder / "checkpoints" / "last.ckpt", weights_only=True)
    return last["state_dict"]


def test_accumulate_grad_batches_equals_a_larger_batch():
    # 50 training rows: batches of 8 in groups of 3 are batches of 24, the last one of 2 rows
    small, large = fit(8, 3), fit(24, 1)
    assert small["counters"].tolist() == large["counters"].tolist()
    for key, value in large.items():
        assert torch.allclose(small[key].double(), value.double(), atol=1e-6), key


def test_gradient_clip_val_limits_every_step():
    start, clipped = fit(50, 1, clip=1e-9), fit(50, 1, clip=1e-3)
    moved = math.sqrt(sum(float(((clipped[k] - start[k]).double() ** 2).sum()) for k in start if "network" in k))
    # Two steps of Nesterov's momentum 0.9 on gradients of norm c move by at most lr · c · (1.9 + 2.71)
    most = 0.1 * 1e-3 * (1.9 + 2.71)
    assert 0.5 * most < moved < 1.01 * most


def test_dropout_zeroes_and_rescales():
    model = zoo.create("fnn", spec=TABLE, hidden_sizes=[20000], dropout=0.3)
    layer = model.network[0][-1].train()
    out = layer(torch.ones(1, 20000))
    assert float((out == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert out[out > 0].unique().tolist() == pytest.approx([1 / 0.7])


def test_precision_bf16_learns_with_current_weights(tmp_path):
    loss = {}
    for precision in ("32-true", "bf16-mixed"):
        run = zoo.train(
            "fnn",
            data="digits",
            model_kwargs={"dropout": 0.0},
            optimizer="sgd",
            scheduler="constant",
            # One chunk: with weights that autocast kept from its first step, the loss would stay where it began
            trainer={"max_epochs": 1, "steps_per_epoch": 16, "precision": precision, "accelerator": "cpu"},
            logger="csv",
            run_dir=str(tmp_path / precision),
            **{"optimizer.lr": 0.1},
        )
        loss[run.results["precision"]] = run.results["metrics"]["train/loss"]
    assert loss["32-true"] < 1.5
    assert loss["bf16-mixed"] == pytest.approx(loss["32-true"], rel=0.03)


def test_early_stopping_patience_and_ties(quick):
    quick["trainer"] = {"max_epochs": 50, "accelerator": "cpu", "precision": "32-true"}
    # A step of almost nothing: no epoch improves on the first
    run = zoo.train(
        "fnn", model_kwargs={"norm": "none"}, optimizer={"lr": 1e-12}, early_stopping={"patience": 3}, **quick
    )
    assert run.results["epochs"] == 4
    # Of equal epochs the last is the best: its rate has come down furthest
    best = torch.load(run.folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["state_dict"]["counters"][0] == run.results["steps"]


@pytest.mark.slow
def test_max_minutes_and_steps_per_epoch(quick):
    quick["trainer"] = {"max_epochs": 100000, "max_minutes": 2 / 60, "accelerator": "cpu", "precision": "32-true"}
    run = zoo.train("fnn", **quick)
    assert 1.5 < run.results["train_seconds"] < 6
    quick["trainer"] = {"max_epochs": 2, "steps_per_epoch": 50, "accelerator": "cpu", "precision": "32-true"}
    run = zoo.train("fnn", **quick)
    assert (run.results["steps"], run.results["samples"]) == (100, 100 * 64)


OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULERS = ("constant", "step", "linear", "cosine", "one_cycle", "plateau")


@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [  # each of both in a usual run, each pair by -m slow
        pytest.param(o, s, marks=[] if row % len(OPTIMIZERS) == column else [pytest.mark.slow])
        for row, s in enumerate(SCHEDULERS)
        for column, o in enumerate(OPTIMIZERS)
    ],
)
def test_optimizers_and_schedulers_learn(optimizer, scheduler, quick):
    quick["trainer"] = {"max_epochs": 3, "accelerator": "cpu", "precision": "32-true"}
    run = zoo.train("fnn", data="wine", optimizer=optimizer, scheduler=scheduler, **quick)
    assert run.metrics["test/accuracy"] > run.results["baselines"]["majority"]["accuracy"] + 0.2


@pytest.mark.parametrize("network", ["plain", "lenet", "alexnet", "resnet", "wide_resnet"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 9), (1, 28, 28), (3, 96, 64)])
def test_cnn_networks_accept_images_of_any_size(network, shape):
    spec = ImageSpec("t", "classification", shape, classes=("a", "b", "c"))
    model = zoo.create("cnn", spec=spec, network=network, depth=10 if network == "wide_resnet" else 8)
    assert model(torch.rand(2, *shape)).shape == (2, 3)


def test_cnn_networks_have_the_papers_parameters():
    def count(shape: tuple[int, ...], **options) -> int:
        spec = ImageSpec("t", "classification", shape, classes=tuple("0123456789"))
        return sum(p.numel() for p in zoo.create("cnn", spec=spec, **options).parameters())

    assert count((1, 28, 28), network="lenet") == 61706  # 1998's, with full tables
    assert round(count((3, 32, 32), network="resnet", depth=20, stem_pooling=1) / 1e6, 2) == 0.27
    assert (
        round(count((3, 32, 32), network="resnet", depth=56, stem_pooling=1) / 1e6, 2) == 0.86
    )  # paper: 0.85, option A
    assert round(count((3, 32, 32), network="wide_resnet", depth=28, base_width=160, stem_pooling=1) / 1e6, 1) == 36.5


SQUARE = ImageSpec("t", "classification", (1, 32, 32), classes=("a", "b"))


def test_torchvision_networks_load_weights_from_a_file(tmp_path):
    from torchvision import models

    torch.manual_seed(1)
    reference = models.mobilenet_v3_small()
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    model = zoo.create(
        "cnn", spec=SQUARE, network="torchvision/mobilenet_v3_small", pretrained=str(tmp_path / "weights.pth")
    )
    ours, state = model.network.state_dict(), reference.state_dict()
    fitted = {"features.0.0.weight", "classifier.3.weight", "classifier.3.bias"}
    assert {k for k in state if ours[k].shape != state[k].shape} == fitted
    assert all(torch.equal(ours[k], state[k]) for k in set(state) - fitted)
    gray = state["features.0.0.weight"].sum(1, keepdim=True)
    assert torch.allclose(ours["features.0.0.weight"], gray)
    assert model.hparams["pretrained"] is None
    for wrong, message in (("nowhere.pth", "no such file"), (__file__, "holds no weights that load safely")):
        with pytest.raises(zoo.ZooError, match=message):
            zoo.create("cnn", spec=SQUARE, network="torchvision/mobilenet_v3_small", pretrained=wrong)
    with pytest.raises(zoo.ZooError, match="does not fit torchvision/resnet18"):
        zoo.create("cnn", spec=SQUARE, network="torchvision/resnet18", pretrained=str(tmp_path / "weights.pth"))
    with pytest.raises(zoo.ZooError, match="did you mean 'resnet18'"):
        zoo.create("cnn", spec=SQUARE, network="torchvision/resnet_18")


def test_freeze_epochs_releases_the_network(quick):
    states = []

    class Watch(L.Callback):
        def on_train_epoch_end(self, trainer, module):
            states.append({k: v.clone() for k, v in module.network.state_dict().items()})

    options = {"network": "torchvision/squeezenet1_1", "freeze_epochs": 2}
    run = {"trainer.max_epochs": 4, "trainer.steps_per_epoch": 2, "optimizer.lr": 1e-3, "scheduler": "constant"}
    x = np.random.default_rng(0).random((60, 33, 33))
    quick.pop("trainer")
    zoo.train("cnn", data=(x, np.arange(60) % 2), model_kwargs=options, callbacks=[Watch()], **quick, **run,
              **{"data.batch_size": 8, "optimizer.weight_decay": 0.1}, report=False)  # fmt: skip
    last = {"classifier.1.weight", "classifier.1.bias"}
    changed = [{k for k in a if not torch.equal(a[k], b[k])} for a, b in itertools.pairwise(states)]
    assert changed[0] == last
    assert changed[1] == set(states[0])
