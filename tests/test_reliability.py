"""Bugs of comparable libraries that must not be here: REFERENCE section 5, by their numbers."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from encoded import encode
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from tiny_models import tiny_model
from torch import nn

from skrec import ContentRecommender, Items, behavior, content, metrics, predictor
from skrec._training.batches import iterate_batches
from skrec._training.examples import make_examples
from skrec._training.negatives import NegativeSampler
from skrec.content._lm import Prefix, split_top
from skrec.nn import AdditiveAttention, MultiHeadSelfAttention, masked_softmax


@pytest.fixture
def histories(news):
    """Histories of which many are equal, in an order that is not that of the users."""
    lists = [list(history) for history in news.test.history.head(12)]
    return [*lists[::-1], [], *lists]


def test_bug_01_split_mode_drops_no_layer():
    """States after k layers, fed to the layers from k + 1 on."""
    model = tiny_model("BERT", dtype=torch.float64)
    ids = torch.tensor([[5, 9, 77, 3, 8]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    expected = model(ids).last_hidden_state
    for n_frozen in (1, 2):
        top = split_top(model, n_frozen).eval()
        states = Prefix(copy.deepcopy(model), n_frozen).states(ids, mask).clone()
        torch.testing.assert_close(top(states, mask), expected, rtol=0, atol=1e-10)


def test_bug_02_cached_and_uncached_predictions_agree(news, histories, make_recommender):
    """User vectors stored by position and read by id, or logits here and probabilities there."""
    rec = make_recommender(content="cnn", precision="float64").fit(news.train, news.items)
    warm = rec.decision_function(histories)  # item vectors are stored now
    chance = rec.predict_proba(histories)
    a, b = rec.calibration_
    np.testing.assert_allclose(chance, 1 / (1 + np.exp(-(a * warm + b))), rtol=1e-5)
    for model in (rec, pickle.loads(pickle.dumps(rec))):
        for i in (0, 5, 12, 20):
            alone = model.decision_function(histories[i : i + 1])[0]
            np.testing.assert_allclose(alone, warm[i], rtol=1e-6, atol=1e-7)  # float32 answers
            one = pd.DataFrame({"history": [histories[i]] * 2, "candidate": rec.items_.ids[[3, 7]]})
            np.testing.assert_allclose(
                model.decision_function(one), warm[i, [3, 7]], rtol=1e-6, atol=1e-7
            )


def test_bug_03_stale_states_are_never_read(news, tiny_bert, make_recommender, tmp_path):
    """A cache keyed by the data's name alone: a changed text or length reuses what was there."""
    items = news.items[["item_id", "title"]]
    changed = items.assign(title=items.title.replace(items.title[0], "Something else altogether"))

    def vectors(catalogue, memory, **parameters):
        operator = content.LanguageModel(tiny_bert, trainable_layers=0, **parameters)
        rec = make_recommender(content=operator, memory=memory, max_epochs=1)
        return rec.fit(news.train.head(50), catalogue).item_vectors()

    for catalogue, parameters in (
        (items, {}),
        (changed, {}),
        (items, {"max_length": 4}),
        (items, {"template": "headline {title}"}),
    ):
        shared = vectors(catalogue, tmp_path, **parameters)
        np.testing.assert_array_equal(shared, vectors(catalogue, None, **parameters))


def test_bug_04_masking_leaves_stored_items_alone(news, histories, make_recommender):
    """Empty and short histories are masked; the stored vectors must come out as they went in."""
    for name in sorted(behavior.ALIASES):
        rec = make_recommender(behavior=name, max_epochs=1).fit(news.train, news.items)
        before = rec.item_vectors().copy()
        packed = pickle.dumps(rec._encoded_items.packed(rec.network_))
        rec.decision_function(histories)
        rec.recommend(histories, k=3)
        np.testing.assert_array_equal(rec.item_vectors(), before)
        assert pickle.dumps(rec._encoded_items.packed(rec.network_)) == packed


def test_bug_05_attention_neither_overflows_nor_lets_padding_in():
    scores = torch.tensor([[1e4, -1e4, 1e30], [0.0, 0.0, 5.0], [1.0, 2.0, 3.0]])
    mask = torch.tensor([[True, True, False], [True, True, False], [False, False, False]])
    weights = masked_softmax(scores, mask)
    wanted = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    assert torch.equal(weights, wanted)
    for layer in (AdditiveAttention(4, 3), MultiHeadSelfAttention(4, 2)):
        x = torch.full((3, 3, 4), 1e4, requires_grad=True)
        found = layer(x, mask)
        found.sum().backward()
        assert found.isfinite().all() and x.grad.isfinite().all()


def test_bug_05_an_empty_history_has_a_finite_answer(news, make_recommender):
    for name in sorted(behavior.ALIASES):
        rec = make_recommender(behavior=name, max_epochs=1).fit(news.train, news.items)
        assert np.isfinite(rec.predict_proba([[], news.test.history.iloc[0]])).all()


def test_bug_06_nan_raises_and_names_the_row_or_the_step(news, make_recommender):
    numbers = news.items.assign(length=1.0)
    numbers.loc[numbers.index[2], "length"] = np.nan
    with pytest.raises(ValueError, match="column 'length' holds 1 null, NaN .* in row 2"):
        Items(numbers)
    with pytest.raises(ValueError, match="the loss became .* in step .* of epoch "):
        make_recommender(learning_rate=1e30, max_epochs=5).fit(news.train, news.items)


@pytest.mark.parametrize("name", ["mrr", "mrr_mind", "ndcg@2", "gauc", "hit@1", "map"])
def test_bug_07_ties_are_not_broken_by_the_order_of_the_input(name):
    groups = np.zeros(4, dtype=int)
    found = {
        metrics.compute([name], np.roll([1, 0, 0, 0], i), np.zeros(4), groups=groups)[name]
        for i in range(4)
    }
    assert len({round(value, 12) for value in found}) == 1
    assert 0 < found.pop() < 1


def test_bug_08_a_group_of_one_class_is_left_out_and_counted(news, fitted):
    X = news.test.head(6).reset_index(drop=True)
    clicked = [list(row) for row in X.clicked]
    clicked[1], clicked[4] = [0] * len(clicked[1]), [1] * len(clicked[4])
    found = fitted.evaluate(X.assign(clicked=clicked), metrics=["gauc", "ndcg@5", "auc"])
    both = X.drop(index=[1, 4])
    assert found["n_groups_used"] == 4
    assert found["gauc"] == fitted.evaluate(both, metrics="gauc")["gauc"]


@pytest.mark.parametrize("how", ["uniform", "popularity"])
def test_bug_09_negatives_are_neither_the_click_nor_in_the_history(how):
    """Of five items the history has 0 and 1 and the click is 2: only 3 and 4 may be drawn."""
    X = {"history": [[0, 1]] * 50, "candidates": [[2]] * 50, "clicked": [[1]] * 50}
    data = encode(X, items=Items([""] * 5), labels="required")
    sampler = NegativeSampler(data, 5, 4, how)
    examples = make_examples(data, "softmax", sampler)
    drawn = set()
    for batch in iterate_batches(examples, 5, 10, np.random.default_rng(0)):
        own = batch.candidates  # (B, C)
        columns = torch.cat([own, batch.shared.expand(len(own), -1)], dim=1)  # (B, C + S)
        codes = batch.items[columns]
        assert set(codes[batch.labels.bool() & batch.candidate_mask].tolist()) == {2}
        drawn |= set(codes[~batch.labels.bool() & batch.candidate_mask].tolist())
    assert drawn == {3, 4}


def test_bug_10_what_is_stored_carries_no_autograd_graph(news, histories, make_recommender):
    rec = make_recommender(max_epochs=1).fit(news.train, news.items)
    assert torch.is_grad_enabled()
    rec.decision_function(histories)
    stored = rec._encoded_items.vectors(rec.network_)
    assert not stored.requires_grad and stored.grad_fn is None
    assert all(weight.grad is None or weight.requires_grad for weight in rec.network_.parameters())


def test_bug_11_a_catalogue_as_long_as_x_is_not_cut_into_folds(news, make_recommender):
    X = news.train.head(len(news.items))
    rec = make_recommender(max_epochs=1)
    search = GridSearchCV(rec, {"width": [8]}, cv=2, error_score="raise")
    search.fit(X, items=Items(news.items))
    assert search.best_estimator_.items_.n_items == len(X)
    with pytest.raises(ValueError, match=r"items=Items\(df\)"):
        search.fit(X, items=news.items)


@pytest.mark.slow
def test_bug_12_networks_pickle_after_training(news, histories, make_recommender):
    for package in (content, behavior, predictor):
        family = package.__name__.split(".")[-1]
        for name in sorted(package.ALIASES):
            if name in ("vectors", "mixture_of_experts"):  # read vectors, of which there are none
                continue
            rec = make_recommender(**{family: name, "max_epochs": 1}).fit(news.train, news.items)
            wanted = rec.decision_function(histories)
            again = pickle.loads(pickle.dumps(rec))
            np.testing.assert_array_equal(again.decision_function(histories), wanted)
            assert isinstance(pickle.loads(pickle.dumps(rec.network_)), nn.Module)


def test_bug_13_two_estimators_do_not_disturb_each_other(news, histories, make_recommender):
    first = make_recommender(content="cnn").fit(news.train, news.items)
    wanted = first.decision_function(histories)
    other = make_recommender(content="cnn", width=8, precision="float64", random_state=1)
    other.fit(news.test, news.items)
    between = first.decision_function(histories)
    np.testing.assert_array_equal(between, wanted)
    again = clone(first).fit(news.train, news.items)
    np.testing.assert_array_equal(again.decision_function(histories), wanted)


def in_threads(tasks):
    """Run functions at once, each in a thread of its own, and return what they returned."""
    answers = [None] * len(tasks)
    together = threading.Barrier(len(tasks))

    def run(i):
        together.wait()
        answers[i] = tasks[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_bug_13_two_threads_do_not_disturb_each_other(news, histories):
    recs = [
        ContentRecommender(
            content.CNN(dropout=0.2),
            width=16,
            max_epochs=4,
            early_stopping=False,
            random_state=seed,
        )
        for seed in (0, 1)
    ]
    items = Items(news.items)
    alone = [clone(rec).fit(news.train, items=items).decision_function(histories) for rec in recs]
    before = torch.get_rng_state()
    fitted = in_threads([lambda rec=rec: rec.fit(news.train, items=items) for rec in recs])
    for rec, wanted in zip(fitted, alone, strict=True):
        np.testing.assert_array_equal(rec.decision_function(histories), wanted)
    assert torch.equal(torch.get_rng_state(), before)


def test_bug_13_two_threads_predict_at_once(fitted, histories):
    wanted = fitted.decision_function(histories)
    fresh = pickle.loads(pickle.dumps(fitted))  # nothing is stored yet
    for found in in_threads([lambda: fresh.decision_function(histories)] * 2):
        # not bit for bit: torch splits its work differently in threads that are not the main one
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "parameters",
    [
        {"scoring": "gauk"},
        {"scoring": "ndcg@0"},
        {"loss": "sofmax"},
        {"negative_sampling": "popular"},
        {"calibration": "isotonic"},
        {"precision": "float23"},
        {"behavior": "additive"},
        {"predictor": predictor.Dot(0)},
    ],
    ids=str,
)
def test_bug_14_what_is_misspelt_raises_before_the_first_epoch(
    parameters, news, make_recommender, capsys
):
    """Also where it would matter only after an epoch, or never: without early stopping."""
    for early_stopping in (True, False):
        rec = make_recommender(verbose=1, early_stopping=early_stopping, **parameters)
        (value,) = parameters.values()
        shown = "temperature" if isinstance(value, predictor.Dot) else repr(value)
        with pytest.raises(ValueError, match=shown):
            rec.fit(news.train, news.items)
        assert not hasattr(rec, "network_")
    assert capsys.readouterr().out == ""


def test_bug_15_nan_is_never_the_best_score(news, make_recommender, monkeypatch):
    """A NaN first would never be beaten by comparison; a NaN later must not count as progress."""
    from skrec._training.trainer import Trainer

    rec = make_recommender(max_epochs=6, n_iter_no_change=3)
    scores = iter([np.nan, np.nan, 0.5, np.nan, 0.7, np.nan, np.nan])  # the first before training
    remember = Trainer._remember
    monkeypatch.setattr(Trainer, "_remember", lambda self, score: remember(self, next(scores)))
    rec.fit(news.train, news.items)
    assert rec.best_score_ == 0.7
    assert rec.n_epochs_ == 6
    monkeypatch.undo()
    short = make_recommender(max_epochs=4, early_stopping=True, n_iter_no_change=6)
    scores = iter([0.0, 0.1, 0.2, 0.3, 0.4])
    monkeypatch.setattr(Trainer, "_remember", lambda self, score: remember(self, next(scores)))
    short.fit(news.train, news.items)
    np.testing.assert_array_equal(rec.item_vectors(), short.item_vectors())  # of epoch 4
