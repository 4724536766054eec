"""The convolution over sequences."""

import math

import pytest
import torch
from torch import nn

from skrec.nn import Convolution

EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(3, 5, 8, dtype=torch.float64)


@pytest.fixture
def mask():
    """Rows with 5, 2 and no real places."""
    return torch.arange(5) < torch.tensor([[5], [2], [0]])


@pytest.fixture(params=[1, 3, 7])
def layer(request):
    """A kernel that is longer than a row among them."""
    torch.manual_seed(1)
    return Convolution(8, request.param).double()


def test_it_equals_torch_on_each_row_alone(layer, x, mask):
    found = layer(x, mask)
    for row, length in ((0, 5), (1, 2)):
        alone = nn.Conv1d.forward(layer, x[row, :length].T).T
        torch.testing.assert_close(found[row, :length], alone, **EXACT)


def test_padding_changes_nothing_be_it_nan(layer, x, mask):
    # the places before the padding see it
    wanted = layer(x, mask)
    longer = torch.cat([x.masked_fill(~mask.unsqueeze(-1), math.nan), x], dim=1)
    found = layer(longer, torch.cat([mask, torch.zeros_like(mask)], dim=1))
    torch.testing.assert_close(found[:, :5], wanted, **EXACT)
    assert not found[:, 5:].any()


def test_masked_places_give_zeros_and_get_no_gradient(layer, x, mask):
    x.requires_grad_()
    found = layer(x, mask)
    assert not found[~mask].any()
    found.square().sum().backward()
    assert not x.grad[~mask].any()
    assert layer.weight.grad.any()
    assert layer.bias.grad.any()
