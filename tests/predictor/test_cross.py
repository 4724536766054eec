"""DCN, DCNv2 and GDCN: the papers' formulas in both structures, in numpy."""

import numpy as np
import pytest
import torch
from by_numpy import WIDTH, array, build, linear, pairs, perceptron, scores, sigmoid, softmax

from skrec import predictor
from skrec.predictor._deep_cross import DeepCross


def by_vector(layer, x0, x):
    return x0 * (array(layer.project.weight)[0] @ x) + array(layer.bias) + x


def by_matrix(layer, x0, x):
    return x0 * linear(layer.project, x) + x


def through_gates(layer, x0, x):
    return x0 * linear(layer.project, x) * sigmoid(array(layer.gate.weight) @ x) + x


def by_experts(layer, x0, x):
    n_experts, rank = layer.C.shape[:2]
    shares = softmax(linear(layer.gate, x)) if n_experts > 1 else [1.0]
    found = x
    for i in range(n_experts):
        own = slice(i * rank, (i + 1) * rank)
        V, C, U = array(layer.V.weight)[own].T, array(layer.C)[i], array(layer.U.weight)[:, own]
        expert = x0 * (U @ np.tanh(C @ np.tanh(V.T @ x)) + array(layer.U.bias))
        found = found + shares[i] * expert
    return found


def formula(module, u, v, cross, structure):
    x0 = x = np.concatenate([u, v])
    for layer in module.cross.layers:
        x = cross(layer, x0, x)
    if structure == "stacked" or module.out is None:
        return perceptron(module.mlp, x)[0]
    return array(module.out.weight)[0] @ x + perceptron(module.mlp, x0)[0]


CASES = {
    "DCN": (predictor.DCN, {}, by_vector),
    "DCNv2": (predictor.DCNv2, {}, by_matrix),
    "DCNv2 stacked": (predictor.DCNv2, {"structure": "stacked"}, by_matrix),
    "DCNv2 experts": (predictor.DCNv2, {"rank": 2, "n_experts": 3}, by_experts),
    "DCNv2 one expert": (predictor.DCNv2, {"rank": 3, "n_experts": 1}, by_experts),
    "GDCN": (predictor.GDCN, {}, through_gates),
    "GDCN stacked": (predictor.GDCN, {"structure": "stacked"}, through_gates),
}


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_formula(case, n_layers, hidden):
    operator, parameters, cross = CASES[case]
    module = build(operator(n_layers, hidden=hidden, **parameters))
    assert len(module.cross.layers) == n_layers
    user, item = pairs()
    found = scores(module, user, item)
    structure = parameters.get("structure", "parallel")
    for b, c in np.ndindex(found.shape):
        wanted = formula(module, user[b, 0, 0], item[b, c], cross, structure)
        assert found[b, c] == pytest.approx(wanted, rel=1e-10, abs=1e-10)
    assert len(np.unique(found)) > found.size // 2  # not all units of relu are shut


OPERATORS = [predictor.DCN, predictor.DCNv2, predictor.GDCN]


@pytest.mark.parametrize("operator", OPERATORS)
def test_parameters_reach_the_layers(operator):
    module = operator(2, hidden=[7, 4], dropout=0.25).build(WIDTH)
    assert isinstance(module, DeepCross)
    assert len(module.cross.layers) == 2
    linears = [layer for layer in module.mlp.layers if isinstance(layer, torch.nn.Linear)]
    assert [layer.in_features for layer in linears] == [2 * WIDTH, 7, 4]
    drops = [layer.p for layer in module.modules() if isinstance(layer, torch.nn.Dropout)]
    assert drops == [0.25, 0.25]


@pytest.mark.parametrize("operator", OPERATORS)
def test_defaults_are_three_parallel_layers(operator):
    module = operator().build(WIDTH)
    assert len(module.cross.layers) == 3
    assert module.out is not None
    sizes = [layer.out_features for layer in module.mlp.layers if hasattr(layer, "out_features")]
    assert sizes == [128, 64, 1]


@pytest.mark.parametrize("operator", [predictor.DCNv2, predictor.GDCN])
def test_stacked_perceptron_reads_the_cross_network_and_the_parallel_one_does_not(operator):
    # Legommenders gives the parallel tower the crossed features: it must have x0
    for structure, reads in [("parallel", False), ("stacked", True)]:
        module = build(operator(2, hidden=(5,), structure=structure))
        seen = []
        module.mlp.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        user, item = pairs()
        scores(module, user, item)
        x0 = np.concatenate([np.broadcast_to(user[:, :, 0], item.shape), item], axis=-1)
        assert np.allclose(seen[0].numpy(), x0) is not reads


@pytest.mark.parametrize("operator", OPERATORS)
def test_large_vectors_are_finite_in_float32(operator):
    # degree four of the default three layers: 1e16 and no more
    module = operator().build(WIDTH)
    user = torch.full((1, 1, 1, WIDTH), 1e4, requires_grad=True)
    found = module(user, torch.ones(1, 1, dtype=torch.bool), torch.full((1, 2, WIDTH), -1e4))
    found.sum().backward()
    assert found.isfinite().all()
    assert user.grad.isfinite().all()


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_layers": 0}, "n_layers must be a positive int, got 0"),
        ({"n_layers": 1.5}, "n_layers must be a positive int, got 1.5"),
        ({"hidden": 8}, "hidden must be a sequence of layer sizes, got 8"),
        ({"hidden": (0,)}, "each size in hidden must be a positive int, got 0"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(operator, parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        operator(**parameters).check(WIDTH)


@pytest.mark.parametrize("operator", [predictor.DCNv2, predictor.GDCN])
def test_an_unknown_structure_is_refused(operator):
    message = "^structure must be one of 'parallel', 'stacked', got 'serial'$"
    with pytest.raises(ValueError, match=message):
        operator(structure="serial").check(WIDTH)
