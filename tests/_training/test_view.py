"""HTML of a fitted recommender."""

import re

import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_html_repr

from skrec import ContentRecommender, Items
from skrec._training.view import describe


def boxes(shown):
    """Return the names in the boxes, from top to bottom."""
    return re.findall(r"<div><div>([^<]+)</div></div>", shown)


def test_boxes_are_the_fitted_operators_in_the_order_of_the_data(fitted):
    names = [type(fitted).__name__, "MeanPooling", "MovingAverages", "Dot"]
    for shown in (fitted._repr_html_(), estimator_html_repr(fitted)):
        assert boxes(shown) == names
    assert fitted._repr_mimebundle_()["text/html"].count("skrec-view") > 0


def test_a_line_says_what_was_learned(fitted):
    n_weights = sum(weight.numel() for weight in fitted.network_.parameters())
    n_epochs = fitted.n_epochs_
    assert describe(fitted) == (
        f"120 items, {n_weights:,} weights, {n_epochs} epochs, "
        f"best validation score {fitted.best_score_:.4f}"
    )
    assert describe(fitted) in fitted._repr_html_()


def test_unfitted_recommenders_are_shown_by_scikit_learn(make_recommender):
    shown = make_recommender()._repr_html_()
    assert "skrec-view" not in shown
    assert not hasattr(make_recommender(), "_sk_visual_block_")


def test_without_a_validation_score(news, make_recommender):
    rec = make_recommender(early_stopping=False, max_epochs=1).fit(news.train, news.items)
    assert describe(rec).endswith(" weights, 1 epoch")


@pytest.mark.slow
def test_within_a_search(news, make_recommender):
    search = GridSearchCV(make_recommender(max_epochs=1), {"width": [8]}, cv=2)
    search.fit(news.train, items=Items(news.items))
    shown = search._repr_html_()
    assert shown.index("MeanPooling") < shown.index("MovingAverages") < shown.index("Dot")


def test_operators_cannot_inject_html():
    rec = ContentRecommender(content="<script>alert('x')</script>")
    assert "<script>alert" not in rec._repr_html_()
