"""What `verbose=1` says of the data, and of the model against popularity."""

import re

import numpy as np
import pytest

from skrec import Items, explode
from skrec._data.coded import CodedInteractions
from skrec._training.summary import describe_data
from skrec.baselines import Popularity
from skrec.content import MeanPooling, WithID


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


def test_impressions_are_counted(news, make_recommender, capsys):
    make_recommender(verbose=1, max_epochs=1).fit(news.train, news.items)
    n = len(news.train)
    held = round(0.1 * n)
    found = re.match(
        r"training on (\d+) impressions \((\d+) held out\) with (\d+) clicks, "
        r"(\d+) distinct histories and 120 items; chosen: ",
        lines_of(capsys)[0],
    )
    n_kept, n_held, n_clicks, n_histories = map(int, found.groups())
    assert (n_kept, n_held) == (n - held, held)
    assert n_kept <= n_clicks <= news.train.clicked.map(sum).sum()
    assert n_histories <= news.train.history.map(tuple).nunique()


def test_pairs_and_histories_are_counted(news, make_recommender, capsys):
    X, y = explode(news.train)
    make_recommender(verbose=1, max_epochs=1, early_stopping=False).fit(X, y, items=news.items)
    lines = lines_of(capsys)
    assert lines[0].startswith(f"training on {len(X)} pairs with {int(y.sum())} clicks, ")
    assert len(lines) == 2  # nothing is held out, so nothing is compared
    histories = [[1, 2, 3], [4, 5], [6, 7], [2, 9]]
    make_recommender(verbose=1, max_epochs=1).fit(histories, Items(["a text"] * 10))
    pattern = r"training on \d histories with \d clicks \(1 last clicks held out\) and 10 items"
    assert re.match(pattern, lines_of(capsys)[0])


def test_the_data_have_one_line_whatever_the_operators():
    # scikit-learn breaks long reprs into lines
    operator = WithID(MeanPooling(columns=["title"] * 9, max_length=123), dropout=0.125)
    assert "\n" in repr(operator)
    data = CodedInteractions(
        "histories",
        np.array([0, 2]),
        np.array([1, 2]),
        np.array([0]),
        np.array([0, 0]),
        np.array([]),
    )
    line = describe_data(data, None, 3, {"content": operator, "n_negatives": 4})
    assert line.startswith("training on 1 histories with 2 clicks and 3 items; chosen: content=W")
    assert line.endswith(", n_negatives=4") and "\n" not in line


@pytest.mark.parametrize("scoring", ["gauc", "logloss"])
def test_popularity_is_that_of_the_baseline(news, make_recommender, capsys, scoring):
    """The last line has the score of the model, and of the baseline on the same held-out rows."""
    rec = make_recommender(verbose=1, scoring=scoring, co_clicks=False)
    rec.fit(news.train, news.items)
    last = lines_of(capsys)[-1]
    number = r"(-?\d+\.\d{4})"
    pattern = rf"on the held-out part: {scoring} {number}; popularity alone: {scoring} {number}"
    ours, popular = map(float, re.fullmatch(pattern, last).groups())
    n_kept = len(news.train) - round(0.1 * len(news.train))
    order = news.train["time"].argsort(kind="stable")
    training, valid = news.train.iloc[order[:n_kept]], news.train.iloc[order[n_kept:]]
    if scoring == "gauc":
        wanted = Popularity().fit(training, news.items).score(valid)
        assert popular == pytest.approx(wanted, abs=1e-4)
    assert ours == pytest.approx(rec.evaluate(valid, metrics=scoring)[scoring], abs=1e-4)
