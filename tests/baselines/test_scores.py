"""Scores of baselines equal slow loops, for all kinds of X and in blocks of any size."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from skrec import Items, content
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity

N = 30
WORDS = ["red", "blue", "green", "shoe", "hat", "coat"]


@pytest.fixture(scope="module")
def items():
    rng = np.random.default_rng(0)
    titles = [" ".join(rng.choice(WORDS, 3)) for _ in range(N)]
    titles[7] = ""
    return Items({"item_id": [100 + i for i in range(N)], "title": titles})


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(1)
    histories = [(100 + rng.integers(0, N - 5, rng.integers(1, 8))).tolist() for _ in range(60)]
    return pd.DataFrame({"history": histories})


@pytest.fixture(scope="module")
def asked():
    rng = np.random.default_rng(2)
    histories = [(100 + rng.integers(0, N, rng.integers(0, 6))).tolist() for _ in range(12)]
    return [[], [129], [107], *histories, histories[3]]


def matrix_of(train):
    matrix = np.zeros((len(train), N))
    for row, history in enumerate(train.history):
        matrix[row, np.array(history) - 100] = 1
    return matrix


def popular(train):
    counts = np.zeros(N)
    for history in train.history:
        for item in history:
            counts[item - 100] += 1
    return counts / counts.max()


def slow_cosine(train, k, shrinkage):
    clicks = matrix_of(train)
    n = clicks.sum(axis=0)
    found = clicks.T @ clicks / (np.sqrt(np.outer(n, n)) + shrinkage + 1e-300)
    np.fill_diagonal(found, 0)
    return cut(found, k)


def slow_ease(train, regularization, k):
    clicks = matrix_of(train)
    used = np.flatnonzero(clicks.sum(axis=0))
    some = clicks[:, used]
    inverse = np.linalg.inv(some.T @ some + regularization * np.eye(len(used)))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    found = np.zeros((N, N))
    found[np.ix_(used, used)] = weights
    return cut(found, k)


def cut(matrix, k):
    kept = np.zeros_like(matrix)
    for row, values in enumerate(matrix):
        best = sorted(range(N), key=lambda column: (-abs(values[column]), column))[:k]
        kept[row, best] = values[best]
    return kept


def by_matrix(matrix, train, asked, decay):
    rows = []
    for history in asked:
        scores = np.zeros(N)
        for age, item in enumerate(reversed(history)):
            scores += decay**age * matrix[item - 100]
        says_something = any(matrix[item - 100].any() for item in history)
        rows.append(scores if says_something else popular(train))
    return np.array(rows)


def by_vectors(vectors, train, asked, decay):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(lengths > 0, lengths, 1)
    rows = []
    for history in asked:
        user = np.zeros(vectors.shape[1])
        for age, item in enumerate(reversed(history)):
            user += decay**age * vectors[item - 100]
        length = np.linalg.norm(user)
        rows.append(vectors @ user / length if length else popular(train))
    return np.array(rows)


def tfidf(items):
    return TfidfVectorizer(sublinear_tf=True).fit_transform(items.column("title").to_pylist())


CASES = {
    "popularity": (Popularity(), lambda t, i, a: np.tile(popular(t), (len(a), 1))),
    "item_knn": (
        ItemKNN(k=4, shrinkage=3.0, decay=0.7),
        lambda t, i, a: by_matrix(slow_cosine(t, 4, 3.0), t, a, 0.7),
    ),
    "ease": (
        EASE(5.0, k=6, decay=0.5),
        lambda t, i, a: by_matrix(slow_ease(t, 5.0, 6), t, a, 0.5),
    ),
    "content": (
        ContentKNN(decay=0.8),
        lambda t, i, a: by_vectors(tfidf(i).toarray(), t, a, 0.8),
    ),
    "content of a frame": (
        ContentKNN(content.Features(CountVectorizer())),
        lambda t, i, a: by_vectors(
            CountVectorizer().fit_transform(i.column("title").to_pylist()).toarray().astype(float),
            t,
            a,
            1.0,
        ),
    ),
}


@pytest.fixture(params=CASES, scope="module")
def case(request, train, items, asked):
    model, slow = CASES[request.param]
    return model.fit(train, items), slow(train, items, asked)


@pytest.fixture(params=[1 << 22, 2 * N])
def blocks(request, monkeypatch):
    monkeypatch.setattr("skrec._inference.history_ranker.CELL_BLOCK", request.param)
    monkeypatch.setattr("skrec._inference.row_blocks.CELL_BLOCK", request.param)
    monkeypatch.setattr("skrec._inference.row_blocks.ROW_BLOCK", 1)


@pytest.mark.usefixtures("blocks")
def test_bare_histories(case, asked):
    model, wanted = case
    found = model.decision_function(asked)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("blocks")
def test_impressions_and_pairs(case, asked):
    model, wanted = case
    rng = np.random.default_rng(3)
    candidates = [(100 + rng.permutation(N)[: rng.integers(1, 9)]).tolist() for _ in asked]
    X = pd.DataFrame({"history": asked, "candidates": candidates})
    found = model.decision_function(X)
    for row, ids in enumerate(candidates):
        np.testing.assert_allclose(
            found[row], wanted[row, np.array(ids) - 100], rtol=1e-4, atol=1e-6
        )
    pairs = X.explode("candidates").rename(columns={"candidates": "candidate"})
    pairs = pairs.astype({"candidate": int})
    np.testing.assert_array_equal(model.decision_function(pairs), np.concatenate(list(found)))
    proba = model.predict_proba(pairs)
    np.testing.assert_array_equal(model.predict(pairs), proba[:, 1] >= 0.5)


@pytest.mark.usefixtures("blocks")
def test_lists_leave_out_what_was_seen_and_keep_to_the_candidates(case, asked):
    model, wanted = case
    among = [129, 128, 103, 104, 105, 107, 111]
    ids, scores = model.recommend(asked, k=4, candidates=among)
    for row, history in enumerate(asked):
        left = sorted(set(among) - set(history))
        best = sorted(left, key=lambda item: (-np.float32(wanted[row, item - 100]), item))[:4]
        values = [wanted[row, item - 100] for item in best]
        np.testing.assert_allclose(scores[row, : len(best)], values, rtol=1e-4, atol=1e-6)
        assert set(ids[row, : len(best)]) <= set(left)
        assert (ids[row, len(best) :] == -1).all()
    seen, _ = model.recommend([[100, 101]], k=N, exclude_seen=False)
    assert sorted(seen[0]) == items_of()


def items_of():
    return [100 + i for i in range(N)]


def test_a_user_without_history_gets_what_is_popular(case, train, items):
    model, _ = case
    popularity = Popularity().fit(train, items)
    for history in ([], [[]]):
        X = [history] if history == [] else history
        np.testing.assert_array_equal(model.recommend(X, k=10)[0], popularity.recommend(X, k=10)[0])
    np.testing.assert_array_equal(model.decision_function([[]]), popularity.decision_function([[]]))


def test_new_items(case, asked):
    model, wanted = case
    new = pd.DataFrame({"item_id": [1, 2], "title": ["red shoe", ""]})
    found = model.decision_function([*asked, [1]], items=new)
    assert found.shape == (len(asked) + 1, N + 2)
    np.testing.assert_allclose(found[:-1, :N], wanted, rtol=1e-4, atol=1e-6)
    assert model.items_.n_items == N
    if not isinstance(model, ContentKNN):
        assert (found[:, N:] == 0).all()  # clicks say nothing about them
        np.testing.assert_array_equal(found[-1, :N], found[0, :N])  # nor about who clicked them
    else:
        assert found[-1, N] == pytest.approx(1)
        assert (found[:, N] > 0).any()


def test_a_changed_item_has_its_new_content(train, items):
    model = ContentKNN().fit(train, items)
    changed = pd.DataFrame({"item_id": [103], "title": ["hat hat coat"]})
    vectors = model.vectorizer_.transform(["hat hat coat"]).toarray()
    titles = items.column("title").to_pylist()
    others = model.vectorizer_.transform(titles).toarray()
    others[3] = vectors[0]
    wanted = by_vectors(others, train, [[103]], 1.0)
    found = model.decision_function([[103]], items=changed)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_impressions_count_the_clicks_on_candidates(items):
    X = pd.DataFrame(
        {
            "history": [[100, 101], [100, 101], [102]],
            "candidates": [[103, 104], [104, 105], [104]],
            "clicked": [[1, 0], [1, 0], [1]],
        }
    )
    model = Popularity(calibration=None).fit(X, items)
    counts = dict(zip(items_of(), model.popularity_ * 2, strict=True))
    assert {item: n for item, n in counts.items() if n} == {
        **{100: 1, 101: 1, 102: 1, 103: 1},  # the history of two rows counts once
        104: 2,
    }
    knn = ItemKNN(shrinkage=0.0, calibration=None).fit(X, items)
    # rows with one history belong to one user, who clicked 100, 101, 103 and 104
    assert knn.decision_function([[103]])[0, 4] == pytest.approx(1 / np.sqrt(2))


def test_rows_of_one_user_id_are_one_user(items):
    X = pd.DataFrame({"history": [[100], [101], [102], [101]], "user_id": ["a", "a", "b", "b"]})
    knn = ItemKNN(shrinkage=0.0).fit(X, items)
    scores = knn.decision_function([[100]])[0]
    assert scores[1] == pytest.approx(1 / np.sqrt(2)) and scores[2] == 0
    alone = ItemKNN(shrinkage=0.0).fit(X[["history"]], items)
    assert alone.similarities_.nnz == 0


@pytest.mark.parametrize("kind", [Popularity, ItemKNN, EASE])
def test_weights_of_rows_count_them_several_times(kind, train, items, asked):
    weight = np.random.default_rng(0).integers(0, 4, len(train))
    weighted = kind().fit(train, items=items, sample_weight=weight)
    repeated = kind().fit(train.loc[np.repeat(train.index, weight)], items)
    np.testing.assert_allclose(
        weighted.decision_function(asked), repeated.decision_function(asked), atol=1e-5
    )


def test_unknown_items(train, items, asked):
    few = items.take(range(20))
    with pytest.raises(ValueError, match="missing from the catalogue"):
        ItemKNN().fit(train, few)
    model = ItemKNN(unknown_items="ignore").fit(train, items=few)
    assert model.decision_function(asked).shape == (len(asked), 20)


@pytest.mark.parametrize("times", ["numbers", "timestamps"])
def test_window_of_popularity(items, times):
    time = [0, 50, 90, 100]
    delta = 20
    if times == "timestamps":
        time = pd.Timestamp("2026-01-01") + pd.to_timedelta(time, unit="h")
        delta = pd.Timedelta(20, "h")
    X = pd.DataFrame(
        {
            "history": [[100], [100], [101, 102], [100, 103]],
            "candidates": [[104], [105], [106, 107], [106, 107]],
            "clicked": [[1], [1], [1, 0], [1, 1]],
            "time": time,
        }
    )
    model = Popularity(delta, calibration=None).fit(X, items)
    assert model.popularity_[6] == 1 and model.popularity_[7] == 0.5
    assert model.popularity_.sum() == 1.5  # neither older clicks nor histories count
    bare = Popularity(delta).fit(X[["history", "time"]], items)
    assert bare.popularity_[2] == bare.popularity_[3] == 1 and bare.popularity_.sum() == 2


def test_calibration_is_fitted_to_rows_that_the_model_has_not_seen(news):
    for model in (Popularity(random_state=0), ItemKNN(random_state=0), EASE(50.0, random_state=0)):
        model.fit(news.train, news.items)
        a, _ = model.calibration_
        assert a > 0
        found = model.evaluate(news.test, metrics=["logloss", "gauc"])
        plain = model.set_params(calibration=None).fit(news.train, news.items)
        assert plain.calibration_ == (1.0, 0.0)
        worse = plain.evaluate(news.test, metrics=["logloss", "gauc"])
        assert found["logloss"] < worse["logloss"] and found["gauc"] == worse["gauc"]


def test_bare_histories_have_no_calibration(train, items):
    assert ItemKNN().fit(train, items).calibration_ == (1.0, 0.0)


def test_vectors_and_language_models(news, tiny_bert):
    vectors = np.random.default_rng(0).normal(size=(len(news.items), 5))
    frame = news.items.assign(image=list(vectors))
    model = ContentKNN(content.Vectors(["image"])).fit(news.train, frame)
    wanted = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = news.items["item_id"]
    found = model.decision_function([[ids.iloc[4]]])[0]
    np.testing.assert_allclose(found, wanted @ wanted[4], rtol=1e-4, atol=1e-5)
    scores = {}
    for pooling in ("mean", "attention", "cls"):
        operator = content.LanguageModel(
            tiny_bert,
            trainable_layers=0,
            pooling=pooling,
            template="{title}",
            cache_dtype="float32",
        )
        model = ContentKNN(operator).fit(news.train, news.items)
        scores[pooling] = model.decision_function([[ids.iloc[4]]])[0]
        assert scores[pooling][4] == pytest.approx(1, abs=1e-5)
    # attention would have to be trained, so the mean is used
    np.testing.assert_allclose(scores["attention"], scores["mean"], atol=1e-5)
    assert not np.allclose(scores["cls"], scores["mean"], atol=1e-3)


def test_a_pipeline_reads_a_frame_of_columns(news):
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    encoder = make_column_transformer(
        (TfidfVectorizer(), "title"), (OneHotEncoder(handle_unknown="ignore"), ["topic"])
    )
    model = ContentKNN(encoder, columns=["title", "topic"]).fit(news.train, news.items)
    assert model.score(news.test) > 0.55
