"""Each check fails for an operator that violates it, with a helpful message."""

import numpy as np
import pytest
import torch
from broken import Forward
from torch import nn
from torch.nn import functional as F

from skrec import behavior
from skrec.behavior import BehaviorOperator
from skrec.nn import masked_mean
from skrec.predictor import OneVectorPredictor, Predictor
from skrec.utils.estimator_checks import iter_checks

# All families


class StoresState(BehaviorOperator):
    def __init__(self, size=3):
        self.size = size
        self.seen = []


class Converts(BehaviorOperator):
    def __init__(self, size="3"):
        self.size = int(size)


class SharesDefault(BehaviorOperator):
    def __init__(self, sizes=[]):  # noqa: B006
        self.sizes = sizes


class ComputesInInit(BehaviorOperator):
    def __init__(self, size=3):
        self.size = size + 0


class RefusesItsDefaults(behavior.MeanPooling):
    def check(self, width):
        raise ValueError("size must be even")


class NotesTheWidth(behavior.MeanPooling):
    def check(self, width):
        self.width_ = width


class FitsToSomething(behavior.MeanPooling):
    def fit(self, X=None, y=None):
        self.fitted_ = True
        return self


class BuildsItself(behavior.AdditiveAttention):
    def build(self, width):
        self.module_ = super().build(width)
        return self.module_


class BuildsNothing(behavior.MeanPooling):
    def build(self, width):
        return masked_mean


class GrowsEachTime(BehaviorOperator):
    built = 0

    def build(self, width):
        type(self).built += 1
        return nn.Linear(width, self.built)


class NumpyWeights(behavior.AdditiveAttention):
    def build(self, width):
        module = super().build(width)
        with torch.no_grad():
            module.attention.query.weight.fill_(np.random.default_rng().normal())
        return module


class TimesUnsavedNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.rand(())  # not a buffer, so it is not saved with the weights

    def forward(self, x, mask):
        return (masked_mean(x, mask) * (1 + self.scale)).unsqueeze(1)


class Unsaved(BehaviorOperator):
    def build(self, width):
        return TimesUnsavedNumber()


@pytest.mark.parametrize(
    ("operator", "check", "match"),
    [
        (
            StoresState(),
            "check_init_only_assigns",
            "only assign its parameters, but also sets seen",
        ),
        (Converts(), "check_init_only_assigns", "must assign size unchanged"),
        (SharesDefault(), "check_init_only_assigns", "default of sizes is mutable"),
        (RefusesItsDefaults(), "check_accepts_its_parameters", "check.64. must pass"),
        (NotesTheWidth(), "check_accepts_its_parameters", "check must not set attributes"),
        (FitsToSomething(), "check_fit_changes_nothing", "fit must return self and change nothing"),
        (BuildsItself(), "check_pickles", "build must not change the operator"),
        (BuildsNothing(), "check_shape_and_type", "must return a torch.nn.Module, got function"),
        (GrowsEachTime(), "check_pickles", "the same names and shapes on each call"),
        (NumpyWeights(), "check_works_in_a_recommender", "two fits with the same random_state"),
        (Unsaved(), "check_works_in_a_recommender", "pickled recommender predicts differently"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BehaviorOperator) else None,
)
def test_any_operator(operator, check, match, fail):
    fail(operator, check, match)


def test_scikit_learns_own_checks_run():
    (check,) = [one for _, one in iter_checks([ComputesInInit()]) if "scikit" in one.__name__]
    with pytest.raises(TypeError):
        check(ComputesInInit())


# Behavior


class Behavior(BehaviorOperator):
    """Operator whose module is a function of the clicks and the mask."""

    def __init__(self, function, inner=None):
        self.function = function
        self.inner = inner

    def build(self, width):
        return Forward(self.function, self.inner and self.inner(width))


class Aware(Behavior):
    candidate_aware = True


def mean(x, mask):
    return masked_mean(x, mask).unsqueeze(1)  # (B, 1, D)


@pytest.mark.parametrize(
    ("function", "check", "match"),
    [
        (lambda x, m: masked_mean(x, m), "check_shape_and_type", r"\(B, K, width\) = \(3, 1, 64\)"),
        (lambda x, m: None, "check_shape_and_type", "return a tensor .* got NoneType"),
        (lambda x, m: mean(x, m).float(), "check_shape_and_type", "must return float64"),
        (lambda x, m: mean(x, m) / 0, "check_shape_and_type", "user vectors must be finite"),
        (lambda x, m: x.mean(1, True), "check_padding_changes_nothing", "padding affects a user"),
        (lambda x, m: x[:, -1:], "check_padding_changes_nothing", "padding affects a user"),
        (lambda x, m: x.mean(1, True), "check_batch_equals_one_by_one", "the other users"),
        (lambda x, m: mean(x - x[:, :1].mean(0), m), "check_batch_equals_one_by_one", "other use"),
        (lambda x, m: mean(x, m) + 1e-9 * x, "check_padding_gets_no_gradient", "padding gets a gr"),
        (lambda x, m: mean(x.detach(), m) + 0 * x, "check_padding_gets_no_gradient", "do not det"),
        (lambda x, m: mean(x, m) + 0 * (0 * x).sqrt(), "check_padding_gets_no_gradient", "finite"),
        (lambda x, m: mean(F.dropout(x), m), "check_eval_is_deterministic", "is random in eval"),
        (lambda x, m: mean(x, m) * torch.rand(()), "check_eval_is_deterministic", "is random in"),
        (lambda x, m: mean(x.mul_(2), m), "check_inputs_are_unchanged", "changes its input"),
        (
            lambda x, m: mean(x, m.logical_not_()),
            "check_inputs_are_unchanged",
            "changes its input",
        ),
    ],
)
def test_behavior(function, check, match, fail):
    fail(Behavior(function), check, match)


def test_behavior_that_mixes_candidates(fail):
    def mixed(x, mask, candidates):
        scores = candidates @ mean(x, mask).transpose(1, 2)  # (B, C, 1)
        return (scores.softmax(dim=1) * candidates).unsqueeze(2)

    fail(Aware(mixed), "check_candidates_are_independent", "depends on the other candidates")


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda inner, x, m: mean(x, m), "no gradient reaches inner.weight, inner.bias; use these"),
        (lambda inner, x, m: mean(inner(x).detach() + x, m), "no gradient reaches inner.weight"),
        (lambda inner, x, m: mean(x, m) + 0 * inner(0 * x).sum(), "no gradient reaches inner.wei"),
        (lambda inner, x, m: mean((0 * inner(x)).sqrt(), m), "gradient of inner.weight is not fin"),
    ],
)
def test_behavior_with_weights_that_do_not_learn(function, match, fail):
    operator = Behavior(function, lambda width: nn.Linear(width, width))
    fail(operator, "check_every_parameter_gets_a_gradient", match)


class Tokens(Behavior):
    reads_tokens = True


class ReadsUsers(Behavior):
    reads_users = True

    def build(self, width, n_users):
        return Forward(self.function, self.inner and self.inner(width, n_users))


class WithSideColumn(Behavior):
    candidate_aware = True
    side_columns = ["topic"]


class Penalized(Behavior):
    """Operator whose module has a penalty, which is a function of the user vectors."""

    def build(self, width):
        module = Forward(mean)
        module.penalty = self.function
        return module


@pytest.mark.parametrize(
    ("attribute", "value", "match"),
    [
        ("reads_tokens", 1, "reads_tokens must be True or False, got 1"),
        ("reads_users", None, "reads_users must be True or False, got None"),
        ("candidate_aware", "no", "candidate_aware must be True or False, got 'no'"),
        ("side_columns", "topic", "must be None or a list of column names, got 'topic'"),
        ("side_columns", [], r"must be None or a list of column names, got \[\]"),
    ],
)
def test_attributes_of_a_wrong_type(attribute, value, match, fail):
    operator = type("Says", (Behavior,), {attribute: value})(mean)
    fail(operator, "check_attributes", match)


def test_behavior_that_overflows(fail):
    def overflows(x, mask):
        weights = x.sum(-1).exp() * mask
        return ((weights / weights.sum(1, keepdim=True)).unsqueeze(-1) * x).sum(1, keepdim=True)

    fail(Behavior(overflows), "check_large_vectors_are_finite", "skrec.nn.masked_softmax")


@pytest.mark.parametrize(
    ("function", "check", "match"),
    [
        (lambda x, m: x.mean(2), "check_padding_changes_nothing", "padding affects a user vec"),
        (lambda x, m: x.mean((1, 2))[:, None], "check_batch_equals_one_by_one", "other users in"),
        (lambda x, m: x[:, 0, 1:2], "check_shape_and_type", r"\(3, 1, 64\), got \(3, 0, 64\)"),
        (lambda x, m: x.sum((1, 2))[:, None], "check_padding_gets_no_gradient", "padding gets a"),
        (lambda x, m: x[:, 0], "check_batch_equals_one_by_one", "mask padding"),
    ],
)
def test_behavior_on_tokens(function, check, match, fail):
    fail(Tokens(function), check, match)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x, m, c: mean(x[..., :64], m).unsqueeze(1) * c[:, :, None, :64], "do not depend"),
        (lambda x, m, c: c[:, :, None, :64] + 0 * c[:, :, None, 64:], "do not depend on these"),
    ],
)
def test_behavior_that_ignores_its_side_columns(function, match, fail):
    fail(WithSideColumn(function), "check_side_columns_are_read", match)


def table(width, n_users):
    return nn.Embedding(n_users + 1, width)


def table_from_one(width, n_users):
    return nn.Embedding(n_users + 1, width, padding_idx=0)


def table_of_some(width, n_users):
    made = table_from_one(width, n_users)
    assert n_users
    return made


@pytest.mark.parametrize(
    ("function", "inner", "match"),
    [
        (lambda t, x, m, u: mean(x, m), table_from_one, "two users with the same clicks get"),
        (lambda t, x, m, u: mean(x, m) + t(u)[:, None], table, "row 0 of inner.weight represents"),
        (
            lambda t, x, m, u: mean(x, m) + t(u)[:, None],
            table_of_some,
            r"build\(width, 0\) must work.*AssertionError",
        ),
    ],
)
def test_behavior_on_users(function, inner, match, fail):
    fail(ReadsUsers(function, inner), "check_users_are_distinguished", match)


@pytest.mark.parametrize(
    ("penalty", "match"),
    [
        (lambda users: 0.5, "must return a scalar tensor, already weighted, got float"),
        (lambda users: users.square().mean(-1), r"got shape \(3, 1\)"),
        (lambda users: users.detach().mean(), "must be differentiable with respect to users"),
        (lambda users: users.norm(dim=-1).log().mean(), "not finite if user vectors are equal"),
    ],
)
def test_penalty(penalty, match, fail):
    fail(Penalized(penalty), "check_penalty", match)


def test_weights_that_start_at_zero_and_frozen_ones_are_fine():
    # Low-rank adapters start at zero, and the check must accept them.

    def adapters(width):
        down, up = nn.Linear(width, 2, bias=False), nn.Linear(2, width, bias=False)
        nn.init.zeros_(up.weight)
        frozen = nn.Linear(width, width).requires_grad_(False)
        return nn.Sequential(frozen, down, nn.Dropout(0.5), up)

    operator = Behavior(lambda inner, x, m: mean(x + inner(x), m), adapters)
    checks = {check.__name__: check for _, check in iter_checks([operator])}
    checks["check_every_parameter_gets_a_gradient"](operator)


# Predictors


class Scores(Predictor):
    """Predictor whose module is a function of the user vectors, their mask, and the items."""

    def __init__(self, function):
        self.function = function

    def build(self, width):
        return Forward(self.function)


class WrongShortCut(Predictor):
    def build(self, width):
        return WrongScoreAll()


class WrongScoreAll(OneVectorPredictor):
    def score(self, user, item):
        return (user * item).sum(-1) / 2

    def score_all(self, user, items):
        return user @ items.T


def dot(user, mask, item):
    return (masked_mean(user[:, 0], mask).unsqueeze(1) * item).sum(-1)


def each(user, mask, item):
    return dot(user, mask, item) / user.shape[1]


def cosine(user, mask, item):
    return dot(user, mask, item) / user[:, 0, 0].norm(dim=-1, keepdim=True) / item.norm(dim=-1)


@pytest.mark.parametrize(
    ("function", "check", "match"),
    [
        (
            lambda u, m, v: dot(u, m, v)[..., None],
            "check_shape_and_type",
            r"\(3, 4\), got \(3, 4, 1",
        ),
        (
            lambda u, m, v: dot(u, m, v).softmax(1),
            "check_candidates_are_independent",
            "the other ca",
        ),
        (
            lambda u, m, v: dot(u, m, v).softmax(0),
            "check_batch_equals_one_by_one",
            "the other rows",
        ),
        (each, "check_repeated_users_score_equally", "same scores as equal user vectors"),
        (
            lambda u, m, v: dot(u, m | True, v),
            "check_masked_user_vectors_are_ignored",
            "masked user vec",
        ),
        (cosine, "check_zero_vectors_are_finite", "add an epsilon"),
        (
            lambda u, m, v: dot(u, m, v + torch.randn_like(v)),
            "check_eval_is_deterministic",
            "random",
        ),
        (lambda u, m, v: dot(u, m, v.mul_(2)), "check_inputs_are_unchanged", "changes its input"),
    ],
)
def test_predictor(function, check, match, fail):
    fail(Scores(function), check, match)


def test_predictor_that_overflows(fail):
    def overflows(user, mask, item):
        return dot(user, mask, item).exp()

    fail(Scores(overflows), "check_large_vectors_are_finite", "large vectors give a score")


def test_predictor_with_a_wrong_short_cut(fail):
    fail(WrongShortCut(), "check_score_all_equals_forward", "the scores of forward")
