"""Distinct rows of columns of codes, such as pairs of a history and a user."""

from __future__ import annotations

import math

import numpy as np

LARGEST_KEY = 2**63 - 1
# a mask over all codes up to the largest one is faster than sorting if it is not much longer
SPARSE = 16


def distinct_rows(*columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Find the distinct rows of columns of codes.

    Rows are sorted by a single integer if all of them fit into int64, and by one column after
    another otherwise.

    Parameters
    ----------
    *columns : ndarray of int, shape (n,)
        Codes, which are not negative. The first column is the most significant one.

    Returns
    -------
    columns : list of ndarray of int64, shape (m,)
        The distinct rows, ascending.
    inverse : ndarray of int64, shape (n,)
        Position of each row among the distinct rows.
    """
    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    if math.prod(sizes) > LARGEST_KEY:
        return _distinct_by_columns(columns)
    key = columns[0].astype(np.int64)
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        key = key * size + column
    key, inverse = np.unique(key, return_inverse=True)
    found: list[np.ndarray] = []
    for size in sizes[:0:-1]:
        key, codes = np.divmod(key, size)
        found.insert(0, codes)
    return [key, *found], inverse


def _distinct_by_columns(
    columns: tuple[np.ndarray, ...],
) -> tuple[list[np.ndarray], np.ndarray]:
    """Find the distinct rows by sorting one column after another; see `distinct_rows`."""
    order = np.lexsort(columns[::-1])
    in_order = [column[order].astype(np.int64) for column in columns]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = np.any([column[1:] != column[:-1] for column in in_order], axis=0)
    inverse = np.empty(len(order), dtype=np.int64)
    inverse[order] = np.cumsum(is_first) - 1
    return [column[is_first] for column in in_order], inverse


def distinct_codes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ascending distinct codes and the inverse, as np.unique, in O(n) memory.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Codes, which are not negative. They may be far larger than n.

    Returns
    -------
    distinct : ndarray of int64, shape (m,)
    inverse : ndarray of int64, shape (n,)
        Position of each code in `distinct`.
    """
    size = int(codes.max(initial=-1)) + 1
    if size > SPARSE * len(codes):
        distinct, inverse = np.unique(codes, return_inverse=True)
        return distinct.astype(np.int64), inverse
    seen = np.zeros(size, dtype=bool)
    seen[codes] = True
    distinct = np.flatnonzero(seen)
    place = np.empty(size, dtype=np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[codes]
