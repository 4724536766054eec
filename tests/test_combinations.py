"""Operators of the three families work together; benchmarks/combinations.py tries all of them."""

from itertools import combinations

import pytest
from torch import nn

from _combinations import (
    TWENTY_STEPS,
    Data,
    faults,
    learning_faults,
    operators_with_options,
    registered_operators,
    write_pretrained,
)
from _covering import covering, each_twice
from skrec import behavior, content, predictor
from skrec.behavior import BehaviorOperator
from skrec.nn import masked_mean, masked_softmax
from skrec.predictor import Predictor

GIVEN = {"model": "bert", "word_vectors": "vectors.txt"}  # names only


def operators(given):
    registered, options = registered_operators(given), operators_with_options(given)
    return {family: registered[family] | options[family] for family in registered}


NAMES = list(map(list, operators(GIVEN).values()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("combinations")


@pytest.fixture(scope="module")
def made(folder):
    return operators(write_pretrained(folder))


@pytest.fixture(scope="module")
def data():
    return Data()


@pytest.fixture
def parts(made, request):
    return [made[family][name] for family, name in zip(made, request.param, strict=True)]


@pytest.mark.filterwarnings("ignore:.*have no vector")
@pytest.mark.parametrize("parts", each_twice(*NAMES), ids="-".join, indirect=True)
def test_combinations(parts, data, folder):
    assert not faults(parts, data, str(folder))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*have no vector")
@pytest.mark.parametrize("parts", covering(*NAMES), ids="-".join, indirect=True)
def test_any_two_operators_learn_together(parts, data, folder):
    assert not faults(parts, data, str(folder)) + learning_faults(parts, data, str(folder))


def test_all_that_is_exported_is_tried():
    registered = registered_operators(GIVEN)
    for family, package in zip(registered, (content, behavior, predictor), strict=True):
        assert len(registered[family]) >= len(package.ALIASES)
    assert {"LanguageModel", "SideNetwork"} <= set(registered["content"])


@pytest.mark.parametrize("sizes", [(16, 15, 13), (5, 9, 8), (8, 5, 9), (4, 4, 4), (1, 3, 3)])
def test_a_covering_sample_has_every_pair(sizes):
    families = [[f"{letter}{i}" for i in range(n)] for letter, n in zip("abc", sizes, strict=True)]
    rows = covering(*families)
    assert len(rows) == sorted(sizes)[1] * sorted(sizes)[2]
    for a, b in combinations(range(3), 2):
        assert len({(row[a], row[b]) for row in rows}) == sizes[a] * sizes[b]
    some = [value for row in each_twice(*families) for value in row]
    assert min(some.count(value) for family in families for value in family) >= 2


# A check that can't fail would count nothing


class Mean(BehaviorOperator):
    """The mean of the clicks, spoilt."""

    def __init__(self, spoil):
        self.spoil = spoil

    def build(self, width):
        return SpoiltMean(width, self.spoil)


class SpoiltMean(nn.Module):
    def __init__(self, width, spoil):
        super().__init__()
        self.spoil = spoil
        self.calls = 0
        self.linear = nn.Linear(width, width)

    def forward(self, x, mask):
        self.calls += 1
        users = masked_mean(self.linear(x), mask)
        if self.spoil == "idle":
            users = masked_mean(x, mask)
        if self.spoil == "zero":
            users = masked_mean(x, mask) + 0 * users
        if self.spoil == "nan" and not self.training:
            users = users / 0
        if self.spoil == "constant":
            users = users * 0
        if self.spoil == "batch":
            users = users - users.mean(0) / 2
        if self.spoil == "calls":
            users = users + self.calls
        if self.spoil == "raises":
            raise RuntimeError("no")
        return users.unsqueeze(1)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("nothing", None),
        ("idle", "no gradient: behavior.linear.weight, behavior.linear.bias"),
        ("zero", "gradient zero in both steps: behavior.linear.weight, behavior.linear.bias"),
        ("nan", "ValueError: the weights are not finite after epoch 1"),
        ("constant", "candidates have equal probabilities"),
        ("batch", "rows alone have other scores"),
        ("calls", "a second answer differs"),
        ("calls", "differs after pickle"),
        ("raises", "RuntimeError: no"),
    ],
)
def test_a_broken_operator_is_found(spoil, reason, data):
    found = faults([content.MeanPooling(), Mean(spoil), predictor.Dot()], data, None)
    assert any(each.startswith(reason) for each in found) if reason else not found


def test_what_does_not_learn_is_found(data, monkeypatch):
    parts = [content.MeanPooling(), Mean("nothing"), predictor.Dot()]
    assert not learning_faults(parts, data, None)
    monkeypatch.setitem(TWENTY_STEPS, "learning_rate", 1e-12)
    (reason,) = learning_faults(parts, data, None)
    assert reason.startswith("20 steps: the loss went from")


def test_a_weight_for_several_users_need_not_learn_from_one(data):
    """Weights of a mean of one vector have no gradient, which is no fault; others have one."""
    parts = [content.MeanPooling(), Mean("nothing")]
    assert not faults([*parts, Weighs(idle=False)], data, None)
    (found,) = faults([*parts, Weighs(idle=True)], data, None)
    assert found == "gradient zero in both steps: predictor.weigh.weight"


class Weighs(Predictor):
    """The dot product with a mean of the users, learned weights or, idle, none."""

    def __init__(self, idle):
        self.idle = idle

    def build(self, width):
        return DotOfWeighed(width, self.idle)


class DotOfWeighed(nn.Module):
    def __init__(self, width, idle):
        super().__init__()
        self.idle = idle
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(self, user, user_mask, item):
        scores = self.weigh(user).squeeze(-1) * (0 if self.idle else 1)  # (B, C or 1, K)
        weights = masked_softmax(scores, user_mask.unsqueeze(1))
        return ((weights.unsqueeze(-1) * user).sum(2) * item).sum(-1)
