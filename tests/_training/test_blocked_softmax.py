"""The softmax in blocks, compared with torch's cross-entropy."""

import pytest
import torch
from torch.nn import functional as F

import skrec._training.blocked_softmax as module
from skrec._training.blocked_softmax import BlockedSoftmax

EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    double = {"dtype": torch.float64}
    users, items = torch.randn(9, 4, **double), torch.randn(7, 4, **double)
    bias, own = torch.randn(7, **double), torch.randn(9, 3, **double)
    own[::2, 1] = own[3, 2] = -torch.inf  # padding of the targets' own negatives
    allowed = torch.rand(3, 7) < 0.6
    allowed[1] = False  # these targets have no negatives
    window = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    weight = torch.rand(9, **double)

    def allowed_of(block):
        return allowed[window[block]]

    learned = [each.requires_grad_() for each in (users, items, bias, own)]
    return [*learned, allowed_of, weight]


def plain(users, items, bias, own, allowed, weight):
    others = (users @ items.T + bias).masked_fill(~allowed(slice(0, 9)), -torch.inf)
    scores = torch.cat([own, others], dim=1)
    zero = torch.zeros(len(own), dtype=torch.long)
    return (F.cross_entropy(scores, zero, reduction="none") * weight).sum()


@pytest.mark.parametrize("cells", [1, 15, 1 << 20])
def test_equals_cross_entropy_in_values_and_gradients(inputs, monkeypatch, cells):
    monkeypatch.setattr(module, "BLOCK_CELLS", cells)
    found, wanted = BlockedSoftmax.apply(*inputs), plain(*inputs)
    torch.testing.assert_close(found, wanted, **EXACT)
    gradients = torch.autograd.grad(3 * found, inputs[:4])
    for one, other in zip(gradients, torch.autograd.grad(3 * wanted, inputs[:4]), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_large_scores_do_not_overflow(inputs):
    users, items, bias, own = (each.detach() for each in inputs[:4])
    rest = inputs[4:]
    own[own.isinf()] = 0.0
    for scale in (1e4, -1e4):
        assert torch.isfinite(BlockedSoftmax.apply(users * scale, items, bias, own, *rest))
        assert torch.isfinite(BlockedSoftmax.apply(users, items, bias, own * scale, *rest))
