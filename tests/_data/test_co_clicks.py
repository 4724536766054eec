"""Counts, similarities and weighted histories equal slow loops over Python lists."""

import numpy as np
import pyarrow as pa
import pytest
from encoded import encode
from scipy import sparse

from skrec import Items
from skrec._data.co_clicks import (
    click_matrix,
    cosine,
    count_clicks,
    ease,
    history_weights,
    keep_largest,
)
from skrec._data.rows import as_table, read_user_ids

N = 23


@pytest.fixture
def items():
    return Items({"item_id": range(N), "title": ["a"] * N})


def rows_of(kind, seed=0, n=40):
    rng = np.random.default_rng(seed)
    histories = [rng.integers(0, N, rng.integers(0, 9)).tolist() for _ in range(n)]
    histories[1::4] = histories[0::4]
    X = {"history": histories, "user_id": rng.integers(0, n // 3, n).tolist()}
    if kind == "pairs":
        X |= {"candidate": rng.integers(0, N, n), "clicked": rng.integers(0, 2, n)}
    if kind == "impressions":
        sizes = rng.integers(1, 5, n)
        X["candidates"] = [rng.integers(0, N, size).tolist() for size in sizes]
        X["clicked"] = [rng.integers(0, 2, size).tolist() for size in sizes]
    return X


def clicked_of(X, row):
    if "candidate" in X:
        return [X["candidate"][row]] if X["clicked"][row] else []
    if "candidates" not in X:
        return []
    return [c for c, y in zip(X["candidates"][row], X["clicked"][row], strict=True) if y]


def slow_matrix(X, known, weight=None):
    """Return the click matrix, with users in the order of a sorted key."""
    users, weights = {}, {}
    for row, history in enumerate(X["history"]):
        key = ("row", row) if not history or "clicked" not in X else ("history", tuple(history))
        if known:
            key = X["user_id"][row]
        users.setdefault(key, set()).update(history, clicked_of(X, row))
        weights.setdefault(key, []).append(1.0 if weight is None else weight[row])
    matrix = np.zeros((len(users), N))
    for number, (key, clicked) in enumerate(users.items()):
        matrix[number, list(clicked)] = np.sqrt(np.mean(weights[key]))
    return matrix


def sorted_rows(matrix):
    return matrix[np.lexsort(matrix.T)]


@pytest.fixture(params=["histories", "pairs", "impressions"])
def kind(request):
    return request.param


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_click_matrix(items, kind, known, weighted):
    X = rows_of(kind)
    weight = np.random.default_rng(1).random(40) if weighted else None
    users = read_user_ids(as_table(X)) if known else None
    data = encode(X, items=items, users=users, sample_weight=weight)
    got = click_matrix(data, N, np.float64)
    wanted = slow_matrix(X, known, weight)
    assert isinstance(got, sparse.csr_array)
    np.testing.assert_allclose(sorted_rows(got.toarray()), sorted_rows(wanted), atol=1e-12)


def test_rows_of_unknown_users_belong_to_their_histories(items):
    X = {"history": [[1], [1], [2]], "user_id": ["a", "b", "b"]}
    data = encode(X, items=items, users=pa.array(["b"], pa.large_string()))
    wanted = [{1}, {1, 2}]
    got = click_matrix(data, N).toarray()
    assert sorted(set(np.flatnonzero(row)) for row in got) == wanted


@pytest.mark.parametrize("known", [False, True])
def test_count_clicks(items, kind, known):
    X = rows_of(kind)
    users = read_user_ids(as_table(X)) if known else None
    weight = np.random.default_rng(1).random(40)
    groups = {}
    wanted = np.zeros(N)
    for row, history in enumerate(X["history"]):
        key = row if kind == "histories" else (tuple(history), known and X["user_id"][row])
        groups.setdefault(key, (history, []))[1].append(weight[row])
        for item in clicked_of(X, row):
            wanted[item] += weight[row]
    for history, weights in groups.values():
        for item in history:
            wanted[item] += np.mean(weights)
    data = encode(X, items=items, users=users, sample_weight=weight)
    np.testing.assert_allclose(count_clicks(data, N), wanted, atol=1e-12)


@pytest.mark.parametrize("decay", [1.0, 0.7, 0.0])
def test_history_weights(items, kind, decay):
    X = rows_of(kind)
    got = history_weights(encode(X, items=items), N, decay, np.float64)
    wanted = np.zeros((40, N))
    for row, history in enumerate(X["history"]):
        for age, item in enumerate(reversed(history)):
            wanted[row, item] += decay**age
    np.testing.assert_allclose(got.toarray(), wanted, atol=1e-12)
    assert got.has_canonical_format and got.nnz == np.count_nonzero(wanted)


def slow_largest(matrix, k):
    kept = np.zeros_like(matrix)
    for row, values in enumerate(matrix):
        best = sorted(range(N), key=lambda column: (-abs(values[column]), column))[:k]
        kept[row, best] = values[best]
    return kept


@pytest.fixture(params=[1 << 23, 3 * N])
def blocks(request, monkeypatch):
    monkeypatch.setattr("skrec._data.co_clicks.CELL_BLOCK", request.param)


def clicks_of(n_users, seed=0):
    rng = np.random.default_rng(seed)
    clicks = (rng.random((n_users, N)) < rng.random(N)).astype(float)
    clicks[:, 5] = 0
    return clicks


@pytest.mark.parametrize("shrinkage", [0.0, 2.5])
@pytest.mark.parametrize("k", [None, 4])
@pytest.mark.usefixtures("blocks")
def test_cosine(shrinkage, k):
    clicks = clicks_of(40)
    wanted = np.zeros((N, N))
    for i in range(N):
        for j in range(N):
            if i != j and (common := clicks[:, i] @ clicks[:, j]):
                norm = np.sqrt(clicks[:, i].sum() * clicks[:, j].sum())
                wanted[i, j] = common / (norm + shrinkage)
    got = cosine(sparse.csr_array(clicks), shrinkage, k)
    wanted = wanted if k is None else slow_largest(wanted, k)
    np.testing.assert_allclose(got.toarray(), wanted, atol=1e-10)


@pytest.mark.parametrize("n_users", [200, 15])
@pytest.mark.parametrize(("min_clicks", "max_items", "k"), [(1, None, None), (5, 9, 4), (99, 1, 1)])
@pytest.mark.usefixtures("blocks")
def test_ease(n_users, min_clicks, max_items, k):
    clicks = clicks_of(n_users)
    n_clicks = clicks.sum(axis=0)
    by_clicks = sorted(range(N), key=lambda item: (-n_clicks[item], item))
    used = [item for item in by_clicks if n_clicks[item] >= min_clicks][:max_items]
    wanted = np.zeros((N, N))
    if used:
        some = clicks[:, used]
        inverse = np.linalg.inv(some.T @ some + 3.0 * np.eye(len(used)))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        wanted[np.ix_(used, used)] = weights
    matrix = sparse.csr_array(clicks)
    got = ease(matrix, 3.0, min_clicks=min_clicks, max_items=max_items, k=k).toarray()
    if k is not None:  # which one of equal weights is kept depends on how they are rounded
        kept = slow_largest(wanted, k)
        np.testing.assert_allclose(np.sort(np.abs(got)), np.sort(np.abs(kept)), atol=1e-10)
        wanted = np.where(got != 0, wanted, 0)
    np.testing.assert_allclose(got, wanted, atol=1e-10)
    single = ease(
        matrix.astype(np.float32), 3.0, min_clicks=min_clicks, max_items=max_items, k=None
    )
    assert single.dtype == np.float32


def test_ease_weights_users():
    # a user of weight 2 counts like two users
    clicks = clicks_of(30)
    twice = np.concatenate([clicks, clicks[:7]])
    weighted = clicks.copy()
    weighted[:7] *= np.sqrt(2)
    for function in (lambda c: ease(c, 2.0), cosine):
        one, other = (function(sparse.csr_array(each)).toarray() for each in (twice, weighted))
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_ease_names_a_regularization_that_is_too_small():
    clicks = sparse.csr_array(np.ones((50, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="regularization=1e-30 is too small"):
        ease(clicks, 1e-30)


def test_keep_largest_keeps_equal_values_in_order():
    matrix = sparse.csr_array(np.array([[1.0, -2, 1, 0, 1], [0, 0, 0, 0, 3]]))
    wanted = [[1, -2, 0, 0, 0], [0, 0, 0, 0, 3]]
    np.testing.assert_array_equal(keep_largest(matrix, 2).toarray(), wanted)
