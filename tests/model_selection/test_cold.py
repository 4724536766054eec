"""Splits for cold items: no training row contains them, and test rows click nothing else."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

from skrec import Interactions, Items, content, explode
from skrec.datasets import make_headlines
from skrec.model_selection import ColdItemSplit, split_cold_items

SIZES = {"valid_size": 0.1, "test_size": 0.15}


def rows_of(rng, n=120, n_items=60, make_id=str):
    """Make impressions with items 0, 1, ...; the last ten are candidates but never clicked."""
    rows = []
    for time in rng.permutation(n):
        candidates = rng.choice(n_items, rng.integers(1, 4), replace=False)
        clicked = (rng.random(len(candidates)) < 0.6) & (candidates < n_items - 10)
        rows.append(
            {
                "history": [make_id(i) for i in rng.integers(n_items, size=rng.integers(4))],
                "candidates": [make_id(i) for i in candidates],
                "clicked": clicked.astype(int).tolist(),
                "time": int(time) // 2,
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture(params=[0, 1, 2])
def X(request):
    return rows_of(np.random.default_rng(request.param))


def slow_parts(X, valid_items, test_items):
    """Compute the parts row by row."""
    parts = {"train": [], "valid": [], "test": []}
    for row, (history, candidates, clicked) in enumerate(
        zip(X.history, X.candidates, X.clicked, strict=True)
    ):
        named = set(history) | set(candidates)
        clicks = {item for item, click in zip(candidates, clicked, strict=True) if click}
        if not named & (valid_items | test_items):
            parts["train"].append(row)
        elif clicks and clicks <= test_items:
            parts["test"].append(row)
        elif clicks and clicks <= valid_items and not named & test_items:
            parts["valid"].append(row)
    return parts


def clicked_items(X):
    pairs = X[["candidates", "clicked"]].explode(["candidates", "clicked"])
    return set(pairs.candidates[pairs.clicked == 1])


def check_against_slow(split, X):
    wanted = slow_parts(X, set(split.valid_items), set(split.test_items))
    for name, rows in wanted.items():
        assert split[name].tolist() == rows
    assert split.n_left_out == len(X) - sum(map(len, wanted.values()))


def test_split_equals_row_by_row_computation(X):
    split = split_cold_items(X, **SIZES)
    check_against_slow(split, X)
    clicked = clicked_items(X)
    assert len(split.test_items) == round(0.15 * len(clicked))
    assert len(split.valid_items) == round(0.1 * len(clicked))
    assert not set(split.test_items) & set(split.valid_items)
    # items without clicks cannot be tested
    assert set(split.test_items) | set(split.valid_items) <= clicked
    assert min(len(split[name]) for name in ("train", "valid", "test")) > 0


def test_the_latest_items_are_those_that_appear_last(X):
    split = split_cold_items(X, choice="latest", **SIZES)
    check_against_slow(split, X)
    first = {}
    for row in X.itertuples():
        for item in (*row.history, *row.candidates):
            first[item] = min(first.get(item, np.inf), row.time)
    ordered = sorted(clicked_items(X), key=lambda item: (first[item], item))
    n_test, n_valid = len(split.test_items), len(split.valid_items)
    assert split.test_items.tolist() == sorted(ordered[-n_test:])
    assert split.valid_items.tolist() == sorted(ordered[-n_test - n_valid : -n_test])


def test_the_seed_matters_and_the_order_of_rows_does_not(X):
    wanted = split_cold_items(X, random_state=3, **SIZES)
    again = split_cold_items(X.iloc[::-1], random_state=3, **SIZES)
    assert again.test_items.tolist() == wanted.test_items.tolist()
    assert (len(X) - 1 - again.test)[::-1].tolist() == wanted.test.tolist()
    other = split_cold_items(X, random_state=4, **SIZES)
    assert other.test_items.tolist() != wanted.test_items.tolist()


def test_all_table_types_and_int_ids(X):
    wanted = split_cold_items(X, **SIZES)
    tables = (pl.from_pandas(X), pa.Table.from_pandas(X), X.to_dict("list"), Interactions(X))
    for table in tables:
        found = split_cold_items(table, **SIZES)
        assert found.test_items.tolist() == wanted.test_items.tolist()
        for name in ("train", "valid", "test"):
            assert found[name].tolist() == wanted[name].tolist()
    numbers = rows_of(np.random.default_rng(0), make_id=int)
    split = split_cold_items(numbers, **SIZES)
    assert split.test_items.dtype == np.int64
    check_against_slow(split, numbers)


@pytest.mark.parametrize("labels", ["clicked", "y"])
def test_pairs_of_an_impression_stay_together(X, labels):
    by_rows = split_cold_items(X, **SIZES)
    pairs, y = explode(X)
    pairs = pairs.assign(y=y).sample(frac=1, random_state=0).reset_index(drop=True)
    if labels == "clicked":
        split = split_cold_items(pairs.assign(clicked=pairs.y), **SIZES)
    else:
        split = split_cold_items(pairs, pairs.y, **SIZES)
    for name in ("train", "valid", "test"):
        wanted = np.flatnonzero(pairs.impression_id.isin(by_rows[name]))
        assert split[name].tolist() == wanted.tolist()


def test_a_single_pair_tests_its_candidate_clicked_or_not(X):
    pairs, y = explode(X)
    pairs = pairs.drop(columns="impression_id")
    split = split_cold_items(pairs, y, **SIZES)
    cold = set(split.test_items)
    assert split.test.tolist() == [row for row, item in enumerate(pairs.candidate) if item in cold]
    assert set(y[split.test]) == {0, 1}
    every = cold | set(split.valid_items)
    assert split.train.tolist() == [
        row
        for row, (history, item) in enumerate(zip(pairs.history, pairs.candidate, strict=True))
        if item not in every and not set(history) & every
    ]


def test_a_bare_history_tests_its_last_click():
    histories = [[1, 2], [3], [], [2, 1], [1, 2, 3]]
    split = split_cold_items(histories, valid_size=0, test_size=0.3, random_state=1)
    (cold,) = split.test_items
    assert split.test.tolist() == [
        row for row, clicks in enumerate(histories) if clicks and clicks[-1] == cold
    ]
    assert split.train.tolist() == [
        row for row, clicks in enumerate(histories) if cold not in clicks
    ]
    assert split.valid.tolist() == []


def test_warns_if_no_training_row_is_left():
    X = {"history": [[1]] * 2, "candidates": [[1, 2], [1, 2]], "clicked": [[1, 0], [1, 0]]}
    with pytest.warns(UserWarning, match="no row of 2 is free of the 1 cold items; .*without_it"):
        split = split_cold_items(X, valid_size=0, test_size=0.1)
    assert (split.test.tolist(), split.n_left_out) == ([0, 1], 0)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"test_size": 1}, r"test_size must be a number in \[0, 1\), got 1"),
        ({}, {"valid_size": -1}, r"valid_size must be a number in \[0, 1\), got -1"),
        ({}, {"choice": "oldest"}, "choice must be one of 'random', 'latest', got 'oldest'"),
        ({}, {"choice": "latest"}, "X has no column 'time', so there is no telling which"),
        ({}, {"valid_size": 0.6, "test_size": 0.9}, "make 3 items cold, but only 2 were clicked"),
        ({"clicked": [[0], [0]]}, {}, "make 2 items cold, but only 0 were clicked"),
        ({"clicked": None}, {}, "X has no column 'clicked', so there is no telling which"),
    ],
)
def test_invalid_input_raises(change, arguments, message):
    X = {"history": [[1], [2]], "candidates": [[1], [2]], "clicked": [[1], [1]]} | change
    X = {name: column for name, column in X.items() if column is not None}
    with pytest.raises(ValueError, match=message):
        split_cold_items(X, **arguments)


def test_different_id_types_of_histories_and_candidates_raise():
    X = {"history": [["a"]], "candidates": [[1]], "clicked": [[1]]}
    with pytest.raises(TypeError, match="column 'history' and the candidates hold ints and str"):
        split_cold_items(X)


@pytest.mark.parametrize("test_size", [None, 0.1])
def test_each_fold_has_other_cold_items(X, test_size):
    splitter = ColdItemSplit(4, test_size=test_size, random_state=0)
    assert splitter.get_n_splits() == 4
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folds = list(splitter.split(X))
    assert len(folds) == 4
    for train, test in folds:
        known = {i for row in X.iloc[train].itertuples() for i in (*row.history, *row.candidates)}
        cold = clicked_items(X.iloc[test])
        assert cold
        assert not cold & known
        # each row that is left out contains an item that is unknown in training
        rest = X.drop(index=[*train, *test])
        assert all((set(row.history) | set(row.candidates)) - known for row in rest.itertuples())
        seen += test.tolist()
    assert len(seen) == len(set(seen))


def test_each_clicked_item_is_cold_once():
    n = 11
    X = {"history": [[]] * n, "candidates": [[i] for i in range(n)], "clicked": [[1]] * n}
    folds = list(ColdItemSplit(3, random_state=0).split(X))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(n))
    assert [len(test) for _, test in folds] == [4, 4, 3]
    assert all(len(train) + len(test) == n for train, test in folds)
    again = list(ColdItemSplit(3, random_state=0).split(X))
    assert [test.tolist() for _, test in again] == [test.tolist() for _, test in folds]
    other = list(ColdItemSplit(3, random_state=1).split(X))
    assert [test.tolist() for _, test in other] != [test.tolist() for _, test in folds]


def test_warns_once_if_most_rows_are_left_out():
    # for each cold item, two of the first three rows do not contain it
    X = {"history": [[]] * 3 + [[1, 2, 3]] * 5, "candidates": [[1], [2], [3], *[[9, 8]] * 5]}
    X["clicked"] = [[1]] * 3 + [[0, 0]] * 5
    with pytest.warns(UserWarning) as caught:
        folds = list(ColdItemSplit(3, random_state=0).split(X))
    assert [(len(train), len(test)) for train, test in folds] == [(2, 1)] * 3
    (message,) = [str(warning.message) for warning in caught]
    assert re.match(r"fold 0 makes 1 items cold and has .* of 8; .*without_items", message)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_splits": 1}, "n_splits must be an int >= 2, got 1"),
        ({"n_splits": 4, "test_size": 0.3}, r"test_size must be a number in \[0, 0.25\], got 0.3"),
        ({"n_splits": 2, "test_size": 0}, "fold 0 makes 0 items cold.*take a larger test_size"),
        ({"n_splits": 4}, "n_splits=4 needs as many items that were clicked; X has 3"),
        ({"n_splits": 3}, "has 0 rows to train on and 1 to test on, of 4; make fewer items cold"),
    ],
)
def test_impossible_folds_raise(parameters, message):
    X = {
        "history": [[1, 2, 3]] * 4,
        "candidates": [[1], [2], [3], [1, 2]],
        "clicked": [[1], [1], [1], [1, 1]],
    }
    with pytest.raises(ValueError, match=message):
        list(ColdItemSplit(**parameters, random_state=0).split(X))


def test_a_fold_without_test_rows_raises():
    X = {"history": [[]] * 2, "candidates": [[1, 2], [3, 4]], "clicked": [[1, 1], [1, 1]]}
    with pytest.raises(ValueError, match="fold 0 makes 1 items cold.*take a larger test_size"):
        list(ColdItemSplit(4, random_state=0).split(X))


@pytest.fixture(scope="module")
def sparse_news():
    """Headlines that each appear in few rows, so that training rows without cold items remain."""
    return make_headlines(n_users=60, n_items=400, n_impressions=300, random_state=0)


def test_cross_validation_and_a_search_run_on_cold_items(sparse_news, make_recommender):
    items = Items(sparse_news.items)
    cv = ColdItemSplit(3, test_size=0.03, random_state=0)
    scores = cross_val_score(
        make_recommender(max_epochs=1), sparse_news.train, params={"items": items}, cv=cv
    )
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    search = GridSearchCV(
        make_recommender(max_epochs=1),
        {"content": [content.MeanPooling(), content.CNN()]},
        cv=cv,
        error_score="raise",
    ).fit(sparse_news.train, items=items)
    assert search.n_splits_ == 3


def test_pairs_run_through_cross_validation_with_y(sparse_news, make_recommender):
    pairs, y = explode(sparse_news.train)
    scores = cross_val_score(
        make_recommender(max_epochs=1),
        pairs,
        y,
        params={"items": Items(sparse_news.items)},
        cv=ColdItemSplit(2, test_size=0.03, random_state=0),
        error_score="raise",
    )
    assert np.isfinite(scores).all()
