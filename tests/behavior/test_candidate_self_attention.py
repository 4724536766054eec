"""Candidate-aware self-attention against a plain restatement of CAUM's code."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skrec import behavior

WIDTH, LENGTHS, N_HEADS = 8, [4, 1, 2], 2
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def given():
    """Clicks (3, 4, D), their mask and candidates (3, 5, D)."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, mask, torch.randn(3, 5, WIDTH, dtype=torch.float64)


def build(**parameters):
    torch.manual_seed(0)
    operator = behavior.CandidateSelfAttention(N_HEADS, **parameters)
    operator.check(WIDTH)
    return operator.build(WIDTH).double().eval()


class Twin(nn.Module):
    """The user encoder for one candidate and one history without padding."""

    def __init__(self):
        super().__init__()
        self.filter = nn.Linear(4 * WIDTH, WIDTH)  # older click, click, newer click, candidate
        self.both = nn.Linear(2 * WIDTH, WIDTH)  # candidate, click
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.fuse = nn.Linear(2 * WIDTH, WIDTH)
        self.first, self.second = nn.Linear(2 * WIDTH, 7), nn.Linear(7, 5)
        self.last = nn.Linear(5, 1)

    def forward(self, x, candidate):
        candidate = candidate.expand_as(x)  # (L, D)
        older, newer = F.pad(x[:-1], (0, 0, 1, 0)), F.pad(x[1:], (0, 0, 0, 1))
        near = self.filter(torch.cat([older, x, newer, candidate], dim=1))
        both = self.both(torch.cat([candidate, x], dim=1))
        heads = []
        for q, k, v in zip(
            *(layer(both).chunk(N_HEADS, dim=1) for layer in (self.q, self.k, self.v)), strict=True
        ):
            heads.append(torch.softmax(q @ k.T / q.shape[1] ** 0.5, dim=1) @ v)
        x = self.fuse(torch.cat([near, *heads], dim=1))
        hidden = torch.tanh(self.first(torch.cat([x, candidate], dim=1)))
        scores = self.last(torch.tanh(self.second(hidden)))  # (L, 1)
        return (torch.softmax(scores, dim=0) * x).sum(dim=0)

    def give(self, module):
        """Set the weights of the operator's module to the products of these."""
        older, click, newer, candidate = self.filter.weight.chunk(4, dim=1)
        module.convolve.weight.copy_(torch.stack([older, click, newer], dim=2))
        module.convolve.bias.copy_(self.filter.bias)
        module.candidate_filter.weight.copy_(candidate)
        candidate, click = self.both.weight.chunk(2, dim=1)
        qkv = torch.cat([self.q.weight, self.k.weight, self.v.weight])
        module.project.weight.copy_(qkv @ click)
        module.project.bias.copy_(qkv @ self.both.bias)
        module.candidate_query.weight.copy_(self.q.weight @ candidate)
        module.candidate_value.weight.copy_(self.v.weight @ candidate)
        module.fuse.load_state_dict(self.fuse.state_dict())
        linear = [layer for layer in module.weigh.layers if isinstance(layer, nn.Linear)]
        for own, other in zip(linear, (self.first, self.second, self.last), strict=True):
            own.weight.copy_(other.weight)
            if own.bias is not None:
                own.bias.copy_(other.bias)


def test_equals_the_authors_code_in_values_and_gradients(given):
    x, mask, candidates = (part.requires_grad_(part.is_floating_point()) for part in given)
    module, twin = build(hidden=(7, 5)), Twin().double()
    with torch.no_grad():
        for weight in twin.parameters():
            weight.normal_()
        twin.give(module)
    found = module(x, mask, candidates)
    wanted = torch.stack(
        [
            torch.stack([twin(row[:n], candidate) for candidate in own])
            for row, n, own in zip(x, LENGTHS, candidates, strict=True)
        ]
    )
    torch.testing.assert_close(found, wanted.unsqueeze(2), **EXACT)
    found, wanted = (
        torch.autograd.grad(y.square().sum(), [x, candidates]) for y in (found, wanted)
    )
    torch.testing.assert_close(found, wanted, **EXACT)


@torch.no_grad()
def test_one_window_is_the_whole_neighborhood(given):
    # with a window of one click, only the self-attention reads others, so one click is left alone
    x, mask, candidates = given
    module = build(kernel_size=1)
    order = [2, 0, 3, 1]
    everything = torch.ones_like(mask)
    found = module(x[:, order], everything, candidates)
    torch.testing.assert_close(found, module(x, everything, candidates), **EXACT)


@torch.no_grad()
def test_without_dropout_large_inputs_are_finite(given):
    x, mask, candidates = given
    for scale in (0.0, 1e4):
        assert build().float()(scale * x.float(), mask, scale * candidates.float()).isfinite().all()


def test_dropout_acts_in_training_only(given):
    module = build(dropout=0.5)
    assert torch.equal(module(*given), module(*given))
    module.train()
    assert not torch.equal(module(*given), module(*given))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_heads": 3}, "^n_heads must divide width=8, got n_heads=3$"),
        ({"kernel_size": 2}, "^kernel_size must be odd, got 2$"),
        ({"kernel_size": 0}, "^kernel_size must be a positive int, got 0$"),
        ({"hidden": ()}, r"^hidden must be a sequence of layer sizes, got \(\)$"),
        ({"dropout": 1.0}, r"^dropout must be a number in \[0, 1\), got 1.0$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        behavior.CandidateSelfAttention(**parameters).check(WIDTH)
