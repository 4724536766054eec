"""FinalMLP: gates, streams and fusion by the paper's formulas."""

import numpy as np
import pytest
import torch
from by_numpy import WIDTH, array, build, pairs, perceptron, relu, scores, sigmoid

from skrec import predictor


def formula(module, u, v, n_heads, activation):
    x0 = np.concatenate([u, v])
    views = [x0, x0]
    if len(module.gates):
        views = [
            2 * sigmoid(perceptron(gate.mlp, context)) * x0
            for gate, context in zip(module.gates, (u, v), strict=True)
        ]
    o, p = (
        perceptron(mlp, x, activation, last=False)
        for mlp, x in zip(module.streams, views, strict=True)
    )
    total = array(module.fusion.linear.weight)[0] @ np.concatenate([o, p])
    total += module.fusion.linear.bias.item()
    for h, (first, second) in enumerate(
        zip(np.split(o, n_heads), np.split(p, n_heads), strict=True)
    ):
        total += first @ array(module.fusion.product)[h] @ second
    return total


@pytest.mark.parametrize("gate_hidden", [None, (), (7,)])
@pytest.mark.parametrize(
    ("hidden", "hidden2", "n_heads"), [((4,), None, 1), ((5, 4), (6, 3, 2), 2), ((4,), (8,), 4)]
)
@pytest.mark.parametrize(("activation", "function"), [("relu", relu), ("tanh", np.tanh)])
def test_equals_the_formula(hidden, hidden2, n_heads, gate_hidden, activation, function):
    operator = predictor.FinalMLP(
        hidden, hidden2=hidden2, n_heads=n_heads, gate_hidden=gate_hidden, activation=activation
    )
    module = build(operator)
    user, item = pairs()
    found = scores(module, user, item)
    for b, c in np.ndindex(found.shape):
        wanted = formula(module, user[b, 0, 0], item[b, c], n_heads, function)
        assert found[b, c] == pytest.approx(wanted, rel=0, abs=1e-10)


def test_gates_start_near_one():
    # at 0 or 2 features would be lost before anything is learned
    torch.manual_seed(0)
    module = predictor.FinalMLP().build(64)
    x = torch.randn(50, 64)
    ones = torch.ones(50, 128)
    for gate in module.gates:
        assert (gate(x, ones) - 1).abs().max() < 0.75
        assert gate(x, ones).mean().item() == pytest.approx(1, abs=0.1)


def test_streams_have_weights_of_their_own():
    module = predictor.FinalMLP().build(WIDTH)
    first, second = (mlp.layers[0].weight for mlp in module.streams)
    assert first is not second
    assert not torch.equal(first, second)


def test_parameters_reach_the_layers():
    operator = predictor.FinalMLP(
        [8, 6], hidden2=[9], n_heads=3, gate_hidden=[7], activation="dice", dropout=0.25
    )
    module = operator.build(WIDTH)
    first, second = (mlp.layers for mlp in module.streams)
    assert [type(layer).__name__ for layer in first] == ["Linear", "Dice", "Dropout"] * 2
    assert [layer.out_features for layer in first if hasattr(layer, "out_features")] == [8, 6]
    assert second[0].out_features == 9
    assert {layer.p for layer in [*first, *second] if isinstance(layer, torch.nn.Dropout)} == {0.25}
    assert module.fusion.product.shape == (3, 2, 3)
    assert [gate.mlp.layers[0].out_features for gate in module.gates] == [7, 7]
    assert not len(predictor.FinalMLP(gate_hidden=None).build(WIDTH).gates)


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_extreme_vectors_are_finite(size):
    module = predictor.FinalMLP().build(WIDTH)
    user = torch.full((1, 1, 1, WIDTH), size, requires_grad=True)
    found = module(user, torch.ones(1, 1, dtype=torch.bool), torch.full((1, 2, WIDTH), size))
    found.sum().backward()
    assert found.isfinite().all()
    assert user.grad.isfinite().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": ()}, r"hidden must be a sequence of layer sizes, got \(\)"),
        ({"hidden": (8, 0)}, "each size in hidden must be a positive int, got 0"),
        ({"hidden2": 8}, "hidden2 must be a sequence of layer sizes, got 8"),
        ({"hidden2": (8.0,)}, "each size in hidden2 must be a positive int, got 8.0"),
        ({"n_heads": 0}, "n_heads must be a positive int, got 0"),
        ({"n_heads": 3}, "n_heads must divide the last size in hidden, 64, got n_heads=3"),
        ({"hidden2": (9,)}, "n_heads must divide the last size in hidden2, 9, got n_heads=2"),
        ({"gate_hidden": 8}, "gate_hidden must be a sequence of layer sizes, got 8"),
        ({"gate_hidden": (0,)}, "each size in gate_hidden must be a positive int, got 0"),
        ({"activation": "selu"}, "activation must be one of 'relu', .*, 'dice', got 'selu'"),
        ({"dropout": 1}, r"dropout must be a number in \[0, 1\), got 1"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        predictor.FinalMLP(**parameters).check(64)
