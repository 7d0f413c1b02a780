"""GANs: losses and penalties against closed forms, metrics of samples, commands."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.__main__ import main
from zoo.config.schema import Learning, Optimizer
from zoo.data.image.spec import REAL_DIGITS, ImageSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import halved
from zoo.layers.diffaugment import POLICIES, diffaugment
from zoo.layers.encoder_decoder import sample_latents
from zoo.metrics.generative import frechet, nearest, neighbor_metrics, principal_components
from zoo.models.gan import GAN, LOSSES, Discriminator, Generator, max_halvings, squared_slope
from zoo.optim.weights import update_ema


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("name", "d", "g"),
    [
        (
            "minimax",
            lambda r, f: -math.log(sigmoid(r)) - math.log(1 - sigmoid(f)),
            lambda r, f: math.log(1 - sigmoid(f)),
        ),
        ("non_saturating", lambda r, f: -math.log(sigmoid(r) * (1 - sigmoid(f))), lambda r, f: -math.log(sigmoid(f))),
        ("wasserstein", lambda r, f: f - r, lambda r, f: -f),
        ("hinge", lambda r, f: max(0, 1 - r) + max(0, 1 + f), lambda r, f: -f),
        ("relativistic", lambda r, f: -math.log(sigmoid(r - f)), lambda r, f: -math.log(sigmoid(f - r))),
    ],
)
def test_gan_losses_equal_their_papers(name, d, g):
    r, f = torch.tensor([-2.0, 0.3, 1.7]), torch.tensor([0.4, -1.2, 2.5])
    of_d, of_g = (criterion(r, f) for criterion in LOSSES[name])
    assert of_d.tolist() == pytest.approx([d(a, b) for a, b in zip(r.tolist(), f.tolist(), strict=True)], abs=1e-5)
    assert of_g.tolist() == pytest.approx([g(a, b) for a, b in zip(r.tolist(), f.tolist(), strict=True)], abs=1e-5)
    assert set(LOSSES) == {"minimax", "non_saturating", "wasserstein", "hinge", "relativistic"}


class Linear(nn.Module):
    """D(x) = w·x, whose slope is w everywhere."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 1, size))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x.flatten(1) @ self.w


def test_gradient_penalties_of_a_linear_discriminator():
    x, fake = torch.rand(5, 1, 8, 8), torch.rand(5, 1, 8, 8)
    plane = Linear(64)
    squared = float(plane.w.detach().square().sum())
    x.requires_grad_()
    assert squared_slope(plane(x), x).tolist() == pytest.approx([squared] * 5)
    for options, expected in (
        ({"r1_gamma": 3.0}, 1.5 * squared),
        ({"r2_gamma": 0.5}, 0.25 * squared),
        ({"gradient_penalty": 10.0}, 10 * (math.sqrt(squared) - 1) ** 2),
        ({"r1_gamma": 1.0, "r2_gamma": 1.0}, squared),
    ):
        model = GAN(**{"r1_gamma": 0.0, **options})
        model.discriminator = Linear(64)
        penalty = model.logits_and_penalty(x.detach(), fake, None)[2]
        assert float(penalty.detach()) == pytest.approx(expected, rel=1e-5)
        penalty.backward()
        assert model.discriminator.w.grad.abs().sum() > 0


def attached(model: GAN, batches: int = 1) -> GAN:
    """Return a model as in training, with an optimizer of its own and ``batches`` in a group."""
    model.train().learning = Learning(accumulate_grad_batches=batches, optimizer=Optimizer("sgd", lr=0.1))
    optimizer = model.configure_optimizers()
    model.optimizers = lambda use_pl_optimizer: optimizer
    model._trainer = SimpleNamespace(world_size=1, train_dataloader=SimpleNamespace(batch=1))
    model.loop.parameters = [p for p in model.parameters() if p.requires_grad]
    model.loop.total_steps = 100
    return model


def step(model: GAN, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    model.loop.local_rows = model.loop.batch_rows = len(batch["x"])
    return model.training_step_on_batch(batch)[1]


def state(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("options", [{}, {"gan_loss": "relativistic", "r1_gamma": 1.0, "r2_gamma": 1.0}])
def test_gan_generator_steps_against_the_updated_discriminator(options):
    torch.manual_seed(0)
    model, batch = attached(GAN(norm="none", **options)), {"x": torch.rand(16, 1, 8, 8)}
    plain = GAN(norm="none", **options)
    plain.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    step(model, batch)
    torch.manual_seed(1)
    real = 2 * batch["x"] - 1
    of_d, of_g = LOSSES[model.gan_loss]
    fake = plain.generator(torch.randn(16, 64)).detach()
    r, f, penalty = plain.logits_and_penalty(real.clone(), fake, None)
    descend(plain.discriminator, of_d(r, f).mean() + penalty)
    fresh = plain.generator(torch.randn(16, 64))
    loss = of_g(plain.discriminator(real).detach(), plain.discriminator(fresh)).mean()
    descend(plain.generator, loss)
    for network in ("generator", "discriminator"):
        for one, other in zip(state(getattr(model, network)), state(getattr(plain, network)), strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def descend(network: nn.Module, loss: Tensor, lr: float = 0.1) -> None:
    parameters = list(network.parameters())
    with torch.no_grad():
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter -= lr * gradient


def test_gan_generator_steps_after_n_critic_discriminator_steps():
    model, batch = attached(GAN(n_critic=3)), {"x": torch.rand(8, 1, 8, 8)}
    updated = []
    for _ in range(6):
        before = state(model.generator), state(model.discriminator)
        counts = step(model, batch)
        updated.append((not same(before[0], state(model.generator)), not same(before[1], state(model.discriminator))))
        assert ("g_loss" in counts) == updated[-1][0]
    assert updated == [(False, True), (False, True), (True, True)] * 2
    assert model.steps == 6


def test_gan_accumulates_gradients_of_both_networks():
    torch.manual_seed(0)
    model, batches = attached(GAN(), batches=3), [{"x": torch.rand(rows, 1, 8, 8)} for rows in (8, 8, 4)]
    before = state(model.generator) + state(model.discriminator)
    for batch in batches[:2]:
        step(model, batch)
    assert same(before, state(model.generator) + state(model.discriminator))
    assert len(model.group) == 2
    drawn = []
    model.generator.register_forward_hook(lambda module, inputs, output: drawn.append(len(output)))
    step(model, batches[2])
    assert drawn == [4, 8, 8, 4]  # D's last batch, and G's step on as many images as the group has
    assert model.steps == 1
    assert not same(before, state(model.generator) + state(model.discriminator))


def test_gan_mismatched_labels_count_as_fake():
    torch.manual_seed(0)
    spec = ImageSpec("two", "generation", (1, 8, 8), classes=("a", "b"))  # one other class: no draw
    model = GAN(spec=spec, conditional=True, mismatched_label_weight=0.25, r1_gamma=0.0).train()
    nn.init.normal_(model.discriminator.class_embedding.weight)
    batch = {"x": torch.rand(16, 1, 8, 8), "y": torch.randint(0, 2, (16,))}
    torch.manual_seed(1)
    _, counts = model.discriminator_loss(batch)
    torch.manual_seed(1)
    fake = model.generator(torch.randn(16, model.latent_dim), batch["y"])
    r, f, w = (
        model.discriminator(x, y)
        for x, y in (
            (2 * batch["x"] - 1, batch["y"]),
            (fake, batch["y"]),
            (2 * batch["x"] - 1, 1 - batch["y"]),
        )
    )
    expected = -(r.sigmoid().log() + 0.75 * (-f).sigmoid().log() + 0.25 * (-w).sigmoid().log()).sum()
    assert float(counts["d_loss"]) == pytest.approx(float(expected.detach()), rel=1e-5)
    with pytest.raises(ZooError, match=r"model\.mismatched_label_weight=0\.5: needs model\.conditional=true"):
        GAN(mismatched_label_weight=0.5)


def test_spectral_norm_limits_matrices_to_norm_one():
    model = GAN(spectral_norm=True).train()
    for _ in range(50):
        model.discriminator(torch.randn(4, 1, 8, 8))
    for layer in model.discriminator.weight_layers():
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_conditional_discriminator_is_a_projection():
    torch.manual_seed(0)
    net = Discriminator((1, 8, 8), network="dense", hidden_sizes=[16], channels=[], norm="none", num_classes=3)
    x, y = torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 1])
    h = net.network(x)
    expected = (h @ net.head.weight.T + net.head.bias).squeeze(1) + (h * net.class_embedding.weight[y]).sum(1)
    torch.testing.assert_close(net(x, y), expected)
    each = torch.stack([net(x, torch.full((4,), k)) for k in range(3)], 1)
    torch.testing.assert_close(net(x), each.exp().mean(1).log())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (2, 28, 28), (3, 33, 64)])
@pytest.mark.parametrize("network", ["dense", "conv"])
def test_gan_accepts_images_of_any_size(shape, network):
    for count in range(1, max_halvings(shape) + 1):
        sizes = {
            "network": network,
            "hidden_sizes": [8] * count,
            "channels": [4] * count,
            "num_classes": 0,
            "norm": "none",
        }
        images = Generator(shape, latent_dim=5, **sizes)(torch.randn(3, 5))
        assert images.shape == (3, *shape)
        assert images.abs().max() <= 1
        assert Discriminator(shape, **sizes)(images).shape == (3,)
    assert halved((28, 28), 3) == [(28, 28), (14, 14), (7, 7), (4, 4)]


def test_gan_rejects_invalid_options():
    for options, message in (
        ({"network": "conv", "channels": [8, 8, 8]}, "model.channels=.*must be 1 to 2 numbers"),
        ({"gan_loss": "hing"}, "hinge"),
        ({"diffaugment": ["rotation"]}, "model.diffaugment"),
        ({"diffaugment": "cutout"}, "must be a list"),
        ({"r1_gamma": -1}, "model.r1_gamma=-1"),
        ({"ema_decay": 1.0}, "model.ema_decay=1.0"),
        ({"n_critic": 0}, "model.n_critic=0"),
    ):
        with pytest.raises(ZooError, match=message):
            zoo.create("gan", **options)
    tiny = ImageSpec("tiny", "generation", (1, 6, 6))
    with pytest.raises(ZooError, match="6 pixels a side are too small"):
        zoo.create("gan", spec=tiny)
    with pytest.raises(ZooError, match="needs class labels, which plain does not have"):
        zoo.create("gan", spec=ImageSpec("plain", "generation", (1, 8, 8)), conditional=True)
    with pytest.raises(ZooError, match="label=3: needs a model"):
        GAN().sample(3, label="3")


@pytest.mark.parametrize("policy", POLICIES)
def test_diffaugment_is_drawn_per_image_and_passes_gradients(policy):
    torch.manual_seed(0)
    x = torch.rand(64, 3, 16, 16).mul(2).sub(1).requires_grad_()
    out = diffaugment(x, [policy])
    assert out.shape == x.shape
    changed = (out - x).flatten(1).abs().sum(1) > 0
    assert changed.float().mean() > 0.6
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert (gradient != 0).flatten(1).any(1).all()
    assert torch.equal(diffaugment(x, []), x)
    if policy == "translation":  # a moved image is itself, cut at the border, black beyond
        marked = torch.full((64, 1, 16, 16), -1.0)
        marked[:, :, 8, 8] = 1
        shifted = diffaugment(marked, [policy])
        assert (shifted == 1).flatten(1).sum(1).eq(1).all()
        offset = (shifted == 1).nonzero()[:, 2:] - 8
        assert offset.min() == -2
        assert offset.max() == 2
    if policy == "cutout":
        assert (diffaugment(torch.ones(64, 1, 16, 16), [policy]) == 0).flatten(1).sum(1).max() == 64


def test_update_ema_equals_its_equation():
    model = GAN()
    before = {name: value.clone() for name, value in model.generator_ema.state_dict().items()}
    with torch.no_grad():
        for value in model.generator.state_dict().values():
            value.add_(1)
    update_ema(model.generator_ema, model.generator, decay=0.9)
    for name, value in model.generator_ema.state_dict().items():
        torch.testing.assert_close(value, before[name] + (0.1 if value.is_floating_point() else 1))


def test_ema_decay_warms_up():
    model, batch = attached(GAN(norm="none", ema_decay=0.9)), {"x": torch.rand(8, 1, 8, 8)}
    for steps, decay in ((0, 1 / 11), (9, 0.5), (1000, 0.9)):
        model.loop.steps = steps
        before = state(model.generator_ema)
        step(model, batch)
        for old, new, value in zip(before, state(model.generator_ema), state(model.generator), strict=True):
            torch.testing.assert_close(new, decay * old + (1 - decay) * value)


def test_frechet_distance_equals_its_closed_form():
    rng = np.random.default_rng(0)
    a = torch.from_numpy(rng.normal(size=(200_000, 3)) * [1, 2, 3])
    b = torch.from_numpy(rng.normal(size=(200_000, 3)) * [2, 2, 1] + [0.5, 0, -1])
    # of diagonal covariances: Σ (μ − μ')² + (σ − σ')²
    assert frechet(a, b) == pytest.approx(0.25 + 1 + 1 + 0 + 4, rel=0.02)
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a[:, :1], b[:, :1]) == pytest.approx(0.25 + 1, rel=0.02)
    turn = torch.linalg.qr(torch.from_numpy(rng.normal(size=(3, 3)))).Q
    assert frechet(a @ turn, b @ turn) == pytest.approx(frechet(a, b), rel=1e-6)


def test_neighbor_metrics_detect_missing_modes():
    rng = torch.Generator().manual_seed(0)
    real = torch.cat([torch.randn(500, 2, generator=rng), torch.randn(500, 2, generator=rng) + 50])
    same = torch.cat([torch.randn(500, 2, generator=rng), torch.randn(500, 2, generator=rng) + 50])
    metrics = neighbor_metrics(real, same)
    assert metrics["density"] == pytest.approx(1, abs=0.1)
    assert min(metrics["precision"], metrics["recall"], metrics["coverage"]) > 0.9
    half = torch.randn(1000, 2, generator=rng)
    metrics = neighbor_metrics(real, half)
    assert metrics["density"] == pytest.approx(1, abs=0.1)
    assert metrics["precision"] > 0.9
    assert all(0.4 < metrics[name] <= 0.5 for name in ("recall", "coverage"))
    wide = neighbor_metrics(half, real)  # half of the generated points lie where no real one does
    assert 0.4 < wide["precision"] <= 0.5 < 0.9 < wide["recall"]
    assert set(neighbor_metrics(real, half + 1000).values()) == {0}


def test_neighbor_metrics_equal_their_definitions():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) * 1.3 + 0.3
    between = np.linalg.norm(generated[:, None] - real[None], axis=2)  # (30, 40)
    reach = [np.sort(np.linalg.norm(one[:, None] - one[None], axis=2), 1)[:, 5] for one in (real, generated)]
    inside = between < reach[0]
    expected = {
        "precision": inside.any(1).mean(),
        "recall": (between < reach[1][:, None]).any(0).mean(),
        "density": inside.sum() / (5 * 30),
        "coverage": inside.any(0).mean(),
    }
    assert neighbor_metrics(torch.from_numpy(real), torch.from_numpy(generated)) == pytest.approx(expected)


def test_nearest_of_a_point():
    distance, index = nearest(torch.tensor([[50.0, 50.0]]), torch.tensor([[0.0, 0.0], [47.0, 46.0]]))
    assert (float(distance), int(index)) == (5, 1)


def test_principal_components_of_the_training_images():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (300, 1, 8, 8), dtype=np.uint8))
    images[:, :, :, 4:] = 0
    center, components = principal_components(images, 64)
    x = images.flatten(1).float() / 255
    torch.testing.assert_close(center, x.mean(0))
    projected = (x - center) @ components
    assert (projected.var(0).sum() / x.var(0).sum()).item() == pytest.approx(1, abs=1e-4)
    assert projected.var(0)[0] > projected.var(0)[30]


def test_sample_latents_resamples_beyond_the_truncation():
    z = sample_latents(1000, 8, seed=3, truncation=0.5)
    assert z.abs().max() <= 0.5
    assert z.std() > 0.2
    same = sample_latents(1000, 8, seed=3)
    within = same.abs() <= 0.5
    assert torch.equal(z[within], same[within])
    assert not torch.equal(sample_latents(4, 2, seed=0), sample_latents(4, 2, seed=1))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    options = {"conditional": True, "hidden_sizes": [64, 128]}
    return zoo.train("gan", "digits", model_kwargs=options, **{"run_dir": str(folder / "run"), "trainer.max_epochs": 3})


def test_gan_run_reports_metrics_and_plots(trained):
    metrics, real_scores = trained.metrics, trained.results["baselines"]["other real images"]
    expected = {
        "frechet_pca",
        "density",
        "coverage",
        "frechet_zoo_cnn",
        "confident_share",
        "min_class_share",
        "class_accuracy",
    }
    assert expected <= {name.removeprefix("test/") for name in metrics}
    assert 0 < real_scores["frechet_pca"] < metrics["test/frechet_pca"]
    assert real_scores["coverage"] > 0.9
    assert real_scores["confident_share"] > 0.95
    assert real_scores["min_class_share"] > 0.05
    assert metrics["test/nearest_distance_ratio"] > 0.5
    assert {path.name for path in trained.plots} >= {"samples.png", "interpolation.png", "nearest.png"}
    frames = sorted((trained.folder / "samples").glob("*.png"))
    assert [path.stem for path in frames] == ["0001", "0002", "0003"]
    from PIL import Image

    with Image.open(trained.folder / "samples.gif") as moving:
        assert moving.n_frames == 3


def test_generation_metrics_are_deterministic_and_detect_collapse(trained, capsys):
    from zoo.data import load
    from zoo.data.loader import EvalLoader
    from zoo.data.prepare import unlabeled

    model, dataset = zoo.load(trained.folder / "checkpoints" / "best.ckpt"), unlabeled(load("digits"), "generation")

    def figures():
        metrics = model.task.metrics("test")
        with torch.inference_mode():
            for batch in EvalLoader(dataset.test):
                model.task.update(metrics, model.eval_step(batch), batch)
        return {key: float(value) for key, value in metrics.compute().items()}

    first = figures()
    assert first == figures()
    assert first["frechet_pca"] == pytest.approx(trained.metrics["test/frechet_pca"], rel=1e-4)
    digit = torch.from_numpy(np.asarray(dataset.train["x"][:1])).float() / 255
    model.generate_images = lambda z, y: digit.expand(len(z), -1, -1, -1)  # one digit, whatever the noise
    collapsed = figures()
    model.extra_metrics(dataset)
    assert "the generator has collapsed" in capsys.readouterr().err
    assert collapsed["coverage"] < 0.05
    assert collapsed["min_class_share"] == 0
    test = dataset.test["x"].float() / 255
    model.generate_images = lambda z, y: test[: len(z)]  # the real images themselves
    perfect = figures()
    assert perfect["frechet_pca"] == pytest.approx(0, abs=1e-4)
    assert perfect["coverage"] == 1
    assert perfect["class_accuracy"] > 0.95


def test_sample_depends_on_seed_and_class_alone(trained, tmp_path, capsys):
    place = str(trained.folder)
    sevens = ["label=7", "count=30", "truncation=0.8"]
    for name, seed in (("a", "seed=1"), ("b", "seed=1"), ("c", "seed=2")):
        assert main(["sample", place, f"out={tmp_path / name}.npz", *sevens, seed]) == 0
    a, b, c = (np.load(tmp_path / f"{name}.npz") for name in "abc")
    assert a["x"].shape == (30, 1, 8, 8)
    assert a["x"].dtype == np.uint8
    assert a["y"].tolist() == [7] * 30
    assert np.array_equal(a["x"], b["x"])
    assert not np.array_equal(a["x"], c["x"])
    assert main(["sample", place, f"out={tmp_path / 'all.npz'}", "count=20"]) == 0
    assert np.load(tmp_path / "all.npz")["y"].tolist() == [*range(10)] * 2
    assert main(["interpolate", place, f"out={tmp_path / 'w.png'}", "label=3", "steps=5"]) == 0
    assert (tmp_path / "w.png").stat().st_size > 2000
    capsys.readouterr()
    for args, line in (
        (["sample", "label=11"], "label"),
        (["sample", "truncation=0"], "truncation=0.0: must be a number at least 0.01"),
        (["sample", "count=0"], "count=0: must be from 1 to 1,024"),
        (["interpolate", "from=1"], "from=1: is for models with an encoder; gan has seed="),
        (["encode"], "encode: model=gan has no latent codes"),
    ):
        assert main([args[0], place, *args[1:]]) == 2
        out = capsys.readouterr()
        assert line in out.out + out.err


def test_generation_metrics_without_an_evaluator():
    assert GAN().evaluator is not None
    model = GAN(spec=replace(REAL_DIGITS, name="of_mine"))
    assert model.evaluator is None
    metrics = model.task.metrics("val")
    for _ in range(2):
        batch = {"x": torch.rand(40, 1, 8, 8), "row": torch.arange(40)}
        model.task.update(metrics, model.eval_step(batch), batch)
    assert {"frechet_pca", "coverage"} <= set(metrics.compute())
    assert not {"confident_share", "frechet_zoo_cnn"} & set(metrics.compute())


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """A file of Inception's weights as torch-fidelity wants it, drawn at random."""
    extractor = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3

    class Drawn(extractor):
        def load_state_dict(self, *_, **__):
            return None

    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save({}, path)
    drawn = Drawn("drawn", ["2048"], str(path))
    torch.manual_seed(0)
    for module in drawn.modules():
        if isinstance(module, nn.Conv2d):  # or nothing of the image is left after as many layers
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.save(drawn.state_dict(), path)
    return path


@pytest.mark.slow
def test_fid_command_compares_with_real_images(trained, inception, capsys):
    args = ["fid", str(trained.folder), f"weights={inception}", "count=4"]
    assert main(args) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" Inception FID ")[0].strip() for line in lines] == ["samples", "other real images"]
    generated, real = (float(line.split()[-1]) for line in lines)
    assert 0 < real < generated


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["weights=none.pth"], "none.pth: cannot be read"),
        ([], "weights=: must name pt_inception-2015-12-05-6726825d.pth"),
        (["weights=bad.pth"], "bad.pth: is not a file of tensors only"),
        (["weights=other.pth"], "are not those of torch-fidelity's Inception v3"),
        (["weights=other.pth", "count=1"], "count=1: must be from 2 to"),
        (["weights=other.pth", "count=x"], "count=x: must be an integer"),
    ],
)
def test_fid_command_rejects_other_weights_in_one_line(trained, args, message, capsys):
    import pickle
    from pathlib import Path

    pytest.importorskip("torch_fidelity")
    with Path("bad.pth").open("wb") as file:
        pickle.dump(print, file)
    torch.save({"a": torch.zeros(1)}, "other.pth")
    assert main(["fid", str(trained.folder), *args]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
