"""Bipartite graph against a plain layer of GraphSAGE over an adjacency matrix."""

import pytest
import torch
from torch import nn

from skrec import behavior

WIDTH, LENGTHS = 6, [4, 1, 2]
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def given():
    """Clicks (3, 4, D) and their mask."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    return x, torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)


def build():
    torch.manual_seed(0)
    module = behavior.BipartiteGraph(5).build(WIDTH).double()
    nn.init.normal_(module.user)  # it starts at zero
    return module


def restated(module, x):
    """The user vector of clicks (L, D), with the user as the last node of a graph."""
    nodes = torch.cat([x, module.user[None]])  # (L + 1, D)
    adjacency = torch.zeros(len(nodes), len(nodes), dtype=torch.float64)
    adjacency[-1, :-1] = adjacency[:-1, -1] = 1.0
    means = adjacency @ nodes / adjacency.sum(dim=1, keepdim=True)
    nodes = nodes @ module.own.weight.T + module.neighbors(means)
    keys, query = module.key(nodes[:-1]), module.query(nodes[-1])
    weights = torch.softmax(keys @ query / 5**0.5, dim=0)
    return weights @ nodes[:-1]


def test_equals_the_formula_in_values_and_gradients(given):
    x, mask = given
    x.requires_grad_()
    module = build()
    found = module(x, mask)
    rows = zip(x, LENGTHS, strict=True)
    wanted = torch.stack([restated(module, row[:n]) for row, n in rows]).unsqueeze(1)
    torch.testing.assert_close(found, wanted, **EXACT)
    inputs = [x, *module.parameters()]
    found, wanted = (torch.autograd.grad(y.square().sum(), inputs) for y in (found, wanted))
    torch.testing.assert_close(found, wanted, **EXACT)


def test_hidden_is_refused():
    with pytest.raises(ValueError, match="^hidden must be a positive int, got 0$"):
        behavior.BipartiteGraph(0).check(WIDTH)
