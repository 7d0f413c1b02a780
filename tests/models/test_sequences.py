"""Recurrent networks and the transformer: cells against their equations, states, lengths, dropout, forecasting."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zoo
from zoo.data import Dataset
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
from zoo.models.transformer import Attention, KeyValueCache, apply_rotary

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


def test_first_weights_are_those_of_the_papers():
    lstm = LSTM(spec=sequence_spec(), hidden_size=7, forget_bias=2.0).network.core.layers[0][0]
    assert torch.equal((lstm.bias_ih_l0 + lstm.bias_hh_l0)[7:14], torch.full((7,), 2.0))
    irnn = RNN(spec=sequence_spec(), hidden_size=7, identity_init=True, activation="relu").network.core.layers[0][0]
    assert torch.equal(irnn.weight_hh_l0, torch.eye(7))
    assert not irnn.bias_ih_l0.any()
    assert not irnn.bias_hh_l0.any()


def test_the_second_direction_reads_each_sequence_from_its_own_end():
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
def test_weight_dropout_drops_recurrent_weights_for_a_whole_sequence(name):
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


def test_dropout_between_layers_is_the_zoos_own():
    """The kernels' own is not deterministic on CUDA."""
    for module in zoo.create("lstm", spec=sequence_spec(), num_layers=3, dropout=0.4).modules():
        if isinstance(module, nn.RNNBase):
            assert (module.num_layers, module.dropout) == (1, 0.0)


# --- a language model's state ---


@pytest.mark.parametrize("name", ALL)
def test_a_text_in_parts_is_read_as_a_whole(name):
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
def test_writing_is_a_function_of_the_seed(name):
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


def test_what_cannot_be_written_is_said():
    model = zoo.create("gru", spec=text_spec())
    with pytest.raises(ZooError, match="prompt: 'é' is not among the 8 characters that it knows"):
        model.generate("abé")
    with pytest.raises(ZooError, match="temperature=-1: must be"):
        model.generate("a", temperature=-1)
    with pytest.raises(ZooError, match="generates no text"):
        zoo.create("gru").generate("a")


# --- the transformer ---


def test_attention_is_what_its_equation_says():
    attention = Attention(12, layer=0, num_heads=3, causal=True, rotary=False).eval()
    x = torch.randn(2, 5, 12)
    q, k, v = (part.view(2, 5, 3, 4).transpose(1, 2) for part in attention.qkv(x).split(12, 2))
    scores = q @ k.transpose(2, 3) / math.sqrt(4)
    scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    want = attention.proj((scores.softmax(3) @ v).transpose(1, 2).reshape(2, 5, 12))
    assert torch.allclose(attention(x, None), want, atol=1e-6)


def test_rotary_products_depend_on_the_distance_alone():
    one, other = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    q, k = apply_rotary(one.expand(1, 1, 20, 8)), apply_rotary(other.expand(1, 1, 20, 8))
    products = (q @ k.transpose(2, 3))[0, 0]
    for distance in range(-5, 6):
        diagonal = products.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5)
    assert products.diagonal(3)[0] != products.diagonal(4)[0]
    assert torch.allclose(q.norm(dim=3), one.norm().expand(1, 1, 20), atol=1e-5)


def test_a_size_that_heads_do_not_divide_is_refused():
    with pytest.raises(ZooError, match="hidden_size=30: must be a multiple of twice model.num_heads=4"):
        zoo.create("transformer", hidden_size=30)


def generate_without_cache(model: nn.Module, prompt: list[int], length: int, *, temperature: float, seed: int) -> str:
    """Return sampled text; each token from a full pass over the last tokens: at most a block, then its later half."""
    block_size, tokens, context = model.spec.input_shape[0], [], list(prompt)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(length):
        with torch.no_grad():
            logits = model(torch.tensor([context]))[0, -1]
        logits[:2] = -torch.inf
        sampled = torch.multinomial((logits / (temperature or 1)).softmax(0), 1, generator=generator)
        tokens.append(int(sampled if temperature else logits.argmax()))
        context = [*(context if len(context) < block_size else context[-(block_size // 2) :]), tokens[-1]]
    return "".join(model.spec.vocabulary[token] for token in tokens)


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("positional_encoding", ["rotary", "learned"])
def test_key_value_cache_generates_the_text_of_full_passes_token_by_token(positional_encoding, temperature):
    """Within the block and past its end, from a prompt of one token, of some, and of more than a block."""
    model = zoo.create(
        "transformer", spec=text_spec(), positional_encoding=positional_encoding, tie_embeddings=False
    ).eval()
    for parameter in model.parameters():  # first weights repeat the last token, whatever the context
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2)
    for prompt in ("a", "abcd", "hgfedcba" * 2):
        text = model.generate(prompt, length=60, temperature=temperature, seed=3)
        tokens = [model.spec.vocabulary.index(c) for c in prompt][-12:]
        expected = generate_without_cache(model, tokens, 60, temperature=temperature, seed=3)
        assert text == prompt + expected
        assert len(set(expected)) > 2


def test_key_value_cache_computes_new_steps_alone():
    model = zoo.create("transformer", spec=text_spec()).eval()
    lengths = []
    model.network.core.blocks[0].register_forward_pre_hook(lambda block, inputs: lengths.append(inputs[0].shape[1]))
    model.generate("abcd", length=20, temperature=0)
    # the prompt; it again with one token; one token each to the end of the block of 12; then its later half with one
    assert lengths == [4, 5, *[1] * 7, 7, *[1] * 5, 7, *[1] * 4]


def test_key_value_cache_holds_the_keys_of_all_steps():
    cache, k = KeyValueCache(2), torch.randn(1, 2, 5, 4)
    assert cache.length == 0
    for layer in range(2):
        cache.append(layer, k[:, :, :3], k[:, :, :3])
        assert torch.equal(cache.append(layer, k[:, :, 3:], k[:, :, 3:])[0], k)
    assert cache.length == 5


# --- reading and pooling ---


def test_an_image_is_read_by_rows_pixels_or_permuted():
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
def test_steps_read_together_do_not_see_the_padding(name):
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
    with pytest.raises(ZooError, match="model.patch_len=12: must be a whole .* at most 11"):
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
def test_both_directions_are_exported_for_any_length(name, ending, tmp_path):
    """The file has answered three rows of other lengths than those it was traced with before it is kept."""
    spec = SequenceSpec(name="s", task="classification", input_shape=(11, 2), classes=("a", "b"))
    model = zoo.create(name, spec=spec, bidirectional=True, pooling="max")
    assert zoo.export(model, tmp_path / f"model.{ending}").stat().st_size > 0


def test_a_projection_is_refused_in_one_line_by_formats_that_have_none(tmp_path):
    spec = SequenceSpec(name="s", task="classification", input_shape=(11, 2), classes=("a", "b"))
    model = zoo.create("lstm", spec=spec, proj_size=16)
    for ending in ("onnx", "pt2"):
        with pytest.raises(ZooError, match="with a projection.*safetensors"):
            zoo.export(model, tmp_path / f"model.{ending}")
    assert zoo.export(model, tmp_path / "model.safetensors").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_pooling_looks_at_each_sequence_alone():
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
def test_segments_come_back_in_order(apart, targets):
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
def test_a_reversible_forecast_moves_with_its_past(name):
    model = zoo.create(name, spec=series_spec(), patch_len=4).eval()
    x = torch.randn(2, 16, 3)
    assert torch.allclose(model(x + 5), model(x) + 5, atol=1e-4)
    fixed = zoo.create(name, spec=series_spec(), patch_len=4, instance_norm=False).eval()
    assert not torch.allclose(fixed(x + 5), fixed(x) + 5, atol=1e-1)


@pytest.mark.parametrize("name", ALL)
def test_columns_apart_do_not_see_each_other(name):
    x = torch.randn(2, 16, 3)
    other = torch.cat([x[:, :, :2], torch.randn(2, 16, 1)], 2)
    for apart in (True, False):
        model = zoo.create(name, spec=series_spec(), patch_len=4, channel_independence=apart).eval()
        assert torch.allclose(model(other)[:, :, :2], model(x)[:, :, :2], atol=1e-5) == apart


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("name", CELLS)
def test_any_horizon_is_answered(name, strategy):
    for segment, horizon in ((1, 5), (4, 6), (16, 20)):
        model = zoo.create(
            name, spec=series_spec(horizon=horizon), patch_len=segment, forecast_strategy=strategy, num_layers=2
        )
        assert model(torch.randn(2, 16, 3)).shape == (2, horizon, 3)


def test_answers_read_again_need_all_columns():
    with pytest.raises(ZooError, match="model.forecast_strategy=recursive: its predictions are its next inputs"):
        zoo.create("gru", spec=series_spec(targets=(1,)), forecast_strategy="recursive", channel_independence=False)
    with pytest.raises(ZooError, match="bidirectional=true: does not go with forecasting"):
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
def test_gradients_vanish_in_the_rnn_and_not_in_the_gated_ones(name):
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


def test_the_core_is_layers_of_one_direction_each():
    core = zoo.create("gru", spec=sequence_spec(), num_layers=2, bidirectional=True, hidden_size=7).network.core
    assert isinstance(core, RecurrentLayers)
    assert core.features == 14
    assert all(not cell.bidirectional for pair in core.layers for cell in pair)
