"""Hard negatives, compared with loops over clicks."""

import pickle

import numpy as np
import pytest
import torch
from encoded import encode
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

import skrec._training.hard_negatives as hard_negatives
import skrec._training.start as start
from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec._data.ragged import segment_ids
from skrec._network import TOKEN_BUDGET
from skrec._training.batches import _draw, collate
from skrec._training.hard_negatives import MARGIN, HardNegatives, columns_of
from skrec._training.losses import batch_loss

N = 40
ITEMS = {number: f"word{number % 7} thing{number % 11} x{number}" for number in range(N)}
RNG = np.random.default_rng(0)
HISTORIES = [RNG.permutation(N - 5)[: RNG.integers(1, 9)].tolist() for _ in range(12)]
IMPRESSIONS = {
    "history": [*HISTORIES, HISTORIES[0], []],
    "candidates": [RNG.permutation(N)[:4].tolist() for _ in range(14)],
    "clicked": [[0, 1, 0, 0], [1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 0]] * 3 + [[0, 0, 1, 0]] * 2,
}


def coded(X):
    return encode(X, items=Items(ITEMS))


def users_of(X):
    """Return the set of items of each user: rows with the same history are one user."""
    if isinstance(X, list):
        return [set(row) for row in X]
    users = {}
    for n, row in enumerate(X["history"]):
        clicked = zip(X["candidates"][n], X["clicked"][n], strict=True)
        key = tuple(row) if row else ("row", n)
        users.setdefault(key, set(row)).update(code for code, label in clicked if label)
    return list(users.values())


def plain_mining(X, vectors, n):
    """Return the hard negatives of each item, in lists."""
    users = users_of(X)
    vectors = vectors - vectors.mean(axis=0)
    found = []
    for i in range(N):
        having = [user for user in users if i in user]
        similar = []
        for j in range(N):
            norm = np.sqrt((vectors[i] @ vectors[i]) * (vectors[j] @ vectors[j]))
            cosine = vectors[i] @ vectors[j] / norm
            both = sum(j in user for user in having)
            by_chance = len(having) * sum(j in user for user in users) / len(users)
            goes_together = both > 0 and both >= by_chance
            if j != i and not goes_together and cosine <= MARGIN:
                similar.append((-cosine, j))
        row = [j for _, j in sorted(similar)][:n] if having else []
        found.append(row + [-1] * (n - len(row)))
    return np.array(found)


@pytest.mark.parametrize("cells", [1, 100, 1 << 22])
@pytest.mark.parametrize("X", [HISTORIES, IMPRESSIONS], ids=["histories", "impressions"])
@pytest.mark.parametrize("n", [1, 5, 60])
def test_mining_equals_a_loop(X, n, cells, monkeypatch):
    monkeypatch.setattr(hard_negatives, "CELLS", cells)
    vectors = np.random.default_rng(1).normal(size=(N, 3)) + 1
    vectors[7], vectors[9] = vectors[8] * 1.01, vectors[10] * 1.02  # above the margin
    hard = HardNegatives(coded(X), N, n)
    assert (hard.table == -1).all()
    assert_array_equal(hard.mine(torch.from_numpy(vectors)), plain_mining(X, vectors, n))


def test_likely_positives_are_spared():
    """Items 0 to 9 look alike; 0 and 1 are often clicked together, and 2 is a copy of 0."""
    histories = [[0, 1]] * 5 + [[0, 30], [1, 31], [2, 32], [3, 33]]
    vectors = np.zeros((N, 8))
    vectors[:10] = np.random.default_rng(0).normal(size=(10, 8)) * 0.3 + 5
    vectors[10:] = -np.random.default_rng(1).normal(size=(N - 10, 8)) - 1
    vectors[2] = vectors[0] * 1.0001
    plain = vectors - vectors.mean(axis=0)
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    table = HardNegatives(coded(histories), N, 7).mine(torch.from_numpy(vectors))
    assert 1 not in table[0] and 0 not in table[1]  # go together
    assert 2 not in table[0] and 0 not in table[2]  # nearly the same
    assert (plain[0] @ plain[table[0][table[0] >= 0]].T <= MARGIN).all()
    assert (table[20] == -1).all()  # nobody clicked it


def test_popular_items_that_meet_by_chance_are_negatives():
    histories = [[0, 1], *[[0, n] for n in range(2, 9)], *[[1, n] for n in range(12, 20)]]
    vectors = np.random.default_rng(0).normal(size=(N, 8))
    vectors[1] = vectors[0] + 0.6 * vectors[2]
    table = HardNegatives(coded(histories), N, 1).mine(torch.from_numpy(vectors))
    assert table[0] == [1]


def test_vectors_of_equal_items_have_no_hard_negatives():
    table = HardNegatives(coded(HISTORIES), N, 3).mine(torch.ones(N, 4))
    assert ((table >= -1) & (table < N)).all()
    assert not (table == np.arange(N)[:, None]).any()


def test_columns_of_a_pool():
    pool = np.array([5, 2, 9, 2])
    target, column = columns_of(pool, np.array([[2, 7], [-1, 9], [-1, -1], [5, 2]]))
    found = sorted(zip(target.tolist(), column.tolist(), strict=True))
    assert found == [(0, 1), (0, 3), (1, 2), (3, 0), (3, 1), (3, 3)]
    assert (np.diff(target) >= 0).all()


def recommender(**parameters):
    parameters = {"co_clicks": False, "early_stopping": False, "max_epochs": 1} | parameters
    return ContentRecommender(
        content.MeanPooling(),
        parameters.pop("behavior", behavior.MeanPooling()),
        parameters.pop("predictor", predictor.Dot()),
        width=6,
        precision="float64",
        random_state=0,
        **parameters,
    )


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
@pytest.mark.parametrize("X", [HISTORIES, IMPRESSIONS], ids=["histories", "impressions"])
def test_the_loss_is_that_of_a_loop(X, sampling):
    """A hard negative counts once; sampled items stand for as many as the catalogue has."""
    n_negatives = 5
    rec = recommender(
        n_hard_negatives=3, n_negatives=n_negatives, negative_sampling=sampling, history_targets=0
    ).fit(X, ITEMS)
    inputs = start.read_inputs(rec, X, None, ITEMS, None, False)
    examples = inputs.examples(inputs.data, None)
    vectors, sampler = rec.item_vectors(), examples.sampler
    sampler.hard.table = sampler.hard.mine(torch.from_numpy(vectors))
    drawn, pool = _draw(examples, np.arange(len(examples)), np.random.default_rng(0))
    log_q = np.zeros(N) if sampling == "uniform" else sampler.log_q.astype(float)
    empty = rec.network_.empty_history.detach().numpy()
    expected, n_hard = [], 0
    for n, click in enumerate(drawn.candidates[:, 0]):
        past = examples.history_codes[drawn.starts[n] : drawn.stops[n]]
        user = vectors[past].mean(axis=0) if len(past) else empty
        if isinstance(X, list):
            place = segment_ids(inputs.data.history_offsets)[drawn.stops[n]]
            edges = inputs.data.history_offsets[place : place + 2]
            own = set(examples.history_codes[slice(*edges)])
            assert click in own
        else:
            row = examples.row_of_example()[n]
            pairs = list(zip(X["candidates"][row], X["clicked"][row], strict=True))
            own = {*past} | {code for code, label in pairs if label}
            shown = drawn.candidates[n, 4:][drawn.mask[n, 4:]]
            own |= set(shown)
        wanted = [j for j in sampler.hard.table[click] if j >= 0 and j not in own]
        hard = drawn.candidates[n, 1:4][drawn.mask[n, 1:4]]
        assert_array_equal(hard, wanted)
        n_hard += len(hard)
        sampled = pool[drawn.sampled[n]]
        assert not {*own, *hard} & {*sampled}
        only_sampled = isinstance(X, list) or not len(shown)
        terms = [vectors[click] @ user - log_q[click] * only_sampled]
        constant = np.log(N / n_negatives) if only_sampled else 0.0
        terms += [vectors[j] @ user - constant for j in hard]
        terms += [vectors[j] @ user for j in ([] if isinstance(X, list) else shown)]
        terms += [vectors[j] @ user - log_q[j] for j in sampled]
        expected.append(logsumexp(terms) - terms[0])
    assert n_hard > len(expected)
    batch = collate(drawn, pool, examples.history_codes, 50, sampler.log_q, sampler.hard_log_q)
    network = rec.network_
    outputs = network.outputs(batch, rec._encoded().packed(network), TOKEN_BUDGET)
    found = batch_loss("softmax", network, outputs, batch).item()
    assert_allclose(found, np.mean(expected), rtol=1e-7)  # log_q is float32


def test_the_sum_over_negatives_estimates_that_over_the_catalogue():
    """The mean over draws of the negatives' weighted sum is the sum over all items."""
    data = coded(HISTORIES)
    rec = recommender(n_hard_negatives=3, n_negatives=6, negative_sampling="popularity")
    examples = start.read_inputs(rec, HISTORIES, None, ITEMS, None, False).examples(data, None)
    sampler, rng = examples.sampler, np.random.default_rng(0)
    sampler.hard.table = sampler.hard.mine(torch.from_numpy(rng.normal(size=(N, 4))))
    click, size = np.array([HISTORIES[0][0]]), np.exp(rng.normal(size=N))
    nothing = np.zeros(1, int), click  # only the click itself is forbidden
    found = []
    for _ in range(4000):
        pool = sampler.draw(rng)
        hard, sampled = sampler.choose(pool, np.array([6]), click, nothing)
        weights = size * np.exp(-sampler.log_q.astype(float)) / 6
        found.append(weights[pool[sampled[0]]].sum())
    # sampled items estimate the sum over the items that are neither the click nor hard negatives
    rest = np.ones(N, bool)
    rest[[*click, *hard[0]]] = False
    chance = np.exp(sampler.log_q.astype(float)) / N
    wanted = size[rest].sum() / N / chance[rest].sum()
    assert_allclose(np.mean(found), wanted, rtol=0.05)
    # on this scale, where the sum is divided by N, a hard negative counts 1 / N, as its log_q says
    assert_allclose(np.exp(-sampler.hard_log_q[hard[0]]) / 6, 1 / N, rtol=1e-6)


@pytest.mark.parametrize("head", [predictor.Dot(item_bias=True), predictor.MLP((4,))], ids=repr)
@pytest.mark.parametrize("kind", ["histories", "impressions"])
@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_one_pass_equals_a_pass_per_prefix(monkeypatch, kind, head, loss):
    X = HISTORIES if kind == "histories" else IMPRESSIONS
    make, runs = start.make_examples, []
    for one_pass in (True, False):

        def again(data, o=one_pass, **options):
            return make(data, **options | {"one_pass": options["one_pass"] and o})

        monkeypatch.setattr(start, "make_examples", again)
        rec = recommender(
            behavior=behavior.GRU(),
            predictor=head,
            loss=loss,
            n_hard_negatives=3,
            n_negatives=20,
            history_targets="all",
            negative_sampling="popularity",
            max_history=4,
            batch_size=5,
        )
        runs.append(rec.set_params(max_epochs=2).fit(X, ITEMS))
    one, other = runs
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=0, atol=1e-10)
    for weight, twin in zip(one.network_.parameters(), other.network_.parameters(), strict=True):
        assert_allclose(weight.detach(), twin.detach(), rtol=0, atol=1e-7)


WAYS = [
    {"X": HISTORIES, "history_targets": 0},
    {"X": HISTORIES, "history_targets": "all"},
    {"X": HISTORIES, "history_targets": "all", "co_clicks": True},
    {"X": HISTORIES, "history_targets": 2, "loss": "gbce"},
    {"X": HISTORIES, "history_targets": 0, "loss": "bce"},
    {"X": HISTORIES, "behavior": behavior.TargetAttention(), "history_targets": 0},
    {"X": HISTORIES, "negative_sampling": "in_batch", "history_targets": "all"},
    {"X": IMPRESSIONS, "history_targets": 2, "loss": "bce"},
    {"X": IMPRESSIONS, "history_targets": 1},
    {"X": IMPRESSIONS, "history_targets": "all", "loss": "bpr"},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_works_in_every_way_repeats_and_matters(way):
    way = dict(way)
    X = way.pop("X")
    runs = [recommender(n_hard_negatives=n, **way).fit(X, ITEMS) for n in (3, 3, 0)]
    curves = [rec.loss_curve_ for rec in runs]
    assert curves[0] == curves[1] != curves[2]
    assert np.isfinite(curves[0]).all()
    one, two = runs[0], pickle.loads(pickle.dumps(runs[0]))
    for rec in (one, two):
        rec.partial_fit(X)
    assert_array_equal(one.recommend(HISTORIES, k=3)[1], two.recommend(HISTORIES, k=3)[1])
    assert one.loss_curve_ == two.loss_curve_


def test_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    options = {"n_hard_negatives": 2, "history_targets": "all", "warm_start": True}
    whole = recommender(**options).set_params(max_epochs=2).fit(HISTORIES, ITEMS)
    parts = recommender(**options).fit(HISTORIES, ITEMS)
    parts = ContentRecommender.load(parts.save(tmp_path / "rec") and tmp_path / "rec")
    assert parts.n_hard_negatives == 2
    parts.fit(HISTORIES, ITEMS)
    assert_array_equal(parts.item_vectors(), whole.item_vectors())


def test_vectors_are_those_before_each_epoch(monkeypatch):
    seen, mine = [], HardNegatives.mine
    monkeypatch.setattr(HardNegatives, "mine", lambda s, v: seen.append(v.clone()) or mine(s, v))
    rec = recommender(n_hard_negatives=2).set_params(max_epochs=3).fit(HISTORIES, ITEMS)
    assert len(seen) == 3
    assert all(not torch.equal(a, b) for a, b in zip(seen, seen[1:], strict=False))
    assert not torch.equal(seen[-1], torch.from_numpy(rec.item_vectors()))


def test_what_makes_no_sense_is_an_error():
    with pytest.raises(ValueError, match="n_hard_negatives=2 chooses some items .*'all'"):
        recommender(n_hard_negatives=2, n_negatives="all").fit(HISTORIES, ITEMS)
    with pytest.raises(ValueError, match="n_hard_negatives=2 has no effect on impressions"):
        recommender(n_hard_negatives=2, loss="bce", history_targets=0).fit(IMPRESSIONS, ITEMS)
    for wrong in (-1, 1.5, True, "all"):
        with pytest.raises((TypeError, ValueError), match="n_hard_negatives must be"):
            recommender(n_hard_negatives=wrong).fit(HISTORIES, ITEMS)
    rec = ContentRecommender(width=4, n_hard_negatives=1, max_epochs=1).fit(HISTORIES, ITEMS)
    assert rec.chosen_["n_negatives"] != "all"


def test_language_models_have_hard_negatives(tiny_bert, news, monkeypatch):
    seen, mine = [], HardNegatives.mine
    monkeypatch.setattr(HardNegatives, "mine", lambda s, v: seen.append(mine(s, v)) or seen[-1])
    rec = ContentRecommender(
        content.LanguageModel(tiny_bert, trainable_layers=1),
        width=8,
        n_hard_negatives=2,
        n_negatives=4,
        max_epochs=1,
        early_stopping=False,
        random_state=0,
    ).fit(news.train[["history"]].head(20), news.items[["item_id", "title"]])
    assert len(seen) == 1 and (seen[0] >= 0).any()
    assert not rec.network_.training
