"""Each check fails for a recommender that violates it, with a helpful message."""

import threading

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skrec import ContentRecommender


class NoAttributes(ContentRecommender):
    def fit(self, X, y=None, *, items=None, sample_weight=None):
        super().fit(X, y, items=items)
        del self.n_epochs_
        return self


class ChangesParameters(ContentRecommender):
    def fit(self, X, y=None, *, items=None, sample_weight=None):
        self.learning_rate = 1e-3
        return super().fit(X, y, items=items)


class OutOfRange(ContentRecommender):
    def predict_proba(self, X, *, items=None):
        return super().predict_proba(X, items=items) * 3


class OneColumn(ContentRecommender):
    def predict_proba(self, X, *, items=None):
        proba = super().predict_proba(X, items=items)
        return proba[:, 1] if proba.ndim == 2 else np.array([p[:, 1] for p in proba], dtype=object)


class SkipsRows(ContentRecommender):
    def predict_proba(self, X, *, items=None):
        return super().predict_proba(X, items=items)[1:]


class UsesGlobalSeed(ContentRecommender):
    def decision_function(self, X, *, items=None):
        return super().decision_function(X, items=items) + torch.rand(()).item()


class Remembers(ContentRecommender):
    def fit(self, X, y=None, *, items=None, sample_weight=None):
        self.fits_ = getattr(self, "fits_", 0) + 1
        return super().fit(X, y, items=items)

    def decision_function(self, X, *, items=None):
        return super().decision_function(X, items=items) + self.fits_


class StartsAgain(ContentRecommender):
    def partial_fit(self, X, y=None, items=None, *, classes=None, sample_weight=None):
        self.set_params(max_epochs=1, early_stopping=False)
        return self.fit(X, y, items=items)


class WritesToX(ContentRecommender):
    def fit(self, X, y=None, *, items=None, sample_weight=None):
        X["history"] = [list(history)[:1] for history in X["history"]]
        return super().fit(X, y, items=items)


class Shared(ContentRecommender):
    n_fits = 0

    def fit(self, X, y=None, *, items=None, sample_weight=None):
        Shared.n_fits += 1
        return super().fit(X, y, items=items)

    def decision_function(self, X, *, items=None):
        return super().decision_function(X, items=items) + Shared.n_fits


class LosesState(ContentRecommender):
    def __getstate__(self):
        return {**super().__getstate__(), "max_history": 1}


class KeepsItems(ContentRecommender):
    def predict_proba(self, X, *, items=None):
        answers = super().predict_proba(X, items=items)
        self.items_ = self.items_ if items is None else self.items_.extend(items)
        return answers


class DiffersInThreads(ContentRecommender):
    def decision_function(self, X, *, items=None):
        in_main_thread = threading.current_thread() is threading.main_thread()
        return super().decision_function(X, items=items) + (0 if in_main_thread else 1)


class AnswersUnfitted(ContentRecommender):
    def transform(self, X, *, items=None):
        return np.zeros((len(X), 8))


class WrongError(ContentRecommender):
    def transform(self, X, *, items=None):
        try:
            return super().transform(X, items=items)
        except NotFittedError:
            return self.network_


@pytest.mark.parametrize(
    ("broken", "check", "match"),
    [
        (AnswersUnfitted, "check_unfitted_raises", "transform before fit must raise NotFitted"),
        (WrongError, "check_unfitted_raises", "got AttributeError.*call check_is_fitted first"),
        (NoAttributes, "check_fit_returns_self", "fit must set n_epochs_"),
        (ChangesParameters, "check_fit_returns_self", "must not change its parameters .learning_r"),
        (OutOfRange, "check_impressions", r"probabilities must be within \[0, 1\]"),
        (OneColumn, "check_impressions", r"object array of shape \(12,\), got"),
        (SkipsRows, "check_impressions", "must return an object array of shape"),
        (OutOfRange, "check_pairs", r"probabilities must be within \[0, 1\]"),
        (OneColumn, "check_pairs", "predict_proba must have shape"),
        (OutOfRange, "check_histories", r"probabilities must be within \[0, 1\]"),
        (KeepsItems, "check_new_items", "must not change items_"),
        (UsesGlobalSeed, "check_two_fits_are_equal", "two fits with the same random_state"),
        (Remembers, "check_fit_twice_equals_once", "fit must not depend on earlier fits"),
        (StartsAgain, "check_partial_fit_continues", "must continue with the weights, the opt"),
        (Shared, "check_clone_is_unfitted", "a fitted clone is a different model"),
        (LosesState, "check_pickles", "a pickled recommender predicts differently"),
        (UsesGlobalSeed, "check_global_generators_are_untouched", "global generator of torch"),
        (WritesToX, "check_data_are_unchanged", "changes the user's X or items"),
        (Shared, "check_two_estimators_are_independent", "store no state in classes"),
        (
            DiffersInThreads,
            "check_threads",
            "decision_function.* gives other results",
        ),
    ],
)
def test_recommender(broken, check, match, fail):
    fail(broken("mean_pooling", width=8), check, match)
