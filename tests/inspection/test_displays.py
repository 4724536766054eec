"""Displays: their numbers, and what they draw."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.exceptions import NotFittedError

from skrec import ContentRecommender, explode
from skrec.inspection import (
    GroupScoreDisplay,
    PopularityDisplay,
    ReliabilityDisplay,
    TrainingCurveDisplay,
)
from skrec.metrics import by_group, compute

mpl.use("Agg")
import matplotlib.pyplot as plt

ALL = [TrainingCurveDisplay, ReliabilityDisplay, GroupScoreDisplay, PopularityDisplay]


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def draw(display, rec, news, **kwargs):
    X = () if display is TrainingCurveDisplay else (news.test,)
    return display.from_estimator(rec, *X, **kwargs)


@pytest.mark.parametrize("display", ALL)
def test_axes_are_created_or_reused(display, fitted, news):
    made = draw(display, fitted, news)
    assert isinstance(made, display)
    assert made.figure_ is made.ax_.figure
    assert made.ax_.get_xlabel()
    assert made.ax_.get_ylabel()
    assert len(plt.get_fignums()) == 1
    _, ax = plt.subplots()
    assert draw(display, fitted, news, ax=ax).ax_ is ax
    assert made.plot(ax) is made
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("display", ALL)
def test_unfitted_recommender_raises(display, news):
    with pytest.raises(NotFittedError):
        draw(display, ContentRecommender(), news)


def test_missing_matplotlib_raises(monkeypatch, fitted, news):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="drawing needs matplotlib: pip install matplotlib"):
        PopularityDisplay.from_estimator(fitted, news.test)


# Training


def test_training_curve_shows_the_fitted_attributes(news, make_recommender):
    rec = make_recommender(max_epochs=4).fit(news.train, news.items)
    display = TrainingCurveDisplay.from_estimator(rec)
    loss, score, kept = display.lines_
    assert loss.get_ydata().tolist() == rec.loss_curve_
    assert score.get_ydata().tolist() == rec.validation_scores_
    assert loss.get_xdata().tolist() == list(range(1, rec.n_epochs_ + 1))
    assert display.best_epoch_ == 0  # the weights before training were kept
    assert max(rec.validation_scores_) < rec.best_score_
    assert kept.get_xdata() == [display.best_epoch_] * 2
    assert display.score_ax_.get_ylabel() == "validation gauc"
    rec.partial_fit(news.train)  # an epoch without a score
    again = TrainingCurveDisplay.from_estimator(rec)
    assert len(again.lines_[0].get_xdata()) == len(again.lines_[1].get_xdata()) + 1


def test_training_curve_without_a_held_out_part(news, make_recommender):
    rec = make_recommender(early_stopping=False).fit(news.train, news.items)
    display = TrainingCurveDisplay.from_estimator(rec, color="k")
    assert display.best_epoch_ is None
    assert display.score_ax_ is None
    assert display.lines_[0].get_color() == "k"
    assert TrainingCurveDisplay([1.0, 0.5], [np.nan, np.nan]).best_epoch_ is None


def test_invalid_training_curves_raise():
    with pytest.raises(ValueError, match="no epoch was run"):
        TrainingCurveDisplay([])
    with pytest.raises(ValueError, match="2 scores of 1 epochs"):
        TrainingCurveDisplay([1.0], [0.5, 0.5])


# Reliability


def test_reliability_of_known_probabilities():
    y_proba = np.repeat([0.1, 0.3, 0.8], 10)
    y_true = np.concatenate([np.arange(10) < n for n in (2, 3, 6)]).astype(int)
    display = ReliabilityDisplay.from_predictions(y_true, y_proba, n_bins=3, name="model")
    np.testing.assert_allclose(display.prob_pred, [0.1, 0.3, 0.8])
    np.testing.assert_allclose(display.prob_true, [0.2, 0.3, 0.6])
    assert display.ece == pytest.approx((0.1 + 0 + 0.2) / 3)
    assert display.line_.get_label() == "model, ECE 0.100"
    assert sum(bar.get_height() for bar in display.histogram_ax_.patches) == 30


@pytest.mark.parametrize("rows", ["impressions", "pairs"])
def test_reliability_of_a_recommender(fitted, news, rows):
    X, y = (news.test, None) if rows == "impressions" else explode(news.test)
    pairs, clicked = explode(news.test)
    wanted = fitted.predict_proba(pairs)[:, 1]
    display = ReliabilityDisplay.from_estimator(fitted, X, y)
    np.testing.assert_allclose(display.y_proba, wanted, rtol=1e-5)
    assert display.ece == pytest.approx(compute(["ece"], clicked, y_proba=wanted)["ece"])
    raw = ReliabilityDisplay.from_estimator(fitted, X, y, calibrated=False, histogram=False)
    np.testing.assert_allclose(raw.y_proba, expit(fitted.decision_function(pairs)), rtol=1e-5)
    assert raw.line_.get_label().startswith("not calibrated")
    assert raw.histogram_ax_ is None


def test_two_curves_share_one_diagonal(fitted, news):
    first = ReliabilityDisplay.from_estimator(fitted, news.test)
    ReliabilityDisplay.from_estimator(fitted, news.test, calibrated=False, ax=first.ax_)
    labels = [line.get_label() for line in first.ax_.lines]
    assert labels.count("perfect") == 1


# Groups


def test_values_by_group_in_order_of_first_appearance():
    y, scores = [1, 0, 0, 1, 0, 0], [0.9, 0.1, 0.2, 0.1, 0.5, 0.6]
    found = by_group("mrr", y, scores, ["b", "b", "a", "a", "c", "c"])
    assert found.index.tolist() == ["b", "a", "c"]
    assert found.iloc[:2].tolist() == [1.0, 0.5]
    assert np.isnan(found["c"])
    with pytest.raises(ValueError, match="auc is not computed within groups; use compute instead"):
        by_group("auc", y, scores, y)


@pytest.mark.parametrize("metric", ["gauc", "mrr", "ndcg@5"])
def test_group_means_equal_evaluate(fitted, news, metric):
    display = GroupScoreDisplay.from_estimator(fitted, news.test, metric=metric)
    wanted = fitted.evaluate(news.test, metrics=metric)
    assert display.means_["all"] == pytest.approx(wanted[metric])
    assert f"of {wanted['n_groups_used']}" in display.lines_[0].get_label()


def test_groups_by_a_column_or_values(fitted, news):
    kind = np.where(news.test.history.map(len) < 10, "short", "long")
    display = GroupScoreDisplay.from_estimator(fitted, news.test, by=kind)
    for name in ("short", "long"):
        wanted = fitted.evaluate(news.test[kind == name], metrics="gauc")["gauc"]
        assert display.means_[name] == pytest.approx(wanted)
    same = GroupScoreDisplay.from_estimator(fitted, news.test.assign(kind=kind), by="kind")
    assert same.means_ == display.means_
    pairs, y = explode(news.test.assign(kind=kind))
    again = GroupScoreDisplay.from_estimator(fitted, pairs, y, by=pairs["kind"])
    assert again.means_ == pytest.approx(display.means_)


def test_invalid_groups_raise(fitted, news):
    with pytest.raises(ValueError, match="by='kind' is no column of X"):
        GroupScoreDisplay.from_estimator(fitted, news.test, by="kind")
    with pytest.raises(ValueError, match="one entry for each row of X, got 2 of 48"):
        GroupScoreDisplay.from_estimator(fitted, news.test, by=[1, 2])
    with pytest.raises(ValueError, match="bare histories have no candidates"):
        GroupScoreDisplay.from_estimator(fitted, news.test.history.tolist())
    pairs, y = explode(news.test)
    with pytest.raises(ValueError, match="pairs need an 'impression_id'"):
        GroupScoreDisplay.from_estimator(fitted, pairs.drop(columns="impression_id"), y)
    with pytest.raises(ValueError, match="mrr is defined in no group"):
        GroupScoreDisplay(pd.Series([np.nan]), "mrr")
    with pytest.raises(ValueError, match="one entry for each of the 2 groups, got 1"):
        GroupScoreDisplay(pd.Series([0.5, 1.0]), "mrr", ["a"])


# Popularity


def test_popularity_and_scores_of_items(fitted, news):
    X = news.test.head(8)
    display = PopularityDisplay.from_estimator(fitted, X)
    ids = fitted.items_.ids.tolist()
    histories = list(dict.fromkeys(map(tuple, X.history)))
    clicks = np.zeros(len(ids), dtype=int)
    for history in histories:
        for item in history:
            clicks[ids.index(item)] += 1
    for row in X.itertuples():
        for item, clicked in zip(row.candidates, row.clicked, strict=True):
            clicks[ids.index(item)] += clicked
    assert display.n_clicks.tolist() == clicks.tolist()
    wanted = fitted.decision_function([list(history) for history in histories]).mean(axis=0)
    np.testing.assert_allclose(display.mean_scores, wanted, rtol=1e-4, atol=1e-5)
    assert display.points_.get_offsets().shape == (120, 2)


def test_rank_correlation_with_popularity():
    assert PopularityDisplay([1, 5, 9], [0.1, 0.2, 7.0]).correlation_ == pytest.approx(1.0)
    assert PopularityDisplay([1, 5, 9], [3.0, 0.2, 0.1]).correlation_ == pytest.approx(-1.0)
    assert np.isnan(PopularityDisplay([1, 1], [3.0, 0.2]).correlation_)
    with pytest.raises(ValueError, match="one entry per item"):
        PopularityDisplay([1, 2], [0.5])


def test_popularity_of_bare_histories(fitted, news):
    histories = news.test.history.head(5).tolist()
    display = PopularityDisplay.from_estimator(fitted, histories)
    assert display.n_clicks.sum() == sum(len(h) for h in {tuple(h) for h in histories})
