"""Terms that clicks add to scores: similarities, weights, and what recommenders answer."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import skrec
from skrec import ContentRecommender, behavior, content
from skrec._data.co_clicks import ordered_similarities
from skrec._data.encode import encode
from skrec._data.items import Items
from skrec._data.rows import as_table
from skrec._inference.prior import FLOOR
from skrec._training.holdout import hold_out
from skrec._training.prior import GRID, GRID_OF_IMPRESSIONS, USUAL, choose_prior, starting_prior

N = 12
ITEMS = Items({number: f"word{number % 3} thing{number % 4}" for number in range(N)})


def coded(X, items=ITEMS):
    return encode(as_table(X), None, items=items, labels="required", drop_unknown="nothing")


def random_histories(n, seed=0, longest=9):
    rng = np.random.default_rng(seed)
    return [rng.integers(N, size=rng.integers(0, longest)).tolist() for _ in range(n)]


def plain_similarities(histories, clicks, n_clicks, reach, discount, backward, x, y, shrinkage):
    """Count pairs one by one; `clicks` are pairs of a history and a clicked candidate."""
    pairs = np.zeros((N, N))
    for history in histories:
        for i, first in enumerate(history):
            for j in range(i + 1, min(i + reach, len(history) - 1) + 1):
                pairs[first, history[j]] += discount ** (j - i - 1)
    for history, click in clicks:
        for age, item in enumerate(history[::-1][:reach]):
            pairs[item, click] += discount**age
    pairs = pairs + backward * pairs.T
    np.fill_diagonal(pairs, 0)
    return pairs / (n_clicks[:, None] ** x * n_clicks[None] ** y + shrinkage)


@pytest.mark.parametrize("reach", [1, 3, 50])
def test_similarities_equal_a_loop_over_pairs(reach):
    histories = random_histories(30)
    n_clicks = np.maximum(np.bincount(np.concatenate(histories).astype(int), minlength=N), 1)
    options = {"discount": 0.7, "backward": 0.4, "exponents": (0.6, 0.2), "shrinkage": 2.0}
    found = ordered_similarities(coded(histories), N, reach=reach, k=None, **options)
    wanted = plain_similarities(histories, [], n_clicks, reach, 0.7, 0.4, 0.6, 0.2, 2.0)
    assert_allclose(found.toarray(), wanted, rtol=1e-5)
    few = ordered_similarities(coded(histories), N, reach=reach, k=2, **options).toarray()
    assert ((few != 0).sum(axis=1) <= 2).all()
    assert_allclose(few.max(axis=1), wanted.max(axis=1), rtol=1e-5)


def test_many_clicks_shorten_the_reach(monkeypatch):
    data = coded(random_histories(30))
    wanted = ordered_similarities(data, N, reach=5, k=None)
    monkeypatch.setattr("skrec._data.co_clicks.MAX_PAIRS", 10)
    found = ordered_similarities(data, N, k=None)
    assert_allclose(found.toarray(), wanted.toarray())


def test_clicks_on_candidates_follow_the_history():
    X = {
        "history": [[1, 2], [1, 2], [3]],
        "candidates": [[4, 5], [6, 7], [8, 9]],
        "clicked": [[1, 0], [0, 1], [0, 0]],
    }
    found = ordered_similarities(coded(X), N, exponents=(0.0, 0.0), shrinkage=0.0, k=None)
    wanted = plain_similarities(
        [[1, 2], [3]], [([1, 2], 4), ([1, 2], 7)], np.ones(N), 50, 0.9, 0.3, 0, 0, 0
    )
    assert_allclose(found.toarray(), wanted, rtol=1e-6)


def test_only_the_last_click_of_a_bare_history_is_held_out():
    rng = np.random.default_rng(0)
    histories = [rng.integers(1000, size=size).tolist() for size in rng.integers(2, 9, size=40)]
    data = coded([*histories, []], Items({"item_id": list(range(1000))}))
    training, valid = hold_out(data, 0.3, np.random.default_rng(0))

    def rows(part):
        return [
            part.history_codes[part.history_offsets[h] : part.history_offsets[h + 1]].tolist()
            for h in part.history_of_row
        ]

    held = [row for row in rows(valid) if row]
    assert 11 <= len(held) <= 12
    expected = [row[:-1] if row in held else row for row in histories]
    assert sorted(row for row in rows(training) if row) == sorted(expected)


@pytest.fixture(scope="module")
def chains():
    """Return histories in which item i is followed by item i + 1."""
    rng = np.random.default_rng(0)
    starts = rng.integers(N, size=300)
    return [[(start + step) % N for step in range(rng.integers(2, 7))] for start in starts]


@pytest.fixture(scope="module")
def rec(chains):
    return ContentRecommender(
        content.ID(), behavior.MovingAverages(), max_epochs=2, random_state=0
    ).fit(chains, Items({"item_id": list(range(N))}))


def test_scores_are_the_sum_of_the_terms(rec, chains):
    X = [chains[0], [], [3]]
    prior, scorer = rec.prior_, rec._scorer()
    rec.prior_ = None
    network = rec.decision_function(X)
    rec.prior_ = prior
    similar = prior.similarities.toarray()
    for row, history in enumerate(X):
        ages = np.arange(len(history))[::-1]
        co_clicks = np.zeros(N)
        for age, item in zip(ages, history, strict=True):
            co_clicks += prior.decay**age * similar[item]
        w0, w1, w2 = prior.weights
        wanted = w0 * network[row] + w1 * prior.log_popularity + w2 * np.log(co_clicks + FLOOR)
        assert_allclose(scorer.scores(encode_rows(rec, X))[row], wanted, rtol=1e-4, atol=1e-5)
    pairs = {"history": [X[0], X[2]], "candidate": [5, 7]}
    assert_allclose(
        rec.decision_function(pairs), rec.decision_function(X)[[0, 2], [5, 7]], rtol=1e-4
    )
    few = rec.recommend([X[0]], k=N, candidates=[2, 5, 9], exclude_seen=False)
    assert_allclose(np.sort(few[1][0][:3]), np.sort(rec.decision_function([X[0]])[0][[2, 5, 9]]),
                    rtol=1e-4)  # fmt: skip


def encode_rows(rec, X):
    return encode(as_table(X), None, items=rec.items_, labels="ignored", drop_unknown="nothing")


def test_what_follows_is_recommended(rec):
    ids, _ = rec.recommend([[3], [3, 4, 5]], k=1)
    assert_array_equal(ids[:, 0], [4, 6])


def test_prior_is_saved_and_pickled_and_new_items_have_none(rec, tmp_path, chains):
    X = [chains[0], [], [3]]
    loaded = skrec.load(rec.save(tmp_path / "rec") and tmp_path / "rec")
    for other in (loaded, pickle.loads(pickle.dumps(rec))):
        assert_array_equal(other.decision_function(X), rec.decision_function(X))
        assert other.prior_.weights == rec.prior_.weights
    new = rec.decision_function(X, items={"item_id": [100]})
    assert new.shape == (3, N + 1)
    assert_allclose(new[:, :N], rec.decision_function(X), rtol=1e-5)
    loaded.add_items({"item_id": [100]}).partial_fit([[1, 100], [2, 3]])
    assert loaded.decision_function(X).shape == (3, N + 1)
    assert np.isfinite(loaded.decision_function([[100], []])).all()


def test_similarities_for_the_choice_do_not_contain_held_out_clicks(chains, monkeypatch):
    import skrec._training.prior as module

    seen, similarities = [], module.ordered_similarities

    def spy(data, n_items):
        seen.append(len(data.history_codes))
        return similarities(data, n_items)

    monkeypatch.setattr(module, "ordered_similarities", spy)
    rec = ContentRecommender(content.ID(), max_epochs=1, random_state=0)
    rec.fit(chains, Items({"item_id": list(range(N))}))
    assert len(seen) == 2
    assert seen[0] < seen[1] == sum(map(len, {tuple(row) for row in chains}))
    assert (rec.prior_.weights, rec.prior_.decay) in [USUAL, *GRID]


def test_without_held_out_clicks_the_usual_weights_are_taken(chains):
    rec = ContentRecommender(content.ID(), max_epochs=1, early_stopping=False, random_state=0)
    rec.fit(chains, Items({"item_id": list(range(N))}))
    assert (rec.prior_.weights, rec.prior_.decay) == USUAL
    counts = np.bincount(np.concatenate(chains), minlength=N)
    assert_allclose(rec.prior_.log_popularity, np.log1p(counts), rtol=1e-6)
    assert_array_equal(starting_prior(coded(chains), N).weights, (1.0, 1.0, 0.0))


def test_a_user_without_history_gets_what_is_popular():
    rng = np.random.default_rng(0)
    share = np.arange(1, N + 1) ** 3.0
    histories = [
        rng.choice(N, 4, replace=False, p=share / share.sum()).tolist() for _ in range(300)
    ]
    rec = ContentRecommender(content.ID(), max_epochs=3, random_state=0)
    rec.fit(histories, Items({"item_id": list(range(N))}))
    ids, _ = rec.recommend([[]], k=3)
    assert set(ids[0]) <= {8, 9, 10, 11}


def test_refused_combinations(chains):
    impressions = {"history": [[1]], "candidates": [[2, 3]], "clicked": [[0, 1]]}
    with pytest.raises(ValueError, match="co_clicks=True needs loss='softmax', got impressions"):
        ContentRecommender(co_clicks=True, loss="bce").fit(impressions, ITEMS)
    with pytest.raises(ValueError, match="co_clicks=True needs .* got histories and loss='bpr'"):
        ContentRecommender(co_clicks=True, loss="bpr").fit(chains, ITEMS)
    with pytest.raises(ValueError, match="n_negatives='all' needs user vectors"):
        ContentRecommender(behavior="target_attention", n_negatives="all").fit(chains, ITEMS)
    with pytest.raises(ValueError, match="n_negatives must be an int or one of 'auto', 'all', got"):
        ContentRecommender(n_negatives="every").fit(chains, ITEMS)
    with pytest.raises(ValueError, match="co_clicks must be one of 'auto', True, False"):
        ContentRecommender(co_clicks="yes").fit(chains, ITEMS)


@pytest.fixture(scope="module")
def shown():
    """Return impressions in which the item after the last click of the history is clicked."""
    rng = np.random.default_rng(0)
    starts = rng.integers(N, size=400)
    others = (starts[:, None] + 1 + rng.permuted(np.tile(np.arange(2, N), (400, 1)), axis=1)) % N
    return pd.DataFrame(
        {
            "history": [[(start - 1) % N, start] for start in starts],
            "candidates": np.column_stack([(starts + 1) % N, others[:, :3]]).tolist(),
            "clicked": [[1, 0, 0, 0]] * 400,
        }
    )


SAME = Items(dict.fromkeys(range(N), "thing"))  # texts from which nothing can be learned


def test_impressions_take_co_clicks_if_these_rank_held_out_clicks_better(shown, tmp_path):
    parameters = {"predictor": "dot", "max_epochs": 2, "random_state": 0}
    rec = ContentRecommender(content.MeanPooling(), **parameters).fit(shown, SAME)
    prior = rec.prior_
    assert rec.chosen_["co_clicks"] is True
    assert (prior.weights, prior.decay) in GRID_OF_IMPRESSIONS
    assert rec.score(shown) > 0.95
    assert ContentRecommender(content.MeanPooling(), co_clicks=False, **parameters).fit(
        shown, SAME
    ).score(shown) < 0.7  # fmt: skip
    few = shown.head(5)
    similar = prior.similarities.toarray()
    network = np.stack(replace(rec._scorer(), prior=None).score_candidates(encode_rows(rec, few)))
    for row, ((before, last), candidates, _) in enumerate(few.itertuples(index=False)):
        co_clicks = similar[last, candidates] + prior.decay * similar[before, candidates]
        wanted = network[4 * row : 4 * row + 4] + prior.weights[2] * np.log(co_clicks + FLOOR)
        assert_allclose(rec.decision_function(few)[row], wanted, rtol=1e-4, atol=1e-5)
    loaded = skrec.load(rec.save(tmp_path / "rec") and tmp_path / "rec")
    assert_array_equal(
        np.stack(loaded.decision_function(few)), np.stack(rec.decision_function(few))
    )
    rec.partial_fit(few)  # the prior stays
    assert rec.prior_.weights == prior.weights


def test_impressions_take_no_co_clicks_that_do_not_help(shown):
    rng = np.random.default_rng(0)
    texts = Items({number: f"word{number}" for number in range(N)})
    # what is clicked does not depend on the history
    X = shown.assign(
        history=[[number] for number in rng.integers(N, size=len(shown))],
        candidates=[[0, 1, 2, 3]] * len(shown),
    )
    rec = ContentRecommender(max_epochs=3, random_state=0).fit(X, texts)
    assert rec.prior_ is None and rec.score(X) == 1
    without = ContentRecommender(max_epochs=3, random_state=0, early_stopping=False).fit(X, texts)
    assert without.prior_ is None  # nothing was held out that could say so


def test_new_items_have_the_average_popularity_and_the_expected_co_clicks(rec, chains):
    X = [chains[0], [], [3]]
    new = {"item_id": [100, 101]}
    prior = rec.prior_
    extended = prior.for_items(rec.items_.extend(new))
    assert (extended.n_known, extended.n_new) == (N, 2)
    w0, w1, w2 = prior.weights
    found = rec.decision_function(X, items=new)
    network = replace(rec._scorer(new), prior=None).scores(encode_rows(rec, X))
    mean = prior.log_popularity.mean()
    expected = prior.mean_log_co_clicks + prior.slope * (network[:, N:] - prior.mean_score)
    expected[1] = np.log(FLOOR)  # an empty history says nothing
    wanted = w0 * network[:, N:] + w1 * mean + w2 * expected
    assert_allclose(found[:, N:], wanted, rtol=1e-4, atol=1e-5)
    # as candidates of pairs, and after the catalogue grew twice
    pairs = {"history": [X[0], X[1]], "candidate": [100, 101]}
    assert_allclose(
        rec.decision_function(pairs, items=new), found[[0, 1], [N, N + 1]], rtol=1e-4, atol=1e-5
    )
    among = rec.recommend(X, k=3, items=new, candidates=[1, 100], exclude_seen=False)
    assert_allclose(
        np.sort(among[1][:, :2], axis=1), np.sort(found[:, [1, N]], axis=1), rtol=1e-4, atol=1e-5
    )
    again = extended.for_items(rec.items_.extend(new).extend({"item_id": [102]}))
    assert (again.n_known, again.n_new) == (N, 3)
    assert_allclose(again.log_popularity[N:], mean, rtol=1e-6)


def test_co_clicks_of_new_items_are_a_regression_on_the_network(rec, chains):
    data = encode_rows(rec, [row for row in chains if row])
    prior = choose_prior(rec._scorer(), data, None)
    scores = replace(rec._scorer(), prior=None).scores(data).reshape(data.n_rows, N)
    co_clicks = prior.log_co_clicks(torch.from_numpy(scores), data, rec.items_).numpy()
    slope, intercept = np.polyfit(scores.ravel(), co_clicks.ravel(), 1)
    assert slope > 0  # the network has learned what goes together
    assert_allclose(prior.slope, slope, rtol=1e-4)
    assert_allclose(prior.mean_log_co_clicks, co_clicks.mean(), rtol=1e-4)
    assert_allclose(prior.mean_score, scores.mean(), rtol=1e-4)


def test_probabilities_are_calibrated_without_the_held_out_clicks(shown, monkeypatch):
    import skrec._recommender as module

    priors, calibrate = [], module.calibrate

    def spy(scorer, valid):
        priors.append(scorer.prior)
        return calibrate(scorer, valid)

    monkeypatch.setattr(module, "calibrate", spy)
    rec = ContentRecommender(content.MeanPooling(), predictor="dot", max_epochs=1, random_state=0)
    rec.fit(shown, SAME)
    training, _ = hold_out(coded(shown, SAME), 0.1, np.random.default_rng(0))
    assert len(priors) == 1 and priors[0].weights == rec.prior_.weights
    n_pairs = [prior.similarities.sum() for prior in (priors[0], rec.prior_)]
    assert n_pairs[0] < n_pairs[1]
    assert training.n_rows < len(shown)
