import numpy as np
import pytest
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items
from skrec._training.negatives import NegativeSampler, count_clicks

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


def test_clicks_are_counted_in_distinct_histories_and_among_candidates():
    X = {
        "history": [[0, 0, 1], [0, 0, 1], [2]],
        "candidates": [[3, 4], [3], [0, 1]],
        "clicked": [[1, 0], [1], [1, 0]],
    }
    assert count_clicks(coded(6, X), 6).tolist() == [3, 1, 1, 2, 0, 0]
    # a history that no row has is not counted
    assert count_clicks(coded(6, X).take(np.array([2])), 6).tolist() == [1, 0, 1, 0, 0, 0]


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
