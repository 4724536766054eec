"""Sampled negatives: as many per row as requested, and no item that the user has seen."""

import itertools

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skrec import Interactions, Items
from skrec.datasets import sample_negatives
from skrec.datasets._clicks import unseen_items as _unseen_items
from skrec.datasets._clicks.unseen_items import PopularUnseenItemSampler

N_ITEMS = 40


def rows_of(rng, n=80, named=int):
    """Make impressions with zero to eight candidates. Users have seen up to half of all items."""
    rows = []
    for number in range(n):
        candidates = rng.choice(N_ITEMS, rng.integers(9), replace=False)
        rows.append(
            {
                "user_id": f"u{rng.integers(12)}",
                "history": [named(i) for i in rng.integers(N_ITEMS // 4, size=rng.integers(5))],
                "candidates": [named(i) for i in candidates],
                "clicked": (rng.random(len(candidates)) < 0.3).astype(int).tolist(),
                "note": f"row {number}",
            }
        )
    X = pd.DataFrame(rows)
    X.loc[0, "user_id"] = "once"
    return X


def seen_by_row(X):
    """Return the items that the user of each row has seen in any row, with a loop over the rows."""
    owners = X["user_id"] if "user_id" in X else range(len(X))
    met = {}
    for owner, history, candidates in zip(owners, X.history, X.candidates, strict=True):
        met.setdefault(owner, set()).update(history, candidates)
    return [met[owner] for owner in owners]


def clicks_of(row):
    return sorted(zip(row["candidates"], row["clicked"], strict=True))


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
@pytest.mark.parametrize("users", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_rows_are_filled_up_with_unseen_items(seed, users, sampling):
    X = rows_of(np.random.default_rng(seed))
    X = X if users else X.drop(columns="user_id")
    n = 3
    found = sample_negatives(X, range(N_ITEMS), n=n, sampling=sampling).to_pylist()
    for before, after, met in zip(X.to_dict("records"), found, seen_by_row(X), strict=True):
        added = [(item, 0) for item in set(after["candidates"]) - set(before["candidates"])]
        assert clicks_of(after) == sorted(clicks_of(before) + added)
        assert len(added) == max(0, n - before["clicked"].count(0))
        assert not {item for item, _ in added} & met
        assert {item for item, _ in added} <= set(range(N_ITEMS))
        assert {name: after[name] for name in after if name not in ("candidates", "clicked")} == {
            name: before[name] for name in before if name not in ("candidates", "clicked")
        }


def test_pairs_of_clicks_become_impressions():
    X = {
        "history": [[1], [2, 1]],
        "candidate": [2, 3],
        "impression_id": [5, 5],
        "time": [8, 9],
    }
    for labels in ({}, {"clicked": [1, 1]}):
        rows = sample_negatives(X | labels, range(6), n=3).to_pylist()
        assert [set(row) for row in rows] == [{"history", "candidates", "clicked", "time"}] * 2
        assert sorted(rows[1]["candidates"]) == [0, 3, 4, 5]
        clicked = rows[1]["clicked"]
        assert rows[1]["candidates"][clicked.index(1)] == 3
        assert sum(clicked) == 1


def test_any_table_and_any_ids_give_the_same():
    X = rows_of(np.random.default_rng(0))
    wanted = sample_negatives(X, range(N_ITEMS), n=3).to_pylist()
    for table in (pl.from_pandas(X), pa.Table.from_pandas(X), X.to_dict("list"), Interactions(X)):
        assert sample_negatives(table, range(N_ITEMS), n=3).to_pylist() == wanted
    catalogue = Items({"item_id": list(range(N_ITEMS)), "title": ["x"] * N_ITEMS})
    assert sample_negatives(X, catalogue, n=3).to_pylist() == wanted
    assert sample_negatives(X, [*range(N_ITEMS), 3, 3], n=3).to_pylist() == wanted
    named = rows_of(np.random.default_rng(0), named=lambda i: f"i{i}")
    found = sample_negatives(named, [f"i{i}" for i in range(N_ITEMS)], n=3).to_pylist()
    assert [[int(i[1:]) for i in row["candidates"]] for row in found] == [
        row["candidates"] for row in wanted
    ]
    again = sample_negatives(X, range(N_ITEMS), n=3, random_state=0).to_pylist()
    assert again == wanted
    assert sample_negatives(X, range(N_ITEMS), n=3, random_state=1).to_pylist() != wanted


def test_the_click_can_be_at_any_position():
    X = {"history": [[]] * 400, "candidates": [[0]] * 400, "clicked": [[1]] * 400}
    clicked = np.array(sample_negatives(X, range(9), n=3)["clicked"].to_pylist())
    assert (np.abs(clicked.mean(axis=0) - 0.25) < 0.08).all()


def test_items_seen_elsewhere_are_no_negatives():
    X = {"user_id": ["a", "b"], "history": [[0], [0]], "candidate": [1, 1]}
    seen = {"user_id": ["a", "a", "z", "a"], "item_id": [2, 3, 4, 99]}
    rows = sample_negatives(X, range(6), n=2, seen=seen).to_pylist()
    assert sorted(rows[0]["candidates"]) == [1, 4, 5]
    drawn = set()
    for seed in range(20):
        rows = sample_negatives(X, range(6), n=2, seen=seen, random_state=seed).to_pylist()
        drawn |= set(rows[1]["candidates"])
    assert drawn == {1, 2, 3, 4, 5}


def test_items_outside_the_catalogue_are_kept_and_never_drawn():
    X = {"history": [[77]], "candidates": [[88, 99]], "clicked": [[1, 0]]}
    (row,) = sample_negatives(X, [1, 2], n=3).to_pylist()
    assert clicks_of(row) == [(1, 0), (2, 0), (88, 1), (99, 0)]


def test_popular_items_are_drawn_more_often():
    # ten users clicked item 0 (one of them twice), one user clicked item 1, nobody items 2 and 3
    clicks = [("a", 0), ("a", 0), *((f"u{i}", 0) for i in range(9)), ("b", 1)]
    rest = [(f"v{i}", 9) for i in range(3000)]
    users, items = zip(*clicks, *rest, strict=True)
    X = {"user_id": users, "history": [[]] * len(users), "candidate": items}
    found = sample_negatives(X, range(4), n=1, sampling="popularity").to_pylist()
    drawn = [row["candidates"][row["clicked"].index(0)] for row in found[len(clicks) :]]
    shares = np.bincount(drawn, minlength=4) / 3000
    assert np.abs(shares - np.array([11, 2, 1, 1]) / 15).max() < 0.03


@pytest.mark.parametrize("tries", [20, 1, 0])
def test_popularity_draws_in_proportion_to_what_is_left(tries, monkeypatch):
    """Frequencies of pairs equal those of sequential draws, with and without retries."""
    monkeypatch.setattr(_unseen_items, "MAX_TRIES", tries)
    weight = np.array([50.0, 1.0, 2.0, 3.0, 6.0])
    n = 40_000
    # the first of two users has seen the item that is drawn nearly always
    sampler = PopularUnseenItemSampler(np.array([0]), np.array([0]), 2, weight)
    user = np.repeat([0, 1], n)
    drawn = sampler.draw(user, 2, np.random.default_rng(0))
    for who, free in ((0, [1, 2, 3, 4]), (1, [0, 1, 2, 3, 4])):
        pairs, counts = np.unique(drawn[user == who], axis=0, return_counts=True)
        total = weight[free].sum()
        wanted = {
            (a, b): weight[a] / total * weight[b] / (total - weight[a])
            for a, b in itertools.permutations(free, 2)
        }
        assert set(map(tuple, pairs.tolist())) <= set(wanted)
        found = dict(zip(map(tuple, pairs.tolist()), counts / n, strict=True))
        assert max(abs(found.get(pair, 0) - share) for pair, share in wanted.items()) < 0.01


def test_users_who_have_seen_nearly_all_items_get_the_others():
    everything = list(range(N_ITEMS))
    X = {
        "user_id": [1, 1, 2],
        "history": [everything[:-3], [], []],
        "candidates": [[], [0], [0]],
        "clicked": [[], [1], [1]],
    }
    for sampling in ("uniform", "popularity"):
        rows = sample_negatives(X, everything, n=3, sampling=sampling).to_pylist()
        assert sorted(rows[0]["candidates"]) == everything[-3:]
        assert sorted(rows[1]["candidates"]) == [0, *everything[-3:]]
        with pytest.raises(
            ValueError, match="user 1 needs 4 negatives but met all but 3 of 40 items; lower n"
        ):
            sample_negatives(X, everything, n=4, sampling=sampling)
    alone = {name: column for name, column in X.items() if name != "user_id"}
    with pytest.raises(ValueError, match="row 0 needs 4 negatives but met all but 3 of 40"):
        sample_negatives(alone, everything, n=4)


IMPRESSION = {"user_id": [1], "history": [[1]], "candidates": [[2]], "clicked": [[1]]}


@pytest.mark.parametrize(
    ("X", "arguments", "error", "message"),
    [
        (IMPRESSION, {"n": 0}, ValueError, "n must be a positive int, got 0"),
        (IMPRESSION, {"sampling": "best"}, ValueError, "sampling must be one of 'uniform', 'pop"),
        ([[1, 2]], {}, ValueError, "X has no candidates to add to.*impressions_from_clicks"),
        ({"history": [[1]], "candidates": [[2]]}, {}, ValueError, "X has no column 'clicked'"),
        (
            {"history": [[1]] * 2, "candidate": [2, 3], "clicked": [1, 0]},
            {},
            ValueError,
            "1 pairs of X were not clicked; give impressions",
        ),
        (IMPRESSION, {"items": []}, ValueError, "items must contain at least one id"),
        (IMPRESSION, {"items": {"item_id": [1]}}, TypeError, r"write items=Items\(table\)"),
        (
            IMPRESSION,
            {"items": ["1", "2"]},
            TypeError,
            "are int ids .* but the catalogue's are str",
        ),
        (IMPRESSION, {"seen": {"user_id": [1]}}, ValueError, "seen has no column 'item_id', only"),
        (
            IMPRESSION,
            {"seen": {"user_id": ["a"], "item_id": [1]}},
            TypeError,
            "user_id is large_string in seen and int64 in X",
        ),
        (
            {"history": [[1]], "candidate": [2]},
            {"seen": {"user_id": [1], "item_id": [1]}},
            ValueError,
            "X has no column 'user_id'; give one",
        ),
    ],
)
def test_what_cannot_be_filled_up(X, arguments, error, message):
    arguments = {"items": range(9), "n": 2} | arguments
    with pytest.raises(error, match=message):
        sample_negatives(X, **arguments)


def test_a_model_is_trained_and_evaluated_on_the_result(news, items, make_recommender):
    clicks = news.train.assign(
        candidate=[
            next(i for i, click in zip(*row, strict=True) if click)
            for row in zip(news.train.candidates, news.train.clicked, strict=True)
        ]
    )[["user_id", "history", "candidate"]]
    rows = sample_negatives(clicks, items, n=5)
    rec = make_recommender().fit(rows, items)
    assert rec.score(rows) > 0.5
