"""The public checks pass for all registered operators and for operators of a third party."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpydoc.validate import validate
from sklearn.model_selection import GridSearchCV
from torch import nn

from skrec import ContentRecommender, Items, behavior, content, predictor, zoo
from skrec.behavior import BehaviorOperator
from skrec.nn import masked_mean, masked_softmax
from skrec.utils import estimator_checks
from skrec.utils.estimator_checks import (
    check_behavior_operator,
    check_content_operator,
    check_predictor,
    check_recommender,
    iter_checks,
    parametrize_with_checks,
)


class Faded(BehaviorOperator):
    """Operator of a third party: the mean of the clicks, with smaller weights for older ones."""

    def __init__(self, fade=0.9):
        self.fade = fade

    def build(self, width):
        return FadedMean(self.fade)


class FadedMean(nn.Module):
    def __init__(self, fade):
        super().__init__()
        self.fade = fade

    def forward(self, x, mask):
        age = mask.flip(1).cumsum(1).flip(1).unsqueeze(-1)  # (B, L, 1): 1 at the last click
        return masked_mean(x * self.fade**age, mask).unsqueeze(1)


class WordMean(BehaviorOperator):
    """Operator of a third party that reads tokens: the mean of all tokens of the clicks."""

    reads_tokens = True

    def build(self, width):
        return MeanOfWords()


class MeanOfWords(nn.Module):
    def forward(self, x, mask):
        return masked_mean(x.flatten(1, 2), mask.flatten(1)).unsqueeze(1)


class Taste(BehaviorOperator):
    """Operator of a third party that reads users: the mean of the clicks plus a user embedding."""

    reads_users = True

    def build(self, width, n_users):
        return MeanAndTaste(width, n_users)


class MeanAndTaste(nn.Module):
    def __init__(self, width, n_users):
        super().__init__()
        self.table = nn.Embedding(n_users + 1, width, padding_idx=0)

    def forward(self, x, mask, user):
        return (masked_mean(x, mask) + self.table(user)).unsqueeze(1)


class Alike(BehaviorOperator):
    """Candidate-aware operator of a third party: attention that also reads a side column."""

    candidate_aware = True
    side_columns = ["author"]  # not in the catalogue of the checks, which therefore add it

    def build(self, width):
        return MeanOfAlike(width)


class MeanOfAlike(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x, mask, candidates):
        weights = masked_softmax(candidates @ x.transpose(1, 2), mask.unsqueeze(1))  # (B, C, L)
        return (weights @ x[..., : self.width]).unsqueeze(2)

    def penalty(self, users):
        return 0.1 * users.square().mean()


REGISTERED = [
    operator()
    for package in (content, behavior, predictor)
    for operator in package.ALIASES.values()
]
OPTIONS = [
    content.CNN(["title", "topic"], fusion="concat"),
    content.WithID(content.MeanPooling(), dropout=0.9),
    content.Vectors(hidden=()),
    behavior.SelfAttention(n_heads=1),
    predictor.Dot(0.1, item_bias=True),
    predictor.DCNv2(structure="stacked", rank=2),
    behavior.GRU(user_embedding="ini"),
    behavior.GRU(user_embedding="con"),
    behavior.PolyAttention(4, category="topic"),
    Faded(),
    WordMean(),
    Taste(),
    Alike(),
]


@parametrize_with_checks(REGISTERED + OPTIONS)
def test_operators(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        ContentRecommender("mean_pooling", width=16),
        ContentRecommender("id", "late_fusion", "mlp", width=8, early_stopping=False, loss="bce"),
        ContentRecommender("cnn", WordMean(), width=8),
        ContentRecommender("mean_pooling", Taste(), "mlp", width=8),
        ContentRecommender("mean_pooling", Alike(), width=8),
        zoo.NAML(width=16),
    ]
)
def test_recommenders(estimator, check):
    check(estimator)


def test_a_third_partys_operator_is_searched(news):
    rec = ContentRecommender("mean_pooling", Faded(), width=16, max_epochs=1, random_state=0)
    search = GridSearchCV(rec, {"behavior__fade": [0.5, 1.0]}, cv=2, error_score="raise")
    search.fit(news.train, items=Items(news.items))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # the parameter reaches the module: other values give other models
    assert len(set(search.cv_results_["mean_test_score"])) == 2


# Behavior of the public functions


@pytest.mark.parametrize(
    ("check", "family", "good"),
    [
        (check_content_operator, content.ContentOperator, content.MeanPooling()),
        (check_behavior_operator, BehaviorOperator, Faded()),
        (check_predictor, predictor.Predictor, predictor.Dot()),
        (check_recommender, ContentRecommender, ContentRecommender()),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_a_function_runs_all_checks_of_its_family(check, family, good, monkeypatch):
    assert len(estimator_checks.CHECKS[family]) > 10
    ran = []
    monkeypatch.setitem(estimator_checks.CHECKS, family, [ran.append, ran.append])
    assert check(good) is None
    assert ran == [good, good]


def test_a_failure_says_which_check_it_was():
    class Broken(Faded):
        def check(self, width):
            raise ValueError("no width will do")

    with pytest.raises(AssertionError, match=r"Broken\(\): check\(64\) must pass") as caught:
        check_behavior_operator(Broken())
    assert caught.value.__notes__ == [
        "in check_accepts_its_parameters of Broken(): Check that the method `check` accepts the "
        "parameters, and does not set attributes."
    ]


def test_check_recommender_stops_at_the_first_failure():
    class Broken(ContentRecommender):
        def fit(self, X, y=None, *, items=None, sample_weight=None):
            super().fit(X, y, items=items)

    with pytest.raises(AssertionError, match="fit must return self"):
        check_recommender(Broken("mean_pooling", width=8))


def test_ids_are_readable_and_distinct():
    cases = list(iter_checks([Faded(0.5)]))
    names = [check.__name__ for _, check in cases]
    assert {operator.fade for operator, _ in cases} == {0.5}
    assert len(set(names)) == len(names)
    mark = parametrize_with_checks([Faded(0.5)])
    assert [case.id for case in mark.args[1]] == [f"Faded(fade=0.5)-{name}" for name in names]


def test_every_check_says_what_it_checks():
    for checks in estimator_checks.CHECKS.values():
        for check in checks:
            assert inspect.getdoc(check).startswith("Check that ")


def test_wrong_family_raises():
    with pytest.raises(TypeError, match=r"expected a Predictor, got the BehaviorOperator GRU\(\)"):
        check_predictor(behavior.GRU())
    with pytest.raises(TypeError, match=r"pass an instance: GRU\(\) with parentheses"):
        check_behavior_operator(behavior.GRU)
    with pytest.raises(TypeError, match="expected an instance of one of ContentOperator, .* 'dot'"):
        next(iter_checks(["dot"]))


def test_operators_and_the_global_generator_stay_as_they_were():
    operator = behavior.AdditiveAttention(hidden=8)
    before, state = dict(vars(operator)), torch.get_rng_state()
    check_behavior_operator(operator)
    assert vars(operator) == before
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_the_module_needs_install_requirements_only():
    # Checks that are run without pytest must not import optional dependencies.
    code = """
import sys
for name in ("pytest", "numpydoc", "polars", "matplotlib"):
    sys.modules[name] = None
from skrec import predictor
from skrec.utils.estimator_checks import check_predictor
check_predictor(predictor.Dot())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", estimator_checks.__all__)
def test_docstrings_are_complete(name):
    allowed = {"GL01", "SA01", "ES01"}
    faults = validate(f"skrec.utils.estimator_checks.{name}")["errors"]
    assert not [fault for fault in faults if fault[0] not in allowed]
