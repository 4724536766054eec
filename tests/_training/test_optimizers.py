"""Large tables: sparse gradients, and Adam of the rows of a step."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

import skrec
from skrec import behavior, content
from skrec._training import stepper
from skrec._training.optimizers import TableAdam, clip_gradients, make_optimizers
from skrec._training.trainer import Plan
from skrec.nn import _table, rows_of_gradient, sparse_tables

STEPS = [[0, 1, 2], [1], [1, 2, 4], [0], [4, 4, 1], [2, 1, 0]]
OPTIONS = {"lr": 0.05, "weight_decay": 0.1}
WITH_TABLES = {
    "id": {"content": "id"},
    "with_id": {"content": content.WithID("mean_pooling", dropout=0.3)},
    "users": {"behavior": behavior.GRU(user_embedding="ini", user_dropout=0.3)},
}


@pytest.fixture
def all_tables_are_large(monkeypatch):
    monkeypatch.setattr(_table, "LARGE_TABLE", 0)


def table(sparse=True):
    made = nn.Embedding(5, 3, sparse=sparse, dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(torch.arange(15).view(5, 3) / 10)
    return made


def take_step(made, optimizer, rows, factor=1.0):
    optimizer.zero_grad()
    (made(torch.tensor(rows)).sin() * factor).sum().backward()
    optimizer.step()


def test_rows_that_are_in_every_step_are_trained_as_by_adamw():
    own, twin = table(), table(sparse=False)
    optimizers = TableAdam([own.weight], **OPTIONS), torch.optim.AdamW([twin.weight], **OPTIONS)
    for step in range(20):
        for made, optimizer in zip((own, twin), optimizers, strict=True):
            take_step(made, optimizer, [0, 1, 2, 3, 4, 1], factor=1.5 - step % 3)
    torch.testing.assert_close(own.weight, twin.weight, rtol=1e-10, atol=1e-12)


def test_each_row_is_trained_as_by_adamw_over_its_own_steps():
    own = table()
    optimizer = TableAdam([own.weight], **OPTIONS)
    for rows in STEPS:
        take_step(own, optimizer, rows)
    for row in range(5):
        twin = table(sparse=False)
        alone = torch.optim.AdamW([twin.weight], **OPTIONS)
        for rows in STEPS:
            if row in rows:
                take_step(twin, alone, rows)
        torch.testing.assert_close(own.weight[row], twin.weight[row], rtol=1e-10, atol=1e-12)
    assert optimizer.state[own.weight]["step"].tolist() == [3, 5, 3, 0, 2]
    assert torch.equal(own.weight[3], table().weight[3])


def test_rows_with_a_gradient_of_zero_are_not_in_the_step():
    # such as items that dropout left out, whose moments would otherwise move them
    own = table()
    optimizer = TableAdam([own.weight], **OPTIONS)
    take_step(own, optimizer, [0, 1])
    before = own.weight.detach().clone()
    optimizer.zero_grad()
    (own(torch.tensor([0, 1])) * torch.tensor([[0.0], [1.0]])).sum().backward()
    assert rows_of_gradient(own.weight.grad)[0].tolist() == [1]
    optimizer.step()
    assert (own.weight != before).any(dim=1).tolist() == [False, True, False, False, False]


def fit_plainly(make_recommender, news, monkeypatch, kind, name, size):
    """Fit with a plain optimizer, and tables that are large if they have more than `size`."""
    monkeypatch.setattr(_table, "LARGE_TABLE", size)
    optimizer = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad}[kind]

    def make(network, plan):
        return [optimizer([w for w in network.parameters() if w.requires_grad], lr=0.3)]

    monkeypatch.setattr(stepper, "make_optimizers", make)
    parameters = {"behavior": "mean_pooling", "precision": "float64", "max_grad_norm": 0.5}
    parameters |= {"gradient_accumulation_steps": 2, "early_stopping": False}
    rec = make_recommender(**(parameters | WITH_TABLES[name]))
    return rec.fit(news.train, news.items)


@pytest.mark.parametrize("kind", ["sgd", "adagrad"])
@pytest.mark.parametrize("name", WITH_TABLES)
def test_sparse_gradients_equal_dense_ones(make_recommender, news, monkeypatch, name, kind):
    found = [
        fit_plainly(make_recommender, news, monkeypatch, kind, name, size) for size in (0, 1 << 30)
    ]
    assert [len(sparse_tables(rec.network_)) for rec in found] == [1, 0]
    one, other = (rec.network_.trained_state() for rec in found)
    for weight in one:
        torch.testing.assert_close(one[weight], other[weight], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[0].loss_curve_, found[1].loss_curve_, rtol=1e-10)


def test_small_tables_are_trained_by_adamw(make_recommender, news):
    rec = make_recommender(content="id").fit(news.train, news.items)
    (optimizer,) = make_optimizers(rec.network_, Plan.of(rec, "softmax"))
    assert type(optimizer) is torch.optim.AdamW
    assert not sparse_tables(rec.network_)


@pytest.mark.parametrize("name", WITH_TABLES)
def test_large_tables_learn_and_go_on(make_recommender, news, all_tables_are_large, tmp_path, name):
    parameters = {"learning_rate": 1e-2, "max_grad_norm": 1.0, "lr_schedule": "linear"}
    rec = make_recommender(max_epochs=6, **(parameters | WITH_TABLES[name]))
    rec.fit(news.train, news.items)
    assert rec.loss_curve_[-1] < rec.loss_curve_[0]
    loaded = skrec.load(rec.save(tmp_path / "rec") and tmp_path / "rec")
    copies = [rec, pickle.loads(pickle.dumps(rec)), loaded]
    scores = [
        np.concatenate(each.partial_fit(news.train).decision_function(news.test)) for each in copies
    ]
    for other in scores[1:]:
        np.testing.assert_array_equal(scores[0], other)


def test_new_items_leave_a_large_table_sparse(make_recommender, news, all_tables_are_large):
    # their vector is the mean of the table, whose gradient would have every row
    known = news.items.iloc[:-5]
    X = news.train.assign(history=[[known.item_id.iloc[i % 9]] for i in range(len(news.train))])
    is_known = [set(c) <= set(known.item_id) for c in X.candidates]
    few = {"n_negatives": 1, "negative_sampling": "uniform", "history_targets": 0}
    rec = make_recommender(content="id", **few).partial_fit(X[is_known], known)
    n_rows = rec._training_state.moments["content.table.weight"]["step"]
    rec.partial_fit(X[[not each for each in is_known]], news.items)
    after = rec._training_state.moments["content.table.weight"]["step"]
    assert 0 < ((after - n_rows) > 0).sum() < len(after)


def test_moments_of_a_dense_table_are_continued():
    own, twin = table(), table(sparse=False)
    dense = torch.optim.AdamW([twin.weight], **OPTIONS)
    take_step(twin, dense, [0, 1, 2, 3, 4])
    own.weight.data.copy_(twin.weight)
    optimizer = TableAdam([own.weight], **OPTIONS)
    optimizer.state[own.weight] = {k: v.clone() for k, v in dense.state[twin.weight].items()}
    take_step(own, optimizer, [0, 1, 2, 3, 4])
    take_step(twin, dense, [0, 1, 2, 3, 4])
    torch.testing.assert_close(own.weight, twin.weight, rtol=1e-10, atol=1e-12)


def test_gradients_are_clipped_as_by_torch():
    own, twin = table(), table(sparse=False)
    for made in (own, twin):
        made.other = nn.Parameter(torch.full((4,), 2.0, dtype=torch.float64))
        (made(torch.tensor([1, 3, 1])).sum() + made.other.square().sum()).backward()
        clip_gradients(made, 0.7)
    torch.testing.assert_close(own.weight.grad.to_dense(), twin.weight.grad)
    torch.testing.assert_close(own.other.grad, twin.other.grad)
