"""The displays of `skrec.inspection` take baselines."""

import matplotlib as mpl
import numpy as np
import pytest

from skrec.baselines import ItemKNN, Popularity
from skrec.inspection import GroupScoreDisplay, PopularityDisplay, ReliabilityDisplay

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("display", [GroupScoreDisplay, PopularityDisplay, ReliabilityDisplay])
def test_displays(display, news):
    made = display.from_estimator(ItemKNN().fit(news.train, news.items), news.test)
    assert made.ax_.get_xlabel()


def test_the_scores_of_popularity_correlate_with_popularity(news):
    popular = Popularity().fit(news.train, news.items)
    assert PopularityDisplay.from_estimator(popular, news.train).correlation_ > 0.99


def test_the_probabilities_of_baselines_are_calibrated(news):
    knn = ItemKNN(random_state=0).fit(news.train, news.items)
    rate = np.concatenate(news.test["clicked"].tolist()).mean()
    proba = np.concatenate(list(knn.predict_proba(news.test)))[:, 1]
    assert abs(proba.mean() - rate) < 0.05
