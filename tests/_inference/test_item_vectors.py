"""Item vectors, which are cached until a weight changes."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec._batch import Batch
from skrec._data import ragged
from skrec._inference import item_vectors
from skrec._inference import scores as inference
from skrec._inference.item_vectors import EncodedItems
from skrec._inference.prior import Prior
from skrec._network import Network
from skrec._training.trainer import Plan, Stepper

WIDTH = 8
N_ITEMS = 9
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def texts():
    texts = ["sun", "sea and sun", "", "red red fox", "sea", "the sun of the sea", "a", "b", "c"]
    vector = np.random.default_rng(0).normal(size=(N_ITEMS, 3))
    columns = {"text": texts, "vector": list(vector), "topic": pd.Categorical(list("abcabcabc"))}
    return Items(pd.DataFrame({"item_id": range(N_ITEMS), **columns}))


@pytest.fixture(params=sorted(content.ALIASES))
def encoded_and_network(request, texts):
    operator = content.ALIASES[request.param]().fit(texts)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH)
    users, score = behavior.MeanPooling().build(WIDTH), predictor.Dot().build(WIDTH)
    return EncodedItems(texts, operator), Network(module, users, score, WIDTH).double().eval()


def test_item_vectors_equal_the_content_module(encoded_and_network, monkeypatch):
    encoded, network = encoded_and_network
    monkeypatch.setattr(inference, "TOKEN_BUDGET", 4)
    found = inference.item_rows(network, encoded.packed(network))
    some = inference.item_rows(network, encoded.packed(network), np.array([4, 1]))
    network.eval()
    with torch.no_grad():
        wanted = network.content(encoded.packed(network).take(torch.arange(N_ITEMS)))
    torch.testing.assert_close(found.clone(), wanted, **EXACT)
    torch.testing.assert_close(some.clone(), wanted[[4, 1]], **EXACT)


@pytest.mark.parametrize("in_memory", [10**9, 100])
def test_vectors_of_many_items_are_computed_in_blocks(encoded_and_network, in_memory, monkeypatch):
    # those of millions of items are in a mapped file, and not twice in memory
    encoded, network = encoded_and_network
    packed = encoded.packed(network)
    wanted = inference.item_rows(network, packed)
    monkeypatch.setattr(inference, "ITEM_BLOCK", 4)
    monkeypatch.setattr(ragged, "IN_MEMORY", in_memory)
    found = inference.item_rows(network, packed)
    torch.testing.assert_close(found.clone(), wanted.clone(), **EXACT)
    assert found.dtype is wanted.dtype


def test_cached_vectors_hold_no_autograd_graph(encoded_and_network):
    # an autograd graph would keep all activations in memory
    encoded, network = encoded_and_network
    vectors = encoded.vectors(network)
    assert vectors.requires_grad is False
    assert vectors.grad_fn is None


def test_vectors_are_computed_once_a_version_of_the_weights(encoded_and_network):
    encoded, network = encoded_and_network
    first = encoded.encoding(network).rows
    assert encoded.encoding(network).rows is first
    with torch.no_grad():
        next(network.content.parameters()).add_(1.0)
    second = encoded.encoding(network).rows
    assert not torch.equal(first, second)
    torch.testing.assert_close(
        second, inference.item_rows(network, encoded.packed(network)), **EXACT
    )


def test_version_changes_with_every_weight(encoded_and_network):
    _, network = encoded_and_network
    before = inference.weights_version(network)
    assert inference.weights_version(network) == before
    for weight in network.parameters():
        with torch.no_grad():
            weight.mul_(2.0)
        assert inference.weights_version(network) != before
        before = inference.weights_version(network)
    network.load_state_dict(network.state_dict())
    assert inference.weights_version(network) != before


def test_version_changes_with_a_training_step(encoded_and_network):
    # fused optimizers change weights without increasing torch's version counters
    encoded, network = encoded_and_network
    batch = Batch(
        items=torch.tensor([0, 3, 5]),
        history=torch.tensor([[0]]),
        history_mask=torch.tensor([[True]]),
        user=torch.tensor([0]),
        history_of_row=torch.tensor([0]),
        candidates=torch.tensor([[1, 2]]),
        shared=torch.tensor([], dtype=torch.long),
        candidate_mask=torch.tensor([[True, True]]),
        labels=torch.tensor([[1.0, 0.0]]),
        weight=torch.ones(1),
        log_q=torch.zeros(1, 2),
        n_rows=1,
    )
    stepper = Stepper(network, Plan.of(ContentRecommender(learning_rate=1e-3), "softmax"))
    before = inference.weights_version(network)
    stepper.step(encoded.packed(network), batch)
    assert inference.weights_version(network) != before


# Caches between calls


@pytest.fixture
def counted(fitted, monkeypatch):
    """A fitted recommender, with counts of the item and user vectors that it computes."""
    rec = copy.deepcopy(fitted)
    counts = {"items": 0, "users": 0}
    encode, users = Network.encode, Network.users

    def count_items(self, packed, codes, budget):
        counts["items"] += len(codes)
        return encode(self, packed, codes, budget)

    def count_users(self, clicks, *args):
        counts["users"] += len(clicks)
        return users(self, clicks, *args)

    monkeypatch.setattr(Network, "encode", count_items)
    monkeypatch.setattr(Network, "users", count_users)
    return rec, counts


def test_each_item_and_history_is_computed_once_over_all_verbs(counted, news):
    rec, counts = counted
    n_histories = len({tuple(row) for row in news.test.history})
    rec.predict_proba(news.test)
    assert counts == {"items": 120, "users": n_histories}
    rec.evaluate(news.test, metrics=["gauc", "mrr"])
    rec.recommend(news.test, k=3)
    rec.transform(news.test.iloc[::-1])
    rec.decision_function(news.test.head(3))
    assert counts == {"items": 120, "users": n_histories}
    rec.recommend([[], [news.items.item_id[0]]], k=3)
    # the vector of empty histories is cached
    assert counts == {"items": 120, "users": n_histories + 1}


def test_only_the_latest_clicks_tell_users_apart(counted, news):
    rec, counts = counted
    a, b, c = news.items.item_id[:3]
    rec.set_params(max_history=2).recommend([[a, b], [c, a, b]], k=1)
    before = dict(counts)
    rec.set_params(max_history=3).recommend([[c, a, b]], k=1)  # reads one more click
    assert counts["users"] == before["users"] + 1


def test_a_change_of_any_weight_drops_everything(counted, news):
    rec, counts = counted
    for module in ("content", "behavior", "predictor"):
        weights = list(getattr(rec.network_, module).parameters())
        first = rec.decision_function(news.test)
        once = dict(counts)
        if not weights:
            continue
        with torch.no_grad():
            weights[0].add_(0.5)
        second = rec.decision_function(news.test)
        assert counts["items"] == once["items"] + 120
        assert counts["users"] > once["users"]
        slow = pickle.loads(pickle.dumps(rec)).decision_function(news.test)
        assert all(map(np.array_equal, second, slow))
        assert not all(map(np.array_equal, first, second))


def test_pickles_hold_no_vectors(counted, news):
    rec, _ = counted
    before = len(pickle.dumps(rec))
    rec.decision_function(news.test)
    rec.decision_function(news.test, items=news.items.head(3).assign(item_id=[-1, -2, -3]))
    assert len(pickle.dumps(rec)) == before


def test_new_items_are_encoded_once_while_they_stay_the_same(counted, news):
    rec, counts = counted
    new = news.items.head(3).assign(item_id=[-1, -2, -3])
    X = news.test.head(4).assign(candidates=[[-1, -2, -3]] * 4, clicked=[[1, 0, 0]] * 4)
    rec.decision_function(X, items=new)
    assert counts["items"] == 123
    first = rec.decision_function(X, items=new.copy())
    rec.evaluate(X, items=new)
    assert counts["items"] == 123
    changed = new.assign(title=["sea", *new.title[1:]])
    second = rec.decision_function(X, items=changed)
    assert counts["items"] == 126
    assert not np.array_equal(first[0][0], second[0][0])
    assert np.array_equal(first[0][1:], second[0][1:])
    with torch.no_grad():
        next(rec.network_.content.parameters()).add_(0.5)
    third = rec.decision_function(X, items=changed)
    assert counts["items"] == 126 + 123
    assert not np.array_equal(second[0], third[0])


def test_the_same_items_again_are_not_even_compared(make_recommender, news, monkeypatch):
    rec = make_recommender().fit(news.train, news.items)
    new = Items(news.items.head(3).assign(item_id=[-1, -2, -3]))
    first = rec.recommend(news.test, 5, items=new)
    monkeypatch.setattr(Items, "conform", None)
    monkeypatch.setattr(Items, "extend", None)
    np.testing.assert_array_equal(rec.recommend(news.test, 5, items=new)[0], first[0])


def test_items_that_are_known_as_they_are_cost_no_vectors(make_recommender, news):
    rec = make_recommender().fit(news.train, news.items)
    encoded = rec._encoded()
    assert rec._scorer(news.items.iloc[:7]).encoded_items is encoded
    changed = news.items.iloc[:7].assign(title="another headline")
    assert rec._scorer(changed).encoded_items is not encoded


def test_items_added_one_by_one_equal_those_added_at_once(make_recommender, news, monkeypatch):
    new = news.items.head(30).assign(item_id=range(-30, 0))
    one, other = (make_recommender().fit(news.train, news.items) for _ in range(2))
    one.recommend(news.test, 5), other.recommend(news.test, 5)
    n_copies, make = [], item_vectors.RowBuffer
    monkeypatch.setattr(item_vectors, "RowBuffer", lambda *args: n_copies.append(1) or make(*args))
    for row in range(30):
        one.add_items(new.iloc[row : row + 1])
    other.add_items(new)
    assert len(n_copies) <= 4
    assert one.items_.ids.tolist() == other.items_.ids.tolist()
    np.testing.assert_array_equal(one.item_vectors(), other.item_vectors())
    for found, wanted in zip(
        one.recommend(news.test, 5), other.recommend(news.test, 5), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_priors_and_counts_are_extended_once(make_recommender, news, monkeypatch):
    histories = news.train[["history"]]
    rec = make_recommender(co_clicks=True).fit(histories, news.items)
    n_made, make = [], Prior.for_items

    def counted(prior, items):
        found = make(prior, items)
        n_made.append(found is not prior)
        return found

    monkeypatch.setattr(Prior, "for_items", counted)
    new = Items(news.items.head(3).assign(item_id=[-1, -2, -3]))
    wanted = rec.recommend(histories, 5, items=new)
    for _ in range(3):
        rec.recommend(histories, 5, items=new)
    assert sum(n_made) == 1
    rec.add_items(new)
    found = rec.recommend(histories, 5)
    assert sum(n_made) == 1
    assert len(rec.n_clicks_) == rec.items_.n_items
    np.testing.assert_array_equal(found[0], wanted[0])


def test_blocks_bound_what_scoring_holds(counted, news, monkeypatch):
    # memory is limited to one block and the result
    rec, _ = counted
    monkeypatch.setattr(inference, "HISTORY_BLOCK", 4)
    monkeypatch.setattr(inference, "PAIR_BLOCK", 7)
    sizes = []
    match = Network.match

    def look(self, users, item, mask=None):
        sizes.append(len(users))
        return match(self, users, item, mask)

    monkeypatch.setattr(Network, "match", look)
    scores = rec.decision_function(news.test)
    assert max(sizes) == 7
    assert sum(sizes) == sum(map(len, news.test.candidates))
    monkeypatch.undo()
    found = pickle.loads(pickle.dumps(rec)).decision_function(news.test)
    for a, b in zip(scores, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
