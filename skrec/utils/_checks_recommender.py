"""What a recommender must do."""

from __future__ import annotations

import pickle
from collections.abc import Callable
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
    check_scikit_learn,
    histories,
    news,
    require,
)

FITTED = ("classes_", "items_", "content_", "behavior_", "predictor_", "network_", "n_epochs_")


def small(estimator: ContentRecommender, **parameters: Any) -> ContentRecommender:
    """Return a clone that fits in a moment, always alike."""
    return clone(estimator).set_params(**{"max_epochs": 2, "random_state": 0, **parameters})


def fit(estimator: ContentRecommender, **parameters: Any) -> ContentRecommender:
    """Return a small clone, fitted to impressions."""
    rec = small(estimator, **parameters)
    rec.fit(news().train, items=catalogue_for(rec.behavior))
    return rec


def scores(rec: ContentRecommender) -> np.ndarray:
    """Return the scores of all items for some histories, the last of them empty."""
    return rec.decision_function(histories(news().test, rec.behavior))


def require_probabilities(proba: Any, shape: tuple[int, ...], estimator: Any) -> None:
    """Require numbers in [0, 1] of a shape."""
    require(
        np.shape(proba) == shape,
        estimator,
        f"predict_proba must have shape {shape}, got {np.shape(proba)}",
    )
    good = np.isfinite(proba).all() and (proba >= 0).all() and (proba <= 1).all()
    require(good, estimator, "probabilities must be within [0, 1], and never NaN")


def check_unfitted_raises(estimator: ContentRecommender) -> None:
    """Check that before `fit`, every verb raises NotFittedError."""
    rec, X = clone(estimator), news().test
    verbs = ["predict", "predict_proba", "decision_function", "score", "evaluate", "recommend"]
    for verb in [*verbs, "transform", "item_vectors"]:
        try:
            getattr(rec, verb)(*(() if verb == "item_vectors" else (X,)))
        except NotFittedError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{estimator!r}: {verb} before fit must raise NotFittedError, got {error!r}; call "
                "check_is_fitted first"
            ) from error
        raise AssertionError(f"{estimator!r}: {verb} before fit must raise NotFittedError")


def check_fit_returns_self(estimator: ContentRecommender) -> None:
    """Check that `fit` returns self, sets its attributes and no parameter."""
    rec = small(estimator)
    before = rec.get_params(deep=False)
    state = pickle.dumps(before)
    found = rec.fit(news().train, items=catalogue_for(rec.behavior))
    require(found is rec, estimator, "fit must return self")
    missing = [name for name in FITTED if not hasattr(rec, name)]
    require(not missing, estimator, f"fit must set {', '.join(missing)}")
    after = rec.get_params(deep=False)
    changed = [name for name in before if after[name] is not before[name]]
    require(
        not changed and pickle.dumps(before) == state,
        estimator,
        f"fit must not change its parameters ({', '.join(changed) or 'nor what they hold'}); clone "
        "operators before they are fitted",
    )


def check_impressions(estimator: ContentRecommender) -> None:
    """Check that impressions give one array of probabilities a row, (n_candidates, 2)."""
    rec, test = fit(estimator), news().test
    answers = rec.predict_proba(test)
    require(
        getattr(answers, "shape", None) == (len(test),),
        estimator,
        f"impressions must get an object array of shape ({len(test)},), got "
        f"{getattr(answers, 'shape', type(answers).__name__)}",
    )
    for candidates, proba in zip(test["candidates"], answers, strict=True):
        require_probabilities(proba, (len(candidates), 2), estimator)
    require(np.isfinite(rec.score(test)), estimator, "score of impressions must be a finite number")


def check_pairs(estimator: ContentRecommender) -> None:
    """Check that pairs with y give probabilities (n_samples, 2) that sum to 1, and predictions."""
    (X, y), (test, _) = explode(news().train), explode(news().test)
    rec = small(estimator)
    rec.fit(X, y, items=catalogue_for(rec.behavior))
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
        f"predict must give 0 and 1 of shape ({len(test)},), got shape {labels.shape}",
    )


def check_histories(estimator: ContentRecommender) -> None:
    """Check that bare histories give the probability of every item, also without any click."""
    rec = small(estimator)
    rec.fit(histories(news().train, rec.behavior), items=catalogue_for(rec.behavior))
    X = histories(news().test, rec.behavior)
    require_probabilities(
        rec.predict_proba(X), (len(X), catalogue_for(rec.behavior).n_items), estimator
    )
    ids, best = rec.recommend(X, k=3)
    require(
        ids.shape == best.shape == (len(X), 3) and np.isin(ids, rec.items_.ids).all(),
        estimator,
        f"recommend(X, k=3) must give ids and scores of shape ({len(X)}, 3)",
    )


def check_new_items(estimator: ContentRecommender) -> None:
    """Check that items that `fit` did not see are scored when a call brings them."""
    rec = fit(estimator)
    new = catalogue_for(rec.behavior).to_pandas().iloc[:3].assign(item_id=[-1, -2, -3])
    X = pd.DataFrame({"history": [[-1], []], "candidates": [[-2, -3], [-1]]})
    for proba, n in zip(rec.predict_proba(X, items=new), (2, 1), strict=True):
        require_probabilities(proba, (n, 2), estimator)
    require(
        rec.items_.n_items == catalogue_for(rec.behavior).n_items,
        estimator,
        "items= of a prediction must not change items_",
    )


def check_two_fits_are_equal(estimator: ContentRecommender) -> None:
    """Check that two fits of one seed agree bit for bit, whatever the global generators hold."""
    first = scores(fit(estimator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        second = scores(fit(estimator))
    require(
        np.array_equal(first, second),
        estimator,
        "two fits with one random_state differ; draw all random numbers from random_state",
    )


def check_fit_twice_equals_once(estimator: ContentRecommender) -> None:
    """Check that a second fit forgets the first."""
    once = fit(estimator)
    twice = small(estimator)
    items = catalogue_for(twice.behavior)
    twice.fit(news().test, items=items).fit(news().train, items=items)
    require(
        np.array_equal(scores(once), scores(twice)),
        estimator,
        "a second fit gives another model than a first; fit must start from nothing",
    )


def check_partial_fit_goes_on(estimator: ContentRecommender) -> None:
    """Check that epochs one by one equal a fit of as many."""
    whole = fit(estimator, early_stopping=False, warm_start=False)
    rec = small(estimator)
    for _ in range(whole.n_epochs_):
        found = rec.partial_fit(news().train, items=catalogue_for(rec.behavior))
        require(found is rec, estimator, "partial_fit must return self")
    require(
        np.array_equal(scores(rec), scores(whole)),
        estimator,
        "two calls of partial_fit give another model than two epochs of fit; partial_fit must go "
        "on from the weights, the optimiser and the generators of the call before",
    )


def check_clone_forgets(estimator: ContentRecommender) -> None:
    """Check that a clone of a fitted recommender is unfitted and fits to the same model."""
    rec = fit(estimator)
    wanted = scores(rec)
    twin = clone(rec)
    kept = [name for name in FITTED if hasattr(twin, name)]
    require(not kept, estimator, f"a clone must not carry {', '.join(kept)}")
    twin.fit(news().train, items=catalogue_for(rec.behavior))
    require(
        np.array_equal(scores(twin), wanted),
        estimator,
        "a clone fits to another model; keep all that matters in parameters",
    )


def check_pickles(estimator: ContentRecommender) -> None:
    """Check that a pickled model predicts the same."""
    rec = fit(estimator)
    require(
        np.array_equal(scores(pickle.loads(pickle.dumps(rec))), scores(rec)),
        estimator,
        "a pickled model predicts otherwise; look at __getstate__ and __setstate__",
    )


def check_global_generators_are_untouched(estimator: ContentRecommender) -> None:
    """Check that fitting and predicting leave the generators of torch and numpy as they were."""
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
            f"fit or prediction moves the global generator of {name}; work inside "
            "torch.random.fork_rng, and with a numpy Generator of your own",
        )


def check_data_are_left_alone(estimator: ContentRecommender) -> None:
    """Check that `fit` and prediction change neither X nor the items."""
    rec = small(estimator)
    X, items = news().train.copy(deep=True), catalogue_for(rec.behavior).to_pandas()
    before = pickle.dumps((X.to_dict("list"), items.to_dict("list")))
    rec.fit(X, items=items)
    rec.predict_proba(X)
    require(
        pickle.dumps((X.to_dict("list"), items.to_dict("list"))) == before,
        estimator,
        "fit or prediction changes the user's X or items; work on a copy",
    )


def check_two_estimators_do_not_meet(estimator: ContentRecommender) -> None:
    """Check that a second estimator in the process changes nothing of the first."""
    first = fit(estimator)
    before = scores(first)
    other = fit(estimator, width=first.width * 2, random_state=1)
    scores(other)
    first.__dict__.pop("_encoded_items", None)  # what is stored must not hide what has changed
    require(
        np.array_equal(scores(first), before),
        estimator,
        "fitting another estimator changes this one; keep no state in classes or modules",
    )


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn,
    check_unfitted_raises,
    check_fit_returns_self,
    check_impressions,
    check_pairs,
    check_histories,
    check_new_items,
    check_two_fits_are_equal,
    check_fit_twice_equals_once,
    check_partial_fit_goes_on,
    check_clone_forgets,
    check_pickles,
    check_global_generators_are_untouched,
    check_data_are_left_alone,
    check_two_estimators_do_not_meet,
]
