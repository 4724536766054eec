"""Counts of clicks, similarities of items that the same users clicked, and weighted histories.

::

    CodedInteractions --click_matrix--> clicks (M, N) --cosine, ease--> similarities (N, N), sparse
                      --history_weights--> weights (n, N)                      |
                                                |                              |
                                                +------------- @ --------------+--> scores (n, N)

Users are told apart by `user_id` if the codes of users are known. Otherwise, each bare history is
a user, and all rows of impressions or pairs with the same history belong to one user, except rows
with an empty history, which are users of their own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import gather_segments, iterate_blocks, segment_ids

MAX_PAIRS = 100_000_000  # pairs of clicks that `ordered_similarities` counts
SHORTEST_REACH = 5
CELL_BLOCK = 1 << 23  # similarities that are computed at a time


def count_clicks(data: CodedInteractions, n_items: int) -> np.ndarray:
    """Count the clicks on each item, each click once.

    Bare histories are counted row by row. Other histories are counted once, even if several rows
    of a user share them. Clicked candidates are counted in each row. Counts are weighted if rows
    have weights.

    Parameters
    ----------
    data : CodedInteractions
        The rows.
    n_items : int
        N, the number of items in the catalogue.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    row_weight = np.ones(data.n_rows) if data.weight is None else data.weight
    if data.kind == "histories":
        histories, weight = data.history_of_row, row_weight
    else:
        histories, _, of_row = data.history_user_pairs()
        weight = _means(of_row, row_weight, len(histories))
    at, offsets = gather_segments(data.history_offsets, histories)
    weight = np.repeat(weight, np.diff(offsets))
    counts = np.bincount(data.history_codes[at], weight, minlength=n_items)
    if data.clicked is not None:
        at = np.flatnonzero(data.clicked)
        weight = row_weight[data.row_of_candidate(at)]
        counts += np.bincount(data.candidate_codes[at], weight, minlength=n_items)
    return counts


def add_clicks(known: np.ndarray | None, data: CodedInteractions, n_items: int) -> np.ndarray:
    """Return the number of clicks on each item (n_items,), added to those of a smaller catalogue.

    See `count_clicks`. If `known` is None, only the clicks of `data` are counted.
    """
    counts, before = count_clicks(data, n_items), with_zeros(known, n_items)
    return counts if before is None else counts + before


def with_zeros(counts: np.ndarray | None, n_items: int) -> np.ndarray | None:
    """Return counts with zeros for new items, of shape (n_items,); None stays None.

    Without new items, the same array is returned, because each answer of a recommender asks for it.
    """
    if counts is None or len(counts) == n_items:
        return counts
    return np.pad(counts, (0, n_items - len(counts)))


def click_matrix(data: CodedInteractions, n_items: int, dtype: Any = np.float32) -> Any:
    """Return which user clicked which item, in histories or as a candidate.

    Parameters
    ----------
    data : CodedInteractions
        The rows.
    n_items : int
        N, the number of items in the catalogue.
    dtype : dtype, default=float32
        Type of the values.

    Returns
    -------
    csr_array of shape (M, N)
        1 for each pair of a user and an item that the user clicked. If rows have weights, it is
        the square root of the mean weight of the user's rows, so that products of two columns
        have the weight itself.
    """
    user_of_row = _users(data)
    pairs = np.unique(np.stack([data.history_of_row, user_of_row], axis=1), axis=0)
    at, offsets = gather_segments(data.history_offsets, pairs[:, 0])
    user, code = np.repeat(pairs[:, 1], np.diff(offsets)), data.history_codes[at]
    if data.clicked is not None:
        at = np.flatnonzero(data.clicked)
        user = np.concatenate([user, user_of_row[data.row_of_candidate(at)]])
        code = np.concatenate([code, data.candidate_codes[at]])
    n_users = int(user_of_row.max(initial=-1)) + 1
    cell = np.unique(user * np.int64(n_items) + code)
    user, code = cell // n_items, cell % n_items
    values = np.ones(len(cell), dtype=dtype)
    if data.weight is not None:
        values = np.sqrt(_means(user_of_row, data.weight, n_users))[user].astype(dtype)
    return sparse.csr_array((values, (user, code)), shape=(n_users, n_items))


def _users(data: CodedInteractions) -> np.ndarray:
    """Return the number of each row's user (n,), without gaps; see the module's docstring."""
    row = np.arange(data.n_rows)
    user = data.users()
    alone = np.diff(data.history_offsets)[data.history_of_row] == 0
    if data.kind == "histories":
        alone[:] = True
    size = data.n_rows + len(data.history_offsets)
    own = np.where(alone, row, data.n_rows + data.history_of_row)
    return np.unique(np.where(user > 0, size + user, own), return_inverse=True)[1]


def _means(groups: np.ndarray, values: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the mean of the values (n,) of each group."""
    n = np.bincount(groups, minlength=n_groups)
    return np.bincount(groups, values, minlength=n_groups) / np.maximum(n, 1)


def history_weights(
    data: CodedInteractions, n_items: int, decay: float = 1.0, dtype: Any = np.float32
) -> Any:
    """Return the items of each row's history, weighted by their age.

    Parameters
    ----------
    data : CodedInteractions
        The rows.
    n_items : int
        N, the number of items in the catalogue.
    decay : float, default=1.0
        Factor per click. The latest click of a history has the weight 1, the one before `decay`,
        the one before that ``decay ** 2``. Weights of repeated clicks are added.
    dtype : dtype, default=float32
        Type of the values.

    Returns
    -------
    csr_array of shape (n, N)
    """
    at, offsets = data.history_positions()
    row = segment_ids(offsets)
    age = offsets[1:][row] - 1 - np.arange(len(at))
    values = np.power(float(decay), age).astype(dtype)
    codes = data.history_codes[at]
    weights = sparse.csr_array((values, codes, offsets), shape=(data.n_rows, n_items))
    weights.sum_duplicates()
    weights.eliminate_zeros()  # those of old clicks may be too small for the type
    return weights


def cosine(clicks: Any, shrinkage: float = 0.0, k: int | None = None) -> Any:
    """Compute the cosines of the items' columns in a click matrix.

    The similarity of items i and j is ``c_ij / (sqrt(c_ii * c_jj) + shrinkage)``, where c_ij is
    the number of users who clicked both. It is 0 for an item and itself.

    Parameters
    ----------
    clicks : csr_array of shape (M, N)
        As returned by `click_matrix`.
    shrinkage : float, default=0.0
        Lowers the similarity of items with few clicks in common.
    k : int, default=None
        Number of the most similar items that are kept per row. None keeps all.

    Returns
    -------
    csr_array of shape (N, N)
    """
    columns, rows = clicks.tocsc(), clicks.T.tocsr()
    n_clicks = np.asarray(columns.multiply(columns).sum(axis=0)).ravel()
    norms = np.sqrt(n_clicks)
    parts = []
    for block in _blocks_of_products(rows, clicks):
        common = (rows[block] @ clicks).tocsr()
        common.sort_indices()
        item = segment_ids(common.indptr)
        norm = norms[block.start + item] * norms[common.indices]
        with np.errstate(over="ignore"):  # a huge shrinkage gives similarities of 0
            common.data = (common.data / (norm + shrinkage)).astype(clicks.dtype)
        common.data[common.indices == block.start + item] = 0
        common.eliminate_zeros()
        parts.append(keep_largest(common, k))
    return sparse.vstack(parts, format="csr")


def _blocks_of_products(rows: Any, clicks: Any) -> list[slice]:
    """Return consecutive slices of items whose products with all items have limited sizes.

    The number of products of an item is that of the clicks of its users, but at most N per row.
    """
    n_items = rows.shape[0]
    n_products = np.minimum(_ones_like(rows) @ np.diff(clicks.indptr).astype(np.float64), n_items)
    block = np.cumsum(n_products) // CELL_BLOCK
    edges = np.concatenate([[0], np.flatnonzero(np.diff(block)) + 1, [n_items]])
    return [slice(int(a), int(b)) for a, b in pairwise(edges) if b > a]


def _ones_like(matrix: Any) -> Any:
    """Return a csr_array with 1 in place of each stored value."""
    ones = np.ones(len(matrix.data))
    return sparse.csr_array((ones, matrix.indices, matrix.indptr), matrix.shape)


def ease(
    clicks: Any,
    regularization: float,
    *,
    min_clicks: float = 1,
    max_items: int | None = None,
    k: int | None = None,
) -> Any:
    """Compute the item weights of EASE [1]_ in closed form.

    Only items with enough clicks take part, because the computation takes memory of the order of
    the square of their number m, and time of the order of its cube: a dense matrix of
    ``m * m`` values of the type of `clicks`. If there are fewer users than items, the time grows
    with the number of users instead.

    Parameters
    ----------
    clicks : csr_array of shape (M, N)
        As returned by `click_matrix`.
    regularization : float
        L2 penalty of the weights, positive.
    min_clicks : float, default=1
        Least number of clicks of an item that takes part.
    max_items : int, default=None
        Largest number of items that take part: those with the most clicks. None means all.
    k : int, default=None
        Number of weights with the largest absolute values that are kept per row. None keeps all.

    Returns
    -------
    csr_array of shape (N, N)
        Weight of the click on item i (row) in the score of item j (column). The diagonal is 0.

    References
    ----------
    .. [1] Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", arXiv 1905.03375.
    """
    n_items = clicks.shape[1]
    n_clicks = np.asarray(clicks.multiply(clicks).sum(axis=0)).ravel()
    used = np.flatnonzero(n_clicks >= max(min_clicks, np.finfo(np.float32).tiny))
    if max_items is not None and len(used) > max_items:
        by_clicks = np.argsort(-n_clicks[used], kind="stable")
        used = np.sort(used[by_clicks[:max_items]])
    if not len(used):
        return sparse.csr_array((n_items, n_items), dtype=clicks.dtype)
    chosen = clicks[:, used]
    chosen = chosen[np.diff(chosen.indptr) > 0]
    inverse = _Inverse(chosen, regularization)
    diagonal = inverse.diagonal()
    parts = []
    for block in iterate_blocks(len(used), max(1, CELL_BLOCK // len(used))):
        weights = inverse.rows(block) / -diagonal
        weights[np.arange(len(weights)), np.arange(block.start, block.stop)] = 0
        parts.append(_largest_of_dense(weights, k))
    small = sparse.vstack(parts, format="csr")
    n_values = np.zeros(n_items, dtype=np.int64)
    n_values[used] = np.diff(small.indptr)
    offsets = np.concatenate([[0], np.cumsum(n_values)])
    return sparse.csr_array((small.data, used[small.indices], offsets), shape=(n_items, n_items))


class _Inverse:
    """The inverse of ``clicks.T @ clicks + regularization * I``, of which rows can be read."""

    def __init__(self, clicks: Any, regularization: float):
        self.clicks, self.regularization = clicks, regularization
        self.by_users = clicks.shape[0] < clicks.shape[1]
        gram = clicks @ clicks.T if self.by_users else clicks.T @ clicks
        self.matrix = _inverse_of(gram.toarray(order="F"), regularization)
        # Woodbury's identity: (X'X + r)^-1 = (1 - X' (XX' + r)^-1 X) / r
        self.half = self.matrix @ clicks if self.by_users else None

    def diagonal(self) -> np.ndarray:
        """Return the diagonal (m,)."""
        if not self.by_users:
            return self.matrix.diagonal().copy()
        products = self.clicks.multiply(self.half).sum(axis=0)
        return (1 - np.asarray(products).ravel()) / self.regularization

    def rows(self, block: slice) -> np.ndarray:
        """Return some rows (b, m), whose diagonal may be wrong."""
        if not self.by_users:
            return self.matrix[block]
        return -(self.clicks[:, block].T @ self.half) / self.regularization


def _inverse_of(gram: np.ndarray, regularization: float) -> np.ndarray:
    """Return the inverse of a Gram matrix plus a multiple of the identity, in place."""
    gram[np.diag_indices_from(gram)] += regularization
    potrf, potri = lapack.get_lapack_funcs(("potrf", "potri"), (gram,))
    factor, failed = potrf(gram, lower=True, overwrite_a=True, clean=True)
    if not failed:
        inverse, failed = potri(factor, lower=True, overwrite_c=True)
    if failed:
        raise ValueError(
            f"regularization={regularization!r} is too small for these clicks: their matrix can't "
            "be inverted"
        )
    for block in iterate_blocks(len(inverse), 1024):  # only the lower triangle is filled
        upper = inverse[block.start : block.stop, block.start :]
        lower = inverse[block.start :, block.start : block.stop]
        square = slice(0, block.stop - block.start)
        upper[:, square.stop :] = lower[square.stop :].T
        corner = np.tril(upper[:, square])
        upper[:, square] = corner + np.tril(corner, -1).T
    return inverse


def _largest_of_dense(matrix: np.ndarray, k: int | None) -> Any:
    """Return the same as `keep_largest`, for a dense matrix; faster than a sort of all values."""
    n_columns = matrix.shape[1]
    if k is None or k >= n_columns:
        return sparse.csr_array(matrix)
    sizes = np.abs(matrix)
    last = np.partition(sizes, n_columns - k, axis=1)[:, n_columns - k, None]
    kept = sizes > last
    tied = sizes == last
    kept |= tied & (tied.cumsum(axis=1) <= k - kept.sum(axis=1, keepdims=True))
    row, column = np.nonzero(kept & (matrix != 0))
    return sparse.csr_array((matrix[row, column], (row, column)), matrix.shape)


def keep_largest(matrix: Any, k: int | None) -> Any:
    """Return a sparse matrix with the k values of largest absolute value in each row.

    Equal values are kept in the order of their columns.

    Parameters
    ----------
    matrix : csr_array
        Matrix with sorted indices.
    k : int or None
        Number of values per row. None keeps all.

    Returns
    -------
    csr_array
    """
    lengths = np.diff(matrix.indptr)
    if k is None or not (lengths > k).any():
        return matrix
    row = segment_ids(matrix.indptr)
    order = np.lexsort((-np.abs(matrix.data), row))
    rank = np.arange(len(order)) - matrix.indptr[row]
    kept = np.sort(order[rank < k])
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, k))])
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], offsets), matrix.shape)


def ordered_similarities(
    data: CodedInteractions,
    n_items: int,
    *,
    reach: int = 50,
    discount: float = 0.9,
    backward: float = 0.3,
    exponents: tuple[float, float] = (0.5, 0.3),
    shrinkage: float = 5.0,
    k: int | None = 500,
) -> Any:
    """Compute similarities from the order and the distance of clicks in the same history.

    Each pair of clicks at most `reach` clicks apart counts ``discount ** (distance - 1)`` for the
    later item, and `backward` times as much for the earlier one. With the sum a_ij of all pairs
    of i and j, and the numbers of clicks n_i and n_j, the similarity is
    ``a_ij / (n_i ** x * n_j ** y + shrinkage)``.

    The default values were the best ones on the validation part of three data sets alike; see
    benchmarks/README.md.

    Parameters
    ----------
    data : CodedInteractions
        The rows. A clicked candidate follows the history of its row. A history that several rows
        of impressions or pairs share is counted once.
    n_items : int
        N, the number of items in the catalogue.
    reach : int, default=50
        Largest distance of two clicks. It is smaller for more than two million clicks, but at
        least 5, so that memory and time stay bounded.
    discount : float, default=0.9
        Factor per click between the two.
    backward : float, default=0.3
        Weight of a pair for the item that was clicked first.
    exponents : tuple of (float, float), default=(0.5, 0.3)
        x and y.
    shrinkage : float, default=5.0
        Lowers the similarities of items with few clicks.
    k : int, default=500
        Number of the most similar items that are kept per row. None keeps all.

    Returns
    -------
    csr_array of float32, shape (N, N)
        Similarity of each item of a history (row) to each item that may follow (column).
    """
    pairs = sparse.csr_array((n_items, n_items), dtype=np.float64)
    n_rows = np.bincount(data.history_of_row, minlength=len(data.history_offsets) - 1)
    times = n_rows if data.kind == "histories" else np.minimum(n_rows, 1)
    lengths = np.diff(data.history_offsets)
    left = np.repeat(data.history_offsets[1:], lengths) - np.arange(len(data.history_codes))
    times = np.repeat(times, lengths).astype(np.float64)  # per click
    clicked = np.empty(0, np.int64) if data.clicked is None else np.flatnonzero(data.clicked)
    history = data.history_of_row[data.row_of_candidate(clicked)]
    n_clicks = len(data.history_codes) + len(clicked)
    reach = min(reach, max(SHORTEST_REACH, MAX_PAIRS // max(1, n_clicks)))
    for distance in range(1, reach + 1):
        at = np.flatnonzero((left > distance) & (times > 0))
        near = np.flatnonzero(lengths[history] >= distance)
        first = np.concatenate([at, data.history_offsets[history[near] + 1] - distance])
        then = [data.history_codes[at + distance], data.candidate_codes[clicked[near]]]
        if not len(first):
            break
        values = np.concatenate([times[at], np.ones(len(near))]) * discount ** (distance - 1)
        cells = data.history_codes[first], np.concatenate(then)
        pairs = pairs + sparse.csr_array((values, cells), shape=pairs.shape)
    pairs = (pairs + backward * pairs.T).tocsr()
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    pairs.sort_indices()
    n_of_item = np.maximum(count_clicks(data, n_items), 1)
    row = segment_ids(pairs.indptr)
    norm = n_of_item[row] ** exponents[0] * n_of_item[pairs.indices] ** exponents[1]
    pairs.data = (pairs.data / (norm + shrinkage)).astype(np.float32)
    return keep_largest(pairs.astype(np.float32), k)
