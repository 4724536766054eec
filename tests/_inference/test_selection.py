"""Lists with quotas and diversity equal plain loops, in all sizes of blocks and pools."""

import numpy as np
import pandas as pd
import pytest
import torch
from by_rules import by_score, greedy, mmr
from scipy import sparse

from skrec import Items
from skrec._inference import limited, quotas, selection
from skrec._inference.diversity import relevance
from skrec._inference.limited import LimitedTop
from skrec._inference.quotas import read_quotas
from skrec._inference.selection import Selection
from skrec._inference.top_k import lists_of

N, ROWS = 60, 7


@pytest.fixture(params=[200, 10**6], ids=lambda n: f"blocks of {n}")
def blocks(request, monkeypatch):
    monkeypatch.setattr(selection, "CELL_BLOCK", request.param)
    monkeypatch.setattr(limited, "CELL_BLOCK", request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def items(rng):
    topics = rng.choice(["a", "b", "c", "d", None], N, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    tags = [list(rng.choice(list("uvwxyz"), rng.integers(0, 4))) for _ in range(N)]  # some twice
    return Items(
        pd.DataFrame({"item_id": range(N), "topic": pd.Categorical(topics), "tags": tags}),
        roles={"tags": "multi-category"},
    )


def limits_of(items, at_most):
    """Return the values of each item and the number, of each limited column."""
    limits = []
    for name, most in at_most.items():
        values = items.column(name).to_pylist()
        if items.roles[name] == "category":
            values = [[] if value is None else [value] for value in values]
        limits.append((values, most))
    return limits


def chosen_by(select, scores, codes, k):
    """Return the lists and scores that a `Selection` makes of one block."""
    block = (slice(0, len(scores)), torch.from_numpy(scores.copy()), torch.from_numpy(codes))
    found, best = lists_of(iter([block]), len(scores), k, select)
    for row, listed in enumerate(found):
        count = (listed >= 0).sum()
        assert (listed[count:] == -1).all() and np.isneginf(best[row, count:]).all()
        assert len(set(listed[:count])) == count
    return [listed[listed >= 0].tolist() for listed in found], best


AT_MOST = [{"topic": 1}, {"topic": 2}, {"tags": 2}, {"topic": 3, "tags": 2}, {"tags": 100}]


@pytest.fixture(params=[0, 64], ids=["in rounds", "by groups"])
def groups(request, monkeypatch):
    """Limits on one column are applied in two ways."""
    monkeypatch.setattr(quotas, "FEW_VALUES", request.param)


@pytest.mark.usefixtures("blocks", "groups")
@pytest.mark.parametrize("n_scores", [3, 10**6])  # with and without ties
@pytest.mark.parametrize("k", [1, 4, N])
@pytest.mark.parametrize("at_most", AT_MOST, ids=str)
def test_quotas_skip_items_in_the_order_of_scores(items, rng, at_most, k, n_scores):
    scores = rng.integers(n_scores, size=(ROWS, N)).astype(np.float64)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    select = LimitedTop(read_quotas(at_most, items))
    found, best = chosen_by(select, scores, np.arange(N), k)
    for row in range(ROWS):
        allowed = np.flatnonzero(scores[row] > -np.inf)
        wanted = greedy(scores[row], allowed, k, limits_of(items, at_most))
        assert found[row] == wanted
        np.testing.assert_array_equal(best[row, : len(wanted)], scores[row, wanted])


def test_a_list_that_cannot_be_completed_ends_soon(monkeypatch):
    # each round leaves out the items of full values, so few are looked at
    n_items = 5000
    topics = pd.Categorical(np.arange(n_items) % 3)
    items = Items(pd.DataFrame({"item_id": range(n_items), "topic": topics}))
    looked_at = []
    plain = limited.highest
    monkeypatch.setattr(quotas, "FEW_VALUES", 2)
    monkeypatch.setattr(
        limited, "highest", lambda x, k: looked_at.append(len(x) * k) or plain(x, k)
    )
    scores = np.random.default_rng(0).normal(size=(4, n_items))
    found, _ = chosen_by(
        LimitedTop(read_quotas({"topic": 2}, items)), scores, np.arange(n_items), 9
    )
    assert [len(each) for each in found] == [6] * 4
    assert sum(looked_at) <= 4 * 3 * (2 * 9 + 8)


@pytest.mark.usefixtures("blocks")
def test_rows_with_candidates_of_their_own(items, rng):
    # codes (b, C): each row has other items, and short rows end with the last code of the catalogue
    lengths = [20, 9, 1, 0, 20, 15, 3]
    codes = np.full((ROWS, 20), N - 1)
    scores = np.full((ROWS, 20), -np.inf)
    for row, length in enumerate(lengths):
        codes[row, :length] = np.sort(rng.choice(N, length, replace=False))
        scores[row, :length] = rng.normal(size=length)
    at_most = {"topic": 2, "tags": 2}
    found, _ = chosen_by(LimitedTop(read_quotas(at_most, items)), scores, codes, 6)
    for row, length in enumerate(lengths):
        own = dict(zip(codes[row, :length], scores[row, :length], strict=True))
        assert found[row] == greedy(own, list(own), 6, limits_of(items, at_most))


@pytest.fixture(params=["dense", "sparse"])
def vectors(request, rng):
    made = rng.normal(size=(N, 5))
    made[rng.random(made.shape) < 0.3] = 0
    made[3] = 0  # an item without content is like no other
    made[11] = made[12]
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    unit = made / np.where(lengths > 0, lengths, 1)
    return unit, torch.from_numpy(unit) if request.param == "dense" else sparse.csr_array(unit)


@pytest.mark.usefixtures("blocks", "groups")
@pytest.mark.parametrize("pool", [3, 200])
@pytest.mark.parametrize("at_most", [None, {"topic": 1}, {"topic": 2, "tags": 3}], ids=str)
@pytest.mark.parametrize(("diversity", "k"), [(0.1, 5), (0.5, N // 2), (0.95, 12)])
def test_maximal_marginal_relevance_equals_a_loop(
    monkeypatch, items, rng, vectors, diversity, k, at_most, pool
):
    monkeypatch.setattr(selection, "POOL", pool)
    scores = rng.normal(size=(ROWS, N))
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    scores[0] = -np.inf  # nothing may be listed
    scores[1] = np.where(scores[1] > -np.inf, 1.0, -np.inf)  # scores without an order
    unit, given = vectors
    limits = None if at_most is None else read_quotas(at_most, items)
    found, best = chosen_by(Selection(limits, diversity, given), scores, np.arange(N), k)
    for row in range(ROWS):
        allowed = np.flatnonzero(scores[row] > -np.inf)
        limits = [] if at_most is None else limits_of(items, at_most)
        wanted = mmr(scores[row], allowed, k, diversity, unit, limits, pool)
        assert found[row] == wanted
        np.testing.assert_allclose(best[row, : len(wanted)], scores[row, wanted], rtol=1e-6)


def test_maximal_marginal_relevance_equals_pyversity(rng):
    pyversity = pytest.importorskip("pyversity")
    vectors, scores = rng.random(size=(50, 6)), rng.normal(size=(3, 50))  # it clips cosines at 0
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    select = Selection(None, 0.4, torch.from_numpy(unit))
    found, _ = chosen_by(select, scores, np.arange(50), 10)
    scaled = relevance(torch.from_numpy(scores)).numpy()
    for row in range(3):
        theirs = pyversity.diversify(
            vectors, scaled[row], k=10, strategy=pyversity.Strategy.MMR, diversity=0.4
        )
        assert found[row] == theirs.indices.tolist()


def test_more_diversity_makes_items_less_alike(rng):
    vectors = rng.normal(size=(N, 3))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit[:ROWS].T  # lists of similar items
    alike = []
    for diversity in (1e-9, 0.3, 0.7):
        select = Selection(None, diversity, torch.from_numpy(unit))
        found, _ = chosen_by(select, scores.T.copy(), np.arange(N), 6)
        alike.append(np.mean([unit[row] @ unit[row].T for row in found]))
        if diversity == 1e-9:
            assert found == [by_score(row, range(N))[:6] for row in scores.T]
    assert alike[0] > alike[1] > alike[2]


def test_relevance_is_scaled_per_row():
    scores = torch.tensor([[3.0, 2.0, 1.0], [5.0, 5.0, -torch.inf], [-torch.inf] * 3])
    wanted = [[1.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert relevance(scores).tolist() == wanted


# at_most


@pytest.mark.parametrize(
    ("at_most", "error", "message"),
    [
        ({}, ValueError, "at_most must map names of columns to numbers of items"),
        (3, TypeError, "at_most must map names of columns to numbers of items.*got 3"),
        ({"topics": 2}, ValueError, "'topics', which the catalogue lacks .did you mean 'topic'"),
        ({3: 2}, ValueError, "names the column 3, which the catalogue lacks; columns with cat"),
        ({"topic": 0}, ValueError, r"at_most\['topic'\] must be a positive int, got 0"),
        ({"topic": 1.5}, ValueError, r"at_most\['topic'\] must be a positive int, got 1.5"),
        ({"topic": True}, ValueError, r"at_most\['topic'\] must be a positive int, got True"),
        ({"title": 1}, ValueError, "column 'title' has the role 'text'; make it one with Items"),
    ],
)
def test_bad_quotas_name_the_column(at_most, error, message):
    frame = {"item_id": [1], "topic": pd.Categorical(["a"]), "title": ["x"]}
    with pytest.raises(error, match=message):
        read_quotas(at_most, Items(pd.DataFrame(frame)))


def test_a_column_of_nulls_limits_nothing():
    frame = {"item_id": [1, 2, 3], "topic": pd.Categorical([None] * 3), "tags": [[], [], []]}
    items = Items(pd.DataFrame(frame), roles={"tags": "multi-category"})
    for at_most in ({"topic": 1}, {"tags": 1}, {"tags": 10**12, "topic": 10**30}):
        select = LimitedTop(read_quotas(at_most, items))
        found, _ = chosen_by(select, np.zeros((2, 3)), np.arange(3), 3)
        assert found == [[0, 1, 2]] * 2
