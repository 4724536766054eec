import numpy as np
import pytest
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items
from skrec._training.batches import iterate_batches
from skrec._training.examples import make_examples
from skrec._training.negatives import NegativeSampler, _others, count_row_clicks

NONE = np.empty(0, dtype=np.int64)


def coded(n_items, X):
    return encode(X, items=Items([""] * n_items))


def sampler(n_items, n_negatives, histories=((),), sampling="uniform"):
    data = coded(n_items, [list(history) for history in histories])
    return NegativeSampler(data, n_items, n_negatives, sampling)


def test_a_uniform_draw_is_distinct_and_uniform():
    rng, counts = np.random.default_rng(0), np.zeros(12)
    drawn = sampler(12, 3)
    for _ in range(3000):
        pool = drawn.draw(rng)
        assert len(set(pool.tolist())) == len(pool) == 3
        counts[pool] += 1
    assert np.abs(counts - 750).max() < 125  # 5 standard deviations


def test_the_pool_makes_up_for_what_rows_leave_out():
    # half of the catalogue must not be sampled for a row
    assert len(sampler(100, 10, [range(50)]).draw(np.random.default_rng(0))) == 15
    assert len(sampler(12, 10, [range(6)]).draw(np.random.default_rng(0))) == 12


def test_each_row_gets_the_first_that_it_may_have():
    pool = np.array([5, 2, 9, 2])  # sampled with replacement, item 2 twice
    rows, codes = np.array([0, 1, 1, 1, 2]), np.array([5, 5, 2, 7, 5])
    need = np.array([2, 2, 1, 0])
    filled = sampler(10, 2).fill(pool, need, rows, codes)
    assert_array_equal(
        filled,
        [
            [False, True, True, False],
            [False, False, True, False],
            [False, True, False, False],
            [False, False, False, False],
        ],
    )


def test_nothing_is_forbidden():
    assert sampler(9, 2).fill(np.array([3, 1]), np.array([2, 1]), NONE, NONE).tolist() == [
        [True, True],
        [True, False],
    ]


def test_a_row_without_an_allowed_item_gets_none():
    everything = np.arange(4)
    filled = sampler(4, 2).fill(everything, np.array([2]), np.zeros(4, int), everything)
    assert not filled.any()


def test_clicks_are_counted_in_all_rows_and_among_candidates():
    X = {
        "history": [[0, 0, 1], [0, 0, 1], [2]],
        "candidates": [[3, 4], [3], [0, 1]],
        "clicked": [[1, 0], [1], [1, 0]],
    }
    assert count_row_clicks(coded(6, X), 6).tolist() == [5, 2, 1, 2, 0, 0]
    # a history that no row has is not counted
    assert count_row_clicks(coded(6, X).take(np.array([2])), 6).tolist() == [1, 0, 1, 0, 0, 0]
    assert count_row_clicks(coded(3, [[0, 1]] * 99 + [[2]]), 3).tolist() == [99, 99, 1]


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
@pytest.mark.parametrize("n_negatives", [4, 256])
def test_each_click_has_the_number_of_negatives_that_was_asked_for(sampling, n_negatives):
    rng = np.random.default_rng(0)
    share = np.arange(1, 301) ** -1.2
    share /= share.sum()
    lengths = rng.integers(1, 90, size=200)
    histories = [rng.choice(300, n, replace=sampling == "popularity", p=share) for n in lengths]
    data = coded(300, [history.tolist() for history in histories])
    drawn = NegativeSampler(data, 300, n_negatives, sampling)
    examples = make_examples(data, "softmax", drawn)
    n_clicks = 0
    for batch in iterate_batches(examples, 32, 50, rng):
        n_found = batch.candidate_mask.sum(dim=1).numpy() - 1
        if sampling == "popularity" or n_negatives == 4:
            assert (n_found == n_negatives).all()
        else:  # no more than the catalogue has
            assert n_found.min() >= 300 - 90
        n_clicks += len(n_found)
        assert not batch.log_q.any() or sampling == "popularity"
    assert n_clicks == len(examples)


def test_a_catalogue_without_enough_items_gives_all_that_it_has():
    data = coded(6, [[0, 1, 2]] * 8)
    for sampling in ("uniform", "popularity"):
        examples = make_examples(data, "softmax", NegativeSampler(data, 6, 5, sampling))
        for batch in iterate_batches(examples, 4, 9, np.random.default_rng(0)):
            n_found = batch.candidate_mask.sum(dim=1) - 1
            assert (n_found == {"uniform": 3, "popularity": 5}[sampling]).all()
    nothing = make_examples(coded(3, [[0, 1, 2]]), "softmax", sampler(3, 5, [[0, 1, 2]]))
    (batch,) = iterate_batches(nothing, 4, 9, np.random.default_rng(0))
    assert not batch.has_negatives()


def test_a_pool_grows_by_items_that_it_lacks():
    rng = np.random.default_rng(0)
    for n_items, n_pool in ((30, 4), (30, 29), (5, 5), (100_000_000, 3)):
        uniform = NegativeSampler(coded(6, [[0]]), n_items, n_pool, "uniform")
        pool = rng.choice(n_items, n_pool, replace=False)
        larger = uniform.extend(pool, rng)
        assert_array_equal(larger[:n_pool], pool)
        assert len(np.unique(larger)) == len(larger) == min(2 * n_pool, n_items)
        assert 0 <= larger.min() <= larger.max() < n_items


def test_the_items_that_a_pool_lacks_have_ranks():
    pool = np.array([1, 3, 4, 8])
    rest = np.setdiff1d(np.arange(10), pool)
    assert_array_equal(_others(pool, np.arange(6)), rest)


def test_targets_are_the_same_if_the_pool_grows():
    """A larger pool must not change which clicks are learned."""
    histories = [np.random.default_rng(i).permutation(40)[:30].tolist() for i in range(20)]
    data = coded(40, histories)
    found = []
    for n_negatives in (1, 10):
        drawn = NegativeSampler(data, 40, n_negatives, "uniform")
        drawn._size = 1
        examples = make_examples(data, "softmax", drawn)
        (batch,) = iterate_batches(examples, 20, 50, np.random.default_rng(3))
        found.append(batch.items[batch.candidates[:, 0]].tolist())
        assert (batch.candidate_mask.sum(dim=1) == 1 + n_negatives).all()
    assert found[0] == found[1]


def test_popular_items_are_drawn_in_proportion_to_their_clicks():
    popular = sampler(4, 8, [[0] * 6, [1]], sampling="popularity")
    rng, counts = np.random.default_rng(0), np.zeros(4)
    for _ in range(1000):
        counts += np.bincount(popular.draw(rng), minlength=4)
    share = np.array([7, 2, 1, 1]) / 11  # items without a click, too
    np.testing.assert_allclose(counts / counts.sum(), share, atol=0.02)
    np.testing.assert_allclose(np.exp(popular.log_q), share * 4, rtol=1e-6)


@pytest.mark.parametrize("last", [0.0, 1 - 2**-53])
def test_the_ends_of_the_distribution_are_items(last):
    class Ends:
        def random(self, size):
            return np.full(size, last)

    popular = sampler(3, 2, [[0, 1, 1, 2]], sampling="popularity")
    assert set(popular.draw(Ends()).tolist()) == {0 if last == 0 else 2}
