"""Splits by time: training rows are never later than test rows, and impressions stay whole."""

import warnings

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


def test_an_empty_part_is_said():
    def sizes(time, **arguments):
        return [
            len(part)
            for part in split_by_time({"history": [[1]] * len(time), "time": time}, **arguments)
        ]

    same = [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    with pytest.warns(
        UserWarning, match="the test part is empty .* up to 9 of 10 impressions share"
    ):
        assert sizes(same, valid_size=0) == [10, 0, 0]
    with pytest.warns(
        UserWarning, match="the valid part is empty although valid_size=0.1: X has only"
    ):
        assert sizes([1, 2, 3], test_size=0.3) == [2, 0, 1]
    with pytest.raises(ValueError, match="leave the training part empty: X has 2 impressions"):
        sizes([1, 2], valid_size=0.45, test_size=0.45)
    with pytest.raises(ValueError, match="leave the training part empty: X has 0 impressions"):
        sizes([])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sizes(range(10)) == [8, 1, 1]
        assert sizes([1, 2, 3], valid_size=0, test_size=0) == [3, 0, 0]  # as was asked for


@pytest.mark.parametrize(
    "arguments", [{"n_splits": 1}, {"gap": -1}, {"test_size": 0}, {"max_train_size": 0}]
)
def test_folds_have_no_empty_or_overlapping_parts(arguments):
    X = {"history": [[1]] * 6, "time": range(6)}
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be "):
        next(TimeSeriesImpressionSplit(**arguments).split(X))
    with pytest.raises(ValueError, match="number of folds=7"):
        next(TimeSeriesImpressionSplit(6).split(X))


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
