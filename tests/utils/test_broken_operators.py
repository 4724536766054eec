"""Each public check fails for an operator that is broken on purpose, with the right advice."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skrec import behavior, content
from skrec.behavior import BehaviorOperator
from skrec.content._packed import Dense, Packed
from skrec.nn import masked_mean
from skrec.predictor import OneVectorPredictor, Predictor
from skrec.utils.estimator_checks import iter_checks


class Forward(nn.Module):
    """A module made of a function, and of an inner module where there is one."""

    def __init__(self, function, inner=None):
        super().__init__()
        self.function = function
        self.inner = inner

    def forward(self, *args):
        return self.function(*args) if self.inner is None else self.function(self.inner, *args)


# Of any family


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
        self.scale = torch.rand(())  # no buffer, so no pickle of the weights has it

    def forward(self, x, mask):
        return (masked_mean(x, mask) * (1 + self.scale)).unsqueeze(1)


class Unsaved(BehaviorOperator):
    def build(self, width):
        return TimesUnsavedNumber()


@pytest.mark.parametrize(
    ("operator", "check", "match"),
    [
        (StoresState(), "check_init_only_assigns", "only assign its parameters, but sets seen too"),
        (Converts(), "check_init_only_assigns", "must store size as it is"),
        (SharesDefault(), "check_init_only_assigns", "default of sizes can be changed"),
        (RefusesItsDefaults(), "check_accepts_its_parameters", "check.64. must pass"),
        (NotesTheWidth(), "check_accepts_its_parameters", "check must not set attributes"),
        (FitsToSomething(), "check_joint_fit", "fit must return self and change nothing"),
        (BuildsItself(), "check_pickles", "build must not change the operator"),
        (BuildsNothing(), "check_shape_and_type", "must return a torch.nn.Module, got function"),
        (GrowsEachTime(), "check_pickles", "weights of the same names and shapes each time"),
        (NumpyWeights(), "check_works_in_a_recommender", "two fits with one random_state differ"),
        (Unsaved(), "check_works_in_a_recommender", "pickled recommender predicts otherwise"),
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
    """An operator whose module is a function of clicks and mask."""

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
        (lambda x, m: mean(x, m).float(), "check_shape_and_type", "must answer in float64"),
        (lambda x, m: mean(x, m) / 0, "check_shape_and_type", "user vectors must be finite"),
        (lambda x, m: x.mean(1, True), "check_padding_changes_nothing", "padding reaches a user"),
        (lambda x, m: x[:, -1:], "check_padding_changes_nothing", "padding reaches a user"),
        (lambda x, m: x.mean(1, True), "check_batch_equals_one_by_one", "the other users"),
        (lambda x, m: mean(x - x[:, :1].mean(0), m), "check_batch_equals_one_by_one", "other use"),
        (lambda x, m: mean(x, m) + 1e-9 * x, "check_padding_gets_no_gradient", "padding gets a gr"),
        (lambda x, m: mean(x.detach(), m) + 0 * x, "check_padding_gets_no_gradient", "don't deta"),
        (lambda x, m: mean(x, m) + 0 * (0 * x).sqrt(), "check_padding_gets_no_gradient", "finite"),
        (lambda x, m: mean(F.dropout(x), m), "check_eval_is_deterministic", "at random in eval"),
        (lambda x, m: mean(x, m) * torch.rand(()), "check_eval_is_deterministic", "at random in"),
        (lambda x, m: mean(x.mul_(2), m), "check_inputs_are_left_alone", "changes its input"),
        (
            lambda x, m: mean(x, m.logical_not_()),
            "check_inputs_are_left_alone",
            "changes its input",
        ),
    ],
)
def test_behavior(function, check, match, fail):
    fail(Behavior(function), check, match)


def test_behavior_that_mixes_candidates(fail):
    def mixed(x, mask, candidates):
        weights = (candidates @ mean(x, mask).transpose(1, 2)).softmax(dim=1)  # over candidates
        return (weights * candidates).unsqueeze(2)

    fail(Aware(mixed), "check_candidates_are_read_alone", "changes with the other candidates")


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


def test_weights_that_start_at_zero_and_frozen_ones_are_fine():
    """Low-rank adapters start so; a check that refused them would be wrong."""

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
    """A predictor whose module is a function of users, their mask, and items."""

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
            "check_candidates_are_scored_alone",
            "the other ca",
        ),
        (
            lambda u, m, v: dot(u, m, v).softmax(0),
            "check_batch_equals_one_by_one",
            "the other rows",
        ),
        (each, "check_one_user_equals_one_for_each_candidate", "must score like the same users"),
        (lambda u, m, v: dot(u, m | True, v), "check_masked_users_do_not_count", "masked user vec"),
        (cosine, "check_zero_vectors_are_finite", "add an epsilon"),
        (
            lambda u, m, v: dot(u, m, v + torch.randn_like(v)),
            "check_eval_is_deterministic",
            "random",
        ),
        (lambda u, m, v: dot(u, m, v.mul_(2)), "check_inputs_are_left_alone", "changes its input"),
    ],
)
def test_predictor(function, check, match, fail):
    fail(Scores(function), check, match)


def test_predictor_with_a_wrong_short_cut(fail):
    fail(WrongShortCut(), "check_score_all_equals_forward", "the scores of forward")


# Content


class Content(content.MeanPooling):
    """Mean pooling whose answer, or whose reading of the columns, a function spoils."""

    def __init__(self, function=None):
        super().__init__()
        self.function = function

    def build(self, schema, width):
        return Forward(self.function, super().build(schema, width))


class NaNOnEmpty(content.MeanPooling):
    def build(self, schema, width):
        return Forward(unsafe_mean, nn.Embedding(10_000, width))


def unsafe_mean(table, columns):
    ids, mask = columns["title"]
    return (table(ids % 10_000) * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def leaky_mean(table, columns):
    return table(columns["title"][0] % 10_000).mean(1)


class Leaky(NaNOnEmpty):
    def build(self, schema, width):
        return Forward(leaky_mean, nn.Embedding(10_000, width))


class NeedsFitToBuild(content.MeanPooling):
    def fit(self, items, y=None):
        self.n_items_ = items.n_items
        return super().fit(items)

    def build(self, schema, width):
        assert self.n_items_
        return super().build(schema, width)


class ReadsPositions(content.ID):
    def prepare(self, items):
        return Packed({"id": Dense(torch.arange(items.n_items)[:, None])})


class NoNewItems(content.ID):
    def prepare(self, items):
        packed = super().prepare(items)
        if (packed.columns["id"].values < 0).any():
            raise KeyError("unknown id")
        return packed


class DropsItems(content.ID):
    def prepare(self, items):
        return super().prepare(items.take([0, 1]))


class ChangesItsParameters(content.MeanPooling):
    def fit(self, items, y=None):
        self.max_length = 8
        return super().fit(items)


class NoSchema(content.MeanPooling):
    def fit(self, items, y=None):
        return self


class NoSelf(content.MeanPooling):
    def fit(self, items, y=None):
        super().fit(items)


class Forgets(content.ID):
    """Keeps what it learned outside of itself."""

    known = {}

    def fit(self, items, y=None):
        Forgets.known = {id(self): items}
        return super().fit(items)

    def prepare(self, items):
        if id(self) in Forgets.known:
            return super().prepare(items)
        return Packed({"id": Dense(torch.zeros((items.n_items, 1), dtype=torch.long))})


def overwrite(inner, columns):
    ids, mask = columns["title"]
    ids.masked_fill_(mask, 1)
    return inner(columns)


@pytest.mark.parametrize(
    ("operator", "check", "match"),
    [
        (NoSelf(), "check_fit", "fit must return self"),
        (NoSchema(), "check_fit", "fit must set schema_"),
        (ChangesItsParameters(), "check_fit", "must not change its parameters.*max_length"),
        (NeedsFitToBuild(), "check_builds_from_schema", "from schema_ alone.*AttributeError"),
        (DropsItems(), "check_shape_and_type", "prepare must keep all items in their order: 40, g"),
        (NaNOnEmpty(), "check_empty_items_are_finite", "clamped to 1"),
        (Leaky(), "check_padding_changes_nothing", "padding reaches an item's vector"),
        (NoNewItems(), "check_new_items", "new items must get finite vectors.*KeyError"),
        (ReadsPositions(), "check_place_does_not_matter", "depends on its place in the catalogue"),
        (Forgets(), "check_pickles", "a pickled operator prepares items otherwise"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else None,
)
def test_content(operator, check, match, fail):
    fail(operator, check, match)


@pytest.mark.parametrize(
    ("function", "check", "match"),
    [
        (
            lambda f, c: f(c)[:, :-1],
            "check_shape_and_type",
            r"\(U, width\) = \(3, 64\), got \(3, 63",
        ),
        (lambda f, c: f(c).float(), "check_shape_and_type", "must answer in float64"),
        (lambda f, c: f(c) - f(c).mean(0), "check_batch_equals_one_by_one", "the other items of"),
        (
            lambda f, c: f(c).detach(),
            "check_every_parameter_gets_a_gradient",
            "no gradient reaches",
        ),
        (lambda f, c: F.dropout(f(c)), "check_eval_is_deterministic", "training=self.training"),
        (overwrite, "check_inputs_are_left_alone", "changes column 'title' in place"),
    ],
)
def test_content_module(function, check, match, fail):
    fail(Content(function), check, match)
