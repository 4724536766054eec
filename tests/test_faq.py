"""Each row of the FAQ's table of how the catalogue travels is run as it stands there."""

import contextlib
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn import calibration, ensemble, frozen, model_selection, pipeline, preprocessing
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

from skrec import Interactions, Items, explode

FAQ = (Path(__file__).parents[1] / "docs" / "FAQ.md").read_text(encoding="utf-8")
NEEDS_ROUTING = "needs routing"


def rows():
    """Rows of the table with the column of calls: name, calls without and with routing."""
    table = re.search(r"\| what \| call \| with metadata routing \|\n.*\n((?:\|.*\n)+)", FAQ)
    for line in table.group(1).splitlines():
        name, without, routed = (cell.strip() for cell in line.strip("|").split(" | "))
        yield name, without, without if routed == "the same" else routed


ROWS = list(rows())


def names_of(trap, df, make_recommender):
    """What the table calls by name."""
    rec = make_recommender(max_epochs=1, batch_size=512, early_stopping=False)
    pairs, y = explode(trap)
    names = {
        name: getattr(module, name)
        for module in (model_selection, calibration, ensemble, frozen)
        for name in dir(module)
        if name in FAQ
    }
    return names | {
        "rec": rec,
        "other": sklearn.clone(rec).set_params(width=8),
        "fitted": sklearn.clone(rec).fit(pairs, y, items=df),
        "pipeline": pipeline.Pipeline(
            [("as_it_is", preprocessing.FunctionTransformer()), ("rec", rec)]
        ),
        "grid": {"learning_rate": [1e-3, 1e-2]},
        "X": trap,
        "pairs": pairs,
        "y": y,
        "w": np.linspace(0.5, 1.5, len(trap)),
        "df": df,
        "Items": Items,
    }


@pytest.fixture(scope="module")
def trap(news):
    """As many rows as items: a catalogue that scikit-learn cuts is cut here."""
    return news.train.head(len(news.items))


@contextlib.contextmanager
def routing(enabled):
    """Switch routing; a fold that fails must not pass as a NaN among scores."""
    with sklearn.config_context(enable_metadata_routing=enabled), warnings.catch_warnings():
        warnings.simplefilter("error", FitFailedWarning)
        warnings.filterwarnings("error", "Scoring failed")
        yield


def test_the_table_has_the_tools_of_a_scikit_learn_user():
    named = " ".join(name for name, _, _ in ROWS)
    for tool in (
        "GridSearchCV",
        "RandomizedSearchCV",
        "HalvingGridSearchCV",
        "cross_val_score",
        "cross_val_predict",
        "cross_validate",
        "Pipeline",
        "`Pipeline` in `GridSearchCV`",
        "CalibratedClassifierCV",
    ):
        assert tool in named


@pytest.mark.parametrize(
    "enabled",
    [
        pytest.param(False, marks=pytest.mark.slow, id="without routing"),
        pytest.param(True, id="routing"),
    ],
)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].replace("`", ""))
def test_each_row_runs(row, enabled, trap, news, make_recommender):
    _, without, routed = row
    names = names_of(trap, news.items, make_recommender)
    cell = routed if enabled else without
    if cell == NEEDS_ROUTING:
        with routing(False), pytest.raises(ValueError, match="enable_metadata_routing=True"):
            eval(routed.strip("`"), names)
        return
    calls = re.findall(r"`([^`]+)`", cell)
    assert calls
    for call in calls:
        with routing(enabled):
            result = eval(call, names)
        check(result, trap, names["pairs"], news.items)


def check(result, X, pairs, df):
    """The catalogue arrived whole, and what came out answers."""
    if hasattr(result, "cv_results_"):
        assert np.isfinite(result.cv_results_["mean_test_score"]).all()
        result = result.best_estimator_
    if hasattr(result, "predict_proba"):
        step = result[-1] if hasattr(result, "steps") else result
        if hasattr(step, "items_"):
            assert step.items_.n_items == len(df)
            assert len(result.predict_proba(X.head(3))) == 3
        else:  # an ensemble of scikit-learn's
            assert result.predict_proba(pairs.head(3)).shape == (3, 2)
        return
    values = list(result.values()) if isinstance(result, dict) else result
    if len(values) == len(X):  # the candidates of each row
        assert [len(row) for row in values] == [len(row) for row in X["candidates"]]
        return
    for value in values:
        assert np.isfinite(value).all()


def test_impressions_have_no_smallest_number_of_rows(trap, news, make_recommender):
    # if this passes one day, the FAQ's hint about min_resources may go
    names = names_of(trap, news.items, make_recommender)
    with pytest.raises(ValueError, match="Validation should be done on X, y or both"):
        eval("HalvingGridSearchCV(rec, grid).fit(X, items=Items(df))", names)


def test_stacking_does_not_work(trap, news, make_recommender):
    # if this passes one day, the FAQ's line about it may go
    names = names_of(trap, news.items, make_recommender)
    call = "StackingClassifier([('a', rec)], cv=2).fit(pairs, y, items=Items(df))"
    with routing(True), pytest.raises(TypeError, match=r"fit\(\) got an unexpected.*'items'"):
        eval(call, names)


def test_without_items_around_the_frame_the_searches_of_the_table_raise(
    trap, news, make_recommender
):
    names = names_of(trap, news.items, make_recommender)
    call = "cross_val_score(rec, X, error_score='raise', params={'items': df})"
    with routing(False), pytest.raises(ValueError, match=r"items=Items\(df\)"):
        eval(call, names)


def test_groups_of_interactions(news, make_recommender):
    """The FAQ's `groups=X.column("user_id")`: no user is in two folds."""
    X = Interactions(news.train.assign(user_id=np.arange(len(news.train)) % 7))
    groups = X.column("user_id")
    for train, test in model_selection.GroupKFold(3).split(X, groups=groups):
        users = [set(X[part].column("user_id").to_pylist()) for part in (train, test)]
        assert not users[0] & users[1]
    scores = model_selection.cross_val_score(
        make_recommender(max_epochs=1),
        X,
        groups=groups,
        cv=model_selection.GroupKFold(3),
        params={"items": Items(news.items)},
    )
    assert np.isfinite(scores).all()
