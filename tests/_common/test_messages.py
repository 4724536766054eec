"""Warnings point at the line of the user."""

import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skrec
from skrec import ContentRecommender, Interactions, Items, datasets, metrics
from skrec.model_selection import split_by_time

ITEMS = pd.DataFrame({"item_id": range(6), "title": ["red", "sea", "fox", "sun", "sky", "tea"]})
X = pd.DataFrame(
    {
        "history": [[0, 1], [2], [3, 4], [5]] * 3,
        "candidates": [[2, 3], [4, 5], [0, 1], [3, 1]] * 3,
        "clicked": [[1, 0], [0, 1], [1, 0], [0, 1]] * 3,
        "time": 0,
    }
)
MISSPELT = X.rename(columns={"time": "tme"})
COUNTED = ITEMS.assign(topic_id=range(6))
LOG = pd.DataFrame({"user_id": [1] * 6 + [2], "item_id": [*range(6), 0], "time": range(7)})
FULL = {"history": [[0]], "candidates": [[1, 2]], "clicked": [[1, 1]]}


def make():
    settings = {"width": 4, "max_epochs": 1, "early_stopping": False}
    return ContentRecommender("mean_pooling", n_negatives=4, history_targets=0, **settings)


CALLS = {
    "fit": lambda: make().fit(MISSPELT, ITEMS),
    "fit with the catalogue": lambda: make().fit(X, COUNTED),
    "partial_fit": lambda: make().partial_fit(MISSPELT, ITEMS),
    "nothing to learn": lambda: make().fit(FULL, ITEMS.head(3)),
    "predict": lambda: make().fit(X, ITEMS).predict_proba(MISSPELT),
    "evaluate": lambda: make().fit(X, ITEMS).evaluate(MISSPELT, metrics="ndcg@2"),
    "Items": lambda: Items(COUNTED),
    "Interactions": lambda: Interactions(MISSPELT),
    "cross_val_score": lambda: cross_val_score(make(), MISSPELT, cv=2, params={"items": ITEMS}),
    "GridSearchCV": lambda: GridSearchCV(make(), {"width": [4]}, cv=2).fit(MISSPELT, items=ITEMS),
    "pipeline": lambda: make_pipeline(FunctionTransformer(), make()).fit(
        MISSPELT, contentrecommender__items=ITEMS
    ),
    "auc": lambda: metrics.compute("auc", [1, 1], [0.1, 0.2]),
    "gauc": lambda: metrics.gauc([1, 1], [0.1, 0.2], [0, 0]),
    "impressions_from_clicks": lambda: datasets.impressions_from_clicks(
        LOG, item_ids=range(99), n_negatives_eval=1, min_clicks=4, n_test=1
    ),
    "split_by_time": lambda: split_by_time(X),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_warning_points_at_the_line_of_the_user(name):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        CALLS[name]()
    assert seen
    assert {warning.filename for warning in seen} == {__file__}


def test_a_warning_in_a_thread_that_calls_skrec_only():
    with pytest.warns(UserWarning, match="'topic_id'") as seen:
        thread = threading.Thread(target=Items, args=(COUNTED,))
        thread.start()
        thread.join()
    assert np.all([warning.filename != __file__ for warning in seen])


def test_all_warnings_are_shown_by_the_same_function():
    package = Path(skrec.__file__).parent
    found = [path for path in package.rglob("*.py") if "warnings.warn(" in path.read_text()]
    assert [path.name for path in found] == ["messages.py"]
