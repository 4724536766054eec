"""Invalid parameters and data raise errors that name what to change."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer

from skrec import Items, content
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity

ITEMS = pd.DataFrame({"item_id": range(5), "title": ["a b", "b c", "", "d", "e f"]})
TRAIN = [[0, 1], [1, 2, 3], [4]]
TIMED = pd.DataFrame({"history": TRAIN, "time": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (Popularity(window=0), "window must be a positive number, a timedelta or None, got 0"),
        (Popularity(window="7 days"), "window must be a positive number"),
        (Popularity(window=True), "window must be a positive number"),
        (Popularity(window=pd.Timedelta(-1)), "window must be a positive number"),
        (Popularity(window=7), "window needs a column 'time'"),
        (Popularity(scoring="accuracy"), "unknown metric"),
        (Popularity(calibration="isotonic"), "calibration must be one of 'sigmoid', None"),
        (Popularity(validation_fraction=1.0), "validation_fraction must be a number in"),
        (Popularity(unknown_items="drop"), "unknown_items must be one of"),
        (ItemKNN(k=0), "k must be a positive int, got 0"),
        (ItemKNN(shrinkage=-1), "shrinkage must be a number in"),
        (ItemKNN(decay=1.5), r"decay must be a number in \[0, 1\], got 1.5"),
        (EASE(0.0), "regularization must be a number in"),
        (EASE(min_clicks=0), "min_clicks must be a positive int"),
        (EASE(max_items=0), "max_items must be a positive int"),
        (EASE(k=1.5), "k must be a positive int"),
        (EASE(decay=-0.1), "decay must be a number in"),
        (ContentKNN(decay=None), "decay must be a number in"),
        (ContentKNN(content.CNN()), "a content operator that needs no training"),
        (ContentKNN(content.LanguageModel("x")), "a content operator that needs no training"),
        (ContentKNN(columns=["titel"]), "columns names 'titel', which the catalogue lacks"),
        (ContentKNN(columns="title"), "columns must be a list"),
        (ContentKNN(FunctionTransformer(lambda t: np.ones(3))), "one vector per item"),
        (ContentKNN(FunctionTransformer(lambda t: np.full((5, 2), np.nan))), "NaN or infinite"),
    ],
)
def test_invalid_parameters(model, match):
    with pytest.raises(ValueError, match=match):
        model.fit(TRAIN, ITEMS)
    assert not hasattr(model, "items_")


@pytest.mark.parametrize(
    ("vectorizer", "match"),
    [
        (content.Features, r"write Features\(\) with parentheses"),
        ("tfidf", "has no fit and no transform and no get_params"),
    ],
)
def test_invalid_vectorizers(vectorizer, match):
    with pytest.raises(TypeError, match=match):
        ContentKNN(vectorizer).fit(TRAIN, ITEMS)


def test_a_window_in_another_unit_than_time():
    with pytest.raises(ValueError, match="window must be a number, in the units of"):
        Popularity(pd.Timedelta(1, "D")).fit(TIMED, ITEMS)
    stamped = TIMED.assign(time=pd.Timestamp("2026-01-01"))
    with pytest.raises(ValueError, match="window must be a timedelta, for the column 'time'"):
        Popularity(3).fit(stamped, ITEMS)


def test_content_that_is_not_there():
    ids = ITEMS[["item_id"]]
    with pytest.raises(ValueError, match="no column besides 'item_id'.*ItemKNN"):
        ContentKNN().fit(TRAIN, ids)
    numbers = ids.assign(price=1.0)
    with pytest.raises(ValueError, match=r"found no words in 'price' \(number\)"):
        ContentKNN().fit(TRAIN, numbers)


@pytest.mark.parametrize("model", [Popularity(), ItemKNN(), EASE(), ContentKNN()], ids=repr)
def test_data_that_no_recommender_takes(model):
    with pytest.raises(ValueError, match="fit needs the catalogue"):
        model.fit(TRAIN)
    with pytest.raises(TypeError, match="items=items"):
        model.fit(TRAIN, None, ITEMS)
    with pytest.raises(ValueError, match="training needs clicks"):
        model.fit(pd.DataFrame({"history": TRAIN, "candidates": TRAIN}), ITEMS)
    with pytest.raises(ValueError, match="missing from the catalogue"):
        model.fit([[77]], ITEMS)
    with pytest.raises(NotFittedError):
        model.predict_proba(TRAIN)
    model.fit(TRAIN, ITEMS)
    with pytest.raises(TypeError, match=r"\[\["):
        model.recommend([0, 1])
    with pytest.raises(ValueError, match="k must be a positive int"):
        model.recommend(TRAIN, k=0)
    with pytest.raises(ValueError, match="candidates is empty"):
        model.recommend(TRAIN, candidates=[])
    with pytest.raises(ValueError, match="needs labelled candidates"):
        model.set_params(scoring="auc").score(TRAIN)
    model.set_params(scoring="gauc")


def test_failed_fits_leave_the_model_as_it_was():
    model = ItemKNN(shrinkage=0.0).fit(TRAIN, ITEMS)
    before = model.decision_function(TRAIN)
    with pytest.raises(ValueError, match="k must be"):
        model.set_params(k=0).fit([[0, 4]], ITEMS)
    np.testing.assert_array_equal(model.decision_function(TRAIN), before)


def test_training_rows_without_a_click():
    X = pd.DataFrame({"history": [[], []], "candidates": [[0, 1], [2]], "clicked": [[0, 0], [0]]})
    for model in (Popularity(), ItemKNN(), EASE()):
        model.fit(X, ITEMS)
        assert (model.decision_function([[0]]) == 0).all()
        assert model.recommend([[0]], k=2)[0].tolist() == [[1, 2]]  # in catalogue order


def test_a_catalogue_of_one_item():
    one = Items(ITEMS.head(1))
    for model in (Popularity(), ItemKNN(), EASE(), ContentKNN()):
        model.fit([[0], []], items=one)
        assert model.recommend([[]], k=3)[0].tolist() == [[0, -1, -1]]
