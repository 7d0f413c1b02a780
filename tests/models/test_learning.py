"""Each option of learning does what it says."""

from __future__ import annotations

import itertools
import math

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn

import zoo
from zoo.config.schema import Optimizer, Regularization, Scheduler
from zoo.data.image.spec import DIGITS, ImageSpec
from zoo.data.table.spec import TableSpec
from zoo.optim import Plateau, build_optimizer, decay_weights, initialise, penalise, schedule_factor
from zoo.tasks.classification import Classification

TABLE = TableSpec("t", "classification", (4,), classes=("a", "b", "c"))


def parameters_with_gradients(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    made = [
        nn.Parameter(torch.randn(3, 4, generator=generator)),
        nn.Parameter(torch.randn(3, generator=generator)),
    ]
    for p in made:
        p.grad = torch.randn(p.shape, generator=generator)
    return made


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Regularization(l1=0.3), lambda w: 0.3 * w.sign()),
        (Regularization(l2=0.2), lambda w: 0.2 * w),
        (Regularization(l1=0.3, l2=0.2), lambda w: 0.3 * w.sign() + 0.2 * w),
    ],
)
def test_a_penalty_changes_the_gradient_of_weights_by_its_derivative_and_spares_biases(options, expected):
    weight, bias = parameters_with_gradients()
    before = weight.grad.clone(), bias.grad.clone()
    penalise([weight], options)
    assert torch.allclose(weight.grad - before[0], expected(weight.detach()), atol=1e-7)
    assert torch.equal(bias.grad, before[1])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_weight_decay_is_decoupled_for_every_optimiser(name):
    weight, bias = parameters_with_gradients()
    plain, decayed = ([nn.Parameter(p.detach().clone()) for p in (weight, bias)] for _ in range(2))
    for group, decay in ((plain, 0.0), (decayed, 0.1)):
        for new, old in zip(group, (weight, bias), strict=True):
            new.grad = old.grad.clone()
        decay_weights(group[:1], 0.05 * decay)
        build_optimizer([(group, 1.0)], Optimizer(name=name, lr=0.05, weight_decay=decay)).step()
    # lr · decay · w is taken off, whatever the optimiser made of the gradient
    assert torch.allclose(plain[0] - decayed[0], 0.05 * 0.1 * weight, atol=1e-6)
    assert torch.equal(plain[1], decayed[1])


def test_each_optimiser_takes_the_step_of_its_paper():
    g = {name: parameters_with_gradients(3)[0] for name in ("sgd", "adam", "rmsprop")}
    start, grad = g["sgd"].detach().clone(), g["sgd"].grad.clone()
    sgd = build_optimizer([([g["sgd"]], 1.0)], Optimizer(name="sgd", lr=0.1, momentum=0.9, nesterov=True))
    sgd.step()
    g["sgd"].grad = grad.clone()
    sgd.step()
    v1 = grad
    v2 = 0.9 * v1 + grad
    expected = start - 0.1 * (grad + 0.9 * v1) - 0.1 * (grad + 0.9 * v2)
    assert torch.allclose(g["sgd"], expected, atol=1e-6)
    build_optimizer([([g["adam"]], 1.0)], Optimizer(name="adam", lr=0.1)).step()
    assert torch.allclose(g["adam"], start - 0.1 * grad / (grad.abs() + 1e-8), atol=1e-5)
    build_optimizer([([g["rmsprop"]], 1.0)], Optimizer(name="rmsprop", lr=0.1, alpha=0.9)).step()
    assert torch.allclose(g["rmsprop"], start - 0.1 * grad / ((0.1 * grad**2).sqrt() + 1e-8), atol=1e-5)


def test_label_smoothing_is_the_mixture_with_the_uniform_distribution():
    objective = Classification(DIGITS)
    objective.label_smoothing = 0.2
    logits, y = torch.randn(5, 10), torch.arange(5)
    logp = logits.log_softmax(1)
    expected = -(0.8 * logp[torch.arange(5), y] + 0.2 * logp.mean(1)).mean()
    assert torch.allclose(objective.loss(logits, {"y": y}), expected, atol=1e-6)


def test_cosine_and_one_cycle_are_torchs():
    w = [nn.Parameter(torch.zeros(1))]
    sgd = torch.optim.SGD(w, lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=49, eta_min=0.1)
    ours = Scheduler(name="cosine", end_factor=0.1)
    for step in range(50):
        assert schedule_factor(ours, step, 50) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        sgd.step()
        reference.step()
    sgd = torch.optim.SGD(w, lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        sgd,
        1.0,
        total_steps=101,
        pct_start=0.25 + 0.75 / 101,
        div_factor=25,
        final_div_factor=1e9,
        cycle_momentum=False,
    )
    ours = Scheduler(name="one_cycle", warmup_ratio=0.25, start_factor=0.04)
    for step in range(101):
        assert schedule_factor(ours, step, 101) == pytest.approx(reference.get_last_lr()[0], abs=1e-3)
        sgd.step()
        if step < 100:
            reference.step()


def test_step_drops_at_its_milestones_and_warm_up_rises_linearly():
    factors = [schedule_factor(Scheduler(name="step", milestones=(0.5, 0.75), gamma=0.1), s, 100) for s in range(100)]
    assert factors == [1.0] * 50 + [0.1] * 25 + [pytest.approx(0.01)] * 25
    warm = [schedule_factor(Scheduler(name="constant", warmup_ratio=0.5, start_factor=0.2), s, 101) for s in range(101)]
    assert warm[0] == pytest.approx(0.2)
    assert warm[25] == pytest.approx(0.6)
    assert warm[50:] == [1.0] * 51


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_is_torchs_and_its_state_comes_back(mode):
    sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, mode=mode, factor=0.5, patience=2, threshold=0)
    ours = Plateau(Scheduler(name="plateau", factor=0.5, patience=2), mode=mode)
    figures = np.random.default_rng(0).normal(size=40).tolist()
    for index, figure in enumerate(figures):
        reference.step(figure)
        ours.update(figure)
        assert ours.scale == pytest.approx(sgd.param_groups[0]["lr"])
        if index == 20:
            state = ours.state_dict()
            ours = Plateau(Scheduler(name="plateau", factor=0.5, patience=2), mode=mode)
            ours.load_state_dict(state)
    assert ours.scale < 0.1


def test_initialisations_are_those_of_their_papers():
    torch.manual_seed(0)
    layer = nn.Linear(200, 400)
    initialise(layer.requires_grad_(False), "orthogonal")
    assert torch.allclose(layer.weight.T @ layer.weight, torch.eye(200), atol=1e-4)
    initialise(layer, "xavier")
    bound = math.sqrt(6 / 600)
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    initialise(layer, "kaiming")
    assert layer.weight.std() == pytest.approx(math.sqrt(2 / 200), rel=0.02)
    assert not layer.bias.any()
    before = layer.weight.clone()
    initialise(layer, "default")
    assert torch.equal(layer.weight, before)


def test_the_gradients_of_a_small_network_are_those_of_the_chain_rule():
    model = zoo.create("fnn", spec=TABLE, widths=[5], norm="none", dropout=0.0, activation="tanh")
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


def fit(batch: int, accumulate: int, **regularization) -> dict[str, torch.Tensor]:
    x = torch.randn(70, 4, generator=torch.Generator().manual_seed(1)).numpy()
    y = np.arange(70) % 3
    learned = zoo.train(
        "fnn",
        data=(x, y),
        model_kwargs={"widths": [8], "norm": "none", "dropout": 0.0},
        optimizer="sgd",
        scheduler="constant",
        trainer={"max_epochs": 2, "accumulate_grad_batches": accumulate, "accelerator": "cpu", "precision": "32-true"},
        regularization=regularization,
        logger="csv",
        **{"data.batch_size": batch, "optimizer.lr": 0.1},
    )
    last = torch.load(learned.folder / "checkpoints" / "last.ckpt", weights_only=True)
    return last["state_dict"]


def test_accumulation_is_one_larger_batch_also_where_the_last_group_is_short():
    # 50 training rows: batches of 8 in groups of 3 are batches of 24, the last one of 2 rows
    small, large = fit(8, 3), fit(24, 1)
    assert small["counters"].tolist() == large["counters"].tolist()
    for key, value in large.items():
        assert torch.allclose(small[key].double(), value.double(), atol=1e-6), key


def test_clipping_limits_the_norm_of_every_step():
    start, clipped = fit(50, 1, clip=1e-9), fit(50, 1, clip=1e-3)
    moved = math.sqrt(sum(float(((clipped[k] - start[k]).double() ** 2).sum()) for k in start if "network" in k))
    # Two steps of Nesterov's momentum 0.9 on gradients of norm c move by at most lr · c · (1.9 + 2.71)
    most = 0.1 * 1e-3 * (1.9 + 2.71)
    assert 0.5 * most < moved < 1.01 * most


def test_dropout_silences_its_share_and_scales_the_rest():
    model = zoo.create("fnn", spec=TABLE, widths=[20000], dropout=0.3)
    layer = model.network[0][-1].train()
    out = layer(torch.ones(1, 20000))
    assert float((out == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert out[out > 0].unique().tolist() == pytest.approx([1 / 0.7])


def test_bf16_learns_as_float32_does_and_no_step_uses_weights_of_an_earlier_one(tmp_path):
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


def test_early_stopping_stops_after_its_patience_and_the_later_of_equal_epochs_is_best(quick):
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
def test_a_time_limit_ends_the_run_and_steps_per_epoch_count_batches(quick):
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
def test_every_optimizer_and_scheduler_learns(optimizer, scheduler, quick):
    quick["trainer"] = {"max_epochs": 3, "accelerator": "cpu", "precision": "32-true"}
    run = zoo.train("fnn", data="wine", optimizer=optimizer, scheduler=scheduler, **quick)
    assert run.metrics["test/accuracy"] > run.results["baselines"]["majority"]["accuracy"] + 0.2


@pytest.mark.parametrize("network", ["plain", "lenet", "alexnet", "resnet", "wide_resnet"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 9), (1, 28, 28), (3, 96, 64)])
def test_every_network_takes_images_of_any_size(network, shape):
    spec = ImageSpec("t", "classification", shape, classes=("a", "b", "c"))
    made = zoo.create("cnn", spec=spec, network=network, depth=10 if network == "wide_resnet" else 8)
    assert made(torch.rand(2, *shape)).shape == (2, 3)


def test_networks_have_as_many_parameters_as_in_their_papers():
    def count(shape: tuple[int, ...], **options) -> int:
        spec = ImageSpec("t", "classification", shape, classes=tuple("0123456789"))
        return sum(p.numel() for p in zoo.create("cnn", spec=spec, **options).parameters())

    assert count((1, 28, 28), network="lenet") == 61706  # 1998's, with full tables
    assert round(count((3, 32, 32), network="resnet", depth=20, pool=1) / 1e6, 2) == 0.27
    assert round(count((3, 32, 32), network="resnet", depth=56, pool=1) / 1e6, 2) == 0.86  # paper: 0.85, option A
    assert round(count((3, 32, 32), network="wide_resnet", depth=28, width=160, pool=1) / 1e6, 1) == 36.5


SQUARE = ImageSpec("t", "classification", (1, 32, 32), classes=("a", "b"))


def test_torchvision_networks_take_weights_from_a_file_and_keep_them_in_the_checkpoint(tmp_path):
    from torchvision import models

    torch.manual_seed(1)
    theirs = models.mobilenet_v3_small()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    made = zoo.create(
        "cnn", spec=SQUARE, network="torchvision/mobilenet_v3_small", weights=str(tmp_path / "weights.pth")
    )
    ours, state = made.network.state_dict(), theirs.state_dict()
    fitted = {"features.0.0.weight", "classifier.3.weight", "classifier.3.bias"}
    assert {k for k in state if ours[k].shape != state[k].shape} == fitted
    assert all(torch.equal(ours[k], state[k]) for k in set(state) - fitted)
    grey = state["features.0.0.weight"].sum(1, keepdim=True)
    assert torch.allclose(ours["features.0.0.weight"], grey)
    assert made.hparams["weights"] is None
    for wrong, said in (("nowhere.pth", "no such file"), (__file__, "holds no weights that load safely")):
        with pytest.raises(zoo.ZooError, match=said):
            zoo.create("cnn", spec=SQUARE, network="torchvision/mobilenet_v3_small", weights=wrong)
    with pytest.raises(zoo.ZooError, match="does not fit torchvision/resnet18"):
        zoo.create("cnn", spec=SQUARE, network="torchvision/resnet18", weights=str(tmp_path / "weights.pth"))
    with pytest.raises(zoo.ZooError, match="did you mean 'resnet18'"):
        zoo.create("cnn", spec=SQUARE, network="torchvision/resnet_18")


def test_a_frozen_network_is_released_after_its_share_of_the_run(quick):
    seen = []

    class Watch(L.Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append({k: v.clone() for k, v in module.network.state_dict().items()})

    options = {"network": "torchvision/squeezenet1_1", "freeze": 0.5}
    run = {"trainer.max_epochs": 4, "trainer.steps_per_epoch": 2, "optimizer.lr": 1e-3, "scheduler": "constant"}
    x = np.random.default_rng(0).random((60, 33, 33))
    quick.pop("trainer")
    zoo.train("cnn", data=(x, np.arange(60) % 2), model_kwargs=options, callbacks=[Watch()], **quick, **run,
              **{"data.batch_size": 8, "optimizer.weight_decay": 0.1}, report=False)  # fmt: skip
    last = {"classifier.1.weight", "classifier.1.bias"}
    changed = [{k for k in a if not torch.equal(a[k], b[k])} for a, b in itertools.pairwise(seen)]
    assert changed[0] == last
    assert changed[1] == set(seen[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a driver to ask")
def test_a_step_does_not_ask_for_a_missing_driver(monkeypatch):
    layer = torch.nn.Linear(2, 2)
    optimizer = build_optimizer([(list(layer.parameters()), 1.0)], Optimizer())
    layer(torch.ones(1, 2)).sum().backward()

    def asked() -> int:
        raise AssertionError("a step counts devices")

    monkeypatch.setattr(torch.cuda, "device_count", asked)
    before = layer.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(layer.weight, before)
