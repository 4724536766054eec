"""Target attention against the formula of DIN."""

import numpy as np
import pytest
import torch

from skrec import behavior
from skrec.nn import ACTIVATIONS

WIDTH = 6
LENGTHS = [4, 1, 2]
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def given():
    """Clicks (3, 4, D), their mask and candidates (3, 5, D)."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, mask, torch.randn(3, 5, WIDTH, dtype=torch.float64)


def build(**parameters):
    torch.manual_seed(0)
    operator = behavior.TargetAttention((7, 3), **parameters)
    operator.check(WIDTH)
    return operator.build(WIDTH).double().eval()


def weigh(module, v, h):
    """The activation unit of one candidate v and one click h, in numpy."""
    y = np.concatenate([v, h, v - h, v * h])
    first, second, last = (
        layer for layer in module.unit.layers if isinstance(layer, torch.nn.Linear)
    )
    for layer in (first, second):
        y = np.maximum(layer.weight.numpy() @ y + layer.bias.numpy(), 0.0)
    y = last.weight.numpy() @ y
    return y.item() + (0.0 if last.bias is None else last.bias.item())


@pytest.mark.parametrize("normalize", [False, True])
@torch.no_grad()
def test_equals_the_formula(given, normalize):
    module = build(normalize=normalize)
    found = module(*given)
    assert found.shape == (3, 5, 1, WIDTH)
    x, _, candidates = (part.numpy() for part in given)
    for row, length in enumerate(LENGTHS):
        for c, v in enumerate(candidates[row]):
            weights = np.array([weigh(module, v, h) for h in x[row, :length]])
            if normalize:
                weights = np.exp(weights) / np.exp(weights).sum()
            wanted = weights @ x[row, :length]
            np.testing.assert_allclose(found[row, c, 0].numpy(), wanted, rtol=0, atol=1e-10)


def test_by_hand():
    # a unit that gives the product of candidate and click, where it is positive
    module = behavior.TargetAttention((1,)).build(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(1.0 if weight.shape == (1, 1) else 0.0)
        module.unit.layers[0].weight[0, 3] = 1.0
    x = torch.tensor([[[1.0], [-2.0], [3.0], [100.0]]])
    users = module(x, torch.tensor([[True, True, True, False]]), torch.tensor([[[2.0], [-1.0]]]))
    # candidate 2: 2 * 1 + 0 * -2 + 6 * 3; candidate -1: 2 * -2
    assert users.flatten().tolist() == [20.0, -4.0]


def test_without_softmax_twice_the_clicks_are_twice_the_user(given):
    # what the paper wants kept: how much of the history speaks for the candidate
    x, mask, candidates = given
    twice = torch.cat([x, x], dim=1), torch.cat([mask, mask], dim=1)
    order = torch.argsort(~twice[1], dim=1, stable=True)  # real clicks first
    x2 = twice[0].gather(1, order.unsqueeze(-1).expand_as(twice[0]))
    mask2 = twice[1].gather(1, order)
    module = build()
    torch.testing.assert_close(module(x2, mask2, candidates), 2 * module(*given), **EXACT)
    module = build(normalize=True)
    torch.testing.assert_close(module(x2, mask2, candidates), module(*given), **EXACT)


def test_every_parameter_gets_a_gradient_with_softmax(given):
    # the last bias would be the same for all clicks, so that a softmax never sees it
    module = build(normalize=True)
    module(*given).square().sum().backward()
    assert all(weight.grad.abs().max() > 1e-9 for weight in module.parameters())


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_large_inputs_are_finite(given, normalize, activation):
    x, mask, candidates = given
    module = build(normalize=normalize, activation=activation).float()
    for scale in (0.0, 1e4):
        clicks = (scale * x).float().requires_grad_()
        users = module(clicks, mask, (scale * candidates).float())
        users.sum().backward()
        assert users.isfinite().all()
        assert clicks.grad.isfinite().all()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_padding_does_not_count_in_training_either(given, activation):
    # statistics of a batch, as dice takes them, are of real clicks only
    x, mask, candidates = given
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e3))
    first, second = (build(activation=activation).train() for _ in range(2))
    torch.testing.assert_close(
        first(x, mask, candidates), second(garbage, mask, candidates), **EXACT
    )
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_dropout_acts_in_training_only(given):
    module = build(dropout=0.5)
    assert torch.equal(module(*given), module(*given))
    module.train()
    assert not torch.equal(module(*given), module(*given))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": ()}, r"^hidden must be a sequence of layer sizes, got \(\)$"),
        ({"hidden": 36}, "^hidden must be a sequence of layer sizes, got 36$"),
        ({"hidden": (0,)}, "^each size in hidden must be a positive int, got 0$"),
        ({"activation": "swish"}, "^activation must be one of 'relu', .*, got 'swish'$"),
        ({"normalize": "no"}, "^normalize must be one of False, True, got 'no'$"),
        ({"dropout": 1.0}, r"^dropout must be a number in \[0, 1\), got 1.0$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        behavior.TargetAttention(**parameters).check(WIDTH)
