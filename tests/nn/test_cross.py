"""The cross layers of DCN and GDCN by hand, and what all cross layers promise."""

import math

import pytest
import torch

from skrec.nn import CrossNetwork, FullCross, GatedCross, LowRankCross, VectorCross

EXACT = {"rtol": 0, "atol": 1e-10}
LAYERS = {
    "vector": lambda: VectorCross(4),
    "full": lambda: FullCross(4),
    "gated": lambda: GatedCross(4),
    "low rank": lambda: LowRankCross(4, 2, 3),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(0)
    return LAYERS[request.param]().double()


@pytest.fixture
def x0():
    return torch.tensor([2.0, 3.0]).double()


@pytest.fixture
def x():
    return torch.tensor([1.0, 4.0]).double()


@torch.no_grad()
def test_vector_cross_by_hand(x0, x):
    layer = VectorCross(2).double()
    layer.project.weight.copy_(torch.tensor([[5.0, -0.5]]))
    layer.bias.copy_(torch.tensor([0.25, 7.0]))
    assert layer(x0, x).tolist() == [2 * 3 + 0.25 + 1, 3 * 3 + 7 + 4]  # w . x is 3


@torch.no_grad()
def test_gated_cross_by_hand(x0, x):
    layer = GatedCross(2).double()
    layer.project.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
    layer.project.bias.copy_(torch.tensor([0.5, 0.0]))
    layer.gate.weight.copy_(torch.tensor([[3.0, 0.0], [-1.0, 0.5]]))
    gates = [1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-1))]
    wanted = [2 * (1 + 8 + 0.5) * gates[0] + 1, 3 * -4 * gates[1] + 4]
    assert layer(x0, x).tolist() == pytest.approx(wanted, abs=1e-12)


@torch.no_grad()
def test_a_gate_reads_the_layer_before_and_not_the_input():
    layer = GatedCross(2).double()
    layer.gate.weight.copy_(torch.tensor([[-1e3, 0.0], [0.0, -1e3]]))
    x0, x = torch.ones(2).double(), torch.tensor([1.0, -1.0]).double()
    found = layer(x0, x)
    assert found[0] == x[0]  # shut: the layer before passes as it is
    assert found[1] == (layer.project(x) + x)[1]  # open: the layer of DCN-V2


@torch.no_grad()
def test_without_weights_a_layer_leaves_its_input(layer):
    # the residual, once: stacked layers would start by doubling or losing what they read
    for weight in layer.parameters():
        weight.zero_()
    x0, x = torch.randn(2, 3, 4, dtype=torch.float64)
    assert torch.equal(layer(x0, x), x)


@torch.no_grad()
def test_each_layer_raises_the_degree_by_one(layer):
    # of a cross without bias, tanh and gate, scaled inputs show the degree of each term
    if not isinstance(layer, VectorCross | FullCross):
        return
    for name, weight in layer.named_parameters():
        if "bias" in name:
            weight.zero_()
    network = CrossNetwork([layer, layer])
    x0 = torch.randn(4, dtype=torch.float64)
    scales = torch.tensor([1.0, 2.0, -1.0]).double()
    powers = scales.unsqueeze(1) ** torch.arange(1, 4)  # a polynomial of degrees 1, 2 and 3
    terms = torch.linalg.solve(powers, network(scales.unsqueeze(1) * x0))
    torch.testing.assert_close(network(3.0 * x0), 3 * terms[0] + 9 * terms[1] + 27 * terms[2])
    assert terms[2].abs().min() > 1e-6


def test_leading_axes_are_kept_and_rows_do_not_meet(layer):
    x0, x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    found = layer(x0, x)
    for b in range(3):
        for c in range(5):
            torch.testing.assert_close(found[b, c], layer(x0[b, c], x[b, c]), **EXACT)


def test_inputs_are_left_alone_and_every_weight_gets_a_gradient(layer):
    x0, x = torch.randn(2, 3, 4, dtype=torch.float64)
    before = x0.clone(), x.clone()
    layer(x0, x).square().sum().backward()
    assert torch.equal(x0, before[0])
    assert torch.equal(x, before[1])
    idle = [name for name, weight in layer.named_parameters() if not weight.grad.any()]
    assert not idle


def test_a_network_of_layers_hands_each_the_input(layer):
    # the second layer must read x0 as it came in, not what the first made of it
    x0 = torch.randn(3, 4, dtype=torch.float64)
    wanted = layer(x0, layer(x0, x0))
    torch.testing.assert_close(CrossNetwork([layer, layer])(x0), wanted, **EXACT)
