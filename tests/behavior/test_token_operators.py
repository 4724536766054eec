"""Operators over the tokens of a whole history."""

import math

import pytest
import torch

from skrec import behavior

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}
NAMES = ["TokenTransformer", "TokenFastformer"]
COUNTS = [[2, 3, 1], [1, 0, 0], [3, 2, 0]]  # tokens of each click of each row


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(3, 3, 3, WIDTH, dtype=torch.float64)


@pytest.fixture
def mask():
    return torch.arange(3) < torch.tensor(COUNTS).unsqueeze(2)


def build(name, **parameters):
    operator = getattr(behavior, name)(dropout=0.0, n_heads=2, **parameters)
    operator.check(WIDTH)
    torch.manual_seed(0)
    return operator.build(WIDTH).double().eval()


def attend(layer, rows):
    """Additive attention over the rows of (L, D)."""
    scores = torch.stack([layer.query.weight[0] @ torch.tanh(layer.project(row)) for row in rows])
    weights = scores.exp() / scores.exp().sum()
    return sum(weight * row for weight, row in zip(weights, rows, strict=True))


# Known answers


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("max_tokens", [512, 4, 1])
def test_user_is_the_attention_over_the_tokens_laid_end_to_end(name, x, mask, max_tokens):
    module = build(name, max_tokens=max_tokens)
    found = module(x, mask)
    for b, counts in enumerate(COUNTS):
        n_clicks = sum(count > 0 for count in counts)
        rows = []
        for i, count in enumerate(counts):
            for t in range(count):
                row = x[b, i, t]
                if module.positions is not None:
                    row = row + module.positions.table.weight[n_clicks - 1 - i]
                rows.append(row)
        rows = torch.stack(rows[-max_tokens:]).unsqueeze(0)
        states = module.layers(rows, torch.ones(rows.shape[:2], dtype=torch.bool))
        torch.testing.assert_close(found[b, 0], attend(module.attention, states[0]), **EXACT)


def test_with_one_token_a_click_token_fastformer_is_fastformer(x):
    module = build("TokenFastformer")
    other = behavior.Fastformer(n_heads=2, dropout=0.0).build(WIDTH).double().eval()
    other.load_state_dict(module.state_dict())
    mask = torch.arange(3) < torch.tensor([[3], [1], [2]])
    found = module(x[:, :, :1], mask.unsqueeze(2))
    torch.testing.assert_close(found, other(x[:, :, 0], mask), **EXACT)


def test_clicks_beyond_the_positions_share_the_farthest(x):
    mask = torch.ones(3, 3, 3, dtype=torch.bool)
    module = build("TokenTransformer", n_positions=2)
    torch.testing.assert_close(module(x[:, [1, 0, 2]], mask), module(x, mask), **EXACT)
    assert not torch.allclose(module(x[:, [0, 2, 1]], mask), module(x, mask))


# What they promise


@pytest.mark.parametrize("name", NAMES)
def test_order_of_clicks_matters_to_the_transformer_alone(name, x):
    module, mask = build(name), torch.ones(3, 3, 3, dtype=torch.bool)
    other, wanted = module(x.flip(1), mask), module(x, mask)
    if name == "TokenFastformer":
        torch.testing.assert_close(other, wanted, **EXACT)
    else:
        assert ((other - wanted).abs() > 1e-3).any(dim=-1).all()


@pytest.mark.parametrize("name", NAMES)
def test_order_of_the_tokens_of_a_click_does_not_matter(name, x):
    module, mask = build(name), torch.ones(3, 3, 3, dtype=torch.bool)
    torch.testing.assert_close(module(x.flip(2), mask), module(x, mask), **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_of_unlike_clicks_meet(name, x, mask):
    module = build(name)
    kept = {}
    module.layers.register_forward_hook(lambda _, __, states: kept.update(states=states))
    module(x, mask)
    before = kept["states"]
    other = x.clone()
    other[0, 2, 0] *= -1  # the last click
    module(other, mask)
    assert not torch.allclose(kept["states"][0, 0], before[0, 0])  # a token of the first


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name, x, mask):
    module = build(name)
    wanted = module(x, mask)
    x = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, math.nan))
    more = torch.nn.functional.pad(x, (0, 0, 0, 2, 0, 1), value=1e6)  # places and clicks
    found = module(more, torch.nn.functional.pad(mask, (0, 2, 0, 1)))
    torch.testing.assert_close(found, wanted, **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_one_by_one(name, x, mask):
    module = build(name, max_tokens=4)
    together = module(x, mask)
    for b, counts in enumerate(COUNTS):
        n_clicks, most = sum(count > 0 for count in counts), max(counts)
        cut = slice(b, b + 1), slice(n_clicks), slice(most)
        torch.testing.assert_close(together[b : b + 1], module(x[cut], mask[cut]), **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter_and_no_padding(name, x, mask):
    module = build(name).train()
    before = x.clone(), mask.clone()
    x.requires_grad_()
    found = module(x, mask)
    assert found.shape == (3, 1, WIDTH)
    (found * torch.randn_like(found)).sum().backward()
    idle = [key for key, w in module.named_parameters() if w.grad is None or not w.grad.any()]
    assert not idle
    assert x.grad.isfinite().all()
    assert not x.grad[~mask].any()
    assert x.grad[mask].any(dim=-1).all()
    assert torch.equal(x, before[0])
    assert torch.equal(mask, before[1])


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_only(name, x, mask):
    module = getattr(behavior, name)(dropout=0.5).build(WIDTH).double()
    assert not torch.equal(module(x, mask), module(x, mask))
    module.eval()
    assert torch.equal(module(x, mask), module(x, mask))


def test_n_layers_and_hidden_are_those_asked_for():
    for name in NAMES:
        layers = build(name, n_layers=3, hidden=5).layers.layers
        assert [layer.feed_forward.layers[0].out_features for layer in layers] == [5, 5, 5]
    assert build("TokenFastformer", bare=True).layers.norm is None


@pytest.mark.parametrize("name", ["token_transformer", "token_fastformer"])
@pytest.mark.parametrize("content", ["transformer", "gru"])
def test_it_trains_on_the_tokens_of_texts(name, content, news, items, make_recommender):
    rec = make_recommender(content=content, behavior=name, max_epochs=1).fit(news.train, items)
    found = rec.decision_function([[], list(news.items["item_id"][:3])])
    assert torch.tensor(found).isfinite().all()
    assert (found.std(axis=1) > 0).all()
