"""Negatives from the clicks of the batch, compared with lists and loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logsumexp

import skrec._training.start as start
from skrec import ContentRecommender, behavior, content, predictor
from skrec._data.ragged import segment_ids
from skrec._network import TOKEN_BUDGET
from skrec._training.batches import _draw, collate, iterate_batches
from skrec._training.losses import GBCE_CALIBRATION, batch_loss

N = 40
ITEMS = {number: f"word{number % 7} thing{number % 11} x{number}" for number in range(N)}
RNG = np.random.default_rng(0)
HISTORIES = [RNG.permutation(N)[: RNG.integers(1, 9)].tolist() for _ in range(12)]
IMPRESSIONS = {
    "history": [*HISTORIES, HISTORIES[0], []],
    "candidates": [RNG.permutation(N)[:4].tolist() for _ in range(14)],
    "clicked": [[0, 1, 0, 0], [1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 0]] * 3 + [[0, 0, 1, 0]] * 2,
}
OPERATORS = content.MeanPooling(), behavior.MeanPooling(), predictor.Dot()


def recommender(**parameters):
    return ContentRecommender(
        *OPERATORS,
        width=6,
        negative_sampling="in_batch",
        co_clicks=False,
        precision="float64",
        early_stopping=False,
        max_epochs=1,
        random_state=0,
        **parameters,
    )


def examples_of(rec, X):
    inputs = start.read_inputs(rec, X, None, ITEMS, None, False)
    return inputs.data, inputs.examples(inputs.data, None)


def twin_of_rows(data, examples, drawn, pool, n_negatives):
    """Yield the click, the clicks before it, its negatives and whether all of them are sampled."""
    starts, stops = drawn.starts.tolist(), drawn.stops.tolist()
    history_of_place = segment_ids(data.history_offsets)
    own_rows = examples.row_of_example() if hasattr(examples, "row_of_example") else None
    for n, click in enumerate(drawn.candidates[:, 0].tolist()):
        past = data.history_codes[starts[n] : stops[n]].tolist()
        forbidden, shown = set(past), drawn.candidates[n, 1:][drawn.mask[n, 1:]].tolist()
        if own_rows is not None:
            row = own_rows[n]
            edges = slice(*data.candidate_offsets[row : row + 2])
            codes, clicked = data.candidate_codes[edges], data.clicked[edges]
            forbidden |= {int(code) for code in codes[clicked == 1]}
            assert set(shown) <= {int(code) for code in codes[clicked == 0]} - {click}
            assert len(shown) == min(n_negatives, (clicked == 0).sum())
        else:  # the other clicks of a bare history, also those after the target
            place = history_of_place[stops[n]]
            forbidden |= set(data.history_codes[slice(*data.history_offsets[place : place + 2])])
            assert click == data.history_codes[stops[n]]
        forbidden |= {*shown, click}
        sampled = [code for code in pool.tolist() if code not in forbidden]
        yield click, past, shown, sampled[: n_negatives - len(shown)]


def twin_loss(name, scores, log_q, only_sampled):
    """Return the loss of a click, which comes first, and its negatives."""
    negatives = scores[1:]
    if name == "softmax":
        scores = scores - np.concatenate([[log_q[0] * only_sampled], log_q[1:]])
        return logsumexp(scores) - scores[0]
    if name == "bpr":
        return -np.log(expit(scores[0] - negatives)).mean()
    if name == "bce":
        return -(np.log(expit(scores[0])) + np.log(expit(-negatives)).sum()) / len(scores)
    beta = 1 - GBCE_CALIBRATION * max(0, 1 - len(negatives) / (N - 1))
    total = beta * np.log(expit(scores[0])) + np.log(expit(-negatives)).sum()
    return -total / len(scores)


def counts_plus_one(X):
    rows = X if isinstance(X, list) else X["history"]
    counts = np.bincount([code for row in rows for code in row], minlength=N) + 1.0
    if isinstance(X, dict):
        for codes, clicked in zip(X["candidates"], X["clicked"], strict=True):
            for code, is_click in zip(codes, clicked, strict=True):
                counts[code] += is_click
    return counts


@pytest.mark.parametrize("n_negatives", [2, 7, 60])
@pytest.mark.parametrize("loss", ["softmax", "bpr", "gbce", "bce"])
@pytest.mark.parametrize("X", [HISTORIES, IMPRESSIONS], ids=["histories", "impressions"])
def test_the_loss_is_that_of_a_loop(X, loss, n_negatives):
    if loss == "bce" and X is IMPRESSIONS:
        pytest.skip("has no sampled negatives")
    rec = recommender(loss=loss, n_negatives=n_negatives, history_targets=0).fit(X, ITEMS)
    data, examples = examples_of(rec, X)
    drawn, pool = _draw(examples, np.arange(len(examples)), np.random.default_rng(3))
    log_q = np.log(counts_plus_one(X) / counts_plus_one(X).sum() * N)
    assert_allclose(examples.sampler.log_q, log_q, rtol=1e-6)

    vectors = rec.item_vectors()
    empty = rec.network_.empty_history.detach().numpy()
    expected, clicks = [], drawn.candidates[:, 0].tolist()
    n_first = min(len(pool), len(clicks))
    assert set(pool[:n_first]) <= set(clicks)
    for click, past, shown, sampled in twin_of_rows(data, examples, drawn, pool, n_negatives):
        user = vectors[past].mean(axis=0) if past else empty
        codes = [click, *shown, *sampled]
        each = examples.sampler.log_q[codes].astype(float)
        each[1 : 1 + len(shown)] = 0
        expected.append(twin_loss(loss, vectors[codes] @ user, each, not shown))
    batch = collate(drawn, pool, examples.history_codes, 50, examples.sampler.log_q)
    batch = type(batch)(**vars(batch) | {"n_items": N})
    network = rec.network_
    outputs = network.outputs(batch, rec._encoded().packed(network), TOKEN_BUDGET)
    found = batch_loss(loss, network, outputs, batch).item()
    assert_allclose(found, np.mean(expected), rtol=1e-10)


def test_the_pool_begins_with_the_clicks_of_the_batch():
    _, examples = examples_of(recommender(n_negatives=9, history_targets=0), HISTORIES)
    for seed in range(5):
        drawn, pool = _draw(examples, np.arange(6), np.random.default_rng(seed))
        clicks = drawn.candidates[:, 0]
        assert_array_equal(np.sort(pool[:6]), np.sort(clicks))
        assert len(pool) > 9
    assert not np.array_equal(pool[:6], clicks)  # in random order


@pytest.mark.parametrize("history_targets", [0, 2, "all"])
@pytest.mark.parametrize("X", [HISTORIES, IMPRESSIONS], ids=["histories", "impressions"])
def test_own_clicks_and_the_history_are_never_negatives(X, history_targets):
    rec = recommender(n_negatives=12, history_targets=history_targets)
    data, examples = examples_of(rec, X)
    history_of_place = segment_ids(data.history_offsets)
    rng = np.random.default_rng(0)
    for batch in iterate_batches(examples, 5, 50, rng):
        assert batch.has_negatives()
    for _ in range(10):
        drawn, pool = _draw(examples, rng.permutation(len(examples))[:5], rng)
        assert (drawn.sampled & (pool == drawn.candidates[:, :1])).sum() == 0
        for start_, stop, negatives in zip(drawn.starts, drawn.stops, drawn.sampled, strict=True):
            assert not set(data.history_codes[start_:stop]) & set(pool[negatives])
        if history_targets == "all":
            windows = drawn.windows
            assert windows.n_targets() > 0
            for start_, allowed in zip(windows.starts, windows.allowed, strict=True):
                place = history_of_place[start_]
                own = data.history_codes[slice(*data.history_offsets[place : place + 2])]
                assert not set(own) & set(pool[allowed])
                assert allowed.sum() == 12
            clicks = drawn.clicks(data.history_codes)
            assert len(clicks) == len(drawn.candidates) + windows.n_targets()
            assert set(pool[: min(len(clicks), len(pool))]) <= set(clicks)


def test_targets_do_not_depend_on_the_pool():
    """The clicks are drawn before the pool is known, and must be the same with it."""
    _, few = examples_of(recommender(n_negatives=1, history_targets=0), HISTORIES)
    _, many = examples_of(recommender(n_negatives=300, history_targets=0), HISTORIES)
    few.sampler._size = many.sampler._size
    drawn = [_draw(e, np.arange(12), np.random.default_rng(1))[0] for e in (few, many)]
    assert_array_equal(drawn[0].candidates[:, 0], drawn[1].candidates[:, 0])


@pytest.mark.parametrize("n_negatives", ["auto", 6])
@pytest.mark.parametrize("X", [HISTORIES, IMPRESSIONS], ids=["histories", "impressions"])
def test_fit_is_repeatable(X, n_negatives):
    one, two = (
        recommender(n_negatives=n_negatives).set_params(max_epochs=2).fit(X, ITEMS)
        for _ in range(2)
    )
    assert one.loss_curve_ == two.loss_curve_
    if n_negatives == "auto":
        assert one.chosen_["n_negatives"] != "all"
    one.partial_fit(X)


def test_what_makes_no_sense_is_an_error():
    with pytest.raises(ValueError, match="'in_batch' chooses some .* n_negatives='all'"):
        recommender(n_negatives="all").fit(HISTORIES, ITEMS)
    with pytest.raises(ValueError, match="no effect on impressions with loss='bce'"):
        recommender(loss="bce").fit(IMPRESSIONS, ITEMS)
    recommender(loss="bce", history_targets=2).fit(IMPRESSIONS, ITEMS)
    with pytest.raises(ValueError, match="negative_sampling must be"):
        recommender().set_params(negative_sampling="inbatch").fit(HISTORIES, ITEMS)
