"""The context of a row enters on the user's side, in training and in all answers."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skrec
from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec._training.batches import iterate_batches
from skrec._training.start import read_inputs

N_ITEMS = 12
ITEMS = Items(
    pd.DataFrame(
        {
            "item_id": np.arange(N_ITEMS),
            "topic": pd.Categorical(list("abc") * 4),
            "price": np.linspace(0, 1, N_ITEMS),
        }
    )
)
EXACT = {"rtol": 1e-10, "atol": 1e-10}
NETWORKS = [
    name
    for name, operator in predictor.ALIASES.items()
    if operator.is_network and name not in ("dcn", "gdcn")  # alike DCNv2
]


def impressions(n=40, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, size=n)
    return pd.DataFrame(
        {
            "history": [rng.permutation(N_ITEMS)[:length].tolist() for length in lengths],
            "candidates": [rng.permutation(N_ITEMS)[:4].tolist() for _ in range(n)],
            "clicked": [rng.permutation([1, 0, 0, 0]).tolist() for _ in range(n)],
            "device": rng.choice(["phone", "desk"], size=n),
            "age": np.where(rng.random(n) < 0.2, np.nan, rng.integers(20, 60, size=n)),
        }
    )


def histories(n=40, seed=0):
    return impressions(n, seed)[["history", "device", "age"]]


def make(**parameters):
    usual = {
        "content": "tabular",
        "width": 8,
        "max_epochs": 1,
        "early_stopping": False,
        "precision": "float64",
        "learning_rate": 0.05,
        "context": ["device", "age"],
        "random_state": 0,
    }
    return ContentRecommender(**(usual | parameters))


@pytest.fixture(scope="module")
def fitted():
    return make().fit(impressions(), ITEMS)


# The obvious twin: one row and one candidate at a time, by the modules of the three operators


def features_of(rec, X):
    contexts, context_of_row = rec.context_.read(skrec._data.table.Table(X), len(X))
    return torch.from_numpy(contexts[context_of_row]).double()


def slow_score(rec, history, context, item):
    """Score an item for a history (list of positions) in a context (F,)."""
    network, scorer = rec.network_, rec._scorer()
    rows = scorer.encoded_items.encoding(network).rows
    clicks = rows[history] if history else network.empty_history[None]
    clicks, mask = clicks[None], torch.ones((1, len(clicks)), dtype=torch.bool)
    target = rows[item][None, None]
    more = [target] if network.candidate_aware else []
    users = network.behavior(clicks, mask, *more)
    users = users if users.dim() == 4 else users.unsqueeze(1)  # (1, 1, K, D)
    field = network.context @ context
    if rec.context_.as_field:
        users = torch.cat([users, field.expand_as(users)], dim=-1)
        target = torch.cat([target, torch.zeros_like(target)], dim=-1)
    else:
        users = users + field
    if not network.late_fusion:
        return network.predictor(users, users.new_ones((1, users.shape[2])).bool(), target).item()
    one = torch.ones((1, 1), dtype=torch.bool)
    each = [network.predictor(click[None, None, None], one, target) for click in users[0, 0]]
    return torch.stack(each).mean().item()


COMBINATIONS = [
    ("moving_averages", "dot"),
    ("poly_attention", "miner"),
    ("gru", "cosine"),
    ("mean_pooling", "mlp"),
    ("target_attention", "mlp"),
    ("candidate_self_attention", "dot"),
    ("late_fusion", "dot"),
    ("late_fusion", "mlp"),
]


def check_against_twin(rec, X):
    contexts = features_of(rec, X)
    assert rec.network_.context.detach().abs().max() > 0.01
    with torch.no_grad():
        scores = np.array(
            [
                [slow_score(rec, history, contexts[row], item) for item in range(N_ITEMS)]
                for row, history in enumerate(X["history"])
            ]
        )
    expected = [scores[row, candidates] for row, candidates in enumerate(X["candidates"])]
    for _ in range(2):  # with and without cached user vectors
        for found, wanted in zip(rec.decision_function(X), expected, strict=True):
            assert_allclose(found, wanted, **EXACT)
        bare = X[["history", "device", "age"]]
        assert_allclose(rec.decision_function(bare), scores, rtol=1e-5, atol=1e-5)
    ids, best = rec.recommend(bare, k=3, exclude_seen=False)
    assert_array_equal(ids, np.argsort(-scores, kind="stable")[:, :3])
    assert_allclose(best, -np.sort(-scores)[:, :3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("reader", "score"), COMBINATIONS)
def test_answers_equal_the_twin(reader, score):
    rec = make(behavior=reader, predictor=score).fit(impressions(), ITEMS)
    check_against_twin(rec, impressions(6, seed=1))


@pytest.mark.parametrize("score", NETWORKS)
def test_fields_equal_the_twin(score):
    rec = make(behavior="mean_pooling", predictor=score, context_fields=True)
    rec.fit(impressions(), ITEMS)
    check_against_twin(rec, impressions(4, seed=1))
    assert rec.transform(impressions(2)).shape == (2, 8)


@pytest.mark.parametrize("reader", ["target_attention", "late_fusion", "poly_attention"])
def test_fields_equal_the_twin_for_any_reader(reader):
    rec = make(behavior=reader, predictor="mlp", context_fields=True).fit(impressions(), ITEMS)
    check_against_twin(rec, impressions(3, seed=1))


@pytest.mark.parametrize("bare", [True, False])
def test_targets_have_the_context_of_bare_rows_only(bare):
    # clicks in the histories of impressions were made in other contexts than that of the row
    X = histories() if bare else impressions()
    rec = make(behavior="moving_averages", history_targets="all", n_negatives="all")
    inputs = read_inputs(rec, X, None, ITEMS, None, False)
    examples = inputs.examples(inputs.data, None)
    rec.fit(X, ITEMS)
    network, packed = rec.network_, rec._encoded().packed(rec.network_)
    n_targets = 0
    for batch in iterate_batches(examples, 7, 50, np.random.default_rng(0)):
        with torch.no_grad():
            outputs = network.outputs(batch, packed, 1 << 16)
        targets = batch.targets
        for t in range(len(targets)):
            codes = batch.items[batch.history[targets.history[t]]][: targets.position[t] + 1]
            mask = batch.history_mask[targets.history[t]][: targets.position[t] + 1]
            rows = rec._encoded().encoding(network).rows
            clicks = rows[codes] if mask.any() else network.empty_history[None]
            context = batch.contexts[targets.context[t]]
            assert bare or not context.any()
            with torch.no_grad():
                user = network.behavior(clicks[None], torch.ones((1, len(clicks))).bool())[0]
                user = user + network.context @ context.double()
            torch.testing.assert_close(outputs.users[t], user, **EXACT)
            n_targets += 1
        if not bare:
            assert batch.contexts[batch.context_of_row].any(dim=1).all()
    assert n_targets


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("reader", ["moving_averages", "target_attention"])
def test_training_starts_as_without_context(bare, reader):
    # with steps that change nothing, context of zero weight must not even change the rounding
    X = histories() if bare else impressions()
    X = X[~X["history"].map(str).duplicated()]  # otherwise, histories are learned per context
    still = {"learning_rate": 1e-300, "behavior": reader, "precision": "float32"}
    with_context = make(**still).fit(X, ITEMS)
    without = make(**still, context=None).fit(X, ITEMS)
    assert not with_context.network_.context.any()
    assert without.context_ is None and without.network_.context is None
    for name, weight in without.network_.state_dict().items():
        assert torch.equal(weight, with_context.network_.state_dict()[name])
    assert with_context.loss_curve_ == without.loss_curve_
    answers = with_context.decision_function(X), without.decision_function(X)
    for one, other in zip(*answers, strict=True):
        assert_array_equal(one, other)


def test_equal_histories_in_two_contexts_have_two_vectors(fitted):
    device = ["phone", "desk", "phone"]
    X = pd.DataFrame({"history": [[1, 2]] * 3, "device": device, "age": [30.0] * 3})
    for _ in range(2):
        users = fitted.transform(X)
        assert_array_equal(users[0], users[2])
        assert np.abs(users[0] - users[1]).max() > 1e-3
    encoding = fitted._encoded().encoding(fitted.network_)
    encoding.users._chunks = ()
    fitted.transform(X)
    assert sum(len(chunk.hashes) for chunk in encoding.users._chunks) == 1  # read once


def test_nothing_known_is_the_mean_context(fitted):
    bare = [[1, 2], []]
    null = pd.DataFrame({"history": bare, "device": [None, None], "age": [np.nan, None]})
    assert_array_equal(fitted.transform(bare), fitted.transform(null))
    assert_array_equal(fitted.recommend(bare, k=3)[0], fitted.recommend(null, k=3)[0])


def test_a_missing_column_raises_in_every_verb(fitted):
    X = impressions(3).drop(columns="device")
    verbs = [fitted.predict, fitted.predict_proba, fitted.decision_function, fitted.score]
    for verb in [*verbs, fitted.evaluate, fitted.recommend, fitted.transform]:
        with pytest.raises(ValueError, match="X has no column 'device', which is context"):
            verb(X)
    with pytest.raises(ValueError, match="X has no column 'device', which is context"):
        clone(fitted).fit(impressions(), ITEMS).partial_fit(X)


def test_all_verbs_read_the_context_of_impressions_and_pairs():
    X = impressions(60)
    rec = make(early_stopping=True, context="auto", max_epochs=2).fit(X, ITEMS)
    assert rec.chosen_["context"] == ["device", "age"]
    other = X.assign(device=np.where(X.device == "desk", "phone", "desk"))
    one, two = (np.concatenate(rec.predict_proba(rows)) for rows in (X, other))
    assert np.abs(one - two).max() > 1e-4
    assert rec.score(X) == rec.evaluate(X)["gauc"] != rec.score(other)
    pairs, y = skrec.explode(X)
    assert_array_equal(rec.decision_function(pairs), np.concatenate(rec.decision_function(X)))
    rec = make(history_targets=2).fit(pairs, y, items=ITEMS)
    assert rec.network_.context.any()


def test_bare_histories_by_default():
    rec = ContentRecommender(context="auto", max_epochs=2, random_state=0).fit(histories(), ITEMS)
    assert rec.prior_ is not None and rec.chosen_["context"] == ["device", "age"]
    assert rec.score(histories()) > 0
    assert rec.recommend(histories(3), k=2)[0].shape == (3, 2)


TRANSFORMER = ColumnTransformer(
    [("d", OneHotEncoder(handle_unknown="ignore"), ["device"]), ("a", StandardScaler(), ["age"])]
)


@pytest.mark.parametrize("context", ["auto", ["device"], TRANSFORMER], ids=["auto", "list", "own"])
@pytest.mark.parametrize("context_fields", [False, True])
def test_saved_and_pickled(context, context_fields, tmp_path):
    X = impressions()
    rec = make(context=context, context_fields=context_fields, predictor="mlp", warm_start=True)
    rec.fit(X, ITEMS).save(tmp_path / "rec")
    expected = np.concatenate(rec.decision_function(X))
    for copy in (skrec.load(tmp_path / "rec"), pickle.loads(pickle.dumps(rec))):
        assert_array_equal(np.concatenate(copy.decision_function(X)), expected)
        assert_array_equal(copy.transform(X), rec.transform(X))
        assert copy.context_.columns == rec.context_.columns
        again = copy.fit(X)
        assert_array_equal(again.loss_curve_, clone_of(rec).fit(X).loss_curve_)
    refitted = clone(rec).fit(X, ITEMS)
    assert_array_equal(np.concatenate(refitted.decision_function(X)), expected)


def clone_of(rec):
    return pickle.loads(pickle.dumps(rec))


@pytest.mark.parametrize(
    "change",
    [{"mean": np.zeros(9)}, {"scale": np.zeros(3)}, {"columns": "device"}, {"transformer": None}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_context_is_refused(change, fitted, tmp_path):
    rec = clone_of(fitted)
    rec.context_ = skrec._data.context.replace(rec.context_, **change)
    with pytest.raises(ValueError, match="context_ must be None or a fitted transformer"):
        rec.save(tmp_path / "rec")


def test_training_goes_on_with_the_first_context(fitted):
    rec = clone_of(fitted)
    rec.partial_fit(impressions(20, seed=3).assign(device="tablet"))
    assert rec.context_.columns == ["device", "age"]
    assert_array_equal(rec.context_.mean, fitted.context_.mean)
    rec.partial_fit(impressions(20)["history"].tolist())  # no context is known
    for changed in ({"context": ["device"]}, {"context": None}, {"context_fields": True}):
        with pytest.raises(ValueError, match="can't go on with another model; .*context"):
            clone_of(fitted).set_params(**changed).partial_fit(impressions(20))
    without = make(context=None).fit(impressions(), ITEMS)
    without.set_params(context="auto").partial_fit(impressions(20))
    assert without.context_ is None
    with pytest.raises(ValueError, match="context=.'device'., was without"):
        without.set_params(context=["device"]).partial_fit(impressions(20))


def test_searches_reach_into_the_context():
    X = impressions(30)
    parts = [("device", OneHotEncoder(handle_unknown="infrequent_if_exist"), ["device"])]
    rec = make(context=ColumnTransformer(parts))
    grids = [{"context__device__min_frequency": [1, 30]}, {"context": [None, ["age"], "auto"]}]
    search = GridSearchCV(rec, grids, cv=KFold(2), error_score="raise").fit(X, items=ITEMS)
    assert len(set(search.cv_results_["mean_test_score"])) >= 3
    with pytest.raises(ValueError, match="context__device can't be set on context='auto'; pass a"):
        make(context="auto").set_params(context__device=1)


@pytest.mark.parametrize(
    ("context", "error", "message"),
    [
        ("device", ValueError, r"got 'device'; write context=\['device'\] for one column"),
        ([], ValueError, r"at least one column name of X, got \[\]"),
        ([3], ValueError, r"at least one column name of X, got \[3\]"),
        (StandardScaler, TypeError, r"write StandardScaler\(\) with parentheses"),
        (3, TypeError, "got 3, which has no fit and no transform and no get_params"),
        (["devise"], ValueError, r"context names 'devise', .*did you mean 'device'"),
    ],
)
def test_invalid_contexts(context, error, message):
    with pytest.raises(error, match=message):
        make(context=context).fit(impressions(3), ITEMS)


def test_fields_need_a_network():
    for name in ("dot", "cosine", "bilinear", "miner"):
        with pytest.raises(ValueError, match="context_fields=True needs a predictor that is a net"):
            make(predictor=name, context_fields=True).fit(impressions(3), ITEMS)
    with pytest.raises(ValueError, match="context_fields must be one of True, False, got 2"):
        make(context_fields=2).fit(impressions(3), ITEMS)
    make(predictor="dot", context_fields=True, context=None).fit(impressions(9), ITEMS)  # unused


def test_unused_columns_are_named_once():
    with pytest.warns(UserWarning, match="columns 'device', 'age' of X are not used. Give") as seen:
        rec = make(context="warn").fit(impressions(), ITEMS)
    assert len(seen) == 1
    assert rec.context_ is None and "context" not in rec.chosen_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rec.score(impressions())
        make(context=None).fit(impressions(), ITEMS)
        make(context=["device"]).fit(impressions(), ITEMS)
        make(context="auto").fit(impressions().assign(time=1, impression_id=range(40)), ITEMS)


def test_explanations_and_lists_have_the_context_of_their_row(fitted):
    X = histories(30)[lambda rows: rows["history"].map(len) > 2][:1]
    found = fitted.explain(X, 3)
    candidates = X.assign(candidates=[[3]])
    assert_allclose(found.score, fitted.decision_function(candidates)[0], rtol=1e-6)
    pairs = pd.DataFrame({"history": [[1, 2]] * 4, "candidate": [3, 4, 3, 4], "age": [30] * 4})
    pairs = pairs.assign(device=["phone", "desk"] * 2, clicked=[1, 1, 0, 0])
    n_items = len(np.unique(fitted.recommend(pairs[:2], k=2)[0]))
    assert fitted.evaluate(pairs, metrics=["coverage@2"])["coverage@2"] == n_items / N_ITEMS


def test_threads_get_the_answers_of_their_contexts(fitted):
    parts = [histories(9, seed=seed) for seed in range(12)]
    expected = [fitted.recommend(part, k=3) for part in parts]
    shared = clone_of(fitted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: shared.recommend(part, k=3), parts * 3))
    for one, other in zip(found, expected * 3, strict=True):
        assert_array_equal(one[0], other[0])
        assert_array_equal(one[1], other[1])


def test_reads_users_too():
    X = impressions().assign(user_id=np.arange(40) % 7)
    rec = make(behavior=behavior.PersonalizedAttention(), content=content.Tabular()).fit(X, ITEMS)
    other = X.assign(user_id=(np.arange(40) + 1) % 7)
    assert np.abs(rec.transform(X) - rec.transform(other)).max() > 0
    assert np.abs(rec.transform(X) - rec.transform(X.assign(device="desk"))).max() > 0


# On generated clicks, context lifts the score by what it decides


def readers(seed, weight, n, n_candidates=8, n_topics=6):
    """Impressions whose clicks depend on the reader's topic and, by `weight`, on the device.

    Returns the rows, the catalogue, and the utility of each candidate with and without the device.
    """
    rng = np.random.default_rng(seed)
    n_items, n_users = 240, 120
    topic, is_short = rng.integers(n_topics, size=n_items), rng.integers(2, size=n_items)
    likes = rng.integers(n_topics, size=n_users)
    user, device = rng.integers(n_users, size=n), rng.integers(2, size=n)
    shown = np.stack([rng.permutation(n_items)[:n_candidates] for _ in range(n)])
    blind = 1.5 * (topic[shown] == likes[user][:, None])
    utility = blind + weight * (is_short[shown] == device[:, None])
    choice = (utility + rng.gumbel(size=shown.shape)).argmax(axis=1)
    clicks = [[] for _ in range(n_users)]
    past = []
    for who, items, at in zip(user, shown, choice, strict=True):
        past.append(clicks[who][-20:])
        clicks[who].append(int(items[at]))
    X = pd.DataFrame(
        {
            "history": past,
            "candidates": shown.tolist(),
            "clicked": np.eye(n_candidates, dtype=int)[choice].tolist(),
            "device": np.array(["phone", "desk"])[device],
            "time": np.arange(n),
        }
    )
    topics = pd.Categorical(list(topic)), pd.Categorical(list(is_short))
    items = pd.DataFrame({"item_id": np.arange(n_items), "topic": topics[0], "short": topics[1]})
    return X, Items(items), utility, blind


def gauc(scores, X):
    labels = np.array(X["clicked"].tolist())
    own = (scores * labels).sum(axis=1, keepdims=True)
    above = (own > scores).sum(axis=1) + ((own == scores).sum(axis=1) - 1) / 2
    return above.mean() / (scores.shape[1] - 1)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [2.5, 0.0])
def test_context_lifts_the_score_by_what_it_decides(weight):
    found, known = [], []
    # without early stopping, whose choice of the epoch changes scores by more than context does
    settings = {"early_stopping": False, "max_epochs": 8, "batch_size": 128, "width": 16}
    for seed in range(2):
        X, items, utility, blind = readers(seed, weight, n=7000)
        train, test = X[:3000], X[3000:]
        scores = [
            ContentRecommender(
                "tabular",
                "mean_pooling",
                **settings,
                history_targets=0,
                co_clicks=False,
                random_state=0,
                context=context,
            )
            .fit(train, items)
            .score(test)
            for context in (None, "auto")
        ]
        found.append(scores[1] - scores[0])
        known.append(gauc(utility[3000:], test) - gauc(blind[3000:], test))
    if weight:
        assert 0.1 < np.mean(known) < 0.3
        assert abs(np.mean(found) - np.mean(known)) < 0.05, (found, known)
    else:
        assert abs(np.mean(found)) <= 0.005, found
