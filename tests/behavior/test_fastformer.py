"""Fastformer over the clicks."""

import math

import pytest
import torch

from skrec import behavior

WIDTH, HEADS = 8, 2
EXACT = {"rtol": 0, "atol": 1e-10}
LENGTHS = [4, 1, 2]


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(3, 4, WIDTH, dtype=torch.float64)


@pytest.fixture
def mask():
    return torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)


def build(**parameters):
    torch.manual_seed(0)
    operator = behavior.Fastformer(n_heads=HEADS, dropout=0.0, **parameters)
    operator.check(WIDTH)
    module = operator.build(WIDTH).double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return module


def weighted_mean(scores, rows):
    weights = scores.exp() / scores.exp().sum()
    return sum(weight * row for weight, row in zip(weights, rows, strict=True))


def attend(layer, rows):
    """Additive attention over the rows of (L, D)."""
    scores = [layer.query.weight[0] @ torch.tanh(layer.project(row)) for row in rows]
    return weighted_mean(torch.stack(scores), rows)


def fast_attention(layer, rows):
    """The paper's equations on the rows of (L, D), head by head."""
    size = WIDTH // HEADS
    Q, K = layer.project(rows).split(WIDTH, dim=1)
    heads = []
    for h in range(HEADS):
        own = slice(h * size, (h + 1) * size)
        q = weighted_mean(Q[:, own] @ layer.query[h] / math.sqrt(size), Q[:, own])
        p = K[:, own] * q
        k = weighted_mean(p @ layer.key[h] / math.sqrt(size), p)
        heads.append(Q[:, own] * k)  # the queries are the values
    return layer.out(torch.cat(heads, dim=1)) + Q


def test_bare_layers_equal_the_formula(x, mask):
    module = build(bare=True)
    assert len(module.layers.layers) == 2
    found = module(x, mask)
    for row, length in enumerate(LENGTHS):
        states = x[row, :length]
        for layer in module.layers.layers:
            states = fast_attention(layer, states)
        torch.testing.assert_close(found[row, 0], attend(module.attention, states), **EXACT)


def test_whole_layers_equal_the_formula(x, mask):
    module = build(n_layers=1, hidden=5)
    (layer,) = module.layers.layers
    assert layer.feed_forward.layers[0].out_features == 5
    found = module(x, mask)
    for row, length in enumerate(LENGTHS):
        states = x[row, :length]
        states = states + fast_attention(layer.mix, layer.mix_norm(states))
        states = states + layer.feed_forward(layer.feed_forward_norm(states))
        states = module.layers.norm(states)
        torch.testing.assert_close(found[row, 0], attend(module.attention, states), **EXACT)


def test_clicks_see_each_other(x):
    # were each mixed with itself alone, the state of the first would not know of the others
    layers, mask = build().layers, torch.ones(3, 4, dtype=torch.bool)
    other = torch.cat([x[:, :3], -x[:, 3:]], dim=1)
    assert not torch.allclose(layers(other, mask)[:, 0], layers(x, mask)[:, 0])


@pytest.mark.parametrize("bare", [True, False])
def test_dropout_acts_in_training_only(x, mask, bare):
    module = behavior.Fastformer(dropout=0.5, bare=bare).build(WIDTH).double()
    assert not torch.equal(module(x, mask), module(x, mask))
    module.eval()
    assert torch.equal(module(x, mask), module(x, mask))
