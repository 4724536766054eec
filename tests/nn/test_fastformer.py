"""Fastformer's attention against the paper's equations, and its layers."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from skrec.nn import FastAttention, FastformerLayer, fastformer

EXACT = {"rtol": 0, "atol": 1e-10}
WIDTH, HEADS, HIDDEN = 8, 2, 12


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(4, 5, WIDTH, dtype=torch.float64)


@pytest.fixture
def mask():
    """Rows with 5, 2, 1 and no real places."""
    return torch.arange(5) < torch.tensor([[5], [2], [1], [0]])


def make(layer, *sizes, **options):
    torch.manual_seed(1)
    layer = layer(*sizes, **options).double().eval()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return layer


MODULES = {
    "attention": lambda: make(FastAttention, WIDTH, HEADS),
    "attention with values": lambda: make(FastAttention, WIDTH, HEADS, share_values=False),
    "layer": lambda: make(FastformerLayer, WIDTH, HEADS, HIDDEN),
    "post-norm layer": lambda: make(FastformerLayer, WIDTH, HEADS, HIDDEN, norm_first=False),
    "stack": lambda: make(fastformer, WIDTH, 2, HEADS),
    "bare stack": lambda: make(fastformer, WIDTH, 2, HEADS, bare=True),
}


@pytest.fixture(params=MODULES)
def module(request):
    """Everything here that takes x (B, L, D) and mask (B, L)."""
    return MODULES[request.param]()


def softmax(scores):
    exp = np.exp(scores - scores.max())
    return exp / exp.sum()


def by_the_paper(layer, rows):
    """Equations 1 to 6 of arXiv 2108.09084 on one sequence (L, D), place by place."""
    W, b = (w.detach().numpy() for w in (layer.project.weight, layer.project.bias))
    w_q, w_k = layer.query.detach().numpy(), layer.key.detach().numpy()
    shared = len(W) == 2 * WIDTH
    size = WIDTH // HEADS
    u, queries = np.zeros((len(rows), WIDTH)), np.zeros((len(rows), WIDTH))
    for h in range(HEADS):
        heads = []
        for part in (0, 1, 0 if shared else 2):
            own = slice(part * WIDTH + h * size, part * WIDTH + (h + 1) * size)
            heads.append([W[own] @ row + b[own] for row in rows])
        Q, K, V = heads
        alpha = softmax(np.array([w_q[h] @ q_i / math.sqrt(size) for q_i in Q]))
        q = sum(a * q_i for a, q_i in zip(alpha, Q, strict=True))  # the global query
        P = [q * k_i for k_i in K]
        beta = softmax(np.array([w_k[h] @ p_i / math.sqrt(size) for p_i in P]))
        k = sum(a * p_i for a, p_i in zip(beta, P, strict=True))  # the global key
        for i, v_i in enumerate(V):
            u[i, h * size : (h + 1) * size] = k * v_i
            queries[i, h * size : (h + 1) * size] = Q[i]
    out, c = layer.out.weight.detach().numpy(), layer.out.bias.detach().numpy()
    return np.array([out @ u_i + c + q_i for u_i, q_i in zip(u, queries, strict=True)])


@pytest.mark.parametrize("share_values", [True, False])
def test_attention_equals_the_paper(x, mask, share_values):
    layer = make(FastAttention, WIDTH, HEADS, share_values=share_values)
    found = layer(x, mask).detach().numpy()
    for row, length in enumerate([5, 2, 1]):
        wanted = by_the_paper(layer, x[row, :length].numpy())
        np.testing.assert_allclose(found[row, :length], wanted, rtol=0, atol=1e-10)


@torch.no_grad()
def test_attention_equals_espnet(x, mask):
    # the authors' code, where the scores of a head read all heads: zeros across them
    theirs = pytest.importorskip("espnet2.asr.layers.fastformer")
    theirs = theirs.FastSelfAttention(WIDTH, HEADS, 0.0).double().eval()
    ours = MODULES["attention"]()
    for part, linear in enumerate((theirs.query, theirs.key)):
        linear.weight.copy_(ours.project.weight[part * WIDTH : (part + 1) * WIDTH])
        linear.bias.copy_(ours.project.bias[part * WIDTH : (part + 1) * WIDTH])
    for linear, weight in ((theirs.query_att, ours.query), (theirs.key_att, ours.key)):
        linear.weight.copy_(torch.block_diag(*weight))
        linear.bias.fill_(0.3)  # the same for all places, so it does not count
    theirs.transform.load_state_dict(ours.out.state_dict())
    wanted = theirs(x, mask.unsqueeze(1))
    torch.testing.assert_close(ours(x, mask)[mask], wanted[mask], **EXACT)


def test_layer_is_attention_and_feed_forward_with_residuals(x, mask):
    layer = MODULES["layer"]()
    y = x + layer.mix(layer.mix_norm(x), mask)
    wanted = y + layer.feed_forward(layer.feed_forward_norm(y))
    torch.testing.assert_close(layer(x, mask)[mask], wanted[mask], **EXACT)
    layer = MODULES["post-norm layer"]()
    y = layer.mix_norm(x + layer.mix(x, mask))
    wanted = layer.feed_forward_norm(y + layer.feed_forward(y))
    torch.testing.assert_close(layer(x, mask)[mask], wanted[mask], **EXACT)


def test_bare_stack_is_the_attentions_alone(x, mask):
    stack = MODULES["bare stack"]()
    first, second = stack.layers
    torch.testing.assert_close(stack(x, mask), second(first(x, mask), mask), **EXACT)
    assert stack.norm is None


def test_shared_values_have_no_weights_of_their_own():
    sizes = [FastAttention(WIDTH, HEADS, share).project.out_features for share in (True, False)]
    assert sizes == [2 * WIDTH, 3 * WIDTH]


# What each promises


def test_padding_changes_nothing(module, x, mask):
    wanted = module(x, mask)
    longer = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    longer = torch.cat([longer, torch.full_like(x, -1e6)], dim=1)
    found = module(longer, torch.cat([mask, torch.zeros_like(mask)], dim=1))
    torch.testing.assert_close(found[:, :5], wanted, **EXACT)
    assert not found[:, 5:].any()


def test_masked_places_give_zeros_and_get_no_gradient(module, x, mask):
    x.requires_grad_()
    found = module(x, mask)
    assert not found[~mask].any()
    found.square().sum().backward()
    assert x.grad.isfinite().all()
    assert not x.grad[~mask].any()
    assert all(weight.grad.isfinite().all() for weight in module.parameters())


def test_a_batch_equals_one_by_one(module, x, mask):
    together = module(x, mask)
    for row, length in enumerate([5, 2, 1]):
        alone = module(x[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(together[row : row + 1, :length], alone, **EXACT)


def test_every_parameter_gets_a_gradient(module, x, mask):
    found = module.train()(x, mask)
    (found * torch.randn_like(found)).sum().backward()
    idle = [name for name, w in module.named_parameters() if w.grad is None or not w.grad.any()]
    assert not idle


def test_order_does_not_matter(module, x):
    mask, order = torch.ones(4, 5, dtype=torch.bool), [3, 0, 4, 1, 2]
    torch.testing.assert_close(module(x[:, order], mask), module(x, mask)[:, order], **EXACT)


def test_places_see_each_other(module, x):
    # each place alone would do for most of the tests above
    mask = torch.ones(4, 5, dtype=torch.bool)
    other = x.clone()
    other[:, 4] = -x[:, 4]
    found, wanted = module(other, mask), module(x, mask)
    assert ((found - wanted)[:, :4].abs() > 1e-6).any(dim=-1).all()


def test_huge_inputs_are_finite(module, x, mask):
    # exp() without subtracting the greatest overflows
    assert module.float()(1e4 * x.float(), mask).isfinite().all()


@pytest.mark.parametrize("bare", [True, False])
def test_dropout_acts_in_training_only(x, mask, bare):
    module = make(fastformer, WIDTH, 1, HEADS, dropout=0.5, bare=bare)
    assert torch.equal(module(x, mask), module(x, mask))
    module.train()
    assert not torch.equal(module(x, mask), module(x, mask))


def test_work_grows_with_the_length_not_its_square():
    layer = FastAttention(WIDTH, HEADS)

    def work(length):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            layer(torch.randn(2, length, WIDTH), torch.ones(2, length, dtype=torch.bool))
        return counter.get_total_flops()

    assert work(4000) == 10 * work(400)
