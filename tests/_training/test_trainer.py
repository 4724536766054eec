"""Training: losses, targets, weights, number types, learning rates, several processes."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skrec import ContentRecommender, Items, behavior
from skrec._batch import Batch
from skrec._network import Network
from skrec._training.batches import collate
from skrec._training.examples import ExampleBatch
from skrec._training.optimizers import parameter_groups
from skrec._training.trainer import Plan, Stepper, memory_advice
from skrec.content import ID


@pytest.mark.parametrize(
    "parameters",
    [
        {"loss": "bpr"},
        {"loss": "bce"},
        {"history_targets": 3, "n_negatives": 16},
        {"history_targets": 2, "loss": "bce"},
        {"history_targets": 2, "loss": "bpr"},
        {"negative_sampling": "popularity", "n_negatives": 30, "early_stopping": False},
        {"precision": "bfloat16"},
        {"precision": "float64", "history_targets": 1},
    ],
    ids=str,
)
def test_every_way_to_train_learns(news, make_recommender, parameters):
    rec = make_recommender(max_epochs=10, n_iter_no_change=10, learning_rate=1e-2, **parameters)
    rec.fit(news.train, news.items)
    assert min(rec.loss_curve_[1:]) < rec.loss_curve_[0]
    assert rec.score(news.test) > 0.6  # chance level is 0.5
    again = clone(rec).fit(news.train, news.items)
    assert again.loss_curve_ == rec.loss_curve_


def test_history_targets_learn_what_impressions_do_not_say(make_recommender):
    """Histories combine fox with sea and sun with moon; impressions are random."""
    rng = np.random.default_rng(0)
    items = Items(["fox", "sea", "sun", "moon"] * 8)
    words = [np.arange(word, 32, 4) for word in range(4)]
    together = [np.concatenate(words[:2]), np.concatenate(words[2:])]
    histories = [rng.choice(together[i % 2], 6, replace=False).tolist() for i in range(160)]
    X = pd.DataFrame({"history": histories})
    X["candidates"] = [rng.choice(32, 2, replace=False).tolist() for _ in histories]
    X["clicked"] = [[1, 0] for _ in histories]
    test = pd.DataFrame({"history": [words[0][:3].tolist(), words[2][:3].tolist()] * 8})
    test["candidates"] = [
        [int(sea), int(moon)] for sea, moon in zip(words[1], words[3], strict=True)
    ] * 2
    test["clicked"] = [[1, 0], [0, 1]] * 8
    common = {"max_epochs": 20, "learning_rate": 1e-2, "early_stopping": False, "n_negatives": 1}
    without, with_targets = (
        make_recommender(history_targets=n, **common).fit(X, items).score(test) for n in (0, 3)
    )
    assert without < 0.8
    assert with_targets == 1.0


def test_empty_histories_are_learned_from_the_first_clicks(make_recommender):
    """The vector of new users is learned only if first clicks are targets."""
    X = [[0, 5], [0, 7], [0, 3], [0, 8]] * 20
    rec = make_recommender(
        content="id",
        behavior="mean_pooling",
        max_epochs=15,
        learning_rate=3e-2,
        early_stopping=False,
    )
    rec.fit(X, Items([""] * 10))
    assert rec.recommend([[]], k=1)[0].tolist() == [[0]]


def test_weights_are_as_good_as_repeated_rows(news, make_recommender):
    """With full batches and without randomness, the gradients of all steps are equal."""
    X = news.train.head(40).assign(candidates=lambda X: X.candidates.str[:3])
    X["clicked"] = [[1, 0, 0]] * 40
    weight = np.random.default_rng(0).integers(0, 4, size=40)
    twice = X.loc[X.index.repeat(weight)]
    common = {
        "behavior": "additive_attention",
        "batch_size": 1000,
        "early_stopping": False,
        "history_targets": 0,
        "n_negatives": 2,
        "max_epochs": 5,
    }
    rec = make_recommender(precision="float64", **common)
    rec.fit(X, news.items, sample_weight=weight)
    twin = make_recommender(precision="float64", **common).fit(twice, news.items)
    np.testing.assert_allclose(rec.loss_curve_, twin.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(rec.item_vectors(), twin.item_vectors(), rtol=1e-6, atol=1e-9)
    plain = make_recommender(precision="float64", **common).fit(X, news.items)
    assert abs(plain.loss_curve_[-1] - rec.loss_curve_[-1]) > 1e-6
    tenfold = make_recommender(precision="float64", **common)
    tenfold.fit(X, news.items, sample_weight=10 * weight)
    np.testing.assert_allclose(rec.loss_curve_, tenfold.loss_curve_, rtol=1e-7)


def test_weights_reach_the_calibration(make_recommender):
    """A quarter of the rows are clicks, and each has the weight of nine other rows."""
    pairs = pd.DataFrame({"history": [[i % 5] for i in range(400)], "candidate": [7] * 400})
    y = np.random.default_rng(0).random(400) < 0.25
    means = {}
    for name, weight in {"plain": None, "heavy": np.where(y, 9.0, 1.0)}.items():
        rec = make_recommender(
            content="id", loss="bce", max_epochs=1, learning_rate=1e-6, validation_fraction=0.5
        )
        rec.fit(pairs, y, items=Items([""] * 10), sample_weight=weight)
        means[name] = rec.predict_proba(pairs)[:, 1].mean()
    assert means["plain"] == pytest.approx(0.25, abs=0.1)
    assert means["heavy"] == pytest.approx(0.75, abs=0.1)


# Steps


def small_network(width=4, n_items=6):
    torch.manual_seed(0)
    items = Items([""] * n_items)
    operator = ID().fit(items)
    clicks = behavior.AdditiveAttention().build(width)
    network = Network(operator.build(operator.schema_, width), clicks, DotOfBoth(), width)
    return network, operator.prepare(items)


class DotOfBoth(nn.Module):
    def forward(self, user, user_mask, item):
        return (user.squeeze(2) * item).sum(dim=-1)


def small_batch(rows=4):
    codes = np.arange(6, dtype=np.int32)
    starts, stops = np.zeros(rows, int), np.arange(rows) % 3
    candidates = np.stack([np.arange(rows) % 6, (np.arange(rows) + 2) % 6], axis=1)
    labels = np.tile([1.0, 0.0], (rows, 1)).astype(np.float32)
    sampled = np.zeros((rows, 0), dtype=bool)
    user = np.zeros((rows, 2), dtype=np.int64)
    drawn = ExampleBatch(
        starts, stops, candidates, labels >= 0, labels, sampled, np.ones(rows), user
    )
    return collate(drawn, np.empty(0, dtype=int), codes, 50)


def plan(**parameters):
    defaults = {"learning_rate": 3e-3, "batch_size": 64}
    return Plan.of(ContentRecommender(**(defaults | parameters)), "softmax")


def test_pretrained_modules_have_a_learning_rate_of_their_own():
    network, packed = small_network()
    network.content.pretrained = True
    rates = plan(learning_rate=1e-2, pretrained_learning_rate=1e-4)
    groups = {group["lr"]: group["params"] for group in parameter_groups(network, rates)}
    assert set(groups) == {1e-2, 1e-4}
    assert groups[1e-4] == list(network.content.parameters())
    assert len(groups[1e-2]) == len(list(network.parameters())) - 1
    before = {name: value.clone() for name, value in network.named_parameters()}
    Stepper(network, rates).step(packed, small_batch())
    # the first step of Adam moves each weight by its learning rate
    moved = {
        name: (value - before[name]).abs().max().item()
        for name, value in network.named_parameters()
    }
    assert moved["content.table.weight"] == pytest.approx(1e-4, rel=1e-2)
    assert moved["empty_history"] == pytest.approx(1e-2, rel=1e-2)


def test_one_rate_for_both_makes_one_group():
    network, _ = small_network()
    network.content.pretrained = True
    groups = parameter_groups(network, plan(learning_rate=1e-3, pretrained_learning_rate=1e-3))
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_norms_and_biases_do_not_decay():
    network, _ = small_network()
    for group in parameter_groups(network, plan(weight_decay=0.1)):
        assert {weight.ndim > 1 for weight in group["params"]} == {group["weight_decay"] == 0.1}
    [group] = parameter_groups(network, plan())
    assert group["weight_decay"] == 0.0


def test_frozen_weights_are_neither_trained_nor_decayed():
    network, packed = small_network()
    network.content.requires_grad_(False)
    before = network.content.table.weight.clone()
    Stepper(network, plan(weight_decay=0.5)).step(packed, small_batch())
    assert torch.equal(network.content.table.weight, before)


def test_bfloat16_computes_in_it_and_keeps_weights_in_float32():
    seen = []
    network, packed = small_network()
    network.behavior.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    Stepper(network, plan(precision="bfloat16")).step(packed, small_batch())
    assert seen == [torch.bfloat16]
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_a_process_without_rows_takes_the_step_all_the_same():
    network, packed = small_network()
    nothing = small_batch(0)
    assert isinstance(nothing, Batch)
    assert Stepper(network, plan()).step(packed, nothing) == 0.0


# Several processes

SCRIPT = """
import json, sys
from skrec import ContentRecommender
from skrec.datasets import make_headlines
news = make_headlines(n_users=30, n_items=80, n_impressions=100, random_state=0)
rec = ContentRecommender(
    content="mean_pooling", behavior="additive_attention", width=8, max_epochs=2,
    batch_size=int(sys.argv[1]), device="cpu", learning_rate=3e-3, negative_sampling="uniform",
    precision="float64", history_targets=2, n_negatives=8, random_state=int(sys.argv[3]) or None,
)
rec.fit(news.train, news.items)
if sys.argv[2] == "again":
    rec.fit(news.train, news.items)
import os
if os.environ.get("RANK", "0") == sys.argv[4]:
    scores = [part.tolist() for part in rec.decision_function(news.test.head(5))]
    print(json.dumps([rec.loss_curve_, rec.validation_scores_, scores]))
"""


def run_script(arguments, environment=None):
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run_two(arguments):
    """Start two processes as torchrun does, by environment variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    common |= {"TORCHELASTIC_RUN_ID": "test"}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    started = [run_script([*arguments, rank["RANK"]], common | rank) for rank in ranks]
    return [finish(process) for process in started]


def finish(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch():
    """Two processes communicate by gloo, and each runs a second fit."""
    one = finish(run_script([32, "again", 7, 0]))
    two = run_two([16, "again", 7])
    assert two[0] == two[1]
    for expected, found in zip(one[:2], two[0][:2], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    for expected, found in zip(one[2], two[0][2], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.slow
def test_two_processes_agree_on_a_seed_where_none_is_given():
    first, second = run_two([16, "once", 0])
    assert first == second


def test_too_little_memory_says_what_helps():
    with pytest.raises(RuntimeError, match="allocate memory") as raised, memory_advice():
        torch.empty(1 << 60)
    assert "lower batch_size or max_history" in raised.value.__notes__[0]
    with pytest.raises(RuntimeError) as raised, memory_advice():
        torch.ones(2) @ torch.ones(3)
    assert not hasattr(raised.value, "__notes__")
