"""Cross layers and products against the same layers of other packages, where installed."""

import pytest
import torch
from by_numpy import EXACT, build

from skrec import predictor

D = 6


def rows(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def x0():
    return rows(4, 2 * D)


@pytest.fixture
def vectors():
    """User and item vectors (B, 1, D), as of one candidate a user."""
    return rows(4, 1, D), rows(4, 1, D)


def layers_of(operator):
    module = build(operator)
    return module.cross, module.cross.layers


def deepctr(name):
    return pytest.importorskip(f"deepctr_torch.layers.{name}")


def fuxictr():
    return pytest.importorskip("fuxictr.pytorch.layers")


def rechub():
    return pytest.importorskip("torch_rechub.basic.layers")


# Cross networks


@pytest.mark.parametrize("n_layers", [1, 3])
@torch.no_grad()
def test_dcn_equals_deepctr(x0, n_layers):
    cross, layers = layers_of(predictor.DCN(n_layers))
    theirs = deepctr("interaction").CrossNet(2 * D, n_layers, "vector").double()
    for i, layer in enumerate(layers):
        theirs.kernels[i].copy_(layer.project.weight.T)
        theirs.bias[i].copy_(layer.bias.unsqueeze(1))
    torch.testing.assert_close(cross(x0), theirs(x0), **EXACT)


@torch.no_grad()
def test_dcn_equals_fuxictr(x0):
    cross, layers = layers_of(predictor.DCN())
    theirs = fuxictr().CrossNet(2 * D, 3).double()
    for layer, other in zip(layers, theirs.cross_net, strict=True):
        other.weight.weight.copy_(layer.project.weight)
        other.bias.copy_(layer.bias)
    torch.testing.assert_close(cross(x0), theirs(x0), **EXACT)


@torch.no_grad()
def test_dcn_equals_rechub(x0):
    cross, layers = layers_of(predictor.DCN())
    theirs = rechub().CrossNetwork(2 * D, 3).double()
    for layer, weight, bias in zip(layers, theirs.w, theirs.b, strict=True):
        weight.weight.copy_(layer.project.weight)
        bias.copy_(layer.bias)
    torch.testing.assert_close(cross(x0), theirs(x0), **EXACT)


@torch.no_grad()
def test_dcnv2_equals_deepctr(x0):
    cross, layers = layers_of(predictor.DCNv2())
    theirs = deepctr("interaction").CrossNet(2 * D, 3, "matrix").double()
    for i, layer in enumerate(layers):
        theirs.kernels[i].copy_(layer.project.weight)
        theirs.bias[i].copy_(layer.project.bias.unsqueeze(1))
    torch.testing.assert_close(cross(x0), theirs(x0), **EXACT)


@torch.no_grad()
def test_dcnv2_equals_fuxictr(x0):
    cross, layers = layers_of(predictor.DCNv2())
    theirs = fuxictr().CrossNetV2(2 * D, 3).double()
    for layer, other in zip(layers, theirs.cross_layers, strict=True):
        other.load_state_dict(layer.project.state_dict())
    torch.testing.assert_close(cross(x0), theirs(x0), **EXACT)


@pytest.mark.parametrize("n_experts", [1, 3])
@torch.no_grad()
def test_dcnv2_of_low_rank_equals_deepctr(x0, n_experts):
    # one layer: in theirs all layers share the gates
    cross, (layer,) = layers_of(predictor.DCNv2(1, rank=2, n_experts=n_experts))
    theirs = deepctr("interaction").CrossNetMix(2 * D, 2, n_experts, 1).double()
    theirs.V_list[0].copy_(layer.V.weight.unflatten(0, (n_experts, 2)).transpose(1, 2))
    theirs.U_list[0].copy_(layer.U.weight.unflatten(1, (n_experts, 2)).transpose(0, 1))
    theirs.C_list[0].copy_(layer.C)
    theirs.bias[0].copy_(layer.U.bias.unsqueeze(1))
    if layer.gate is not None:
        layer.gate.bias.zero_()  # theirs have none
        for i, gate in enumerate(theirs.gating):
            gate.weight.copy_(layer.gate.weight[i : i + 1])
    torch.testing.assert_close(cross(x0), theirs(x0), **EXACT)


# Products


@torch.no_grad()
def test_inner_product_of_pnn_equals_deepctr(vectors):
    ours = build(predictor.PNN((5,), product="inner"), D)
    product = deepctr("interaction").InnerProductLayer()(list(vectors)).flatten(1)  # (B, 1)
    x = torch.cat([*(vector.squeeze(1) for vector in vectors), product], dim=-1)
    first = torch.nn.Linear(2 * D + 1, 5).double()  # theirs reads [u; v; u . v]
    first.weight.copy_(torch.cat([ours.linear.weight, ours.inner.weight], dim=1))
    first.bias.copy_(ours.linear.bias)
    wanted = ours.mlp(torch.relu(first(x)))
    torch.testing.assert_close(ours.score(*vectors), wanted, **EXACT)


@pytest.mark.parametrize("rank", [1, 3])
@torch.no_grad()
def test_outer_product_of_pnn_equals_deepctr(vectors, rank):
    # theirs reads the outer product of a pair of fields; both fields are the sum here
    outer = build(predictor.PNN((5,), product="outer", rank=rank), D).outer
    f = sum(vectors)
    theirs = deepctr("interaction").OutterProductLayer(2, D).double()
    left = outer.left.weight.unflatten(0, (5, rank))
    right = outer.right.weight.unflatten(0, (5, rank))
    for n in range(5):
        theirs.kernel[:, 0].copy_(left[n].T @ right[n])
        wanted = theirs([f.clone(), f.clone()]).unsqueeze(1)  # (B, 1, 1)
        torch.testing.assert_close(outer(f)[..., n : n + 1], wanted, **EXACT)


@torch.no_grad()
def test_deepfm_equals_deepctr(vectors):
    ours = build(predictor.DeepFM((5, 4)), D)
    dnn = deepctr("core").DNN(2 * D, [5, 4]).double()
    *hidden, out = [layer for layer in ours.mlp.layers if isinstance(layer, torch.nn.Linear)]
    for layer, other in zip(hidden, dnn.linears, strict=True):
        other.load_state_dict(layer.state_dict())
    x0 = torch.cat(vectors, dim=-1).squeeze(1)
    second_order = deepctr("interaction").FM()(torch.cat(vectors, dim=1))
    wanted = ours.first_order(x0) + second_order + out(dnn(x0))
    torch.testing.assert_close(ours.score(*vectors), wanted, **EXACT)


@torch.no_grad()
def test_second_order_of_deepfm_equals_fuxictr(vectors):
    ours = build(predictor.DeepFM((5,)), D)
    for weight in ours.parameters():
        weight.zero_()
    theirs = fuxictr().InnerProductInteraction(2, output="product_sum").double()
    wanted = theirs(torch.cat(vectors, dim=1))
    torch.testing.assert_close(ours.score(*vectors), wanted, **EXACT)
