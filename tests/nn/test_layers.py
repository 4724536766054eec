import math

import pytest
import torch
from torch import nn

from skrec.nn import (
    ACTIVATIONS,
    MLP,
    AdditiveAttention,
    CrossNetwork,
    FullCross,
    LowRankCross,
    MultiHeadSelfAttention,
    encode_by_length,
    last_real,
    masked_max,
    masked_mean,
    masked_softmax,
)

EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(3, 5, 8, dtype=torch.float64)


@pytest.fixture
def mask():
    """Rows with 5, 2 and no real places."""
    return torch.arange(5) < torch.tensor([[5], [2], [0]])


def make(layer, *sizes, **options):
    torch.manual_seed(1)
    return layer(*sizes, **options).double().eval()


POOLINGS = {
    "masked_mean": lambda: masked_mean,
    "masked_max": lambda: masked_max,
    "last_real": lambda: last_real,
    "additive_attention": lambda: make(AdditiveAttention, 8, 4),
    "multi_head_self_attention": lambda: make(MultiHeadSelfAttention, 8, 2),
}


@pytest.fixture(params=POOLINGS)
def layer(request):
    """Every layer that takes x (B, L, D) and mask (B, L)."""
    return POOLINGS[request.param]()


# masked_softmax


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("big", [1e30, -1e30])
def test_softmax_of_huge_scores_is_stable(big, dtype):
    # exp() without subtracting the greatest overflows, or gives 0 / 0
    scores = torch.tensor([[big, big, 0.0], [big, 0.0, 0.0]], dtype=dtype)
    found = masked_softmax(scores, torch.tensor([True, True, False]))
    first = 1.0 if big > 0 else 0.0
    assert found.tolist() == [[0.5, 0.5, 0.0], [first, 1.0 - first, 0.0]]


def test_softmax_lets_no_padding_in():
    # a mask filled with a small number instead of the least would give padding a share
    scores = torch.tensor([[-1e30, -1e30, 1e30]])
    found = masked_softmax(scores, torch.tensor([[True, True, False]]))
    assert found.tolist() == [[0.5, 0.5, 0.0]]


def test_softmax_equals_the_formula():
    scores = torch.tensor([[1.0, 2.0, 9.0]], dtype=torch.float64)
    found = masked_softmax(scores, torch.tensor([[True, True, False]]))
    share = math.exp(1) / (math.exp(1) + math.exp(2))
    assert found[0].tolist() == pytest.approx([share, 1 - share, 0.0], abs=1e-10)


def test_softmax_over_another_axis():
    scores = torch.zeros(2, 3)
    found = masked_softmax(scores, torch.tensor([[True], [False]]), dim=0)
    assert found.tolist() == [[1.0] * 3, [0.0] * 3]


def test_softmax_of_a_wholly_masked_row_is_zero_with_finite_gradient():
    scores = torch.tensor([[3.0, 1e30], [0.0, 1.0]], requires_grad=True)
    found = masked_softmax(scores, torch.tensor([[False, False], [True, True]]))
    assert found[0].tolist() == [0.0, 0.0]
    found.square().sum().backward()
    assert scores.grad[0].tolist() == [0.0, 0.0]
    assert scores.grad.isfinite().all()


def test_softmax_leaves_its_input_alone():
    # masking in place would corrupt stored scores
    scores, mask = torch.randn(2, 3), torch.tensor([[True, False, True]] * 2)
    before = scores.clone(), mask.clone()
    masked_softmax(scores, mask)
    assert torch.equal(scores, before[0])
    assert torch.equal(mask, before[1])


# What every masked layer promises


def test_masked_places_do_not_count(layer, x, mask):
    other = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    torch.testing.assert_close(layer(other, mask), layer(x, mask), **EXACT)


def test_wholly_masked_row_is_zero_with_finite_gradients(layer, x, mask):
    x.requires_grad_()
    found = layer(x, mask)
    assert not found[2].any()
    found.square().sum().backward()
    assert x.grad.isfinite().all()
    assert not x.grad[2].any()
    if isinstance(layer, nn.Module):
        assert all(weight.grad.isfinite().all() for weight in layer.parameters())


def test_inputs_are_left_alone(layer, x, mask):
    # stored item vectors are the input: masking them in place would corrupt the cache
    before = x.clone(), mask.clone()
    layer(x, mask)
    assert torch.equal(x, before[0])
    assert torch.equal(mask, before[1])


# Known answers


def test_masked_mean_by_hand():
    x = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])
    assert masked_mean(x, torch.tensor([[True, True, False]])).tolist() == [[2.0, 4.0]]


def test_masked_max_by_hand():
    x = torch.tensor([[[-1.0, 2.0], [-3.0, 6.0], [100.0, 100.0]]])
    assert masked_max(x, torch.tensor([[True, True, False]])).tolist() == [[-1.0, 6.0]]


def test_last_real_by_hand():
    x = torch.arange(12.0).view(3, 4, 1)
    mask = torch.tensor([[True, True, False, False], [True] * 4, [False, True, True, False]])
    assert last_real(x, mask).tolist() == [[1.0], [7.0], [10.0]]


def additive_attention_by_loops(layer, rows):
    """Bahdanau's formula for one sequence of real vectors, number by number."""
    W, b = layer.project.weight.tolist(), layer.project.bias.tolist()
    w = layer.query.weight[0].tolist()
    scores = []
    for row in rows.tolist():
        hidden = [
            math.tanh(sum(W[i][j] * value for j, value in enumerate(row)) + b[i])
            for i in range(len(b))
        ]
        scores.append(math.exp(sum(a * h for a, h in zip(w, hidden, strict=True))))
    return sum(score / sum(scores) * row for score, row in zip(scores, rows, strict=True))


def test_additive_attention_equals_the_formula(x, mask):
    layer = make(AdditiveAttention, 8, 4)
    found = layer(x, mask)
    for row, length in ((0, 5), (1, 2)):
        wanted = additive_attention_by_loops(layer, x[row, :length])
        torch.testing.assert_close(found[row], wanted, **EXACT)


def test_self_attention_equals_torch(x, mask):
    layer = make(MultiHeadSelfAttention, 8, 2)
    other = nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
    other.in_proj_weight.data = layer.project.weight.data
    other.in_proj_bias.data = layer.project.bias.data
    other.out_proj = layer.out
    x, mask = x[:2], mask[:2]  # torch gives NaN for a row without keys
    wanted, _ = other(x, x, x, key_padding_mask=~mask, need_weights=False)
    torch.testing.assert_close(layer(x, mask)[mask], wanted[mask], **EXACT)


def test_self_attention_drops_out_in_training_only(x, mask):
    layer = make(MultiHeadSelfAttention, 8, 2, dropout=0.5)
    assert torch.equal(layer(x, mask), layer(x, mask))
    layer.train()
    assert not torch.equal(layer(x, mask), layer(x, mask))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_by_hand(activation):
    mlp = MLP(1, (2,), 1, activation=activation).double()
    hidden, out = mlp.layers[0], mlp.layers[-1]
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        hidden.bias.copy_(torch.tensor([0.0, 0.5]))
        out.weight.copy_(torch.tensor([[3.0, 10.0]]))
        out.bias.fill_(0.25)
    function = {
        "relu": lambda z: max(z, 0.0),
        "leaky_relu": lambda z: max(z, 0.01 * z),
        "tanh": math.tanh,
        "gelu": lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
        "prelu": lambda z: max(z, 0.25 * z),
        "dice": lambda z: z / (1 + math.exp(-z / math.sqrt(1 + 1e-8))),  # of a single row
    }[activation]
    wanted = 3 * function(2.0) + 10 * function(-1.5) + 0.25
    assert mlp(torch.tensor([2.0]).double()).item() == pytest.approx(wanted, abs=1e-10)


def test_mlp_has_the_layers_asked_for_and_keeps_leading_axes():
    mlp = MLP(6, (5, 4), 3)
    sizes = [tuple(m.weight.shape) for m in mlp.layers if isinstance(m, nn.Linear)]
    assert sizes == [(5, 6), (4, 5), (3, 4)]
    assert mlp(torch.zeros(2, 7, 6)).shape == (2, 7, 3)


def test_mlp_without_an_output_layer_ends_in_the_activation():
    mlp = MLP(6, (5, 4), None, dropout=0.5)
    assert [type(layer).__name__ for layer in mlp.layers] == ["Linear", "ReLU", "Dropout"] * 2
    found = mlp.eval()(torch.randn(20, 6))
    assert found.shape == (20, 4)
    assert found.min() == 0


def test_mlp_drops_out_in_training_only():
    mlp = MLP(4, (50,), 1, dropout=0.5)
    x = torch.ones(1, 4)
    assert not torch.equal(mlp(x), mlp(x))
    mlp.eval()
    assert torch.equal(mlp(x), mlp(x))


def test_full_cross_by_hand():
    layer = FullCross(2).double()
    with torch.no_grad():
        layer.project.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
        layer.project.bias.copy_(torch.tensor([0.5, 0.0]))
    x0, x = torch.tensor([2.0, 3.0]).double(), torch.tensor([1.0, 4.0]).double()
    assert layer(x0, x).tolist() == [2 * (1 + 8 + 0.5) + 1, 3 * -4 + 4]


@pytest.mark.parametrize("n_experts", [1, 3])
def test_low_rank_cross_equals_the_formula(n_experts):
    layer = make(LowRankCross, 4, 2, n_experts)
    x0, x = torch.randn(2, 4, dtype=torch.float64)
    gates = torch.ones(1).double() if n_experts == 1 else layer.gate(x).softmax(dim=0)
    wanted = x
    for i in range(n_experts):
        own = slice(2 * i, 2 * i + 2)
        inner = torch.tanh(layer.C[i] @ torch.tanh(layer.V.weight[own] @ x))
        wanted = wanted + gates[i] * x0 * (layer.U.weight[:, own] @ inner + layer.U.bias)
    torch.testing.assert_close(layer(x0, x), wanted, **EXACT)


def test_cross_network_gives_each_layer_the_input():
    layers = [make(FullCross, 4), make(LowRankCross, 4, 2, 2), make(FullCross, 4)]
    x0 = torch.randn(2, 3, 4, dtype=torch.float64)
    x = x0
    for layer in layers:
        x = layer(x0, x)
    torch.testing.assert_close(CrossNetwork(layers)(x0), x, **EXACT)


def test_cross_layers_start_with_weights_of_their_own():
    # experts that start alike get the same gradient, and stay alike
    layer = make(LowRankCross, 4, 2, 3)
    for weights in (layer.C, layer.V.weight.view(3, 2, 4)):
        assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize("part", [1, 7, 1 << 11])
def test_encoding_by_length_equals_encoding_the_padded_grid(part, monkeypatch):
    """Sorting, cutting and putting back must change neither an answer nor a gradient."""
    monkeypatch.setattr("skrec.nn._buckets.PART", part)
    torch.manual_seed(0)
    table = torch.nn.Embedding(20, 4).double()
    encoder = AdditiveAttention(4, 3).double()
    mask = torch.arange(6) < torch.tensor([3, 0, 6, 1, 3, 2]).unsqueeze(1)
    ids = torch.randint(20, mask.shape) * mask
    padded = encoder(table(ids), mask)
    weights = [table.weight, *encoder.parameters()]
    wanted = torch.autograd.grad(padded.square().sum(), weights)
    by_length = encode_by_length(table, encoder, ids, mask)
    torch.testing.assert_close(by_length, padded, rtol=1e-10, atol=1e-12)
    found = torch.autograd.grad(by_length.square().sum(), weights)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
