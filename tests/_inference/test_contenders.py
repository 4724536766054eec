"""Items that may be among the best ones of a row, found from the maxima of chunks."""

import numpy as np
import pytest
import torch

from skrec._inference import contenders as _contenders
from skrec._inference.contenders import contenders, highest
from skrec._inference.top_k import top_k


@pytest.fixture(params=[(4, 1), (4, 2), (32, 4)], ids=str)
def chunks(request, monkeypatch):
    """Chunks of several sizes, also of one score, and with few items per chunk."""
    monkeypatch.setattr(_contenders, "CHUNK", request.param[0])
    monkeypatch.setattr(_contenders, "FEW_CHUNKS", request.param[1])


def slow_top(scores, k):
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("n_values", [1, 2, 7, 60, 10**6])
@pytest.mark.parametrize(("n_items", "k"), [(1, 1), (40, 3), (41, 3), (160, 4), (163, 1), (400, 9)])
def test_highest_equals_a_stable_sort(n_items, k, n_values):
    # with few distinct scores, ties extend past the end of the list and across chunks
    rng = np.random.default_rng(n_items + n_values)
    scores = rng.integers(n_values, size=(50, n_items)).astype(np.float32)
    scores[:, rng.permutation(n_items)[: n_items // 3]] = -np.inf
    scores[0] = -np.inf
    scores[1, k:] = -np.inf
    at, found = (each.numpy() for each in highest(torch.from_numpy(scores), k))
    wanted = slow_top(scores, k)
    expected = np.take_along_axis(scores, wanted, axis=1)
    assert np.array_equal(found, expected)
    assert np.array_equal(at[found > -np.inf], wanted[expected > -np.inf])


@pytest.mark.usefixtures("chunks")
def test_lists_where_most_is_excluded():
    scores = torch.full((2, 80), -torch.inf)
    scores[0, [70, 3]] = 1.0
    codes, best = top_k(iter([(slice(0, 2), scores)]), 2, 4)
    assert codes.tolist() == [[3, 70, -1, -1], [-1, -1, -1, -1]]
    assert best[0].tolist() == [1.0, 1.0, -np.inf, -np.inf]


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("n_values", [1, 5, 10**6])
@pytest.mark.parametrize(
    "sizes", [[50, 3, 0, 47], [4, 4, 4], [1] * 9, [1, 200], [0, 9, 0]], ids=str
)
@pytest.mark.parametrize("k", [1, 5, 300])
def test_contenders_contain_the_best_under_limits(sizes, k, n_values):
    rng = np.random.default_rng(n_values)
    limits = rng.integers(1, 6, size=len(sizes)).tolist()
    scores = rng.integers(n_values, size=(20, sum(sizes))).astype(np.float64)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    values, columns = (
        each.numpy() for each in contenders(torch.from_numpy(scores), k, sizes, limits)
    )
    part = np.repeat(np.arange(len(sizes)), sizes)
    for row in range(len(scores)):
        count = (values[row] > -np.inf).sum()
        assert (values[row, count:] == -np.inf).all()
        assert (np.diff(columns[row, :count]) > 0).all()
        assert np.array_equal(values[row, :count], scores[row, columns[row, :count]])
        listed, counts = [], np.zeros(len(sizes), dtype=int)
        for at in np.argsort(-scores[row], kind="stable"):
            if scores[row, at] > -np.inf and counts[part[at]] < limits[part[at]]:
                listed.append(at)
                counts[part[at]] += 1
        assert set(listed[:k]) <= set(columns[row, :count])


def test_few_scores_are_read_again():
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=(10, 20_000)))
    values, _ = contenders(scores, 20)
    assert values.shape[1] < 40  # sorting these few is what makes lists fast
    sizes = [5000, 10_000, 5000]
    values, _ = contenders(scores, 12, sizes, [4, 4, 4])
    assert values.shape[1] < 30
    values, _ = contenders(torch.zeros(2, 20_000), 3)
    assert values.shape[1] == 20_000  # all are equally good, and highest() keeps the first


def test_scores_of_a_view():
    scores = torch.arange(40.0).reshape(8, 5).T  # not contiguous
    at, found = highest(scores, 2)
    assert at.tolist() == [[7, 6]] * 5
    assert found[0].tolist() == [35.0, 30.0]


@pytest.mark.parametrize("k", [1, 3, 40])
def test_keys_of_scores_equal_contenders(k):
    scores = torch.randn(20, 40, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    scores[3] = 0.0
    scores[3, ::2] = -0.0
    scores[4, 5:] = -torch.inf
    scores[5] = -torch.inf
    scores[6, 7] = torch.finfo(torch.float32).max
    at, found = _contenders._highest_by_keys(scores, k)
    expected_at, expected = highest(scores, k)
    assert torch.equal(found, expected)
    listed = found > -torch.inf
    assert torch.equal(at[listed], expected_at[listed])
