"""Weights of clicks in the loss and in nDCG."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import ndcg_score

import skrec._training.start as start
from skrec import ContentRecommender, Interactions, behavior, content, explode, predictor

N = 30
ITEMS = {number: f"word{number % 7} thing{number % 11} x{number}" for number in range(N)}
RNG = np.random.default_rng(0)
X = {
    "history": [RNG.permutation(N)[: RNG.integers(0, 6)].tolist() for _ in range(20)],
    "candidates": [RNG.permutation(N)[:5].tolist() for _ in range(20)],
}
LABELS = [[1, 0, 0, 1, 0]] * 20
WEIGHTS = [[float(w), 0, 0, float(v), 0] for w, v in RNG.integers(1, 9, size=(20, 2))]


def recommender(**parameters):
    return ContentRecommender(
        content.MeanPooling(),
        behavior.MeanPooling(),
        predictor.Dot(),
        width=6,
        max_epochs=2,
        random_state=0,
        **parameters,
    )


def weights_of(X, y=None, sample_weight=None, **parameters):
    """Return the weight of each example, with the click and the labels."""
    rec = recommender(**parameters)
    inputs = start.read_inputs(rec, X, y, ITEMS, sample_weight, False)
    examples = inputs.examples(inputs.data, None)
    rng = np.random.default_rng(0)
    return examples.draw(np.arange(len(examples)), examples.sampler.draw(rng), rng)


CLICKS = np.array([w for row in WEIGHTS for w in row if w])


def test_each_click_has_its_weight():
    drawn = weights_of(X | {"clicked": WEIGHTS}, history_targets=0)
    assert_allclose(drawn.weight, CLICKS / CLICKS.mean())
    twin = weights_of(X | {"clicked": LABELS, "weights": WEIGHTS}, history_targets=0)
    assert_allclose(twin.weight, drawn.weight)


def test_weights_of_rows_are_multiplied():
    row = np.linspace(1, 3, 20)
    drawn = weights_of(X | {"clicked": WEIGHTS}, None, row, history_targets=0)
    assert_allclose(drawn.weight, np.repeat(row / row.mean(), 2) * CLICKS / CLICKS.mean())


def test_only_clicks_are_weighted_with_bce():
    pairs, y = explode(X | {"clicked": WEIGHTS})
    drawn = weights_of(pairs, y, history_targets=0, loss="bce")
    expected = np.ones(100)
    expected[np.asarray(y) == 1] = CLICKS / CLICKS.mean()
    assert_allclose(drawn.weight, expected)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_targets_inside_histories_have_the_weight_of_their_row(loss):
    row = np.linspace(1, 3, 20)
    data = X | {"clicked": WEIGHTS}
    for targets in (1, "all"):
        options = {"history_targets": targets, "loss": loss, "n_negatives": 3}
        drawn = weights_of(data, None, row, **options)
        plain = weights_of(X | {"clicked": LABELS}, None, row, **options)
        if targets == "all":
            assert_allclose(drawn.windows.weight, plain.windows.weight)
        else:
            n = 40 if loss == "softmax" else 100
            assert len(drawn.weight) > n
            assert_allclose(drawn.weight[n:], plain.weight[n:])


@pytest.mark.parametrize("options", [{}, {"loss": "bce"}, {"loss": "bpr", "history_targets": 1}])
def test_equal_weights_are_as_none_and_others_matter(options):
    fits = [
        recommender(**options).fit(X | {"clicked": clicked}, ITEMS)
        for clicked in (LABELS, [[5 * c for c in row] for row in LABELS], WEIGHTS)
    ]
    plain, equal, weighted = (rec.item_vectors() for rec in fits)
    assert_allclose(plain, equal, rtol=1e-5, atol=1e-6)
    assert not np.allclose(plain, weighted)
    fits[2].partial_fit(X | {"clicked": WEIGHTS})


def test_all_forms_give_the_same_model():
    options = {"early_stopping": False, "history_targets": 0}
    graded = X | {"clicked": WEIGHTS}
    one = recommender(**options).fit(graded, ITEMS).item_vectors()
    for form in (Interactions(graded), X | {"clicked": LABELS, "weights": WEIGHTS}):
        assert_allclose(recommender(**options).fit(form, ITEMS).item_vectors(), one)
    pairs, y = explode(graded)
    found = recommender(**options).fit(pairs, y, items=ITEMS)
    assert_allclose(found.item_vectors(), one, rtol=1e-5, atol=1e-6)


def test_ndcg_takes_weights_as_gains_and_other_metrics_do_not():
    graded = X | {"clicked": WEIGHTS}
    rec = recommender().fit(graded, ITEMS)
    found = rec.evaluate(graded, metrics=["ndcg@3", "ndcg@10", "gauc", "mrr", "auc", "logloss"])
    scores = np.stack(rec.decision_function(graded))
    assert_allclose(found["ndcg@3"], ndcg_score(np.array(WEIGHTS), scores, k=3))
    assert_allclose(found["ndcg@10"], ndcg_score(np.array(WEIGHTS), scores))
    plain = rec.evaluate(X | {"clicked": LABELS}, metrics=list(found)[:-1])
    assert plain["ndcg@3"] != found["ndcg@3"]
    same = ["gauc", "mrr", "auc", "logloss"]
    assert [plain[name] for name in same] == [found[name] for name in same]
