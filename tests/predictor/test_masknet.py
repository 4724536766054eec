"""MaskNet: the paper's formulas of both structures, and what its parameters do."""

import numpy as np
import pytest
import torch
from by_numpy import WIDTH, build, linear, norm, pairs, perceptron, relu, scores

from skrec import predictor


def formula(module, u, v, structure):
    x0 = np.concatenate([u, v])
    h = np.concatenate([norm(module.user_norm, u), norm(module.item_norm, v)])
    outputs = []
    for block in module.blocks:
        masked = perceptron(block.mask, x0) * (
            h if structure == "parallel" or not outputs else outputs[-1]
        )
        outputs.append(relu(norm(block.norm, linear(block.project, masked))))
    last = outputs[-1] if structure == "serial" else np.concatenate(outputs)
    return perceptron(module.mlp, last)[0]


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize("structure", ["parallel", "serial"])
@pytest.mark.parametrize("n_blocks", [1, 3])
def test_equals_the_formula(n_blocks, structure, hidden):
    operator = predictor.MaskNet(n_blocks, structure=structure, block_size=4, hidden=hidden)
    module = build(operator)
    user, item = pairs()
    found = scores(module, user, item)
    for b, c in np.ndindex(found.shape):
        wanted = formula(module, user[b, 0, 0], item[b, c], structure)
        assert found[b, c] == pytest.approx(wanted, rel=0, abs=1e-10)
    assert len(np.unique(found)) > found.size // 2


def sizes(mlp):
    return [layer.out_features for layer in mlp.layers if hasattr(layer, "out_features")]


def test_parameters_reach_the_parallel_structure():
    operator = predictor.MaskNet(2, block_size=5, reduction=1.5, hidden=[7], dropout=0.25)
    module = operator.build(WIDTH)
    assert [sizes(block.mask) for block in module.blocks] == [[18, 12], [18, 12]]
    assert [block.project.weight.shape for block in module.blocks] == [(5, 12), (5, 12)]
    assert module.mlp.layers[0].in_features == 10
    assert sizes(module.mlp) == [7, 1]
    drops = [layer.p for layer in module.modules() if isinstance(layer, torch.nn.Dropout)]
    # the masks are left whole: dropping from them would drop features twice
    assert sorted(drops) == [0.0, 0.0, 0.25, 0.25, 0.25]


def test_parameters_reach_the_serial_structure():
    operator = predictor.MaskNet(3, structure="serial", block_size=5, reduction=0.01, hidden=(7,))
    module = operator.build(WIDTH)
    # masks have the size of what they mask, and are never made by a layer of no rows
    assert [sizes(block.mask) for block in module.blocks] == [[1, 12], [1, 5], [1, 5]]
    assert [block.mask.layers[0].in_features for block in module.blocks] == [12, 12, 12]
    assert sizes(module.mlp) == [1]  # `hidden` is ignored


@pytest.mark.parametrize("structure", ["parallel", "serial"])
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_extreme_vectors_are_finite(size, structure):
    # norms divide by a deviation of 0
    module = predictor.MaskNet(structure=structure).build(WIDTH)
    user = torch.full((1, 1, 1, WIDTH), size, requires_grad=True)
    found = module(user, torch.ones(1, 1, dtype=torch.bool), torch.full((1, 2, WIDTH), size))
    found.sum().backward()
    assert found.isfinite().all()
    assert user.grad.isfinite().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_blocks": 0}, "n_blocks must be a positive int, got 0"),
        (
            {"structure": "stacked"},
            "structure must be one of 'parallel', 'serial', got 'stacked'",
        ),
        ({"block_size": 6.4}, "block_size must be a positive int, got 6.4"),
        ({"reduction": 0}, r"reduction must be a number in \(0, inf\), got 0"),
        ({"hidden": None}, "hidden must be a sequence of layer sizes, got None"),
        ({"hidden": (0,)}, "each size in hidden must be a positive int, got 0"),
        ({"dropout": -0.1}, r"dropout must be a number in \[0, 1\), got -0.1"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        predictor.MaskNet(**parameters).check(64)
