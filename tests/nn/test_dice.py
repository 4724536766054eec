"""Dice: the paper's formula, its statistics in training and in prediction."""

import io
import math

import numpy as np
import pytest
import torch

from skrec.nn import MLP, Dice

EXACT = {"rtol": 0, "atol": 1e-10}


def make(width=3):
    module = Dice(width).double()
    with torch.no_grad():
        module.alpha.copy_(torch.linspace(-0.5, 0.7, width))
    return module


def rows(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(0.5, 3.0, shape[-1], dtype=torch.float64)
    return torch.randn(*shape, dtype=torch.float64, generator=generator) * scale + scale


def by_numpy(x, alpha, mean, var):
    p = 1 / (1 + np.exp(-(x - mean) / np.sqrt(var + 1e-8)))
    return p * x + (1 - p) * alpha * x


@pytest.mark.parametrize("shape", [(7, 3), (2, 4, 3), (2, 2, 3, 3)])
def test_training_equals_the_formula_over_all_leading_axes(shape):
    module, x = make(), rows(*shape)
    flat = x.reshape(-1, 3).numpy()
    wanted = by_numpy(x.numpy(), module.alpha.detach().numpy(), flat.mean(0), flat.var(0))
    np.testing.assert_allclose(module(x).detach().numpy(), wanted, rtol=0, atol=1e-10)


def test_prediction_uses_the_statistics_of_training():
    module, batches = make(), [rows(9, 3, seed=seed) for seed in range(13)]
    for x in batches:
        module(x)
    mean, var = np.zeros(3), np.ones(3)
    for call, x in enumerate(batches, start=1):
        # the plain mean of the first ten, then a moving one
        share = max(0.1, 1 / call)
        mean = (1 - share) * mean + share * x.numpy().mean(0)
        var = (1 - share) * var + share * x.numpy().var(0, ddof=1)
    module.eval()
    wanted = by_numpy(batches[0].numpy(), module.alpha.detach().numpy(), mean, var)
    np.testing.assert_allclose(module(batches[0]).detach().numpy(), wanted, rtol=0, atol=1e-10)


def test_one_batch_is_enough_for_the_running_statistics():
    # the usual momentum would leave nine tenths of the values that they start from
    module, x = make(), rows(500, 3) + 100
    seen = module(x)
    torch.testing.assert_close(module.eval()(x), seen, rtol=1e-2, atol=0.1)


def test_prediction_reads_each_row_by_itself_and_changes_nothing():
    module, x = make(), rows(2, 4, 3)
    module(x)
    module.eval()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    together = module(x)
    alone = torch.stack([torch.stack([module(row) for row in part]) for part in x])
    torch.testing.assert_close(together, alone, **EXACT)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 1, 3), (0, 3), (2, 0, 3)])
def test_a_single_row_or_none_in_training(shape):
    # batch norm raises where a unit has one value; the last batch of an epoch may be that small
    module = make()
    module(rows(9, 3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = rows(*shape).requires_grad_()
    found = module(x)
    assert found.shape == shape
    torch.testing.assert_close(found, make_eval(module)(x), **EXACT)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    found.sum().backward()
    assert x.grad.isfinite().all()


def make_eval(module):
    twin = make()
    twin.load_state_dict(module.state_dict())
    return twin.eval()


def test_gradients_agree_with_finite_differences():
    module, x = make(), rows(5, 3).requires_grad_()
    assert torch.autograd.gradcheck(module, x)
    module(x).square().sum().backward()
    assert module.alpha.grad.all()


@pytest.mark.parametrize("training", [True, False])
def test_extreme_and_constant_input_is_finite(training):
    # a unit that is dead in all rows has a variance of 0
    for x in (
        torch.zeros(4, 3),
        torch.full((4, 3), 1e4),
        torch.tensor([[1e4], [-1e4]]).expand(2, 3),
    ):
        module = Dice(3).train(training)
        x = x.clone().requires_grad_()
        found = module(x)
        found.sum().backward()
        assert found.isfinite().all()
        assert x.grad.isfinite().all()


def test_two_runs_are_equal_bit_for_bit():
    def run():
        torch.manual_seed(0)
        mlp = MLP(4, (8, 5), 1, activation="dice")
        optimizer = torch.optim.AdamW(mlp.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            mlp(torch.randn(33, 4)).square().sum().backward()
            optimizer.step()
        return mlp

    a, b = run().state_dict(), run().state_dict()
    assert len(a) == len(b) == 6 + 2 * 4
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_all_state_is_saved():
    module, other = make(), Dice(3).double()
    for seed in range(3):
        module(rows(6, 3, seed=seed))
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file))
    x = rows(6, 3, seed=9)
    for _ in range(2):  # in training, too: the number of calls decides the share of a new one
        assert torch.equal(module(x), other(x))
        assert torch.equal(module.mean, other.mean)


def test_the_slope_below_the_mean_is_alpha():
    module = make(1).eval()
    far = torch.tensor([[-1e3], [1e3]], dtype=torch.float64)
    assert module(far).flatten().tolist() == pytest.approx([-1e3 * -0.5, 1e3])
    assert math.isclose(module(torch.zeros(1, 1).double()).item(), 0.0)


def test_reduced_precision_keeps_statistics_in_full():
    # autocast gives bfloat16 rows; statistics of that precision would stop moving
    module, x = Dice(3), torch.randn(50, 3)
    found = module(x.bfloat16())
    assert module.mean.dtype is module.var.dtype is torch.float32
    torch.testing.assert_close(found.float(), Dice(3)(x), rtol=0.05, atol=0.05)


def test_a_training_call_is_seen_as_a_change_of_weights():
    # cached vectors are kept by the versions of parameters and buffers
    module = Dice(3)
    before = [(buffer.data_ptr(), buffer._version) for buffer in module.buffers()]
    module(torch.randn(4, 3))
    after = [(buffer.data_ptr(), buffer._version) for buffer in module.buffers()]
    assert before != after
