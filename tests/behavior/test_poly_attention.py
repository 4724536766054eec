"""Poly attention against the formulas of MINER."""

import numpy as np
import pytest
import torch

from skrec import behavior, predictor

WIDTH, K = 6, 3
LENGTHS = [4, 1, 2]
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def given():
    """Clicks (3, 4, D), their mask and candidates (3, 5, D)."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, mask, torch.randn(3, 5, WIDTH, dtype=torch.float64)


@pytest.fixture
def given_side(given):
    """The same with D entries more for the category; some have none."""
    x, mask, candidates = given
    torch.manual_seed(2)
    clicked, wanted = torch.randn_like(x), torch.randn_like(candidates)
    clicked[0, 1] = 0.0
    clicked[1, 0] = 0.0  # an empty history's learned click
    wanted[2, 3] = 0.0
    return torch.cat([x, clicked], dim=-1), mask, torch.cat([candidates, wanted], dim=-1)


def build(**parameters):
    torch.manual_seed(0)
    operator = behavior.PolyAttention(K, hidden=5, **parameters)
    operator.check(WIDTH)
    return operator.build(WIDTH).double().eval()


def interests(module, x, bias=0.0):
    """The K vectors of clicks (L, D), in numpy: softmax(c_i tanh(W h_j) + bias_j)."""
    W, codes = module.project.weight.numpy(), module.codes.weight.numpy()
    users = []
    for code in codes:
        scores = np.array([code @ np.tanh(W @ h) for h in x]) + bias
        weights = np.exp(scores) / np.exp(scores).sum()
        users.append(weights @ x)
    return np.array(users)


def cosine(a, b):
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / length if length else 0.0


@torch.no_grad()
def test_equals_the_formula(given):
    x, mask, _ = given
    module = build()
    found = module(x, mask)
    assert found.shape == (3, K, WIDTH)
    for row, length in enumerate(LENGTHS):
        wanted = interests(module, x[row, :length].numpy())
        np.testing.assert_allclose(found[row].numpy(), wanted, rtol=0, atol=1e-10)


@torch.no_grad()
def test_category_equals_the_formula(given_side):
    x, mask, candidates = given_side
    module = build(category="topic", category_weight=0.7)
    found = module(x, mask, candidates)
    assert found.shape == (3, 5, K, WIDTH)
    for row, length in enumerate(LENGTHS):
        clicks = x[row, :length].numpy()
        for c, candidate in enumerate(candidates[row].numpy()):
            bias = [0.7 * cosine(click[WIDTH:], candidate[WIDTH:]) for click in clicks]
            wanted = interests(module, clicks[:, :WIDTH], np.array(bias))
            np.testing.assert_allclose(found[row, c].numpy(), wanted, rtol=0, atol=1e-10)


def test_a_category_moves_the_weights_its_way(given):
    # two clicks alike but for their category: the one of the candidate's weighs e**0.5 times more
    x = torch.tensor([[[1.0, 0, 2, 0], [1.0, 0, 0, 3]]])
    module = behavior.PolyAttention(1, category="topic").build(2)
    candidates = torch.tensor([[[0.0, 0, 5, 0], [0, 0, 0, 7], [0, 0, 0, 0]]])
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    x[0, 1, 0] = -1.0
    users = module(x, torch.ones(1, 2, dtype=torch.bool), candidates)[0, :, 0, 0]
    tilt = (np.exp(0.5) - 1) / (np.exp(0.5) + 1)
    torch.testing.assert_close(users, torch.tensor([tilt, -tilt, 0.0], dtype=torch.float32))


@torch.no_grad()
def test_candidates_are_read_alone(given_side):
    # code in circulation averages the category's part over the candidates of a row
    x, mask, candidates = given_side
    module = build(category="topic")
    together = module(x, mask, candidates)
    for c in range(5):
        alone = module(x, mask, candidates[:, c : c + 1])
        torch.testing.assert_close(together[:, c : c + 1], alone, **EXACT)


@torch.no_grad()
def test_padding_and_other_rows_change_nothing_with_a_category(given_side):
    x, mask, candidates = given_side
    module = build(category="topic")
    together = module(x, mask, candidates)
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    torch.testing.assert_close(module(garbage, mask, candidates), together, **EXACT)
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = module(x[only, :length], mask[only, :length], candidates[only])
        torch.testing.assert_close(together[only], alone, **EXACT)


def test_every_parameter_and_the_categories_get_a_gradient(given_side):
    x, mask, candidates = (part.requires_grad_(part.is_floating_point()) for part in given_side)
    module = build(category="topic")
    (module(x, mask, candidates) * torch.randn(3, 5, K, WIDTH)).sum().backward()
    assert all(weight.grad.any() for weight in module.parameters())
    for grad in (x.grad[mask][:, WIDTH:], candidates.grad[..., WIDTH:]):
        assert grad.any()
        assert grad.abs().max() < 1e3  # a category of zeros is divided by nothing
    assert not x.grad[~mask].any()


def test_flags_follow_the_category():
    operator = behavior.PolyAttention()
    assert not operator.candidate_aware
    assert operator.side_columns is None
    operator.set_params(category="topic")
    assert operator.candidate_aware
    assert operator.side_columns == ["topic"]


# The penalty


@pytest.mark.parametrize("shape", [(4, K, WIDTH), (2, 3, K, WIDTH)])
def test_penalty_is_the_mean_cosine_of_all_pairs(shape):
    users = torch.randn(shape, dtype=torch.float64)
    cosines = [
        cosine(a, b) for user in users.reshape(-1, K, WIDTH).numpy() for a in user for b in user
    ]
    found = build(disagreement=0.3).penalty(users)
    np.testing.assert_allclose(found.item(), 0.3 * np.mean(cosines), rtol=0, atol=1e-12)


def test_penalty_by_hand():
    # vectors that are all alike cost the whole weight, orthogonal ones only their own cosine
    module = behavior.PolyAttention(2, disagreement=0.8).build(2)
    alike, orthogonal = torch.tensor([[[3.0, 0], [5, 0]]]), torch.tensor([[[3.0, 0], [0, 5]]])
    assert module.penalty(alike).item() == pytest.approx(0.8)
    assert module.penalty(orthogonal).item() == pytest.approx(0.4)


def test_penalty_drives_vectors_apart(given):
    x, mask, _ = given
    module = build(disagreement=1.0)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    before = module.penalty(module(x, mask)).item()
    for _ in range(20):
        optimizer.zero_grad()
        module.penalty(module(x, mask)).backward()
        optimizer.step()
    assert module.penalty(module(x, mask)).item() < before - 0.1


def test_penalty_of_zero_and_of_huge_vectors_is_finite():
    for scale in (0.0, 1e-30, 1e4, 1e15):
        users = scale * torch.randn(2, K, WIDTH)
        users[0, 0] = 0.0  # beside others, whose gradient it takes a share of
        users.requires_grad_()
        penalty = build().float().penalty(users)
        penalty.backward()
        assert penalty.isfinite()
        assert users.grad.isfinite().all()
        assert users.grad.abs().max() < 1e3


# Several vectors and predictors of one


@pytest.mark.parametrize("category", [None, "topic"])
@torch.no_grad()
def test_one_vector_predictors_weigh_interests_by_the_candidate(given_side, category):
    x, mask, candidates = given_side
    module = build(category=category)
    item = candidates[..., :WIDTH]
    users = (
        module(x[..., :WIDTH], mask).unsqueeze(1)
        if category is None
        else module(x, mask, candidates)
    )
    score = predictor.Dot().build(WIDTH).double()
    found = score(users, torch.ones(3, K, dtype=torch.bool), item)
    users = users.expand(-1, 5, -1, -1).numpy()
    for row in range(3):
        for c, v in enumerate(item[row].numpy()):
            dots = users[row, c] @ v
            weights = np.exp(dots) / np.exp(dots).sum()
            assert found[row, c].item() == pytest.approx(weights @ dots, abs=1e-10)


@pytest.mark.parametrize("category", [None, "topic"])
def test_large_inputs_are_finite(given_side, category):
    x, mask, candidates = given_side
    module = build(category=category).float()
    clicks = (1e4 * (x if category else x[..., :WIDTH])).float().requires_grad_()
    candidates = (1e4 * candidates).float()
    users = module(clicks, mask, candidates) if category else module(clicks, mask)
    users.sum().backward()
    assert users.isfinite().all()
    assert clicks.grad.isfinite().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_codes": 0}, "^n_codes must be a positive int, got 0$"),
        ({"hidden": 2.5}, "^hidden must be a positive int, got 2.5$"),
        ({"disagreement": -1}, r"^disagreement must be a number in \[0, inf\), got -1$"),
        ({"category_weight": "x"}, r"^category_weight must be a number in \[0, inf\), got 'x'$"),
        ({"category": ["a"]}, r"^category must be a column's name or None, got \['a'\]$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        behavior.PolyAttention(**parameters).check(WIDTH)
