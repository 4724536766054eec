"""Transformer layers, their positions, and causal attention."""

import math

import pytest
import torch
from torch import nn

from skrec.nn import (
    LayerStack,
    MultiHeadSelfAttention,
    Positions,
    TransformerLayer,
    recency,
    transformer,
)

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
    with torch.no_grad():  # norms start as the identity, which would hide one that is missing
        for weight in layer.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return layer


def torch_twin(layer):
    """Torch's own encoder layer with the weights of ours."""
    twin = nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, norm_first=layer.norm_first, batch_first=True
    ).double()
    twin.self_attn.in_proj_weight.data = layer.mix.project.weight.data
    twin.self_attn.in_proj_bias.data = layer.mix.project.bias.data
    twin.self_attn.out_proj = layer.mix.out
    twin.linear1, twin.linear2 = layer.feed_forward.layers[0], layer.feed_forward.layers[-1]
    twin.norm1, twin.norm2 = layer.mix_norm, layer.feed_forward_norm
    # in eval mode torch takes a path of its own; without gradients either way, as a reference
    return twin.eval().requires_grad_(True)


MODULES = {
    "layer": lambda: make(TransformerLayer, WIDTH, HEADS, HIDDEN),
    "post-norm layer": lambda: make(TransformerLayer, WIDTH, HEADS, HIDDEN, norm_first=False),
    "causal layer": lambda: make(TransformerLayer, WIDTH, HEADS, HIDDEN, causal=True),
    "stack": lambda: make(transformer, WIDTH, 2, HEADS),
    "causal stack": lambda: make(transformer, WIDTH, 2, HEADS, causal=True),
    "causal attention": lambda: make(MultiHeadSelfAttention, WIDTH, HEADS, causal=True),
}


@pytest.fixture(params=MODULES)
def module(request):
    """Everything here that takes x (B, L, D) and mask (B, L)."""
    return MODULES[request.param]()


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


def test_inputs_are_left_alone(module, x, mask):
    before = x.clone(), mask.clone()
    module(x, mask)
    assert torch.equal(x, before[0])
    assert torch.equal(mask, before[1])


def test_huge_inputs_are_finite(module, x, mask):
    assert module.float()(1e4 * x.float(), mask).isfinite().all()


def test_stack_keeps_out_padding_that_is_not_finite(x, mask):
    # 0 * NaN is NaN, so a weight of zero would let it in
    stack = MODULES["stack"]()
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, math.nan))
    torch.testing.assert_close(stack(garbage, mask), stack(x, mask), **EXACT)


# Known answers


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_layer_equals_torch(x, mask, norm_first, causal):
    layer = make(TransformerLayer, WIDTH, HEADS, HIDDEN, norm_first=norm_first, causal=causal)
    x, mask = x[:3], mask[:3]  # torch gives NaN for a row without keys
    hidden = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64).isinf()
    with torch.no_grad():
        wanted = torch_twin(layer)(
            x, src_mask=hidden if causal else None, src_key_padding_mask=~mask
        )
        torch.testing.assert_close(layer(x, mask)[mask], wanted[mask], **EXACT)


def test_stack_equals_its_layers_and_a_norm(x, mask):
    stack = MODULES["stack"]()
    wanted = x * mask.unsqueeze(-1)
    for layer in stack.layers:
        wanted = layer(wanted, mask)
    mean, var = wanted.mean(-1, keepdim=True), wanted.var(-1, correction=0, keepdim=True)
    wanted = (wanted - mean) / (var + 1e-5).sqrt() * stack.norm.weight + stack.norm.bias
    torch.testing.assert_close(stack(x, mask)[mask], wanted[mask], **EXACT)
    assert len(stack.layers) == 2


def test_stack_without_a_norm_gives_the_last_layers_states(x, mask):
    layer = MODULES["post-norm layer"]()
    wanted = layer(x * mask.unsqueeze(-1), mask)
    stack = LayerStack([layer], WIDTH, norm=False)
    torch.testing.assert_close(stack(x, mask), wanted, **EXACT)


def test_hidden_is_the_width_unless_given():
    sizes = [
        transformer(WIDTH, 1, HEADS, hidden).layers[0].feed_forward.layers[0].out_features
        for hidden in (None, 20)
    ]
    assert sizes == [WIDTH, 20]


def test_causal_attention_by_loops(x):
    layer = MODULES["causal attention"]()
    q, k, v = layer.project(x[0]).detach().split(WIDTH, dim=1)  # (L, D) each
    size = WIDTH // HEADS
    mixed = torch.zeros(5, WIDTH, dtype=torch.float64)
    for h in range(HEADS):
        own = slice(h * size, (h + 1) * size)
        for i in range(5):
            scores = [float(q[i, own] @ k[j, own]) / math.sqrt(size) for j in range(i + 1)]
            total = sum(map(math.exp, scores))
            for j, score in enumerate(scores):
                mixed[i, own] += math.exp(score) / total * v[j, own]
    found = layer(x[:1], torch.ones(1, 5, dtype=torch.bool))
    torch.testing.assert_close(found[0], layer.out(mixed), **EXACT)


@pytest.mark.parametrize("name", ["causal layer", "causal stack", "causal attention"])
def test_causal_states_do_not_see_what_comes_later(name, x):
    module, mask = MODULES[name](), torch.ones(4, 5, dtype=torch.bool)
    other = x.clone()
    other[:, 3:] *= -1.0
    found, wanted = module(other, mask), module(x, mask)
    torch.testing.assert_close(found[:, :3], wanted[:, :3], **EXACT)
    assert not torch.allclose(found[:, 3], wanted[:, 3])


def test_causal_attention_with_padding_in_front_is_finite(x):
    # a place whose keys are all masked attends to itself, and its answer is zeroed
    layer = MODULES["causal attention"]()
    mask = torch.tensor([[False, False, True, True, False]] * 4)
    x.requires_grad_()
    found = layer(x, mask)
    wanted = layer(x[:, 2:4], mask[:, 2:4])
    torch.testing.assert_close(found[:, 2:4], wanted, **EXACT)
    found.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["layer", "stack"])
def test_dropout_acts_in_training_only(name, x, mask):
    make_one = {
        "layer": lambda: make(TransformerLayer, WIDTH, HEADS, HIDDEN, dropout=0.5),
        "stack": lambda: make(transformer, WIDTH, 1, HEADS, dropout=0.5),
    }[name]
    module = make_one()
    assert torch.equal(module(x, mask), module(x, mask))
    module.train()
    assert not torch.equal(module(x, mask), module(x, mask))


# Positions


def test_recency_by_hand():
    mask = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    assert recency(mask).tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_positions_beyond_the_last_share_its_vector():
    positions = Positions(3, 2)
    table = positions.table.weight
    x = torch.zeros(1, 5, 2)
    found = positions(x, torch.tensor([[0, 1, 2, 3, 99]]))
    assert torch.equal(found[0], table[[0, 1, 2, 2, 2]])
    assert torch.equal(positions(x + 1, torch.arange(5)), found + 1)
