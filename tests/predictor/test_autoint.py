"""AutoInt: the paper's formula, and what its parameters do."""

import numpy as np
import pytest
import torch
from by_numpy import WIDTH, array, build, pairs, perceptron, relu, scores, softmax

from skrec import predictor


def formula(module, u, v, n_heads, n_fields):
    """The paper's equations for one pair, head by head and field by field."""
    x0 = np.concatenate([u, v])
    fields = x0.reshape(2 * n_fields, -1)
    size = fields.shape[1]
    part = size // n_heads
    for layer in module.layers:
        W_query, W_key, W_value, W_res = array(layer.project.weight).reshape(4, size, size)
        new = []
        for m in range(len(fields)):
            heads = []
            for h in range(n_heads):
                own = slice(h * part, (h + 1) * part)
                query = W_query[own] @ fields[m]
                shares = softmax(np.array([query @ (W_key[own] @ other) for other in fields]))
                values = [W_value[own] @ other for other in fields]
                heads.append(sum(a * value for a, value in zip(shares, values, strict=True)))
            new.append(relu(np.concatenate(heads) + W_res @ fields[m]))
        fields = np.stack(new)
    score = array(module.out.weight)[0] @ fields.ravel()
    if module.out.bias is not None:
        score += module.out.bias.item()
    return score if module.mlp is None else score + perceptron(module.mlp, x0)[0]


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize(("n_heads", "n_fields"), [(1, 1), (2, 1), (3, 2), (1, 6)])
def test_equals_the_formula(n_heads, n_fields, hidden):
    operator = predictor.AutoInt(2, n_heads=n_heads, n_fields=n_fields, hidden=hidden)
    module = build(operator)
    user, item = pairs()
    found = scores(module, user, item)
    for b, c in np.ndindex(found.shape):
        wanted = formula(module, user[b, 0, 0], item[b, c], n_heads, n_fields)
        assert found[b, c] == pytest.approx(wanted, rel=0, abs=1e-10)


def test_fields_of_one_vector_attend_to_each_other():
    # a cut that mixed user and item, or lost a part, would show here
    module = build(predictor.AutoInt(1, n_heads=1, n_fields=3, hidden=()))
    assert module.layers[0].project.weight.shape == (4 * 2, 2)
    x = torch.randn(6, 2, dtype=torch.float64)
    before = module.layers[0](x)
    for field in range(6):
        other = x.clone()
        other[field] += 1
        assert ((module.layers[0](other) - before).abs().sum(-1) > 0).sum() >= 4


def test_parameters_reach_the_layers():
    module = predictor.AutoInt(4, n_heads=3, hidden=[7, 5], dropout=0.25).build(WIDTH)
    assert len(module.layers) == 4
    assert {layer.n_heads for layer in module.layers} == {3}
    sizes = [layer.out_features for layer in module.mlp.layers if hasattr(layer, "out_features")]
    assert sizes == [7, 5, 1]
    assert {layer.p for layer in module.mlp.layers if isinstance(layer, torch.nn.Dropout)} == {0.25}


def test_one_bias():
    # two that are added have the same gradient
    assert predictor.AutoInt().build(WIDTH).out.bias is None
    assert predictor.AutoInt(hidden=()).build(WIDTH).out.bias is not None


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_extreme_vectors_are_finite(size):
    module = predictor.AutoInt().build(WIDTH)
    user = torch.full((1, 1, 1, WIDTH), size, requires_grad=True)
    found = module(user, torch.ones(1, 1, dtype=torch.bool), torch.full((1, 2, WIDTH), size))
    found.sum().backward()
    assert found.isfinite().all()
    assert user.grad.isfinite().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_layers": 0}, "n_layers must be a positive int, got 0"),
        ({"n_heads": 0}, "n_heads must be a positive int, got 0"),
        ({"n_heads": 5}, "n_heads must divide width=64, got n_heads=5"),
        ({"n_fields": 0}, "n_fields must be a positive int, got 0"),
        ({"n_fields": 5}, "n_fields must divide width=64, got n_fields=5"),
        (
            {"n_fields": 32, "n_heads": 4},
            "n_heads must divide the size of a field, width / n_fields = 2, got n_heads=4",
        ),
        ({"n_fields": 32, "n_heads": "2"}, "n_heads must be a positive int, got '2'"),
        ({"hidden": 64}, "hidden must be a sequence of layer sizes, got 64"),
        ({"hidden": (8, 0)}, "each size in hidden must be a positive int, got 0"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        predictor.AutoInt(**parameters).check(64)
