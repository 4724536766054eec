"""Parallel GRUs against torch's own layers, history by history."""

import pytest
import torch
from torch import nn

from skrec import behavior

WIDTH, LENGTHS = 12, [4, 1, 2]
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def given():
    """Clicks (3, 4, D) and their mask."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    return x, torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)


def build(n_channels=3, **parameters):
    torch.manual_seed(0)
    operator = behavior.ParallelGRU(n_channels, **parameters)
    operator.check(WIDTH)
    return operator.build(WIDTH).double()


def restated(module, x, n_channels):
    """The user vector of clicks (L, D), by torch's attention and cell by cell."""
    mix = module.mix
    twin = nn.MultiheadAttention(WIDTH, n_channels, batch_first=True).double()
    twin.in_proj_weight, twin.in_proj_bias = mix.project.weight, mix.project.bias
    twin.out_proj = mix.out
    mixed = twin(x[None], x[None], x[None])[0][0]  # (L, D)
    size, last = WIDTH // n_channels, []
    for channel in range(n_channels):
        gru = module.channels[channel if len(module.channels) > 1 else 0]
        cell = nn.GRUCell(size, size).double()
        cell.weight_ih, cell.weight_hh = gru.weight_ih_l0, gru.weight_hh_l0
        cell.bias_ih, cell.bias_hh = gru.bias_ih_l0, gru.bias_hh_l0
        state = torch.zeros(1, size, dtype=torch.float64)
        for click in mixed[:, channel * size : (channel + 1) * size]:
            state = cell(click[None], state)
        last.append(state[0])
    return torch.cat(last)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_equals_torch_in_values_and_gradients(given, n_channels, shared, training):
    x, mask = given
    x.requires_grad_()
    module = build(n_channels, shared=shared).train(training)
    found = module(x, mask)
    wanted = torch.stack(
        [restated(module, row[:n], n_channels) for row, n in zip(x, LENGTHS, strict=True)]
    )
    torch.testing.assert_close(found, wanted.unsqueeze(1), **EXACT)
    inputs = [x, *module.parameters()]
    found, wanted = (torch.autograd.grad(y.square().sum(), inputs) for y in (found, wanted))
    torch.testing.assert_close(found, wanted, **EXACT)


def test_channels_of_shared_weights_are_one_gru():
    assert len(build(3, shared=True).channels) == 1
    assert len(build(3).channels) == 3


def test_channels_do_not_read_each_other(given):
    x, mask = given
    module = build(3)
    before = module(x, mask)
    with torch.no_grad():
        for weight in module.channels[1].parameters():
            weight.add_(1.0)
    changed = (module(x, mask) - before).abs().amax(dim=(0, 1)) > 0
    assert changed.tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_dropout_acts_in_training_only(given):
    module = build(dropout=0.5)
    assert not torch.equal(module(*given), module(*given))
    module.eval()
    assert torch.equal(module(*given), module(*given))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_channels": 0}, "^n_channels must be a positive int, got 0$"),
        ({"n_channels": 5}, "^n_channels must divide width=12, got n_channels=5$"),
        ({"shared": "yes"}, "^shared must be one of True, False, got 'yes'$"),
        ({"dropout": 1.0}, r"^dropout must be a number in \[0, 1\), got 1.0$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        behavior.ParallelGRU(**parameters).check(WIDTH)
