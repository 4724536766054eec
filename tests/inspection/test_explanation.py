"""Bars of an explanation."""

import matplotlib as mpl
import numpy as np
import pytest

from skrec.baselines import ItemKNN
from skrec.inspection import ExplanationDisplay

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def given(news):
    return list(max(news.test["history"], key=len))[:8], int(news.items["item_id"].iloc[7])


def test_bars_are_the_shares_of_clicks(fitted, news, given):
    display = ExplanationDisplay.from_estimator(fitted, *given, label="title")
    clicks = display.explanation.clicks
    assert [bar.get_width() for bar in display.bars_] == clicks["share"].tolist()
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert all(
        title.startswith(label.rstrip("…"))
        for label, title in zip(labels, clicks["title"], strict=True)
    )
    assert display.figure_ is display.ax_.figure
    assert str(given[1]) in display.ax_.get_xlabel()


def test_the_largest_bars_of_words_are_drawn_in_their_order(fitted, given):
    _, ax = plt.subplots()
    display = ExplanationDisplay(fitted.explain(*given))
    assert display.plot(ax, kind="words", max_bars=3, alpha=0.5) is display
    assert display.ax_ is ax
    words = display.explanation.words
    kept = sorted(words["share"].abs().nlargest(3).index)
    np.testing.assert_allclose(
        [bar.get_width() for bar in display.bars_], words["share"].loc[kept], rtol=1e-12
    )
    assert [text.get_text() for text in ax.get_yticklabels()] == words["word"].loc[kept].tolist()
    assert "Explanation(" in repr(display) and "<table" in display._repr_html_()


def test_an_empty_history_has_no_bars(fitted, given):
    assert len(ExplanationDisplay.from_estimator(fitted, [], given[1]).bars_) == 0


def test_bad_input(fitted, news, given):
    display = ExplanationDisplay(fitted.explain(*given))
    with pytest.raises(ValueError, match="kind must be"):
        display.plot(kind="items")
    with pytest.raises(ValueError, match="max_bars must be a positive int"):
        display.plot(max_bars=0)
    with pytest.raises(ValueError, match="label='title' is no column of the clicks; ask for it"):
        display.plot(label="title")
    knn = ItemKNN().fit(news.train, news.items)
    with pytest.raises(ValueError, match="there are no shares of words"):
        ExplanationDisplay.from_estimator(knn, *given, kind="words")
