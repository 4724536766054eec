"""The causal Transformer over the clicks."""

import pytest
import torch
from torch import nn

from skrec import behavior

WIDTH, HIDDEN = 8, 6
EXACT = {"rtol": 0, "atol": 1e-10}
LENGTHS = [4, 1, 2]


def build(operator):
    operator.set_params(dropout=0.0).check(WIDTH)
    torch.manual_seed(0)
    module = operator.build(WIDTH).double().eval()
    with torch.no_grad():  # norms start as the identity, which would hide one that is missing
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return module


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(3, 4, WIDTH, dtype=torch.float64)


def torch_twin(layer):
    twin = nn.TransformerEncoderLayer(
        WIDTH, layer.mix.n_heads, HIDDEN, norm_first=True, batch_first=True
    ).double()
    twin.self_attn.in_proj_weight = layer.mix.project.weight
    twin.self_attn.in_proj_bias = layer.mix.project.bias
    twin.self_attn.out_proj = layer.mix.out
    twin.linear1, twin.linear2 = layer.feed_forward.layers[0], layer.feed_forward.layers[-1]
    twin.norm1, twin.norm2 = layer.mix_norm, layer.feed_forward_norm
    return twin.eval()


@pytest.mark.parametrize("n_positions", [2, 50])
@torch.no_grad()
def test_user_is_torchs_last_state_with_positions_from_the_start(x, n_positions):
    operator = behavior.Transformer(2, n_heads=2, hidden=HIDDEN, n_positions=n_positions)
    module = build(operator)
    found = module(x, torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1))
    table = module.positions.table.weight
    assert len(table) == n_positions
    for row, length in enumerate(LENGTHS):
        places = [min(i, n_positions - 1) for i in range(length)]
        states = (x[row, :length] + table[places]).unsqueeze(0)
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        for layer in module.layers.layers:
            states = torch_twin(layer)(states, src_mask=later)
        wanted = module.layers.norm(states)[0, -1]
        torch.testing.assert_close(found[row, 0], wanted, **EXACT)


def test_clicks_beyond_the_positions_share_the_last(x):
    # one layer: nothing but its position tells the last state how old a click is
    module = build(behavior.Transformer(1, n_positions=2))
    mask = torch.ones(3, 4, dtype=torch.bool)
    wanted = module(x, mask)
    torch.testing.assert_close(module(x[:, [0, 2, 1, 3]], mask), wanted, **EXACT)
    assert not torch.allclose(module(x[:, [1, 0, 2, 3]], mask), wanted)
    module = build(behavior.Transformer(1, n_positions=4))
    assert not torch.allclose(module(x[:, [1, 0, 2, 3]], mask), module(x, mask))


def test_history_may_be_longer_than_the_positions(news, items, make_recommender):
    rec = make_recommender(behavior=behavior.Transformer(n_positions=2), max_history=20)
    rec.fit(news.train, items=items)
    assert max(map(len, news.test["history"])) > 2
    assert 0 <= rec.score(news.test) <= 1


def test_n_layers_hidden_and_heads_are_those_asked_for():
    layers = build(behavior.Transformer(3, n_heads=4, hidden=5)).layers.layers
    assert len(layers) == 3
    assert {layer.mix.n_heads for layer in layers} == {4}
    assert {layer.feed_forward.layers[0].out_features for layer in layers} == {5}


def test_dropout_acts_in_training_only(x):
    module = behavior.Transformer(dropout=0.5).build(WIDTH).double()
    mask = torch.ones(3, 4, dtype=torch.bool)
    assert not torch.equal(module(x, mask), module(x, mask))
    module.eval()
    assert torch.equal(module(x, mask), module(x, mask))


BAD_LAYERS = [
    ({"n_layers": 0}, "n_layers must be a positive int, got 0"),
    ({"n_heads": 3}, "n_heads must divide width=8, got n_heads=3"),
    ({"n_heads": 0}, "n_heads must be a positive int, got 0"),
    ({"hidden": 0}, "hidden must be a positive int, got 0"),
    ({"hidden": (8,)}, r"hidden must be a positive int, got \(8,\)"),
    ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
]


@pytest.mark.parametrize(
    "name", ["Transformer", "Fastformer", "TokenTransformer", "TokenFastformer"]
)
@pytest.mark.parametrize(("parameters", "message"), BAD_LAYERS, ids=str)
def test_bad_layers_are_refused(name, parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        getattr(behavior, name)(**parameters).check(WIDTH)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (behavior.Transformer(n_positions=0), "n_positions must be a positive int, got 0"),
        (behavior.TokenTransformer(n_positions=0), "n_positions must be a positive int, got 0"),
        (behavior.TokenTransformer(max_tokens=0), "max_tokens must be a positive int, got 0"),
        (behavior.TokenFastformer(max_tokens=1.5), "max_tokens must be a positive int, got 1.5"),
        (behavior.TokenFastformer(bare=None), "bare must be one of True, False, got None"),
        (behavior.Fastformer(bare="no"), "bare must be one of True, False, got 'no'"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(operator, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        operator.check(WIDTH)
