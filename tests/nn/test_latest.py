"""The tokens of a history as one sequence."""

import math

import pytest
import torch

from skrec.nn import latest_tokens


@pytest.fixture
def x():
    """Tokens that tell their row, click and place: 3 rows, 3 clicks, 2 places."""
    return torch.tensor(
        [[[[100.0 * b + 10 * i + t] for t in range(2)] for i in range(3)] for b in range(3)]
    )


@pytest.fixture
def mask():
    """Rows with 2 + 1 + 2, 1 and no real tokens."""
    return torch.tensor(
        [
            [[True, True], [True, False], [True, True]],
            [[True, False], [False, False], [False, False]],
            [[False, False], [False, False], [False, False]],
        ]
    )


def test_by_hand(x, mask):
    found, age, real = latest_tokens(x, mask, 9)
    assert real.tolist() == [[True] * 5, [True] + [False] * 4, [False] * 5]
    assert found[0].squeeze(1).tolist() == [0, 1, 10, 20, 21]
    assert age[0].tolist() == [2, 2, 1, 0, 0]
    assert found[1, 0].item() == 100
    assert age[1, 0].item() == 0


def test_the_last_tokens_are_kept(x, mask):
    found, age, real = latest_tokens(x, mask, 3)
    assert found.shape == (3, 3, 1)
    assert found[0].squeeze(1).tolist() == [10, 20, 21]
    assert age[0].tolist() == [1, 0, 0]
    assert found[1, 0].item() == 100
    assert real.sum(dim=1).tolist() == [3, 1, 0]


def test_nothing_real_gives_one_masked_place(x, mask):
    found, _, real = latest_tokens(x[2:], mask[2:], 9)
    assert found.shape == (1, 1, 1)
    assert real.tolist() == [[False]]


def test_gradient_reaches_kept_tokens_and_no_others(x, mask):
    x.masked_fill_(~mask.unsqueeze(-1), math.nan).requires_grad_()
    found, _, real = latest_tokens(x, mask, 3)
    found[real].sum().backward()
    kept = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0]] + [[0.0] * 2] * 2, [[0.0] * 2] * 3]
    assert x.grad.squeeze(-1).tolist() == kept
