"""The transformer: attention against its equation, rotary positions, the key-value cache."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import zoo
from zoo.data.spec import DataSpec
from zoo.data.text.spec import TextSpec
from zoo.exceptions import ZooError
from zoo.models.transformer import Attention, KeyValueCache, apply_rotary


def text_spec(window: int = 12) -> DataSpec:
    return TextSpec("letters", "language_modeling", (window,), vocabulary=("", "\ufffd", *"abcdefgh"))


def test_attention_equals_its_equation():
    attention = Attention(12, layer=0, num_heads=3, causal=True, rotary=False).eval()
    x = torch.randn(2, 5, 12)
    q, k, v = (part.view(2, 5, 3, 4).transpose(1, 2) for part in attention.qkv(x).split(12, 2))
    scores = q @ k.transpose(2, 3) / math.sqrt(4)
    scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    want = attention.proj((scores.softmax(3) @ v).transpose(1, 2).reshape(2, 5, 12))
    assert torch.allclose(attention(x, None), want, atol=1e-6)


def test_rotary_products_depend_on_distance_alone():
    one, other = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    q, k = apply_rotary(one.expand(1, 1, 20, 8)), apply_rotary(other.expand(1, 1, 20, 8))
    products = (q @ k.transpose(2, 3))[0, 0]
    for distance in range(-5, 6):
        diagonal = products.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5)
    assert products.diagonal(3)[0] != products.diagonal(4)[0]
    assert torch.allclose(q.norm(dim=3), one.norm().expand(1, 1, 20), atol=1e-5)


def test_transformer_rejects_a_size_that_heads_do_not_divide():
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
def test_generate_with_and_without_cache_is_equal(positional_encoding, temperature):
    """Within the block and past its end, from a prompt of one token, of some, and of more than a block."""
    torch.manual_seed(0)
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


def test_generate_computes_new_steps_alone():
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
