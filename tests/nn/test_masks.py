"""Mask blocks against the paper's formula."""

import numpy as np
import pytest
import torch

from skrec.nn import MaskBlock


def make(n_in=4, n_masked=5, n_out=3, hidden=6, dropout=0.0):
    torch.manual_seed(0)
    block = MaskBlock(n_in, n_masked, n_out, hidden, dropout).double()
    with torch.no_grad():
        for weight in block.parameters():
            weight.normal_()
    return block


def linear(layer, x):
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return x @ layer.weight.detach().numpy().T + bias


def test_equals_the_formula():
    block, x0 = make(), np.random.default_rng(0).normal(size=(2, 3, 4))
    h = np.random.default_rng(1).normal(size=(2, 3, 5))
    inner, outer = block.mask.layers[0], block.mask.layers[-1]
    mask = linear(outer, np.maximum(linear(inner, x0), 0))
    z = linear(block.project, mask * h)
    z = (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-5)
    wanted = np.maximum(
        z * block.norm.weight.detach().numpy() + block.norm.bias.detach().numpy(), 0
    )
    found = block(torch.from_numpy(x0), torch.from_numpy(h)).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)
    assert 0 < (found > 0).mean() < 1


def test_sizes_and_dropout():
    block = make(hidden=7, dropout=0.25)
    assert block.mask.layers[0].weight.shape == (7, 4)
    assert block.mask.layers[-1].weight.shape == (5, 7)
    assert block.dropout.p == 0.25
    assert block.project.bias is None


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_extreme_input_is_finite(size):
    block = make()
    x0 = torch.full((2, 4), size, dtype=torch.float64, requires_grad=True)
    found = block(x0, torch.full((2, 5), size, dtype=torch.float64))
    found.sum().backward()
    assert found.isfinite().all()
    assert x0.grad.isfinite().all()
