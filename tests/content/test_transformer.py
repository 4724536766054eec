"""Transformer and Fastformer layers over words."""

import math

import pytest
import torch
from torch import nn

from skrec import Items, content

WIDTH, HEADS, HIDDEN = 8, 2, 6
EXACT = {"rtol": 0, "atol": 1e-10}
NAMES = ["Transformer", "Fastformer"]


@pytest.fixture(scope="module")
def items(mixed):
    return Items(mixed)


def fit(operator, items):
    """Fit an operator without dropout; return its module and the packed items."""
    operator.set_params(dropout=0.0).fit(items).check(WIDTH)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH).double().eval()
    with torch.no_grad():  # initial norms are the identity, so a missing one would go unnoticed
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return module, operator.prepare(items)


def words(module, packed, code):
    """Return the token embeddings (L, D) of one title, without padding."""
    ids, mask = packed.take(torch.tensor([code]))["title"]
    return module.embeddings["text"](ids[mask])


def weighted_mean(scores, rows):
    weights = scores.exp() / scores.exp().sum()
    return sum(weight * row for weight, row in zip(weights, rows, strict=True))


def attend(layer, rows):
    """Compute additive attention over rows (L, D)."""
    scores = [layer.query.weight[0] @ torch.tanh(layer.project(row)) for row in rows]
    return weighted_mean(torch.stack(scores), rows)


def torch_layer(layer, rows):
    """Apply the encoder layer of torch with the weights of ours to rows (L, D)."""
    twin = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, norm_first=True, batch_first=True)
    twin = twin.double().eval()
    twin.self_attn.in_proj_weight = layer.mix.project.weight
    twin.self_attn.in_proj_bias = layer.mix.project.bias
    twin.self_attn.out_proj = layer.mix.out
    twin.linear1, twin.linear2 = layer.feed_forward.layers[0], layer.feed_forward.layers[-1]
    twin.norm1, twin.norm2 = layer.mix_norm, layer.feed_forward_norm
    return twin(rows.unsqueeze(0))[0]


def fast_attention(layer, rows):
    """Apply the equations of Fastformer to rows (L, D), head by head."""
    size = WIDTH // HEADS
    Q, K = layer.project(rows).split(WIDTH, dim=1)
    heads = []
    for h in range(HEADS):
        own = slice(h * size, (h + 1) * size)
        q = weighted_mean(Q[:, own] @ layer.query[h] / math.sqrt(size), Q[:, own])
        p = K[:, own] * q
        k = weighted_mean(p @ layer.key[h] / math.sqrt(size), p)
        heads.append(Q[:, own] * k)
    return layer.out(torch.cat(heads, dim=1)) + Q


@torch.no_grad()
def test_transformer_equals_torch(items):
    operator = content.Transformer(["title"], n_heads=HEADS, hidden=HIDDEN)
    module, packed = fit(operator, items)
    found = module(packed.take(torch.arange(8)))
    encoder = module.encoders[0]
    assert len(encoder.layers.layers) == 2
    for code in range(8):
        rows = words(module, packed, code)
        if not len(rows):
            assert not found[code].any()
            continue
        rows = rows + encoder.positions.table.weight[: len(rows)]
        for layer in encoder.layers.layers:
            rows = torch_layer(layer, rows)
        wanted = attend(encoder.attention, encoder.layers.norm(rows))
        torch.testing.assert_close(found[code], wanted, **EXACT)


@torch.no_grad()
def test_bare_fastformer_equals_the_paper(items):
    operator = content.Fastformer(["title"], n_heads=HEADS, bare=True)
    module, packed = fit(operator, items)
    found = module(packed.take(torch.arange(8)))
    encoder = module.encoders[0]
    for code in range(8):
        rows = words(module, packed, code)
        if not len(rows):
            assert not found[code].any()
            continue
        for layer in encoder.layers.layers:
            rows = fast_attention(layer, rows)
        torch.testing.assert_close(found[code], attend(encoder.attention, rows), **EXACT)


@torch.no_grad()
def test_whole_fastformer_equals_the_paper_with_norms_and_feed_forward(items):
    operator = content.Fastformer(["title"], n_layers=1, n_heads=HEADS, hidden=HIDDEN)
    module, packed = fit(operator, items)
    encoder = module.encoders[0]
    (layer,) = encoder.layers.layers
    assert layer.feed_forward.layers[0].out_features == HIDDEN
    rows = words(module, packed, 2)
    rows = rows + fast_attention(layer.mix, layer.mix_norm(rows))
    rows = encoder.layers.norm(rows + layer.feed_forward(layer.feed_forward_norm(rows)))
    found = module(packed.take(torch.arange(8)))[2]
    torch.testing.assert_close(found, attend(encoder.attention, rows), **EXACT)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_tokens_are_the_states_after_the_layers(name, items):
    module, packed = fit(getattr(content, name)(["title"], n_heads=HEADS), items)
    columns = packed.take(torch.arange(8))
    vectors, states, mask = module.tokens(columns)
    torch.testing.assert_close(vectors, module(columns), **EXACT)
    wanted = attend(module.encoders[0].attention, states[2][mask[2]])
    torch.testing.assert_close(vectors[2], wanted, **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_words_matters_to_the_transformer_alone(name):
    items = Items(["fox eats hen", "hen eats fox"])
    module, packed = fit(getattr(content, name)(n_heads=HEADS), items)
    a, b = module(packed.take(torch.arange(2)))
    assert torch.allclose(a, b, rtol=0, atol=1e-10) is (name == "Fastformer")


def test_transformer_has_a_position_for_each_word_that_is_read():
    items = Items(["fox " * 20])
    module, packed = fit(content.Transformer(n_heads=HEADS, max_length=7), items)
    table = module.encoders[0].positions.table
    assert table.weight.shape == (7, WIDTH)
    module(packed.take(torch.arange(1))).sum().backward()
    assert table.weight.grad.any(dim=1).all()


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_only(name):
    items = Items(["fox eats hen"])
    operator = getattr(content, name)(n_heads=HEADS, dropout=0.5).fit(items)
    module = operator.build(operator.schema_, WIDTH)
    columns = operator.prepare(items).take(torch.arange(1))
    assert not torch.equal(module(columns), module(columns))
    module.eval()
    assert torch.equal(module(columns), module(columns))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_layers": 0}, "n_layers must be a positive int, got 0"),
        ({"n_heads": 3}, "n_heads must divide width=8, got n_heads=3"),
        ({"hidden": 0}, "hidden must be a positive int, got 0"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
        ({"max_length": 0}, "max_length must be a positive int, got 0"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(name, parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        getattr(content, name)(**parameters).check(WIDTH)


def test_bad_bare_is_refused():
    with pytest.raises(ValueError, match="^bare must be one of True, False, got 'yes'$"):
        content.Fastformer(bare="yes").check(WIDTH)
