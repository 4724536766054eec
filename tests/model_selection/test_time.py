"""Splits by time: training rows are never later than test rows, and impressions stay whole."""

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV

from skrec import Interactions, Items, explode
from skrec.model_selection import TimeSeriesImpressionSplit, split_by_time


@pytest.fixture
def shuffled(news):
    return news.train.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.mark.parametrize("form", ["impressions", "pairs", "polars", "Interactions"])
def test_test_rows_are_later_than_training_rows(shuffled, form):
    X = {
        "impressions": lambda: shuffled,
        "pairs": lambda: explode(shuffled)[0],
        "polars": lambda: pl.from_pandas(shuffled),
        "Interactions": lambda: Interactions(shuffled),
    }[form]()
    pairs = explode(shuffled)[0] if form == "pairs" else shuffled
    time, groups = pairs.time.to_numpy(), pairs.impression_id.to_numpy()
    folds = list(TimeSeriesImpressionSplit(n_splits=4).split(X))
    assert len(folds) == 4
    seen = []
    for train, test in folds:
        assert time[train].max() <= time[test].min()
        assert not set(groups[train]) & set(groups[test])
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
        seen += test.tolist()
    assert len(seen) == len(set(seen))
    assert len(folds[-1][0]) + len(folds[-1][1]) == len(pairs)


def test_sizes_and_gaps_are_those_of_scikit_learn(shuffled):
    splitter = TimeSeriesImpressionSplit(2, max_train_size=30, test_size=20, gap=5)
    assert splitter.get_n_splits() == 2
    order = np.argsort(shuffled.time.to_numpy(), kind="stable")
    for train, test in splitter.split(shuffled):
        assert (len(train), len(test)) == (30, 20)
        places = np.argsort(order)
        assert places[test].min() - places[train].max() == 6


def test_a_search_runs_on_folds_of_time(news, make_recommender):
    search = GridSearchCV(
        make_recommender(max_epochs=1),
        {"learning_rate": [1e-3, 1e-2]},
        cv=TimeSeriesImpressionSplit(n_splits=2),
        error_score="raise",
    ).fit(news.train, items=Items(news.items))
    assert search.n_splits_ == 2


def test_three_parts_in_order(shuffled):
    parts = split_by_time(shuffled, valid_size=0.2, test_size=0.1)
    time = shuffled.time.to_numpy()
    assert sorted(np.concatenate(parts)) == list(range(len(shuffled)))
    assert time[parts[0]].max() < time[parts[1]].min()
    assert time[parts[1]].max() < time[parts[2]].min()
    assert len(parts[2]) == pytest.approx(0.1 * len(shuffled), abs=2)
    assert len(parts[1]) == pytest.approx(0.2 * len(shuffled), abs=2)


def test_pairs_of_an_impression_and_equal_times_stay_together(shuffled):
    pairs, _ = explode(shuffled)
    parts = split_by_time(pairs)
    ids = [set(pairs.impression_id.iloc[part]) for part in parts]
    assert not ids[0] & ids[1] | ids[1] & ids[2] | ids[0] & ids[2]
    same = split_by_time({"history": [[1]] * 10, "time": [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]})
    assert [len(part) for part in same] == [10, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"valid_size": -0.1}, r"valid_size must be a number in \[0, 1\), got -0.1"),
        ({"test_size": 1.0}, r"test_size must be a number in \[0, 1\), got 1.0"),
        ({"valid_size": 0.5, "test_size": 0.5}, r"must be below 1, got 0.5 \+ 0.5"),
    ],
)
def test_invalid_sizes_raise(shuffled, arguments, message):
    with pytest.raises(ValueError, match=message):
        split_by_time(shuffled, **arguments)


def test_missing_time_raises(shuffled):
    X = shuffled.drop(columns="time")
    with pytest.raises(ValueError, match="X has no column 'time'"):
        split_by_time(X)
    with pytest.raises(ValueError, match="X has no column 'time'"):
        list(TimeSeriesImpressionSplit().split(X))
