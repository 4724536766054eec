"""Metrics of lists of recommended items beyond their accuracy.

A list is a row of item codes, best first. Lists with fewer than k items end with -1. Functions
that end in `_by_list` return one value per list, which is NaN where the metric is undefined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def count_exposures(lists: np.ndarray, n_items: int) -> np.ndarray:
    """Count how often each item is in a list.

    Parameters
    ----------
    lists : ndarray of int, shape (n, k)
        Lists of item codes.
    n_items : int
        N, the number of items in the catalogue.

    Returns
    -------
    ndarray of int64, shape (N,)
    """
    return np.bincount(lists[lists >= 0], minlength=n_items)


def coverage(exposures: np.ndarray) -> float:
    """Return the share of the items that are in at least one list."""
    return float(np.mean(exposures > 0))


def gini(exposures: np.ndarray) -> float:
    """Return the Gini coefficient of the exposures (N,); NaN if there are none.

    It is ``sum_j (2 j - N - 1) e_j / (N sum_j e_j)`` for exposures in ascending order and j from 1:
    0 if all items are in equally many lists, and ``1 - 1 / N`` if one item is in all places.
    """
    n_items, total = len(exposures), exposures.sum()
    if not total:
        return float("nan")
    place = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(place @ np.sort(exposures) / (n_items * float(total)))


def novelty_by_list(lists: np.ndarray, n_clicks: np.ndarray) -> np.ndarray:
    """Return the mean self-information ``-log2(share of the clicks)`` of the items of each list.

    Parameters
    ----------
    lists : ndarray of int, shape (n, k)
        Lists of item codes.
    n_clicks : ndarray of float, shape (N,)
        Number of training clicks on each item. Items without a click count as clicked once.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    information = -np.log2(np.maximum(n_clicks, 1) / max(n_clicks.sum(), 1))
    return _mean_of_items(information[lists], lists)


def diversity_by_list(lists: np.ndarray, vectors: Any) -> np.ndarray:
    """Return the mean of ``1 - cosine`` over the pairs of items in each list.

    Parameters
    ----------
    lists : ndarray of int, shape (n, k)
        Lists of distinct item codes.
    vectors : ndarray or csr_array of float, shape (N, D)
        Vectors of length 1, or 0 for items that are similar to no other.

    Returns
    -------
    ndarray of float, shape (n,)
        NaN for lists with fewer than two items.
    """
    real = lists >= 0
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    codes = lists[real]
    shape = (len(lists), vectors.shape[0])
    members = sparse.csr_array((np.ones(len(codes)), codes, offsets), shape=shape)
    # the sum of the cosines of all pairs, from the length of the sum of the vectors
    sums = _squares(members @ vectors) - members @ _squares(vectors)
    n_pairs = real.sum(axis=1) * (real.sum(axis=1) - 1.0)
    return np.where(n_pairs > 0, 1 - sums / np.maximum(n_pairs, 1), np.nan)


def serendipity_by_list(
    lists: np.ndarray, relevant: np.ndarray, n_clicks: np.ndarray
) -> np.ndarray:
    """Return the mean over each list of the lead of relevant items over their popularity.

    The lead of an item at rank r is ``max(p(r) - p(rank by clicks), 0)`` with
    ``p(r) = (N + 1 - r) / N``. Items with equally many clicks have the same rank by clicks, ranks
    have no gaps, and p is 0 for items without a click. The definition is that of RecTools.

    Parameters
    ----------
    lists : ndarray of int, shape (n, k)
        Lists of item codes.
    relevant : ndarray of bool, shape (n, k)
        Which of them were clicked.
    n_clicks : ndarray of float, shape (N,)
        Number of training clicks on each item.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    n_items = len(n_clicks)
    _, place = np.unique(-n_clicks, return_inverse=True)
    by_clicks = np.where(n_clicks > 0, (n_items - place) / n_items, 0.0)
    by_rank = (n_items - np.arange(lists.shape[1])) / n_items
    lead = np.maximum(by_rank - by_clicks[lists], 0) * relevant
    return _mean_of_items(lead, lists)


def _mean_of_items(values: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Return the means (n,) of values (n, k) over real items; NaN for empty lists."""
    real = lists >= 0
    n_real = real.sum(axis=1)
    sums = np.where(real, values, 0.0).sum(axis=1)
    return np.where(n_real > 0, sums / np.maximum(n_real, 1), np.nan)


def _squares(vectors: Any) -> np.ndarray:
    """Return the squared lengths of vectors (n, D), dense or sparse."""
    if sparse.issparse(vectors):
        return np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", vectors, vectors)
