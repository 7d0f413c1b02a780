"""Parameters by their role in a layer: weight decay and initialization."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

import zoo
from zoo import registry
from zoo.config.schema import Learning
from zoo.data.image.spec import ImageSpec
from zoo.exceptions import ZooError
from zoo.models.base import ZooModule
from zoo.optim.weights import decay_parameters, initialize
from zoo.testing.subject import Case, cases_of

LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase)
IMAGE, TABLE, TEXT, SERIES = (
    Case("classification", "image"),
    Case("classification", "table"),
    Case("language_modeling", "text"),
    Case("forecasting", "series"),
)
# Of models with options that bring parameters of their own: those with two dimensions or more that do not decay
WITHOUT_DECAY = [
    (
        "fnn",
        TABLE,
        {"ensemble_size": 4, "norm": "none"},
        {"network.scale", "network.bias", "embedding.embeddings.0.weight"},
    ),
    (
        "fnn",
        TABLE,
        {"numerical_embedding": "piecewise_linear"},
        {"embedding.piecewise_linear.bias", "embedding.embeddings.0.weight"},
    ),
    (
        "transformer",
        TEXT,
        {"positional_encoding": "learned"},
        {"network.core.pos_embed", "network.embed.weight"},
    ),
    ("transformer", TEXT, {"tie_embeddings": False}, {"network.embed.weight"}),
    ("transformer", TEXT, {"tie_embeddings": True}, {"network.embed.weight"}),
    ("lstm", SERIES, {}, {"network.pos_embed", "network.column_embed"}),
    ("lstm", TEXT, {"tie_embeddings": True, "proj_size": 8}, {"network.embed.weight"}),
    (
        "gan",
        Case("generation", "image"),
        {"conditional": True, "spectral_norm": True},
        {"discriminator.class_embedding.parametrizations.weight.original"},
    ),
    ("vae", Case("reconstruction", "image"), {"conditional": True}, {"class_embedding.weight"}),
]


def every() -> Iterator[pytest.param]:
    for name in zoo.list_models():
        for case in cases_of(registry.entry(name)):
            yield pytest.param(name, case, id=f"{name}-{case}")


def create(name: str, case: Case, **options: object) -> ZooModule:
    torch.manual_seed(0)
    return registry.create(name, spec=case.dataset.spec, **options)


def of_layers(model: nn.Module) -> set[str]:
    """Return the names of the matrices of linear, convolutional and recurrent layers."""
    return {
        f"{path}.{name}".lstrip(".")
        for path, module in model.named_modules()
        if isinstance(module, LAYERS)
        for name, parameter in module.named_parameters()
        if parameter.ndim > 1
    }


def decaying(model: nn.Module) -> set[str]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)] for p in decay_parameters(model)}


@pytest.mark.parametrize(("name", "case"), every())
def test_weight_decay_applies_to_layer_weights_only(name, case):
    model = create(name, case)
    embeddings = {f"{path}.weight" for path, module in model.named_modules() if isinstance(module, nn.Embedding)}
    assert decaying(model) == (of_layers(model) & dict(model.named_parameters()).keys()) - embeddings


@pytest.mark.parametrize(("name", "case", "options", "spared"), WITHOUT_DECAY)
def test_weight_decay_spares_other_matrices(name, case, options, spared):
    model = create(name, case, **options)
    assert {n for n, p in model.named_parameters() if p.ndim > 1} - decaying(model) == spared


def test_weight_decay_never_moves_undecayed_parameters():
    options = {"scheduler": "constant", "trainer.max_epochs": 1, "trainer.steps_per_epoch": 3, "logger": "csv"}
    options |= {"model.ensemble_size": 4, "model.norm": "none", "model.dropout": 0.0, "data.batch_size": 16}
    runs = [
        zoo.train("fnn", TABLE.dataset, report=False, run_dir=f"run-{n}", **options, **more).model
        for n, more in enumerate(
            (
                {"optimizer.name": "sgd", "optimizer.lr": lr, **decay}
                for lr, decay in ((1e-9, {"optimizer.weight_decay": 1e8}), (1e-9, {"optimizer.weight_decay": 0.0}))
            )
        )
    ]
    for name in ("network.scale", "network.bias", "embedding.embeddings.0.weight"):
        assert torch.equal(runs[0].get_parameter(name), runs[1].get_parameter(name))
    assert runs[0].get_parameter("network.weight").norm() < 0.9 * runs[1].get_parameter("network.weight").norm()


@pytest.mark.parametrize("scheme", ["kaiming", "xavier", "orthogonal"])
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("dqn", Case("control", "environment", "discrete")),
        ("sac", Case("control", "environment", "continuous")),
        ("gan", Case("generation", "image")),
    ],
)
def test_derived_modules_start_equal_to_their_source(name, case, scheme):
    model = create(name, case)
    model.configure(Learning(init=scheme))
    for derived, original in model.derived_modules.items():
        copy, source = (model.get_submodule(part).state_dict() for part in (derived, original))
        assert all(torch.equal(value, source[key]) for key, value in copy.items())


@pytest.mark.parametrize("scheme", ["kaiming", "xavier", "orthogonal"])
def test_init_keeps_the_scale_of_small_layers(scheme):
    policy = create("ppo", Case("control", "environment", "discrete"))
    policy.configure(Learning(init=scheme))
    layers = [part for part in policy.actor if isinstance(part, nn.Linear)]
    assert layers[-1].weight.norm() < 0.05 * layers[0].weight.norm()

    depth = 8
    transformer = create("transformer", TEXT, num_layers=depth)
    transformer.configure(Learning(init=scheme))
    attention = transformer.network.core.blocks[0].attention
    alone = nn.Linear(attention.proj.in_features, attention.proj.out_features)
    initialize(alone, scheme)
    ratio = float((attention.proj.weight.std() / alone.weight.std()).detach())
    assert ratio == pytest.approx((2 * depth) ** -0.5, rel=0.05)


@pytest.mark.parametrize("name", ["transformer", "lstm"])
def test_init_keeps_embeddings_also_when_tied(name):
    before, model = create(name, TEXT, tie_embeddings=True), create(name, TEXT, tie_embeddings=True)
    model.configure(Learning(init="xavier"))
    embedding = model.network.embed.weight
    assert torch.equal(embedding, before.network.embed.weight)
    assert not embedding[0].any()


@pytest.mark.parametrize("scheme", ["kaiming", "orthogonal"])
def test_init_applies_to_spectrally_normalized_layers(scheme):
    plain, model = (create("gan", Case("generation", "image"), spectral_norm=True) for _ in range(2))
    model.configure(Learning(init=scheme))
    before, after = (
        [m.parametrizations.weight.original for m in network.discriminator.weight_layers()]
        for network in (plain, model)
    )
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for layer in model.discriminator.eval().weight_layers():
        assert float(torch.linalg.matrix_norm(layer.weight.flatten(1), 2)) == pytest.approx(1, rel=0.05)


def test_init_keeps_pretrained_weights(tmp_path):
    from torchvision import models

    torch.save(models.get_model("squeezenet1_1", weights=None).state_dict(), tmp_path / "w.pth")
    spec = ImageSpec("x", "classification", (3, 64, 64), classes=("a", "b"))
    model = zoo.create("cnn", spec=spec, network="torchvision/squeezenet1_1", pretrained=str(tmp_path / "w.pth"))
    with pytest.raises(ZooError, match=r"init=kaiming: would replace the weights of model\.pretrained"):
        model.configure(Learning(init="kaiming"))
    model.configure(Learning())


def test_load_after_plateau_scheduler():
    options = {"scheduler": "plateau", "trainer.max_epochs": 1, "trainer.steps_per_epoch": 2, "logger": "csv"}
    run = zoo.train("fnn", TABLE.dataset, report=False, run_dir="run", **options, **{"data.batch_size": 16})
    model = zoo.load(run.folder / "checkpoints" / "best.ckpt")
    assert model.learning.scheduler.name == "plateau"
