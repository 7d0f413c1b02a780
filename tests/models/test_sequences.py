"""Sequence models: cells against their equations, states, lengths, dropout, pooling, forecasting."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zoo
from zoo.data.dataset import Dataset
from zoo.data.sequence.spec import SequenceSpec
from zoo.data.series.spec import SeriesSpec
from zoo.data.spec import DataSpec
from zoo.data.text.spec import TextSpec
from zoo.exceptions import ZooError
from zoo.layers.recurrent import RecurrentLayers, reverse_sequences
from zoo.layers.sequence import ImageSequence, Pooling, SeriesPatches, VariationalDropout, patchify
from zoo.models.gru import GRU, gru_cell
from zoo.models.lstm import LSTM, lstm_cell
from zoo.models.rnn import RNN, rnn_cell

ALL = ("rnn", "lstm", "gru", "transformer")
CELLS = ("rnn", "lstm", "gru")


def text_spec(window: int = 12) -> DataSpec:
    return TextSpec("letters", "language_modeling", (window,), vocabulary=("", "\ufffd", *"abcdefgh"))


def series_spec(past: int = 16, horizon: int = 6, columns: int = 3, targets: tuple[int, ...] = (0, 1, 2)) -> DataSpec:
    return SeriesSpec(
        "series",
        "forecasting",
        (past, columns),
        target_shape=(horizon, len(targets)),
        columns=tuple("abc"[:columns]),
        targets=targets,
        mean=(0.0,) * columns,
        std=(1.0,) * columns,
    )


def sequence_spec(channels: int = 5) -> DataSpec:
    return SequenceSpec("steps", "classification", (9, channels), classes=("a", "b"), mean=(0.0,), std=(1.0,))


# --- the cells: equations against torch's kernels ---

VARIANTS = {
    "rnn-tanh": (RNN, {}),
    "rnn-relu": (RNN, {"activation": "relu"}),
    "lstm": (LSTM, {}),
    "lstm-proj": (LSTM, {"proj_size": 3}),
    "gru": (GRU, {"forget_bias": 1.0}),
}


def unroll(x: torch.Tensor, layer: nn.RNNBase, state: object) -> torch.Tensor:
    """Return the outputs (B, T, features) of a layer, step by step by the equations of its model's file."""
    cell = {"RNN": rnn_cell, "LSTM": lstm_cell, "GRU": gru_cell}[type(layer).__name__]
    outputs = []
    for x_t in x.unbind(1):
        state = cell(x_t, state, layer)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("begin", ["zeros", "carried"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_cell_equations_equal_the_kernel_in_values_and_gradients(variant, begin):
    model_class, options = VARIANTS[variant]
    model = model_class(spec=sequence_spec(), hidden_size=7, **options).double()
    layer = model.network.core.layers[0][0]
    inputs = {"x": torch.randn(4, 9, 5, dtype=torch.float64, requires_grad=True)}
    features = getattr(layer, "proj_size", 0) or 7
    h, c = (torch.randn(4, n, dtype=torch.float64) * (begin == "carried") for n in (features, 7))
    inputs |= {"h": h.requires_grad_()} | ({"c": c.requires_grad_()} if model_class is LSTM else {})
    state = (h, c) if model_class is LSTM else h
    carried = [h[None], c[None]] if model_class is LSTM else h[None]
    expected, _ = model.network.core(inputs["x"], None, [carried])
    outputs = unroll(inputs["x"], layer, state)
    torch.testing.assert_close(outputs, expected)
    direction = torch.randn_like(outputs)
    leaves = {**inputs, **dict(layer.named_parameters())}
    gradients = [torch.autograd.grad((out * direction).sum(), list(leaves.values())) for out in (outputs, expected)]
    for name, ours, kernels in zip(leaves, *gradients, strict=True):
        torch.testing.assert_close(ours, kernels, msg=lambda text, name=name: f"{name}: {text}")


def test_recurrent_weights_are_initialized_as_in_the_papers():
    lstm = LSTM(spec=sequence_spec(), hidden_size=7, forget_bias=2.0).network.core.layers[0][0]
    assert torch.equal((lstm.bias_ih_l0 + lstm.bias_hh_l0)[7:14], torch.full((7,), 2.0))
    irnn = RNN(spec=sequence_spec(), hidden_size=7, identity_init=True, activation="relu").network.core.layers[0][0]
    assert torch.equal(irnn.weight_hh_l0, torch.eye(7))
    assert not irnn.bias_ih_l0.any()
    assert not irnn.bias_hh_l0.any()


def test_bidirectional_layers_reverse_by_length():
    x, lengths = torch.arange(12.0).view(2, 6, 1), torch.tensor([6, 4])
    turned = reverse_sequences(x, lengths).squeeze(2)
    assert turned.tolist() == [[5, 4, 3, 2, 1, 0], [9, 8, 7, 6, 10, 11]]
    model = GRU(spec=sequence_spec(1), hidden_size=7, bidirectional=True).eval()
    h, _ = model.network.core(x, lengths)
    forwards, back = model.network.core.layers[0]
    assert torch.allclose(h[1, :4, :7], forwards(x[1:, :4])[0][0], atol=1e-6)
    assert torch.allclose(h[1, :4, 7:], back(x[1:, :4].flip(1))[0][0].flip(0), atol=1e-6)


# --- dropout ---


def test_variational_dropout_drops_the_same_features_at_each_step():
    out = VariationalDropout(0.5).train()(torch.ones(8, 20, 50))
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(out[0], out[1])
    assert torch.equal(VariationalDropout(0.5).eval()(out), out)


@pytest.mark.parametrize("name", CELLS)
def test_weight_dropout_drops_recurrent_weights_for_all_steps(name):
    model = zoo.create(name, spec=sequence_spec(), hidden_size=7, weight_dropout=0.5)
    core, x = model.network.core, torch.randn(4, 9, 5)
    cell = core.layers[0][0]
    torch.manual_seed(3)
    got, _ = core.train()(x)
    torch.manual_seed(3)
    dropped = F.dropout(cell.weight_hh_l0, 0.5)
    original = cell.weight_hh_l0.detach().clone()
    with torch.no_grad():
        cell.weight_hh_l0.copy_(dropped)
    assert torch.allclose(got, cell(x)[0], atol=1e-6)
    with torch.no_grad():
        cell.weight_hh_l0.copy_(original)
    assert torch.allclose(core.eval()(x)[0], cell(x)[0], atol=1e-6)
    got.sum().backward()
    assert cell.weight_hh_l0.grad.any()


def test_recurrent_kernels_have_no_builtin_dropout():
    """The kernels' own is not deterministic on CUDA."""
    for module in zoo.create("lstm", spec=sequence_spec(), num_layers=3, dropout=0.4).modules():
        if isinstance(module, nn.RNNBase):
            assert (module.num_layers, module.dropout) == (1, 0.0)


# --- a language model's state ---


@pytest.mark.parametrize("name", ALL)
def test_forward_with_carried_state_equals_one_pass(name):
    options = {"num_layers": 2, "dropout": 0.0}
    model = zoo.create(name, spec=text_spec(), **options).eval()
    x = torch.randint(2, 10, (3, 12))
    expected, state, parts = model(x), None, []
    for part in x.split([1, 4, 7], 1):
        out, state = model.network.forward_with_state(part, state)
        parts.append(out)
    got = torch.cat(parts, 1)
    assert torch.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_generate_depends_on_the_seed_alone(name):
    model = zoo.create(name, spec=text_spec())
    one = model.generate("abc", length=30, seed=1)
    assert one.startswith("abc")
    assert len(one) == 33
    assert one == model.generate("abc", length=30, seed=1)
    assert one != model.generate("abc", length=30, seed=2)
    likeliest = model.generate("abc", length=10, temperature=0)
    assert likeliest == model.generate("abc", length=10, top_k=1, seed=5)
    assert len(model.generate(length=7)) == 7
    assert model.training


def test_generate_rejects_unknown_tokens_and_other_tasks():
    model = zoo.create("gru", spec=text_spec())
    with pytest.raises(ZooError, match="prompt: 'é' is not one of the 8 characters in the vocabulary"):
        model.generate("abé")
    with pytest.raises(ZooError, match="temperature=-1: must be"):
        model.generate("a", temperature=-1)
    with pytest.raises(ZooError, match="generates no text"):
        zoo.create("gru").generate("a")


# --- input layers and pooling ---


def test_image_sequence_reads_rows_pixels_or_permuted_pixels():
    x = torch.arange(24.0).view(1, 2, 3, 4)
    rows = ImageSequence((2, 3, 4), sequence_order="rows")(x)
    assert rows.shape == (1, 3, 8)
    assert rows[0, 1].tolist() == [4, 5, 6, 7, 16, 17, 18, 19]
    pixels = ImageSequence((2, 3, 4), sequence_order="pixels")(x)
    assert pixels[0, 5].tolist() == [5, 17]
    permuted = ImageSequence((2, 3, 4), sequence_order="permuted")(x)
    assert not torch.equal(permuted, pixels)
    assert torch.equal(permuted.sort(1).values, pixels)
    assert torch.equal(permuted, ImageSequence((2, 3, 4), sequence_order="permuted")(x))


@pytest.mark.parametrize("name", ["lstm", "gru", "transformer"])
def test_patches_are_independent_of_padding(name):
    spec = SequenceSpec(name="s", task="classification", input_shape=(11, 2), classes=("a", "b"))
    model = zoo.create(name, spec=spec, patch_len=3, pooling="mean").eval()
    x, lengths = torch.randn(2, 11, 2), torch.tensor([4, 11])
    output = model(x, lengths)
    alone = torch.cat([model(x[:1, :4], lengths[:1]), model(x[1:], lengths[1:])])
    torch.testing.assert_close(output, alone)
    x[0, 4:] = 99.0
    torch.testing.assert_close(model(x, lengths), output)
    assert model.visualizations({"x": x, "lengths": lengths}, None)["gradient"].shape == (4,)
    h, sizes = patchify(x[1:], lengths[1:], 3)
    assert torch.equal(h.view(-1)[:22], x[1].view(-1))
    assert h.shape == (1, 4, 6)
    assert int(sizes[0]) == 4
    assert not h.view(-1)[22:].any()
    with pytest.raises(ZooError, match="model.patch_len=12: must be an integer .* at most 11"):
        zoo.create(name, spec=spec, patch_len=12)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("lstm", "pt2"),
        ("gru", "onnx"),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in [("gru", "pt2"), ("rnn", "pt2")]),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in [("lstm", "onnx"), ("rnn", "onnx")]),
    ],
)
def test_export_bidirectional_accepts_any_length(name, ending, tmp_path):
    """The file has answered three rows of other lengths than those it was traced with before it is kept."""
    spec = SequenceSpec(name="s", task="classification", input_shape=(11, 2), classes=("a", "b"))
    model = zoo.create(name, spec=spec, bidirectional=True, pooling="max")
    assert zoo.export(model, tmp_path / f"model.{ending}").stat().st_size > 0


def test_export_rejects_proj_size_the_format_lacks(tmp_path):
    spec = SequenceSpec(name="s", task="classification", input_shape=(11, 2), classes=("a", "b"))
    model = zoo.create("lstm", spec=spec, proj_size=16)
    for ending in ("onnx", "pt2"):
        with pytest.raises(ZooError, match="with a projection.*safetensors"):
            zoo.export(model, tmp_path / f"model.{ending}")
    assert zoo.export(model, tmp_path / "model.safetensors").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_pooling_ignores_padding():
    h, lengths = torch.randn(2, 6, 4), torch.tensor([6, 3])
    assert torch.equal(Pooling(4, pooling="last")(h, lengths)[1], h[1, 2])
    both = Pooling(4, pooling="last", directions=2)(h, lengths)
    assert torch.equal(both[1], torch.cat([h[1, 2, :2], h[1, 0, 2:]]))
    assert torch.allclose(Pooling(4, pooling="mean")(h, lengths)[1], h[1, :3].mean(0))
    assert torch.equal(Pooling(4, pooling="max")(h, lengths)[1], h[1, :3].amax(0))
    attention = Pooling(4, pooling="attention")
    weights = attention.score(h[1, :3]).softmax(0)
    assert torch.allclose(attention(h, lengths)[1], (weights * h[1, :3]).sum(0), atol=1e-6)


# --- forecasting ---


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("targets", [(0, 1, 2), (2,)])
def test_unpatchify_restores_the_order_of_patches(apart, targets):
    spec = series_spec(horizon=6, targets=targets)
    segments = SeriesPatches(spec, patch_len=3, instance_norm=True, channel_independence=apart)
    x = torch.randn(4, 16, 3)
    future = torch.randn(4, 6, len(targets))
    parts = future - x[:, -1:, list(targets)]
    if apart:
        parts = parts.transpose(1, 2).reshape(-1, 2, 3)
    answered = parts.reshape(len(parts), 2, -1)
    assert torch.allclose(segments.unpatchify(answered, x), future, atol=1e-6)
    assert segments(x).shape[1:] == (5, segments.features)


@pytest.mark.parametrize("name", ALL)
def test_instance_norm_shifts_the_forecast_with_its_context(name):
    model = zoo.create(name, spec=series_spec(), patch_len=4).eval()
    x = torch.randn(2, 16, 3)
    assert torch.allclose(model(x + 5), model(x) + 5, atol=1e-4)
    fixed = zoo.create(name, spec=series_spec(), patch_len=4, instance_norm=False).eval()
    assert not torch.allclose(fixed(x + 5), fixed(x) + 5, atol=1e-1)


@pytest.mark.parametrize("name", ALL)
def test_channel_independence_separates_columns(name):
    x = torch.randn(2, 16, 3)
    other = torch.cat([x[:, :, :2], torch.randn(2, 16, 1)], 2)
    for apart in (True, False):
        model = zoo.create(name, spec=series_spec(), patch_len=4, channel_independence=apart).eval()
        assert torch.allclose(model(other)[:, :, :2], model(x)[:, :, :2], atol=1e-5) == apart


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("name", CELLS)
def test_forecasters_predict_any_length(name, strategy):
    for segment, horizon in ((1, 5), (4, 6), (16, 20)):
        model = zoo.create(
            name, spec=series_spec(horizon=horizon), patch_len=segment, forecast_strategy=strategy, num_layers=2
        )
        assert model(torch.randn(2, 16, 3)).shape == (2, horizon, 3)


def test_forecasters_reject_options_that_do_not_fit():
    with pytest.raises(ZooError, match="model.forecast_strategy=recursive: its predictions are its next inputs"):
        zoo.create("gru", spec=series_spec(targets=(1,)), forecast_strategy="recursive", channel_independence=False)
    with pytest.raises(ZooError, match="bidirectional=true: does not apply to forecasting"):
        zoo.create("gru", spec=series_spec(), bidirectional=True)


# --- vanishing gradients ---


GAP = 50
REACHING = {"rnn": {"pooling": "last"}, "lstm": {"forget_bias": 4.0}, "gru": {"forget_bias": 3.0}}


def copying() -> Dataset:
    """The copy task: a symbol is shown at the first step, and asked for after a long gap."""
    y = torch.randint(4, (640,), generator=torch.Generator().manual_seed(0))
    x = torch.zeros(640, GAP, 4)
    x[:, 0] = F.one_hot(y, 4).float()
    lengths = torch.full((640,), GAP)
    parts = [{"x": x[at], "y": y[at], "lengths": lengths[at]} for at in (slice(512), slice(512, 576), slice(576, 640))]
    spec = SequenceSpec("copy", "classification", (GAP, 4), classes=tuple("abcd"), mean=(0.0,), std=(1.0,))
    return Dataset(spec, *parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_gradients_vanish_in_rnn_not_in_lstm_and_gru(name):
    """The gradient must reach what the answer depends on: the gated ones learn to copy and the rnn does not."""
    data = copying()
    torch.manual_seed(0)
    model = zoo.create(name, spec=data.spec, hidden_size=32, dropout=0.0, **REACHING[name])
    norm = model.visualizations({**data.train}, data)["gradient"]
    assert norm.shape == (GAP,)
    reach = float(norm[0] / norm[-1])
    options = {"hidden_size": 32, "dropout": 0.0, **REACHING[name]}
    trainer = {"max_epochs": 20 if name == "rnn" else 40, "precision": "32-true"}
    run = zoo.train(name, data, model_kwargs=options, trainer=trainer, report=False, **{"data.batch_size": 32})
    if name == "rnn":
        assert reach < 1e-6
        assert run.metrics["test/accuracy"] < 0.5
    else:
        assert reach > 1e-2
        assert run.metrics["test/accuracy"] == 1


def test_recurrent_layers_use_unidirectional_kernels():
    core = zoo.create("gru", spec=sequence_spec(), num_layers=2, bidirectional=True, hidden_size=7).network.core
    assert isinstance(core, RecurrentLayers)
    assert core.features == 14
    assert all(not cell.bidirectional for pair in core.layers for cell in pair)
