"""Item vectors, and the cache that keeps them until a weight changes."""

import numpy as np
import pandas as pd
import pytest
import torch

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec import _inference as inference
from skrec._batches import Batch
from skrec._catalogue import Catalogue
from skrec._network import Network
from skrec._training import Plan, Stepper

WIDTH = 8
N_ITEMS = 9
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def texts():
    texts = ["sun", "sea and sun", "", "red red fox", "sea", "the sun of the sea", "a", "b", "c"]
    vector = np.random.default_rng(0).normal(size=(N_ITEMS, 3))
    return Items(pd.DataFrame({"item_id": range(N_ITEMS), "text": texts, "vector": list(vector)}))


@pytest.fixture(params=sorted(content.ALIASES))
def catalogue_and_network(request, texts):
    operator = content.ALIASES[request.param]().fit(texts)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH)
    users, score = behavior.MeanPooling().build(WIDTH), predictor.Dot().build(WIDTH)
    return Catalogue(texts, operator), Network(module, users, score, WIDTH).double()


def test_item_vectors_equal_the_content_module(catalogue_and_network, monkeypatch):
    catalogue, network = catalogue_and_network
    monkeypatch.setattr(inference, "TOKEN_BUDGET", 4)
    found = inference.item_rows(network, catalogue.packed(network))
    some = inference.item_rows(network, catalogue.packed(network), np.array([4, 1]))
    network.eval()
    with torch.no_grad():
        wanted = network.content(catalogue.packed(network).take(torch.arange(N_ITEMS)))
    torch.testing.assert_close(found.clone(), wanted, **EXACT)
    torch.testing.assert_close(some.clone(), wanted[[4, 1]], **EXACT)


def test_cached_vectors_hold_no_autograd_graph(catalogue_and_network):
    # caching with autograd on keeps every activation of the catalogue in memory
    catalogue, network = catalogue_and_network
    vectors = catalogue.vectors(network)
    assert vectors.requires_grad is False
    assert vectors.grad_fn is None


def test_vectors_are_computed_once_a_version_of_the_weights(catalogue_and_network):
    catalogue, network = catalogue_and_network
    first = catalogue.rows(network)
    assert catalogue.rows(network) is first
    with torch.no_grad():
        next(network.content.parameters()).add_(1.0)
    second = catalogue.rows(network)
    assert not torch.equal(first, second)
    torch.testing.assert_close(
        second, inference.item_rows(network, catalogue.packed(network)), **EXACT
    )


def test_version_changes_with_every_weight(catalogue_and_network):
    _, network = catalogue_and_network
    before = inference.weights_version(network)
    assert inference.weights_version(network) == before
    for weight in network.parameters():
        with torch.no_grad():
            weight.mul_(2.0)
        assert inference.weights_version(network) != before
        before = inference.weights_version(network)
    network.load_state_dict(network.state_dict())
    assert inference.weights_version(network) != before


def test_version_changes_with_a_training_step(catalogue_and_network):
    # fused optimisers change weights without telling torch's own counters
    catalogue, network = catalogue_and_network
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
    stepper = Stepper(network, Plan.of(ContentRecommender(), "softmax"))
    before = inference.weights_version(network)
    stepper.step(catalogue.packed(network), batch)
    assert inference.weights_version(network) != before
