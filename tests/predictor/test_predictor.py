"""What every registered predictor promises."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skrec import predictor
from skrec.predictor import OneVectorPredictor
from skrec.predictor._miner import InterestScores

WIDTH = 6
EXACT = {"rtol": 0, "atol": 1e-10}
B, C, K = 3, 4, 3


def build(operator):
    operator.check(WIDTH)
    torch.manual_seed(0)
    return operator.build(WIDTH).double().eval()


OPERATORS = {
    **{alias: operator() for alias, operator in predictor.ALIASES.items()},
    "dot-bias": predictor.Dot(0.5, item_bias=True),
    "dcnv2-stacked": predictor.DCNv2(2, structure="stacked", hidden=(5,)),
    "dcnv2-cross": predictor.DCNv2(2, hidden=()),
    "dcnv2-low-rank": predictor.DCNv2(2, rank=2, n_experts=3),
    "dcnv2-one-expert": predictor.DCNv2(2, rank=2, n_experts=1),
}


@pytest.fixture(params=sorted(OPERATORS))
def module(request):
    """The module of every registered predictor, and of options that change its shape."""
    return build(OPERATORS[request.param])


@pytest.fixture
def item():
    torch.manual_seed(1)
    return torch.randn(B, C, WIDTH, dtype=torch.float64)


@pytest.fixture
def user():
    torch.manual_seed(2)
    return torch.randn(B, 1, K, WIDTH, dtype=torch.float64)


def real(*lengths, n=K):
    """Mask (B, K) of that many real user vectors a row."""
    return torch.arange(n) < torch.tensor(lengths).unsqueeze(1)


ALL = real(K, K, K)
ONE = real(1, 1, 1, n=1)


@pytest.mark.parametrize("n_vectors", [1, K])
def test_shape(module, user, item, n_vectors):
    mask = ALL[:, :n_vectors]
    assert module(user[:, :, :n_vectors], mask, item).shape == (B, C)
    assert module(user[:, :, :n_vectors], mask, item[:, :1]).shape == (B, 1)


@pytest.mark.parametrize("n_vectors", [1, K])
def test_each_candidate_is_scored_by_itself(module, user, item, n_vectors):
    # otherwise a score would depend on what else was shown
    user, mask = user[:, :, :n_vectors], ALL[:, :n_vectors]
    together = module(user, mask, item)
    for c in range(C):
        alone = module(user, mask, item[:, c : c + 1])
        torch.testing.assert_close(together[:, c : c + 1], alone, **EXACT)


@pytest.mark.parametrize("n_vectors", [1, K])
def test_a_batch_equals_one_by_one(module, user, item, n_vectors):
    user, mask = user[:, :, :n_vectors], ALL[:, :n_vectors]
    together = module(user, mask, item)
    for b in range(B):
        row = slice(b, b + 1)
        torch.testing.assert_close(together[row], module(user[row], mask[row], item[row]), **EXACT)


@pytest.mark.parametrize("n_vectors", [1, K])
def test_one_user_for_all_candidates_equals_one_each(module, user, item, n_vectors):
    # behavior operators give (B, 1, K, D), candidate-aware ones (B, C, K, D)
    user, mask = user[:, :, :n_vectors], ALL[:, :n_vectors]
    each = user.repeat(1, C, 1, 1)
    torch.testing.assert_close(module(user, mask, item), module(each, mask, item), **EXACT)


def test_candidate_aware_users_meet_their_own_candidate(module, item):
    user = torch.randn(B, C, K, WIDTH, dtype=torch.float64)
    together = module(user, ALL, item)
    for c in range(C):
        one = slice(c, c + 1)
        torch.testing.assert_close(
            together[:, one], module(user[:, one], ALL, item[:, one]), **EXACT
        )


def test_masked_user_vectors_do_not_count(module, user, item):
    mask = real(1, 2, 3)
    wanted = module(user, mask, item)
    garbage = torch.where(mask[:, None, :, None], user, torch.full_like(user, 1e6))
    torch.testing.assert_close(module(garbage, mask, item), wanted, **EXACT)
    alone = module(user[:1, :, :1], mask[:1, :1], item[:1])
    torch.testing.assert_close(wanted[:1], alone, **EXACT)


def test_inputs_are_left_alone(module, user, item):
    before = user.clone(), item.clone()
    module(user, real(1, 2, 3), item)
    assert torch.equal(user, before[0])
    assert torch.equal(item, before[1])


@pytest.mark.parametrize("n_vectors", [1, K])
def test_every_parameter_and_input_gets_a_gradient(module, user, item, n_vectors):
    user = user[:, :, :n_vectors].clone().requires_grad_()
    item.requires_grad_()
    scores = module(user, ALL[:, :n_vectors], item)
    (scores * torch.randn_like(scores)).sum().backward()
    tensors = {"user": user, "item": item, **dict(module.named_parameters())}
    idle = [
        name for name, tensor in tensors.items() if tensor.grad is None or not tensor.grad.any()
    ]
    if n_vectors == 1 and isinstance(module, InterestScores):
        # there is nothing to weigh; a gradient of 0 is one that the optimiser can read
        assert module.target.weight.grad is not None
        idle.remove("target.weight")
    assert not idle


def test_score_all_equals_pair_by_pair(module, user, item):
    # top-k lists and candidates' scores would disagree
    if not hasattr(module, "score_all"):
        return
    users, items = user[:, 0, 0], item.reshape(-1, WIDTH)
    found = module.score_all(users, items)
    for h in range(B):
        pairs = module(user[h : h + 1, :, :1], ONE[:1], items.unsqueeze(0))
        torch.testing.assert_close(found[h : h + 1], pairs, **EXACT)


def test_several_user_vectors_are_reduced_for_each_candidate(module, user, item):
    if not isinstance(module, OneVectorPredictor):
        return
    lengths = [1, 2, 3]
    found = module(user, real(*lengths), item)
    for b, length in enumerate(lengths):
        for c in range(C):
            vectors = [user[b, 0, k] for k in range(length)]
            shares = [math.exp(float(vector @ item[b, c])) for vector in vectors]
            mixed = sum(
                share / sum(shares) * vector for share, vector in zip(shares, vectors, strict=True)
            )
            wanted = module(mixed[None, None, None], ONE[:1], item[b, c][None, None])
            torch.testing.assert_close(found[b, c], wanted[0, 0], **EXACT)


# Known answers


@pytest.mark.parametrize("temperature", [1.0, 0.1, 4])
def test_dot_by_hand(temperature):
    module = predictor.Dot(temperature).build(2)
    user = torch.tensor([[[[1.0, 2.0]]]])
    item = torch.tensor([[[3.0, 4.0], [-1.0, 0.5]]])
    wanted = pytest.approx([11 / temperature, 0.0])
    assert module(user, ONE[:1], item)[0].tolist() == wanted
    assert module.score_all(user[0, 0], item[0])[0].tolist() == wanted


def test_item_bias_by_hand():
    module = predictor.Dot(0.5, item_bias=True).build(2)
    user = torch.tensor([[[[1.0, 2.0]]]])
    item = torch.tensor([[[3.0, 4.0], [-1.0, 0.5]]])
    assert module(user, ONE[:1], item)[0].tolist() == [22.0, 0.0]  # at the start there is none
    with torch.no_grad():
        module.bias.copy_(torch.tensor([10.0, -20.0]))
    # the temperature sharpens the dot product, not what the item is worth to anyone
    wanted = [22.0 + 30.0 - 80.0, 0.0 - 10.0 - 10.0]
    assert module(user, ONE[:1], item)[0].tolist() == wanted
    assert module.score_all(user[0, 0], item[0])[0].tolist() == wanted


def test_item_bias_counts_once_whatever_the_number_of_user_vectors(user, item):
    plain, biased = build(predictor.Dot()), build(predictor.Dot(item_bias=True))
    with torch.no_grad():
        biased.bias.normal_()
    wanted = plain(user, ALL, item) + item @ biased.bias
    torch.testing.assert_close(biased(user, ALL, item), wanted, **EXACT)


def test_dot_without_item_bias_has_nothing_to_learn():
    assert not list(build(predictor.Dot()).parameters())
    assert not list(build(predictor.Cosine()).parameters())


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_cosine_equals_numpy(user, item, temperature):
    module = build(predictor.Cosine(temperature))
    u, v = user[:, :, 0].numpy(), item.numpy()
    lengths = np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1)
    wanted = (u * v).sum(axis=-1) / lengths / temperature
    found = module(user[:, :, :1], ONE, item)
    assert found.numpy() == pytest.approx(wanted, rel=0, abs=1e-10)
    longer = module(7 * user[:, :, :1], ONE, item * torch.rand(B, C, 1))
    torch.testing.assert_close(longer, found, **EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30])
def test_cosine_of_a_zero_vector_is_zero_with_a_small_gradient(size, dtype):
    # 0 / 0 is NaN, and a clamp at 1e-8 would send gradients of 1e8 into the item's encoder
    module = predictor.Cosine(1.0).build(WIDTH)
    user = torch.full((1, 1, 1, WIDTH), size, dtype=dtype, requires_grad=True)
    item = torch.full((1, 2, WIDTH), size, dtype=dtype)
    item[0, 1] = 1.0
    item.requires_grad_()
    scores = module(user, ONE[:1], item)
    assert scores[0].tolist() == pytest.approx([0.0, 0.0], abs=1e-20)
    # not bit for bit: a matrix product may add in another order than a sum does
    torch.testing.assert_close(module.score_all(user[0, 0], item[0]), scores, atol=0, rtol=1e-6)
    scores.sum().backward()
    for tensor in (user, item):
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().max() <= 1.0


def dcnv2_by_loops(module, x0, n_layers, structure, low_rank):
    """The paper's formula for one pair, with the weights of the module."""
    x = x0
    for layer in module.cross.layers[:n_layers]:
        if low_rank:
            n_experts, rank = layer.C.shape[:2]
            gates = F.softmax(layer.gate.weight @ x + layer.gate.bias, dim=0)
            total = torch.zeros_like(x)
            for i in range(n_experts):
                own = slice(i * rank, (i + 1) * rank)
                V, C, U = layer.V.weight[own].T, layer.C[i], layer.U.weight[:, own]
                expert = x0 * (U @ torch.tanh(C @ torch.tanh(V.T @ x)) + layer.U.bias)
                total = total + gates[i] * expert
            x = total + x
        else:
            x = x0 * (layer.project.weight @ x + layer.project.bias) + x
    hidden, out = module.mlp.layers[0], module.mlp.layers[-1]
    deep = torch.relu(hidden.weight @ (x if structure == "stacked" else x0) + hidden.bias)
    if structure == "stacked":
        return out.weight[0] @ deep + out.bias[0]
    final = torch.cat([module.out.weight[0], out.weight[0]])  # of the layer over both outputs
    return final @ torch.cat([x, deep]) + out.bias[0]


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
@pytest.mark.parametrize("low_rank", [False, True])
def test_dcnv2_equals_the_formula(user, item, structure, low_rank):
    rank = 2 if low_rank else None
    options = {"hidden": (5,), "structure": structure, "rank": rank, "n_experts": 3}
    module = build(predictor.DCNv2(3, **options))
    assert len(module.cross.layers) == 3
    found = module(user[:, :, :1], ONE, item)
    for b in range(B):
        for c in range(C):
            x0 = torch.cat([user[b, 0, 0], item[b, c]])
            wanted = dcnv2_by_loops(module, x0, 3, structure, low_rank)
            torch.testing.assert_close(found[b, c], wanted, **EXACT)


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_dcnv2_without_hidden_layers_is_the_cross_network(user, item, structure):
    module = build(predictor.DCNv2(1, hidden=(), structure=structure))
    (layer,), (out,) = module.cross.layers, module.mlp.layers
    x0 = torch.cat([user[:, :, 0].expand_as(item), item], dim=-1)
    wanted = out(x0 * layer.project(x0) + x0).squeeze(-1)
    torch.testing.assert_close(module(user[:, :, :1], ONE, item), wanted, **EXACT)
    assert len(list(module.parameters())) == 4


def test_dcnv2_options_reach_the_layers():
    module = predictor.DCNv2(2, hidden=[7, 5], dropout=0.25, rank=3, n_experts=2).build(WIDTH)
    layers = module.mlp.layers
    assert [layer.out_features for layer in layers if hasattr(layer, "out_features")] == [7, 5, 1]
    assert {layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)} == {0.25}
    assert [tuple(layer.C.shape) for layer in module.cross.layers] == [(2, 3, 3)] * 2


def test_mlp_equals_the_formula(user, item):
    module = build(predictor.MLP((5,), activation="tanh"))
    found = module(user[:, :, :1], ONE, item)
    hidden, out = module.mlp.layers[0], module.mlp.layers[-1]
    for b in range(B):
        for c in range(C):
            u, v = user[b, 0, 0].tolist(), item[b, c].tolist()
            x = u + v + [i * j for i, j in zip(u, v, strict=True)]
            total = out.bias.item()
            for row, bias, weight in zip(
                hidden.weight.tolist(), hidden.bias.tolist(), out.weight[0].tolist(), strict=True
            ):
                z = sum(w * value for w, value in zip(row, x, strict=True)) + bias
                total += weight * math.tanh(z)
            assert found[b, c].item() == pytest.approx(total, abs=1e-10)


def test_mlp_options_reach_the_layers():
    layers = predictor.MLP([7, 5], activation="gelu", dropout=0.25).build(WIDTH).mlp.layers
    assert [layer.out_features for layer in layers if hasattr(layer, "out_features")] == [7, 5, 1]
    assert [type(layer).__name__ for layer in layers].count("GELU") == 2
    assert {layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)} == {0.25}


def test_fit_does_nothing():
    for operator in predictor.ALIASES.values():
        operator = operator()
        before = dict(vars(operator))
        assert operator.fit() is operator
        assert vars(operator) == before
