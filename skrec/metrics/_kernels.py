"""The grouped metrics as sums over tied blocks: each gives one value a group.

A block holds `length` tied rows, `hits` of them positive, below `before` rows. Its contribution is
the mean over all orders of its rows, so the order in which tied rows arrive cannot matter.
Values of groups that a metric leaves out are meaningless, but finite.
"""

import numpy as np


def gauc_by_group(ranking):
    """Count (positive, negative) pairs in the right order, as a share; a tied pair counts half."""
    negatives = (ranking.sizes - ranking.n_pos)[ranking.group]
    tied = ranking.length - ranking.hits
    above = ranking.before - ranking.hits_before
    right = ranking.hits * (negatives - above - 0.5 * tied)
    return ranking.sum_by_group(right / (_n_pos(ranking) * np.maximum(negatives, 1)))


def mrr_by_group(ranking):
    """Average the reciprocal rank of the first positive."""
    return _expect_at_first_hit(ranking, 1.0 / _places(ranking))


def mrr_mind_by_group(ranking):
    """Average the reciprocal rank over the positives."""
    expected = _expect_at_hits(ranking, 1.0 / _places(ranking))
    return ranking.sum_by_group(expected / _n_pos(ranking))


def ndcg_by_group(ranking, k):
    """Divide the discounted gain of the first k places by that of the best order."""
    discount = 1.0 / np.log2(_places(ranking, k) + 1)
    best = np.cumsum(discount)[np.minimum(_n_pos(ranking), len(discount)) - 1]
    return ranking.sum_by_group(_expect_at_hits(ranking, discount) / best)


def hit_by_group(ranking, k):
    """Compute the chance that a positive is among the first k."""
    return _expect_at_first_hit(ranking, np.ones(len(_places(ranking, k))))


def recall_by_group(ranking, k):
    """Compute the share of the positives that are among the first k."""
    return ranking.sum_by_group(_hits_above(ranking, k) / _n_pos(ranking))


def precision_by_group(ranking, k):
    """Divide the positives among the first k by k."""
    return ranking.sum_by_group(_hits_above(ranking, k)) / k


def average_precision_by_group(ranking):
    """Average over the positives the precision down to the end of their block."""
    precision = (ranking.hits_before + ranking.hits) / (ranking.before + ranking.length)
    return ranking.sum_by_group(ranking.hits * precision / _n_pos(ranking))


def _places(ranking, k=np.inf):
    """Return the places 1, 2, ... of the largest group, at most k."""
    return np.arange(1, min(k, ranking.sizes.max()) + 1)


def _n_pos(ranking):
    """Return the positives of the group of each block; never 0, as a block holds one."""
    return ranking.n_pos[ranking.group]


def _hits_above(ranking, k):
    """Count the positives that each block is expected to bring into the first k places."""
    inside = np.clip(len(_places(ranking, k)) - ranking.before, 0, ranking.length)
    return ranking.hits * inside / ranking.length


def _expect_at_hits(ranking, weight):
    """Sum over a block's positives of the expected weight of their place; 0 past the last one."""
    total = np.concatenate([[0.0], np.cumsum(weight)])
    last = len(weight)
    top = np.minimum(ranking.before, last)
    bottom = np.minimum(ranking.before + ranking.length, last)
    return ranking.hits * (total[bottom] - total[top]) / ranking.length


def _expect_at_first_hit(ranking, weight):
    """Average over orders of tied rows the weight of the place of each group's first positive."""
    values = np.zeros(len(ranking.sizes))
    first = np.flatnonzero(ranking.hits_before == 0)
    # A lone positive is equally likely to be anywhere in its block, which may be a whole catalogue.
    lone = (ranking.hits[first] == 1) & (ranking.length[first] > 1)
    values[ranking.group[first]] = _expect_at_hits(ranking, weight)[first]
    for rows, place in _buckets(ranking, first[~lone]):
        chance = _chance_of_first_hit(ranking.length[rows], ranking.hits[rows], place)
        rank = ranking.before[rows, np.newaxis] + place
        at_rank = np.append(weight, 0.0)[np.minimum(rank - 1, len(weight))]
        values[ranking.group[rows]] = np.einsum("ij,ij->i", chance, at_rank)
    return values


def _buckets(ranking, blocks):
    """Yield blocks of like size, with the places where their first positive may be.

    Each bucket can go through one padded matrix, at most twice as wide as it needs to be: a loop
    over powers of two, not over groups.
    """
    n_places = ranking.length[blocks] - ranking.hits[blocks] + 1
    exponents = np.frexp(n_places - 1)[1]
    for exponent in np.unique(exponents):
        yield blocks[exponents == exponent], np.arange(1, 2**exponent + 1)


def _chance_of_first_hit(n_rows, n_pos, place):
    """Compute the chance that the first of n_pos positives among n_rows is at each place.

    It is C(n_rows - place, n_pos - 1) / C(n_rows, n_pos). The ratio of neighbouring places is
    simple, and its products stay exact where factorials or their logarithms would cancel.
    """
    n, p = n_rows[:, np.newaxis], n_pos[:, np.newaxis]
    ratio = np.empty((len(n), len(place)))
    ratio[:, :1] = p / n
    done = place[:-1]
    # No place is left once the negatives are used up: the numerator meets 0 and stays there.
    ratio[:, 1:] = np.maximum(n - p + 1 - done, 0) / np.maximum(n - done, 1)
    return np.cumprod(ratio, axis=1, out=ratio)
