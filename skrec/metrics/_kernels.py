"""Grouped metrics as sums over blocks of tied rows. Each function returns one value per group.

A block consists of `length` tied rows, `hits` of which are positive. `before` rows of its group
rank above it. The contribution of a block is the mean over all orders of its rows, therefore the
input order of tied rows has no effect. For groups in which a metric is undefined, the value is
finite but meaningless.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skrec.metrics._ranking import Ranking


def gauc_by_group(ranking: Ranking) -> np.ndarray:
    """Compute the share of correctly ordered (positive, negative) pairs; tied pairs count half."""
    negatives = (ranking.sizes - ranking.n_pos)[ranking.group]
    tied = ranking.length - ranking.hits
    above = ranking.before - ranking.hits_before
    right = ranking.hits * (negatives - above - 0.5 * tied)
    return ranking.sum_by_group(right / (_n_pos(ranking) * np.maximum(negatives, 1)))


def mrr_by_group(ranking: Ranking) -> np.ndarray:
    """Compute the expected reciprocal rank of the first positive."""
    return _expected_weight_of_first_hit(ranking, 1.0 / _ranks(ranking))


def mrr_mind_by_group(ranking: Ranking) -> np.ndarray:
    """Compute the mean reciprocal rank of the positives."""
    expected = _expected_weight_of_hits(ranking, 1.0 / _ranks(ranking))
    return ranking.sum_by_group(expected / _n_pos(ranking))


def ndcg_by_group(ranking: Ranking, k: int) -> np.ndarray:
    """Divide the discounted gain of the top k ranks by the gain of the best order."""
    discount = 1.0 / np.log2(_ranks(ranking, k) + 1)
    if ranking.gains is not None:
        return _ndcg_of_gains(ranking, discount)
    best = np.cumsum(discount)[np.minimum(_n_pos(ranking), len(discount)) - 1]
    return ranking.sum_by_group(_expected_weight_of_hits(ranking, discount) / best)


def _ndcg_of_gains(ranking: Ranking, discount: np.ndarray) -> np.ndarray:
    """Compute the nDCG of positives with gains of their own."""
    assert ranking.gains is not None and ranking.best_gains is not None
    found = _expected_weight_of_hits(ranking, discount) * (ranking.gains / ranking.hits)
    group = np.repeat(np.arange(len(ranking.n_pos)), ranking.n_pos)
    place = np.arange(len(group)) - (np.cumsum(ranking.n_pos) - ranking.n_pos)[group]
    inside = place < len(discount)
    weights = ranking.best_gains[inside] * discount[place[inside]]
    best = np.bincount(group[inside], weights, minlength=len(ranking.n_pos))
    return ranking.sum_by_group(found) / np.where(best > 0, best, 1.0)


def hit_by_group(ranking: Ranking, k: int) -> np.ndarray:
    """Compute the probability that a positive is in the top k ranks."""
    return _expected_weight_of_first_hit(ranking, np.ones(len(_ranks(ranking, k))))


def recall_by_group(ranking: Ranking, k: int) -> np.ndarray:
    """Compute the share of the positives that are in the top k ranks."""
    return ranking.sum_by_group(_expected_hits_in_top(ranking, k) / _n_pos(ranking))


def precision_by_group(ranking: Ranking, k: int) -> np.ndarray:
    """Divide the number of positives in the top k ranks by k."""
    return ranking.sum_by_group(_expected_hits_in_top(ranking, k)) / k


def average_precision_by_group(ranking: Ranking) -> np.ndarray:
    """Average, over the positives, the precision at the end of their block."""
    precision = (ranking.hits_before + ranking.hits) / (ranking.before + ranking.length)
    return ranking.sum_by_group(ranking.hits * precision / _n_pos(ranking))


def _ranks(ranking: Ranking, k: float = np.inf) -> np.ndarray:
    """Return the ranks 1, 2, ... of the largest group, up to k."""
    return np.arange(1, min(k, ranking.sizes.max()) + 1)


def _n_pos(ranking: Ranking) -> np.ndarray:
    """Return the number of positives in the group of each block, which is at least 1."""
    return ranking.n_pos[ranking.group]


def _expected_hits_in_top(ranking: Ranking, k: int) -> np.ndarray:
    """Return the expected number of positives of each block in the top k ranks."""
    inside = np.clip(len(_ranks(ranking, k)) - ranking.before, 0, ranking.length)
    return ranking.hits * inside / ranking.length


def _expected_weight_of_hits(ranking: Ranking, weight: np.ndarray) -> np.ndarray:
    """Return, per block, the sum over its positives of the expected weight of their rank.

    Ranks beyond the end of `weight` have weight 0.
    """
    total = np.concatenate([[0.0], np.cumsum(weight)])
    last = len(weight)
    top = np.minimum(ranking.before, last)
    bottom = np.minimum(ranking.before + ranking.length, last)
    return ranking.hits * (total[bottom] - total[top]) / ranking.length


def _expected_weight_of_first_hit(ranking: Ranking, weight: np.ndarray) -> np.ndarray:
    """Return, per group, the expected weight of the rank of its first positive."""
    values = np.zeros(len(ranking.sizes))
    first = np.flatnonzero(ranking.hits_before == 0)
    # A single positive is equally likely at each rank of its block. This formula needs no matrix,
    # which matters because the block may be a whole catalogue.
    single = (ranking.hits[first] == 1) & (ranking.length[first] > 1)
    values[ranking.group[first]] = _expected_weight_of_hits(ranking, weight)[first]
    for rows, place in _blocks_by_size(ranking, first[~single]):
        chance = _chance_of_first_hit(ranking.length[rows], ranking.hits[rows], place)
        rank = ranking.before[rows, np.newaxis] + place
        at_rank = np.append(weight, 0.0)[np.minimum(rank - 1, len(weight))]
        values[ranking.group[rows]] = np.einsum("ij,ij->i", chance, at_rank)
    return values


def _blocks_by_size(
    ranking: Ranking, blocks: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of similar size, with the places that their first positive can have.

    The blocks of one bucket share one padded matrix, which is at most twice as wide as needed.
    The loop runs over powers of two instead of groups.
    """
    n_places = ranking.length[blocks] - ranking.hits[blocks] + 1
    exponents = np.frexp(n_places - 1)[1]
    for exponent in np.unique(exponents):
        yield blocks[exponents == exponent], np.arange(1, 2**exponent + 1)


def _chance_of_first_hit(n_rows: np.ndarray, n_pos: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Compute the probability that the first of n_pos positives among n_rows is at each place.

    The probability is C(n_rows - place, n_pos - 1) / C(n_rows, n_pos). It is computed as a product
    of the ratios of adjacent places, because factorials or their logarithms would lose digits by
    cancellation.
    """
    n, p = n_rows[:, np.newaxis], n_pos[:, np.newaxis]
    ratio = np.empty((len(n), len(place)))
    ratio[:, :1] = p / n
    done = place[:-1]
    # The first positive is at place n - p + 1 at the latest. The next ratio is 0, and the product
    # stays 0 from there on.
    ratio[:, 1:] = np.maximum(n - p + 1 - done, 0) / np.maximum(n - done, 1)
    return np.cumprod(ratio, axis=1, out=ratio)
