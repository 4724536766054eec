"""Bilinear, PNN and DeepFM: the formulas, the outer product in full, and refused parameters."""

import numpy as np
import pytest
import torch
from by_numpy import EXACT, WIDTH, array, build, linear, pairs, perceptron, relu, scores

from skrec import predictor


def bilinear(module, u, v):
    return u @ array(module.weight) @ v


def matrices(outer):
    """The matrix W_n of each unit, from its factors."""
    n_forms, rank = outer.shape
    left, right = (
        array(layer.weight).reshape(n_forms, rank, -1) for layer in (outer.left, outer.right)
    )
    return np.einsum("nri,nrj->nij", left, right)


def pnn(module, u, v):
    x = linear(module.linear, np.concatenate([u, v]))
    if module.inner is not None:
        x = x + array(module.inner.weight)[:, 0] * (u @ v)
    if module.outer is not None:
        fields = [u, v]
        P = sum(np.outer(a, b) for a in fields for b in fields)  # the paper's superposition
        x = x + np.array([(W * P).sum() for W in matrices(module.outer)])
    return perceptron(module.mlp, relu(x))[0]


def deepfm(module, u, v):
    x0 = np.concatenate([u, v])
    return array(module.first_order.weight)[0] @ x0 + u @ v + perceptron(module.mlp, x0)[0]


CASES = {
    "bilinear": (predictor.Bilinear(), bilinear),
    "inner": (predictor.PNN((5, 4), product="inner"), pnn),
    "outer": (predictor.PNN((5, 4), product="outer"), pnn),
    "both": (predictor.PNN((5,)), pnn),
    "rank": (predictor.PNN((5,), rank=3), pnn),
    "deepfm": (predictor.DeepFM((5, 4)), deepfm),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_the_formula(case):
    operator, formula = CASES[case]
    module = build(operator)
    user, item = pairs()
    found = scores(module, user, item)
    for b, c in np.ndindex(found.shape):
        wanted = formula(module, user[b, 0, 0], item[b, c])
        assert found[b, c] == pytest.approx(wanted, rel=1e-10, abs=1e-10)
    assert len(np.unique(found)) > found.size // 2  # not all units of relu are shut


def test_bilinear_starts_as_a_scaled_dot():
    user, item = pairs()
    module = predictor.Bilinear().build(WIDTH).double()
    dot = predictor.Dot(temperature=WIDTH**0.5).build(WIDTH).double()
    np.testing.assert_allclose(scores(module, user, item), scores(dot, user, item), rtol=1e-6)


@torch.no_grad()
def test_bilinear_maps_users_onto_items_and_not_the_other_way():
    module = predictor.Bilinear().build(2)
    module.weight.copy_(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    user, item = torch.tensor([[3.0, 5.0]]), torch.tensor([[7.0, 11.0]])
    assert module.score(user.unsqueeze(1), item.unsqueeze(1)).item() == 33  # u_0 v_1
    assert module.score_all(user, item).item() == 33


@torch.no_grad()
def test_pnn_of_full_rank_takes_any_matrix():
    # what the paper has: one matrix of the size of the outer product for each unit
    module = build(predictor.PNN((3,), product="outer", rank=WIDTH))
    W = np.random.default_rng(0).normal(size=(3, WIDTH, WIDTH))
    identity = torch.eye(WIDTH, dtype=torch.float64).repeat(3, 1)
    module.outer.left.weight.copy_(identity)
    module.outer.right.weight.copy_(torch.from_numpy(W).flatten(0, 1))
    np.testing.assert_allclose(matrices(module.outer), W, **EXACT)
    f = np.random.default_rng(1).normal(size=WIDTH)
    wanted = [f @ matrix @ f for matrix in W]
    np.testing.assert_allclose(module.outer(torch.from_numpy(f)), wanted, **EXACT)


@torch.no_grad()
def test_pnn_starts_alike_whatever_the_rank():
    # a sum over 64 products would start 8 times as large, and drown the vectors
    f, spread = torch.randn(500, 64), []
    for rank in (1, 64):
        torch.manual_seed(0)
        outer = predictor.PNN((100,), product="outer", rank=rank).build(64).outer
        spread.append(outer(f).std().item())
    assert spread[1] == pytest.approx(spread[0], rel=0.1)


def test_products_of_pnn_are_those_asked_for():
    modules = {p: predictor.PNN((5,), product=p).build(WIDTH) for p in ("inner", "outer", "both")}
    assert [p for p, module in modules.items() if module.inner is not None] == ["inner", "both"]
    assert [p for p, module in modules.items() if module.outer is not None] == ["outer", "both"]


def sizes(module):
    return [layer.out_features for layer in module.mlp.layers if hasattr(layer, "out_features")]


@pytest.mark.parametrize("operator", [predictor.PNN, predictor.DeepFM])
def test_parameters_reach_the_layers(operator):
    module = operator([7, 5], dropout=0.25).build(WIDTH)
    assert sizes(module) == ([5, 1] if operator is predictor.PNN else [7, 5, 1])
    drops = [layer.p for layer in module.modules() if isinstance(layer, torch.nn.Dropout)]
    assert drops == [0.25, 0.25]


@pytest.mark.parametrize("operator", [predictor.PNN((50,)), predictor.DeepFM((50,))])
def test_drops_out_in_training_only(operator):
    module = build(operator.set_params(dropout=0.5))
    user, item = pairs()
    assert np.array_equal(scores(module, user, item), scores(module, user, item))
    module.train()
    assert not np.array_equal(scores(module, user, item), scores(module, user, item))


@pytest.mark.parametrize("name", ["Bilinear", "PNN", "DeepFM"])
def test_large_vectors_are_finite_in_float32(name):
    module = getattr(predictor, name)().build(WIDTH)
    user = torch.full((1, 1, 1, WIDTH), 1e4, requires_grad=True)
    found = module(user, torch.ones(1, 1, dtype=torch.bool), torch.full((1, 2, WIDTH), 1e4))
    found.sum().backward()
    assert found.isfinite().all()
    assert user.grad.isfinite().all()


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (predictor.PNN(()), r"hidden must be a sequence of layer sizes, got \(\)"),
        (predictor.PNN((0,)), "each size in hidden must be a positive int, got 0"),
        (
            predictor.PNN(product="cross"),
            "product must be one of 'inner', 'outer', 'both', got 'cross'",
        ),
        (predictor.PNN(rank=0), "rank must be a positive int, got 0"),
        (predictor.PNN(rank=None), "rank must be a positive int, got None"),
        (predictor.PNN(dropout=-0.1), r"dropout must be a number in \[0, 1\), got -0.1"),
        (predictor.DeepFM(()), r"hidden must be a sequence of layer sizes, got \(\)"),
        (predictor.DeepFM("64"), "hidden must be a sequence of layer sizes, got '64'"),
        (predictor.DeepFM(dropout=2), r"dropout must be a number in \[0, 1\), got 2"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(operator, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        operator.check(WIDTH)
