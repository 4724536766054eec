"""Checks of recommenders."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skrec._data.explode import explode
from skrec._recommender import ContentRecommender
from skrec.utils._checks_common import (
    catalogue_for,
    check_init_only_assigns,
    check_scikit_learn_conventions,
    histories,
    news,
    require,
)

N_THREADS = 8
FITTED = ("classes_", "items_", "content_", "behavior_", "predictor_", "network_", "n_epochs_")
FITTED_BASELINE = ("classes_", "items_", "popularity_", "calibration_")


def behavior_of(rec: Any) -> Any:
    """Return the behavior operator of a recommender; None for a baseline, which has none."""
    return getattr(rec, "behavior", None)


def fitted_names(estimator: Any) -> tuple[str, ...]:
    """Return the fitted attributes that a recommender must have."""
    return FITTED if isinstance(estimator, ContentRecommender) else FITTED_BASELINE


def small(estimator: Any, **parameters: Any) -> Any:
    """Return a clone with a fixed seed and, unless it is a baseline, few epochs."""
    few = {"max_epochs": 2} if isinstance(estimator, ContentRecommender) else {}
    return clone(estimator).set_params(**{"random_state": 0, **few, **parameters})


def fit(estimator: Any, **parameters: Any) -> Any:
    """Return a clone of `small`, fitted to impressions."""
    rec = small(estimator, **parameters)
    rec.fit(news().train, items=catalogue_for(behavior_of(rec)))
    return rec


def scores(rec: ContentRecommender) -> np.ndarray:
    """Return the scores of all items for several histories, one of which is empty."""
    return rec.decision_function(histories(news().test, behavior_of(rec)))


def require_probabilities(proba: Any, shape: tuple[int, ...], estimator: Any) -> None:
    """Require probabilities of a shape."""
    require(
        np.shape(proba) == shape,
        estimator,
        f"predict_proba must have shape {shape}, got {np.shape(proba)}",
    )
    good = np.isfinite(proba).all() and (proba >= 0).all() and (proba <= 1).all()
    require(good, estimator, "probabilities must be within [0, 1], and not NaN")


def check_unfitted_raises(estimator: Any) -> None:
    """Check that all methods that need a fitted model raise NotFittedError before `fit`."""
    rec, X = clone(estimator), news().test
    methods = ["predict", "predict_proba", "decision_function", "score", "evaluate", "recommend"]
    if isinstance(rec, ContentRecommender):
        methods += ["transform", "item_vectors"]
    for method in methods:
        try:
            getattr(rec, method)(*(() if method == "item_vectors" else (X,)))
        except NotFittedError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{estimator!r}: {method} before fit must raise NotFittedError, got {error!r}; "
                "call check_is_fitted first"
            ) from error
        raise AssertionError(f"{estimator!r}: {method} before fit must raise NotFittedError")


def check_fit_returns_self(estimator: Any) -> None:
    """Check that `fit` returns self, sets the fitted attributes, and does not change parameters."""
    rec = small(estimator)
    before = rec.get_params(deep=False)
    state = pickle.dumps(before)
    found = rec.fit(news().train, items=catalogue_for(behavior_of(rec)))
    require(found is rec, estimator, "fit must return self")
    missing = [name for name in fitted_names(rec) if not hasattr(rec, name)]
    require(not missing, estimator, f"fit must set {', '.join(missing)}")
    after = rec.get_params(deep=False)
    changed = [name for name in before if after[name] is not before[name]]
    require(
        not changed and pickle.dumps(before) == state,
        estimator,
        f"fit must not change its parameters ({', '.join(changed) or 'or objects in them'}); clone "
        "operators before fitting them",
    )


def check_impressions(estimator: Any) -> None:
    """Check that `predict_proba` returns one array (n_candidates, 2) per impression."""
    rec, test = fit(estimator), news().test
    proba_of_row = rec.predict_proba(test)
    require(
        getattr(proba_of_row, "shape", None) == (len(test),),
        estimator,
        f"predict_proba of impressions must return an object array of shape ({len(test)},), got "
        f"{getattr(proba_of_row, 'shape', type(proba_of_row).__name__)}",
    )
    for candidates, proba in zip(test["candidates"], proba_of_row, strict=True):
        require_probabilities(proba, (len(candidates), 2), estimator)
    require(np.isfinite(rec.score(test)), estimator, "score of impressions must be a finite number")


def check_pairs(estimator: Any) -> None:
    """Check that pairs get probabilities (n_samples, 2) that sum to 1, and labels (n_samples,)."""
    (X, y), (test, _) = explode(news().train), explode(news().test)
    rec = small(estimator)
    rec.fit(X, y, items=catalogue_for(behavior_of(rec)))
    proba = rec.predict_proba(test)
    require_probabilities(proba, (len(test), 2), estimator)
    require(
        np.allclose(proba.sum(axis=1), 1),
        estimator,
        "the two probabilities of a pair must sum to 1",
    )
    labels = rec.predict(test)
    require(
        labels.shape == (len(test),) and set(np.unique(labels)) <= {0, 1},
        estimator,
        f"predict must return labels 0 and 1 of shape ({len(test)},), got shape {labels.shape}",
    )


def check_histories(estimator: Any) -> None:
    """Check that bare histories, including an empty one, get the probabilities of all items."""
    rec = small(estimator)
    rec.fit(histories(news().train, behavior_of(rec)), items=catalogue_for(behavior_of(rec)))
    X = histories(news().test, behavior_of(rec))
    require_probabilities(
        rec.predict_proba(X), (len(X), catalogue_for(behavior_of(rec)).n_items), estimator
    )
    ids, best = rec.recommend(X, k=3)
    require(
        ids.shape == best.shape == (len(X), 3) and np.isin(ids, rec.items_.ids).all(),
        estimator,
        f"recommend(X, k=3) must return ids and scores of shape ({len(X)}, 3)",
    )


def check_new_items(estimator: Any) -> None:
    """Check that items passed to a prediction with `items=` are scored, but not added for good."""
    rec = fit(estimator)
    new = catalogue_for(behavior_of(rec)).to_pandas().iloc[:3].assign(item_id=[-1, -2, -3])
    X = pd.DataFrame({"history": [[-1], []], "candidates": [[-2, -3], [-1]]})
    for proba, n in zip(rec.predict_proba(X, items=new), (2, 1), strict=True):
        require_probabilities(proba, (n, 2), estimator)
    require(
        rec.items_.n_items == catalogue_for(behavior_of(rec)).n_items,
        estimator,
        "a prediction with items= must not change items_",
    )


def check_two_fits_are_equal(estimator: Any) -> None:
    """Check that fits with the same seed are identical, whatever the state of torch's generator."""
    first = scores(fit(estimator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        second = scores(fit(estimator))
    require(
        np.array_equal(first, second),
        estimator,
        "two fits with the same random_state differ; draw all random numbers from random_state",
    )


def check_fit_twice_equals_once(estimator: Any) -> None:
    """Check that a second fit does not depend on the first."""
    once = fit(estimator)
    twice = small(estimator)
    items = catalogue_for(behavior_of(twice))
    twice.fit(news().test, items=items).fit(news().train, items=items)
    require(
        np.array_equal(scores(once), scores(twice)),
        estimator,
        "a second fit gives a different model; fit must not depend on earlier fits",
    )


def check_partial_fit_continues(estimator: Any) -> None:
    """Check that repeated calls of `partial_fit` equal a fit with the same number of epochs."""
    whole = fit(estimator, early_stopping=False, warm_start=False)
    rec = small(estimator)
    for _ in range(whole.n_epochs_):
        found = rec.partial_fit(news().train, items=catalogue_for(behavior_of(rec)))
        require(found is rec, estimator, "partial_fit must return self")
    require(
        np.array_equal(scores(rec), scores(whole)),
        estimator,
        "repeated calls of partial_fit give a different model than as many epochs of fit; "
        "partial_fit must continue with the weights, the optimizer and the generators of the "
        "previous call",
    )


def check_clone_is_unfitted(estimator: Any) -> None:
    """Check that a clone of a fitted recommender is not fitted, and can be fitted equally."""
    rec = fit(estimator)
    wanted = scores(rec)
    twin = clone(rec)
    kept = [name for name in fitted_names(rec) if hasattr(twin, name)]
    require(not kept, estimator, f"a clone must not have {', '.join(kept)}")
    twin.fit(news().train, items=catalogue_for(behavior_of(rec)))
    require(
        np.array_equal(scores(twin), wanted),
        estimator,
        "a fitted clone is a different model; store everything that fit uses in parameters",
    )


def check_pickles(estimator: Any) -> None:
    """Check that a pickled recommender gives the same scores."""
    rec = fit(estimator)
    require(
        np.array_equal(scores(pickle.loads(pickle.dumps(rec))), scores(rec)),
        estimator,
        "a pickled recommender predicts differently; see __getstate__ and __setstate__",
    )


def check_global_generators_are_untouched(estimator: Any) -> None:
    """Check that fit and prediction do not change the global generators of torch and numpy."""
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    scores(fit(estimator))
    after = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    for name, same in (
        ("torch", torch.equal(before[0], after[0])),
        ("numpy", before[1] == after[1]),
    ):
        require(
            same,
            estimator,
            f"fit or prediction changes the global generator of {name}; use "
            "torch.random.fork_rng and a separate numpy Generator",
        )


def check_data_are_unchanged(estimator: Any) -> None:
    """Check that `fit` and prediction do not modify X or the items in place."""
    rec = small(estimator)
    X, items = news().train.copy(deep=True), catalogue_for(behavior_of(rec)).to_pandas()
    before = pickle.dumps((X.to_dict("list"), items.to_dict("list")))
    rec.fit(X, items=items)
    rec.predict_proba(X)
    require(
        pickle.dumps((X.to_dict("list"), items.to_dict("list"))) == before,
        estimator,
        "fit or prediction changes the user's X or items; work on a copy",
    )


def check_two_estimators_are_independent(estimator: Any) -> None:
    """Check that fitting a second estimator does not change the first."""
    first = fit(estimator)
    before = scores(first)
    if isinstance(first, ContentRecommender):
        scores(fit(estimator, width=first.width * 2, random_state=1))
        first.__dict__.pop("_encoded_items", None)  # cached item vectors would hide a change
    else:
        items = catalogue_for(None).take(range(2, catalogue_for(None).n_items))
        scores(clone(estimator).set_params(unknown_items="ignore").fit(news().test, items=items))
    require(
        np.array_equal(scores(first), before),
        estimator,
        "fitting another estimator changes this one; store no state in classes or modules",
    )


def check_threads(estimator: Any) -> None:
    """Check that 8 threads that predict at once get the same results as one thread.

    The threads share a recommender that has just been unpickled, so that nothing is cached.
    """
    rec = fit(estimator)
    tables = [news().test.iloc[i::N_THREADS] for i in range(N_THREADS)]
    rows = [histories(table, behavior_of(rec)) for table in tables]
    new = catalogue_for(behavior_of(rec)).to_pandas().iloc[:2].assign(item_id=[-1, -2])
    verbs: dict[str, Callable[[Any, int], Any]] = {
        "decision_function": lambda r, i: r.decision_function(rows[i]),
        "predict_proba": lambda r, i: np.concatenate(r.predict_proba(tables[i])),
        "recommend": lambda r, i: r.recommend(rows[i], k=3)[1],
        "evaluate": lambda r, i: list(r.evaluate(news().test, metrics=["auc", "mrr"]).values()),
        "decision_function with items=": lambda r, i: r.decision_function(rows[i], items=new),
    }
    if isinstance(rec, ContentRecommender):
        verbs["similar_items"] = lambda r, i: r.similar_items(r.items_.ids[i : i + 2], k=3)[1]
        verbs["item_vectors"] = lambda r, i: r.item_vectors()
        if rec.network_.has_user_vectors:
            verbs["transform"] = lambda r, i: r.transform(rows[i])
    wanted = [{name: verb(rec, i) for name, verb in verbs.items()} for i in range(N_THREADS)]
    shared = pickle.loads(pickle.dumps(rec))

    def ask(i: int) -> str | None:
        names = list(verbs)
        for name in names[i % len(names) :] + names[: i % len(names)]:
            found, right = verbs[name](shared, i), wanted[i][name]
            alike = np.shape(found) == np.shape(right)
            if not alike or not np.allclose(found, right, rtol=1e-4, atol=1e-5):
                return name
        return None

    with ThreadPoolExecutor(N_THREADS) as pool:
        wrong = [name for name in pool.map(ask, range(N_THREADS)) if name is not None]
    require(
        not wrong,
        estimator,
        f"{', '.join(sorted(set(wrong)))} gives other results in several threads; change no state "
        "in prediction, and no mode of the network",
    )


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn_conventions,
    check_unfitted_raises,
    check_fit_returns_self,
    check_impressions,
    check_pairs,
    check_histories,
    check_new_items,
    check_two_fits_are_equal,
    check_fit_twice_equals_once,
    check_partial_fit_continues,
    check_clone_is_unfitted,
    check_pickles,
    check_global_generators_are_untouched,
    check_data_are_unchanged,
    check_two_estimators_are_independent,
    check_threads,
]

# baselines are trained at once, so that training can't be continued
BASELINE_CHECKS = [check for check in CHECKS if check is not check_partial_fit_continues]
