"""The behavior sequence Transformer against the formulas of BST."""

import numpy as np
import pytest
import torch

from skrec import behavior

WIDTH = 8
LENGTHS = [4, 1, 2]
EXACT = {"rtol": 0, "atol": 1e-10}
POOLINGS = ["mean", "candidate"]


@pytest.fixture
def given():
    """Clicks (3, 4, D), their mask and candidates (3, 5, D)."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, mask, torch.randn(3, 5, WIDTH, dtype=torch.float64)


def build(n_layers=2, **parameters):
    torch.manual_seed(0)
    operator = behavior.BehaviorSequenceTransformer(n_layers, n_heads=2, **parameters)
    operator.check(WIDTH)
    module = operator.build(WIDTH).double().eval()
    with torch.no_grad():
        for weight in module.parameters():  # layer norms start as if they had none
            weight.add_(0.2 * torch.randn_like(weight))
    return module


def linear(layer, x):
    return x @ layer.weight.numpy().T + layer.bias.numpy()


def norm(layer, x):
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + layer.eps)
    return x * layer.weight.numpy() + layer.bias.numpy()


def encode(layer, x, n_heads=2):
    """Layer of BST over a sequence (L, D), in numpy: norms behind the residuals, LeakyReLU."""
    q, k, v = np.split(linear(layer.mix.project, x), 3, axis=1)
    heads = []
    for part in np.split(np.arange(WIDTH), n_heads):
        scores = q[:, part] @ k[:, part].T / np.sqrt(len(part))
        weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        heads.append(weights @ v[:, part])
    x = norm(layer.mix_norm, x + linear(layer.mix.out, np.concatenate(heads, axis=1)))
    inner, outer = (m for m in layer.feed_forward.layers if isinstance(m, torch.nn.Linear))
    z = linear(inner, x)
    return norm(layer.feed_forward_norm, x + linear(outer, np.where(z > 0, z, 0.01 * z)))


@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_equals_the_formula(given, pooling):
    # three positions: the oldest of four clicks shares that of the third
    module = build(pooling=pooling, hidden=11, n_positions=3)
    found = module(*given)
    assert found.shape == (3, 5, 1, WIDTH)
    table = module.positions.table.weight.numpy()
    assert table.shape == (4, WIDTH)
    assert module.layers.layers[0].feed_forward.layers[0].out_features == 11
    x, _, candidates = (part.numpy() for part in given)
    for row, length in enumerate(LENGTHS):
        distance = np.minimum(np.arange(length, -1, -1), 3)
        for c, candidate in enumerate(candidates[row]):
            outputs = np.vstack([x[row, :length], candidate]) + table[distance]
            for layer in module.layers.layers:
                outputs = encode(layer, outputs)
            wanted = outputs[-1] if pooling == "candidate" else outputs.mean(axis=0)
            np.testing.assert_allclose(found[row, c, 0].numpy(), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_candidates_are_read_alone(given, pooling):
    x, mask, candidates = given
    module = build(pooling=pooling)
    together = module(x, mask, candidates)
    for c in range(5):
        alone = module(x, mask, candidates[:, c : c + 1])
        torch.testing.assert_close(together[:, c : c + 1], alone, **EXACT)


@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_padding_and_other_rows_change_nothing(given, pooling):
    x, mask, candidates = given
    module = build(pooling=pooling)
    together = module(x, mask, candidates)
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    torch.testing.assert_close(module(garbage, mask, candidates), together, **EXACT)
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = module(x[only, :length], mask[only, :length], candidates[only])
        torch.testing.assert_close(together[only], alone, **EXACT)


@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_the_candidate_and_the_order_matter(given, pooling):
    x, _, candidates = given
    mask = torch.ones(3, 4, dtype=torch.bool)
    module = build(pooling=pooling)
    users = module(x, mask, candidates)
    swapped = module(x[:, [1, 0, 2, 3]], mask, candidates)
    assert ((users - swapped).abs() > 1e-3).any(dim=-1).all()
    assert ((users[:, :1] - users[:, 1:]).abs() > 1e-3).any(dim=-1).all()
    other = x.clone()
    other[:, 0] += 1.0
    assert ((users - module(other, mask, candidates)).abs() > 1e-3).any(dim=-1).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_parameter_gets_a_gradient(given, pooling):
    module = build(pooling=pooling)
    (module(*given) * torch.randn(3, 5, 1, WIDTH)).sum().backward()
    assert all(weight.grad.any() for weight in module.parameters())


@pytest.mark.parametrize("pooling", POOLINGS)
def test_large_inputs_are_finite(given, pooling):
    x, mask, candidates = given
    module = build(pooling=pooling).float()
    for scale in (0.0, 1e4):
        clicks = (scale * x).float().requires_grad_()
        users = module(clicks, mask, (scale * candidates).float())
        users.sum().backward()
        assert users.isfinite().all()
        assert clicks.grad.isfinite().all()


def test_dropout_acts_in_training_only(given):
    module = build(dropout=0.5)
    assert torch.equal(module(*given), module(*given))
    module.train()
    assert not torch.equal(module(*given), module(*given))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_layers": 0}, "^n_layers must be a positive int, got 0$"),
        ({"n_heads": 3}, "^n_heads must divide width=8, got n_heads=3$"),
        ({"hidden": 0}, "^hidden must be a positive int, got 0$"),
        ({"dropout": 1.0}, r"^dropout must be a number in \[0, 1\), got 1.0$"),
        ({"n_positions": 0}, "^n_positions must be a positive int, got 0$"),
        ({"pooling": "max"}, "^pooling must be one of 'mean', 'candidate', got 'max'$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        behavior.BehaviorSequenceTransformer(**parameters).check(WIDTH)
