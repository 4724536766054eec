"""The convolution over the clicks."""

import pytest
import torch
from torch.nn import functional as F

from skrec import behavior

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}


def build(operator):
    operator.check(WIDTH)
    torch.manual_seed(0)
    return operator.build(WIDTH).double().eval()


def attend(layer, rows):
    """Additive attention over the rows of (L, D), click by click."""
    scores = torch.stack([layer.query.weight[0] @ torch.tanh(layer.project(row)) for row in rows])
    weights = scores.exp() / scores.exp().sum()
    return sum(weight * row for weight, row in zip(weights, rows, strict=True))


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_cnn_equals_the_formula(kernel_size):
    module = build(behavior.CNN(kernel_size))
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    lengths = [4, 1, 2]
    found = module(x, torch.arange(4) < torch.tensor(lengths).unsqueeze(1))
    weight, bias = module.convolve.weight, module.convolve.bias
    for row, length in enumerate(lengths):
        clicks = x[row, :length].T.unsqueeze(0)
        states = F.conv1d(clicks, weight, bias, padding="same").clamp_min(0)[0].T
        torch.testing.assert_close(found[row, 0], attend(module.attention, states), **EXACT)


def test_neighbours_count_and_not_how_long_ago_they_were():
    # two runs of clicks, far enough apart that no place sees both, may change places
    module = build(behavior.CNN(3))
    a, b = torch.randn(2, 3, WIDTH, dtype=torch.float64)
    gap = torch.zeros(1, WIDTH, dtype=torch.float64)
    mask = torch.ones(1, 10, dtype=torch.bool)

    def users(first, second):
        return module(torch.cat([gap, first, gap, gap, second, gap]).unsqueeze(0), mask)

    torch.testing.assert_close(users(a, b), users(b, a), **EXACT)
    assert not torch.allclose(users(a, b), users(a[[0, 2, 1]], b))


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (behavior.CNN(2), "kernel_size must be odd, got 2"),
        (behavior.CNN(0), "kernel_size must be a positive int, got 0"),
        (behavior.CNN(dropout=1), r"dropout must be a number in \[0, 1\), got 1"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(operator, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        operator.check(WIDTH)
