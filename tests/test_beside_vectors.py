"""What a behavior operator may read beside item vectors (tokens, users, columns); its penalty."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skrec import ContentRecommender, Items, behavior, content
from skrec.behavior import BehaviorOperator
from skrec.nn import masked_mean

WIDTH = 8
SETTINGS = {
    "width": WIDTH,
    "max_epochs": 2,
    "early_stopping": False,
    "precision": "float64",
    "random_state": 0,
}
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


class TokenMean(BehaviorOperator):
    """The mean of all tokens, and of the place of each in its item, as a user vector."""

    reads_tokens = True

    def build(self, width):
        return MeanOverTokens()


class MeanOverTokens(nn.Module):
    def forward(self, x, mask):
        place = torch.arange(1, mask.shape[2] + 1, device=x.device).view(1, 1, -1, 1)
        return masked_mean((x * place).flatten(1, 2), mask.flatten(1)).unsqueeze(1)


class MeanAndUser(BehaviorOperator):
    """The mean of the clicks, and a vector of the user."""

    reads_users = True

    def build(self, width, n_users):
        return MeanPlusUser(width, n_users)


class MeanPlusUser(nn.Module):
    def __init__(self, width, n_users):
        super().__init__()
        self.table = nn.Embedding(n_users + 1, width, padding_idx=0)

    def forward(self, x, mask, user):
        return (masked_mean(x, mask) + self.table(user)).unsqueeze(1)


class SideMean(BehaviorOperator):
    """The mean of the clicks, weighted by how alike a column is in click and candidate."""

    candidate_aware = True

    def __init__(self, column="topic"):
        self.column = column

    @property
    def side_columns(self):
        return [self.column]

    def build(self, width):
        return SideWeighted(width)


class SideWeighted(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x, mask, candidates):
        assert x.shape[2] == candidates.shape[2] == 2 * self.width
        alike = torch.einsum("bcd,bld->bcl", candidates[..., self.width :], x[..., self.width :])
        weights = torch.sigmoid(alike) * mask.unsqueeze(1)
        return (weights @ x[..., : self.width]).unsqueeze(2)


class Pulled(BehaviorOperator):
    """The mean of the clicks; user vectors are pulled to ones."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def build(self, width):
        return PulledMean(self.weight)


class PulledMean(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x, mask):
        return masked_mean(x, mask).unsqueeze(1)

    def penalty(self, users):
        return self.weight * (users - 1.0).square().mean()


@pytest.fixture
def catalogue(mixed):
    return Items(mixed)


@pytest.fixture
def impressions():
    """Rows with shared, empty and long histories, and a user for each."""
    return pd.DataFrame(
        {
            "user_id": ["ann", "bob", "ann", "cy", "bob", "cy"],
            "history": [[0, 1, 2], [0, 1, 2], [3], [], [], [7, 6, 5, 4, 3]],
            "candidates": [[4, 5], [4, 5], [6, 0, 1], [1, 2], [1, 2], [0, 2]],
            "clicked": [[1, 0], [0, 1], [0, 1, 0], [1, 0], [0, 1], [0, 1]],
        }
    )


def scores_of(rec, X, **items):
    return np.concatenate(rec.decision_function(X, **items))


def test_tokens_reach_the_operator_as_they_are(catalogue, impressions):
    """Each score against the obvious computation from the items' own words."""
    rec = ContentRecommender("mean_pooling", TokenMean(), "dot", max_history=4, **SETTINGS)
    rec.fit(impressions, catalogue)
    network = rec.network_.eval()
    packed = rec.content_.prepare(catalogue)
    found = iter(scores_of(rec, impressions))
    for row in impressions.itertuples():
        words = []
        for code in row.history[-4:]:
            vectors, x, mask = one_item(network.content, packed, code)
            tokens = x[0][mask[0]] if mask.any() else vectors
            words += [token * (place + 1) for place, token in enumerate(tokens)]
        words = words or [network.empty_history]
        user = torch.stack(words).mean(dim=0)
        for code in row.candidates:
            vector = one_item(network.content, packed, code)[0][0]
            assert next(found) == pytest.approx((user @ vector).item(), rel=1e-10, abs=1e-10)


def one_item(module, packed, code):
    columns = {
        name: (values.double() if values.is_floating_point() else values, mask)
        for name, (values, mask) in packed.take(torch.tensor([code])).items()
    }
    with torch.no_grad():
        return module.tokens(columns)


OPERATORS = [
    TokenMean(),
    MeanAndUser(),
    SideMean(),
    Pulled(),
    behavior.GRU(user_embedding="ini"),
    behavior.GRU(user_embedding="con"),
    behavior.PolyAttention(3, hidden=5, category="topic"),
]


@pytest.mark.parametrize("operator", OPERATORS, ids=repr)
@pytest.mark.parametrize("items", ["mean_pooling", "id", "with_id"])
def test_answers_stay_the_same(operator, items, catalogue, impressions, mixed):
    """Two fits, a pickle, a row alone, items given again: one answer."""
    rec = ContentRecommender(items, operator, "mlp", **SETTINGS)
    wanted = scores_of(rec.fit(impressions, catalogue), impressions)
    assert np.isfinite(wanted).all()
    again = clone(rec).fit(impressions, catalogue)
    assert np.array_equal(scores_of(again, impressions), wanted)
    back = pickle.loads(pickle.dumps(rec))
    np.testing.assert_allclose(scores_of(back, impressions), wanted, **CLOSE)
    alone = [scores_of(rec, impressions[row : row + 1]) for row in range(len(impressions))]
    np.testing.assert_allclose(np.concatenate(alone), wanted, **CLOSE)
    longer = mixed.iloc[[0]].assign(item_id=99, title="word " * 30)  # more tokens than any item
    np.testing.assert_allclose(scores_of(rec, impressions, items=longer), wanted, **CLOSE)


@pytest.mark.parametrize("operator", OPERATORS, ids=repr)
def test_recommended_scores_are_those_of_candidates(operator, catalogue, impressions):
    rec = ContentRecommender("mean_pooling", operator, "dot", **SETTINGS)
    rec.fit(impressions, catalogue)
    ids, scores = rec.recommend(impressions[["user_id", "history"]], k=3)
    asked = impressions.assign(candidates=list(ids)).drop(columns="clicked")
    np.testing.assert_allclose(np.stack(rec.decision_function(asked)), scores, rtol=1e-4, atol=1e-5)


def test_users_with_one_history_differ(catalogue, impressions):
    rec = ContentRecommender("mean_pooling", MeanAndUser(), "dot", **SETTINGS)
    rec.fit(impressions, catalogue)
    scores = rec.decision_function(impressions)
    assert not np.allclose(scores[0], scores[1])
    assert not np.allclose(scores[3], scores[4])  # two empty histories
    assert rec.users_.to_pylist() == ["ann", "bob", "cy"]
    vectors = rec.transform(impressions)
    table = rec.network_.behavior.table.weight.detach().numpy()
    np.testing.assert_allclose(vectors[0] - vectors[1], table[1] - table[2], **CLOSE)


def test_every_users_vector_is_trained(catalogue, impressions):
    """A batch keeps users of equal histories apart."""
    rec = ContentRecommender("mean_pooling", MeanAndUser(), "dot", **SETTINGS)
    start = clone(rec).set_params(learning_rate=1e-12).fit(impressions, catalogue)
    rec.fit(impressions, catalogue)
    before, after = (r.network_.behavior.table.weight.detach() for r in (start, rec))
    moved = (before - after).abs().amax(dim=1)
    assert moved[0] == 0.0
    assert (moved[1:] > 1e-4).all()


@pytest.mark.parametrize("X", ["no column", "others", "lists"])
def test_an_unknown_user_has_no_vector(X, catalogue, impressions):
    rec = ContentRecommender("mean_pooling", MeanAndUser(), "dot", **SETTINGS)
    rec.fit(impressions, catalogue)
    asked = {
        "no column": impressions.drop(columns="user_id"),
        "others": impressions.assign(user_id="eve"),
        "lists": impressions["history"].tolist(),
    }[X]
    vectors = rec.transform(asked)
    known = rec.transform(impressions)
    table = rec.network_.behavior.table.weight.detach().numpy()
    np.testing.assert_allclose(known[0] - vectors[0], table[1], **CLOSE)


@pytest.mark.parametrize("loss", ["softmax", "bpr", "bce"])
@pytest.mark.parametrize("history_targets", [0, 2])
def test_users_of_every_kind_of_row(loss, history_targets, catalogue, impressions):
    rec = ContentRecommender("id", MeanAndUser(), "dot", **SETTINGS)
    rec.set_params(loss=loss, history_targets=history_targets)
    if loss == "softmax":  # bare histories too
        rec.fit(impressions[["user_id", "history"]], catalogue)
        assert len(rec.users_) == 3
    rec.fit(impressions, catalogue)
    assert np.isfinite(scores_of(rec, impressions)).all()


def test_ids_of_users_may_be_ints_or_categories(catalogue, impressions):
    rec = ContentRecommender("id", MeanAndUser(), "dot", **SETTINGS)
    wanted = scores_of(rec.fit(impressions, catalogue), impressions)
    codes = impressions["user_id"].astype("category")
    for ids in (codes, codes.cat.codes.astype("int16"), codes.cat.codes.astype("int64") + 7):
        X = impressions.assign(user_id=ids)
        assert np.array_equal(scores_of(clone(rec).fit(X, catalogue), X), wanted)


def test_users_that_are_missing_or_of_another_kind_are_named(catalogue, impressions):
    rec = ContentRecommender("id", MeanAndUser(), "dot", **SETTINGS)
    with pytest.raises(ValueError, match="X has no 'user_id' column"):
        rec.fit(impressions.drop(columns="user_id"), catalogue)
    with pytest.raises(ValueError, match="column 'user_id' must be whole numbers or strings"):
        rec.fit(impressions.assign(user_id=0.5), catalogue)
    rec.fit(impressions, catalogue)
    with pytest.raises(TypeError, match="'user_id' holds int64; in fit it held large_string"):
        rec.predict_proba(impressions.assign(user_id=1))


def test_operators_that_read_no_users_do_not_look_at_them(catalogue, impressions):
    rec = ContentRecommender("id", "mean_pooling", "dot", **SETTINGS)
    wanted = scores_of(rec.fit(impressions, catalogue), impressions)
    odd = impressions.assign(user_id=[{"a": i} for i in range(len(impressions))])
    assert np.array_equal(scores_of(rec.fit(odd, catalogue), odd), wanted)
    assert rec.users_ is None


def test_side_columns_are_read_of_clicks_and_candidates(catalogue, impressions, mixed):
    rec = ContentRecommender(content.MeanPooling(["title"]), SideMean(), "dot", **SETTINGS)
    rec.fit(impressions, catalogue)
    assert rec.item_vectors().shape == (8, WIDTH)
    changed = mixed.iloc[[0]].assign(topic=pd.Categorical(["colour"]))
    before, after = (
        rec.decision_function(impressions),
        rec.decision_function(impressions, items=changed),
    )
    assert not np.allclose(before[0], after[0])  # a click's topic
    assert not np.allclose(before[5][0], after[5][0])  # a candidate's topic
    np.testing.assert_allclose(before[5][1], after[5][1], **CLOSE)


def test_side_columns_are_trained(catalogue, impressions):
    rec = ContentRecommender("id", SideMean(), "dot", **SETTINGS).fit(impressions, catalogue)
    still = clone(rec).set_params(learning_rate=1e-12).fit(impressions, catalogue)
    for mine, theirs in zip(
        rec.network_.side.parameters(), still.network_.side.parameters(), strict=True
    ):
        assert (mine - theirs).abs().max() > 1e-4


def test_a_side_column_that_is_not_there_is_named(catalogue, impressions):
    rec = ContentRecommender("id", SideMean("tpoic"), "dot", **SETTINGS)
    with pytest.raises(ValueError, match=r"'tpoic', which the catalogue lacks"):
        rec.fit(impressions, catalogue)


def test_the_penalty_is_part_of_the_loss(catalogue, impressions):
    settings = {**SETTINGS, "max_epochs": 1, "learning_rate": 1e-12}
    losses = {}
    for weight in (0.0, 1.0, 3.0):
        rec = ContentRecommender("id", Pulled(weight), "dot", **settings)
        losses[weight] = rec.fit(impressions, catalogue).loss_curve_[0]
    distinct = rec.transform([[0, 1, 2], [3], [], [7, 6, 5, 4, 3]])  # each history counts once
    wanted = np.square(distinct - 1.0).mean()
    assert losses[1.0] - losses[0.0] == pytest.approx(wanted, rel=1e-6)
    assert losses[3.0] - losses[0.0] == pytest.approx(3 * wanted, rel=1e-6)
