"""Personalized attention against the formulas of NPA."""

import pytest
import torch
from torch import nn

from skrec import behavior

WIDTH, LENGTHS, N_USERS = 6, [4, 1, 2], 5
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def given():
    """Clicks (3, 4, D), their mask and the users of the rows; the last is unknown."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, mask, torch.tensor([2, 5, 0])


def build(n_users=N_USERS, **parameters):
    torch.manual_seed(0)
    operator = behavior.PersonalizedAttention(7, user_size=3, **parameters)
    operator.check(WIDTH)
    return operator.build(WIDTH, n_users).double().eval()


def restated(module, x, user):
    """The user vector of clicks (L, D), by plain layers."""
    first, second = nn.Linear(3, 7).double(), nn.Linear(7, WIDTH).double()
    first.weight, first.bias = module.weight, module.bias
    second.load_state_dict(module.project.state_dict())
    query = torch.tanh(second(torch.relu(first(module.users.table.weight[user]))))
    weights = torch.softmax(torch.stack([click @ query for click in x]), dim=0)
    return sum(weight * click for weight, click in zip(weights, x, strict=True))


def test_equals_the_formula_in_values_and_gradients(given):
    x, mask, user = given
    x.requires_grad_()
    module = build()
    found = module(x, mask, user)
    rows = zip(x, LENGTHS, user, strict=True)
    wanted = torch.stack([restated(module, row[:n], u) for row, n, u in rows]).unsqueeze(1)
    torch.testing.assert_close(found, wanted, **EXACT)
    inputs = [x, module.users.table.weight, module.weight, module.bias]
    found, wanted = (torch.autograd.grad(y.square().sum(), inputs) for y in (found, wanted))
    torch.testing.assert_close(found[0], wanted[0], **EXACT)
    torch.testing.assert_close(found[1][1:], wanted[1][1:], **EXACT)  # not the unknown user
    torch.testing.assert_close(found[2:], wanted[2:], **EXACT)


def test_users_with_the_same_clicks_differ(given):
    x, mask, _ = given
    module = build()
    vectors = [module(x[:1], mask[:1], torch.tensor([code])) for code in range(N_USERS + 1)]
    for a in range(N_USERS + 1):
        for b in range(a):
            assert not torch.allclose(vectors[a], vectors[b])


def test_a_user_of_one_click_is_that_click(given):
    x, mask, user = given
    torch.testing.assert_close(build()(x, mask, user)[1, 0], x[1, 0], **EXACT)


@torch.no_grad()
def test_padding_and_other_rows_change_nothing(given):
    x, mask, user = given
    module = build()
    together = module(x, mask, user)
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    torch.testing.assert_close(module(garbage, mask, user), together, **EXACT)
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = module(x[only, :length], mask[only, :length], user[only])
        torch.testing.assert_close(together[only], alone, **EXACT)


def test_dropped_users_are_the_unknown_one(given):
    x, mask, _ = given
    n = 2000
    x, mask, user = x[:1].expand(n, -1, -1), mask[:1].expand(n, -1), torch.full((n,), 3)
    module = build(user_dropout=0.3)
    known, unknown = module(x[:1], mask[:1], user[:1]), module(x[:1], mask[:1], user[:1] * 0)
    torch.manual_seed(0)
    found = module.train()(x, mask, user)
    is_known = torch.isclose(found, known).all(dim=2).flatten()
    is_unknown = torch.isclose(found, unknown).all(dim=2).flatten()
    assert (is_known | is_unknown).all()
    assert is_unknown.double().mean().item() == pytest.approx(0.3, abs=0.04)


def test_without_known_users_no_weight_is_idle(given):
    module = build(0)
    module(*given).square().sum().backward()
    assert all(weight.grad.any() for weight in module.parameters())
    same = torch.zeros_like(given[2])
    torch.testing.assert_close(module(*given), module(*given[:2], same), **EXACT)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": 0}, "^hidden must be a positive int, got 0$"),
        ({"user_size": 2.0}, "^user_size must be a positive int, got 2.0$"),
        ({"dropout": 1.0}, r"^dropout must be a number in \[0, 1\), got 1.0$"),
        ({"user_dropout": -1}, r"^user_dropout must be a number in \[0, 1\), got -1$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        behavior.PersonalizedAttention(**parameters).check(WIDTH)
