"""MINER: three ways to make one score of several interests."""

import numpy as np
import pytest
import torch
from by_numpy import WIDTH, array, build, gelu, pairs, scores, softmax

from skrec import predictor

AGGREGATIONS = ["weighted", "max", "mean"]
K = 4


def formula(module, interests, v, aggregation):
    matches = np.array([interest @ v for interest in interests])
    if aggregation == "max":
        return max(matches)
    if aggregation == "mean":
        return sum(matches) / len(matches)
    target = gelu(array(module.target.weight) @ v)
    return softmax(np.array([interest @ target for interest in interests])) @ matches


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_equals_the_formula_over_the_real_vectors(aggregation):
    module = build(predictor.MINER(aggregation))
    user, item = pairs(K)
    lengths = [K, 2]
    mask = np.arange(K) < np.array(lengths)[:, None]
    user[1, :, 2:] = 1e6  # padding that would win any maximum
    found = scores(module, user, item, mask)
    for b, c in np.ndindex(found.shape):
        wanted = formula(module, user[b, 0, : lengths[b]], item[b, c], aggregation)
        assert found[b, c] == pytest.approx(wanted, rel=0, abs=1e-10)


def test_the_attention_may_transform_the_user_vectors():
    module = build(predictor.MINER(projection="user"))
    user, item = pairs(K)
    found = scores(module, user, item)
    weight = array(module.target.weight)
    for b, c in np.ndindex(found.shape):
        v, interests = item[b, c], user[b, 0]
        weights = softmax(np.array([gelu(weight @ interest) @ v for interest in interests]))
        wanted = weights @ np.array([interest @ v for interest in interests])
        assert found[b, c] == pytest.approx(wanted, rel=0, abs=1e-10)
    assert not np.allclose(found, scores(build(predictor.MINER()), user, item))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_users_of_each_candidate(aggregation):
    # candidate-aware operators give other interests for each candidate
    module = build(predictor.MINER(aggregation))
    _, item = pairs()
    user = np.random.default_rng(1).normal(size=(*item.shape[:2], K, WIDTH))
    found = scores(module, user, item)
    for b, c in np.ndindex(found.shape):
        wanted = formula(module, user[b, c], item[b, c], aggregation)
        assert found[b, c] == pytest.approx(wanted, rel=0, abs=1e-10)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_order_of_interests_does_not_matter(aggregation):
    module = build(predictor.MINER(aggregation))
    user, item = pairs(K)
    turned = np.ascontiguousarray(user[:, :, ::-1])
    wanted = pytest.approx(scores(module, user, item), rel=0, abs=1e-10)
    assert scores(module, turned, item) == wanted


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_one_vector_is_a_dot_product(aggregation):
    module = build(predictor.MINER(aggregation))
    user, item = pairs()
    wanted = pytest.approx((user[:, :, 0] * item).sum(-1), rel=0, abs=1e-10)
    assert scores(module, user, item) == wanted


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("n_vectors", [1, K])
def test_every_weight_has_a_gradient_and_padding_none(aggregation, n_vectors):
    module = build(predictor.MINER(aggregation))
    user, item = (torch.from_numpy(x).requires_grad_() for x in pairs(n_vectors))
    mask = torch.ones(len(user), n_vectors, dtype=torch.bool)
    mask[1, 1:] = False
    module(user, mask, item).square().sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())
    assert not user.grad[1, :, 1:].any()
    assert item.grad.all()
    if aggregation == "weighted":
        # with one vector there is nothing to weigh
        assert bool(module.target.weight.grad.any()) == (n_vectors > 1)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_extreme_vectors_and_wholly_masked_users_are_finite(aggregation):
    module = predictor.MINER(aggregation).build(WIDTH)
    user = torch.randn(2, 1, K, WIDTH) * 1e4
    mask = torch.tensor([[True] * K, [False] * K])
    item = (torch.randn(2, 3, WIDTH) * 1e4).requires_grad_()
    found = module(user, mask, item)
    found.sum().backward()
    assert found.isfinite().all()
    assert not found[1].any()
    assert item.grad.isfinite().all()


def test_what_is_not_finite_in_padding_stays_out():
    # 0 * inf is NaN
    module = build(predictor.MINER())
    user, item = pairs(K)
    mask = np.array([[True, True, False, False]] * len(user))
    wanted = scores(module, user, item, mask)
    user[:, :, 2:] = np.inf
    np.testing.assert_array_equal(scores(module, user, item, mask), wanted)


def test_only_the_weighted_kind_has_weights():
    assert [len(list(build(predictor.MINER(kind)).parameters())) for kind in AGGREGATIONS] == [
        1,
        0,
        0,
    ]


@pytest.mark.parametrize("value", ["sum", None, "Max"])
def test_bad_aggregation_is_refused(value):
    message = f"^aggregation must be one of 'weighted', 'max', 'mean', got {value!r}$"
    with pytest.raises(ValueError, match=message):
        predictor.MINER(value).check(64)
