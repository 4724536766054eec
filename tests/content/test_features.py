"""Features computed by scikit-learn transformers."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skrec import ContentRecommender, Items, content
from skrec.content import _features

WIDTH = 4
EXACT = {"rtol": 0, "atol": 1e-10}


class Lengths(TransformerMixin, BaseEstimator):
    """Transformer that counts letters and words, and records its input and number of fits."""

    def fit(self, X, y=None):
        self.seen_ = X
        self.n_fits_ = getattr(self, "n_fits_", 0) + 1
        return self

    def transform(self, X):
        return [[len(text), len(text.split())] for text in X]


class Made(TransformerMixin, BaseEstimator):
    """Transformer that returns a given value."""

    def __init__(self, made):
        self.made = made

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return self.made


@pytest.fixture(scope="module")
def catalogue(mixed):
    return Items(mixed)


def values(operator, items):
    return operator.prepare(items).columns["vector"].values


# Input of the transformer


def test_words_of_all_columns_are_joined(catalogue):
    operator = content.Features(Lengths()).fit(catalogue)
    assert operator.transformer_.seen_ == [
        "a red fox. animal. a, b",
        "blue sea. sea",
        "the fox and the sea. animal. b",
        "c",  # neither title nor topic
        "red. colour. a",
        "sea. sea. a, c",
        "x. x",
        "y z. x. b, c",
    ]


def test_words_of_a_slice_with_a_null_tag():
    # the offsets of an Arrow slice do not start at zero
    tags = pa.array([["x"], ["a", None, "b"], []], pa.large_list(pa.large_string())).slice(1)
    operator = content.Features(Lengths()).fit(Items({"item_id": [1, 2], "tags": tags}))
    assert operator.transformer_.seen_ == ["a, , b", ""]


def test_columns_make_a_data_frame(catalogue, mixed):
    frames = ColumnTransformer(
        [
            ("words", CountVectorizer(binary=True), "title"),
            ("kind", OneHotEncoder(), ["topic"]),
            ("number", StandardScaler(), ["length"]),
        ],
        sparse_threshold=0,
    )
    operator = content.Features(frames, columns=["length", "topic", "title"]).fit(catalogue)
    wanted = clone(frames).fit_transform(
        mixed.assign(topic=mixed.topic.astype(object).where(mixed.topic.notna(), None))
    )
    scale = np.sqrt(np.mean(wanted**2))
    np.testing.assert_allclose(values(operator, catalogue), wanted / scale, rtol=1e-6, atol=1e-7)
    some = catalogue.take([5, 2])
    np.testing.assert_allclose(values(operator, some), wanted[[5, 2]] / scale, rtol=1e-6, atol=1e-7)


def test_columns_choose_the_words_of_the_default(catalogue):
    operator = content.Features(columns=["topic"]).fit(catalogue)
    tfidf = operator.transformer_[0]
    assert set(tfidf.vocabulary_) == {"animal", "sea", "colour", "x"}


# Known answers


def test_vectors_are_the_transformers_divided_by_one_scale():
    items = Items(["abc", "a b", "abcde"])
    operator = content.Features(Lengths()).fit(items)
    raw = np.array([[3, 1], [3, 2], [5, 1]])
    scale = np.sqrt(np.mean(raw**2))
    assert operator.scale_ == pytest.approx(scale, rel=1e-12)
    assert operator.schema_ == 2
    np.testing.assert_allclose(values(operator, items), raw / scale, rtol=1e-6)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH).double().eval()
    (linear,) = module.mlp.layers
    found = module(operator.prepare(items).take(torch.tensor([2])))[0]
    x = torch.from_numpy((raw[2] / scale).astype(np.float32)).double()
    torch.testing.assert_close(found, linear.weight @ x + linear.bias, **EXACT)


def test_transformer_is_cloned_and_fitted_once_a_fit(catalogue):
    given = Lengths()
    operator = content.Features(given).fit(catalogue)
    values(operator, catalogue.take([1]))
    assert operator.transformer_.n_fits_ == 1
    assert not hasattr(given, "n_fits_")
    assert operator.fit(catalogue).transformer_.n_fits_ == 1


def test_new_items_are_read_with_what_was_learned(catalogue):
    operator = content.Features(CountVectorizer()).fit(catalogue)
    scale = operator.scale_
    new = catalogue.to_pandas().iloc[[0]].assign(item_id=77, title="fox fox unheard")
    row = values(operator, catalogue.conform(new))[0]
    assert operator.scale_ == scale
    column = operator.transformer_.vocabulary_["fox"]
    assert row[column] * scale == pytest.approx(2)
    # fox, fox and animal; CountVectorizer drops single letters
    assert row.sum() * scale == pytest.approx(3)


# The default


@pytest.mark.parametrize(
    ("texts", "size"),
    [
        (["a"], 1),
        (["a", "a", "a"], 1),
        (["a b c"], 1),
        (["a b c"] * 3, 3),
        (["red fox", ""], 2),
        (["red fox", "blue sea", "red sea"], 3),
    ],
)
def test_default_works_on_few_words_and_items(texts, size, recwarn):
    items = Items(texts)
    operator = content.Features().fit(items)
    found = values(operator, items)
    assert found.shape == (len(texts), size)
    assert found.isfinite().all()
    assert found.square().mean().item() == pytest.approx(1, rel=1e-5)
    assert not recwarn.list


def test_default_is_limited_and_the_same_in_every_fit(news, items):
    operator = content.Features().fit(items)
    first = values(operator, items)
    assert operator.schema_ == min(_features.N_COMPONENTS, items.n_items)
    assert torch.equal(values(operator.fit(items), items), first)
    many = Items([f"a{i} b{i % 7} c{i % 11}" for i in range(300)])
    assert content.Features().fit(many).schema_ == _features.N_COMPONENTS == 128


def test_default_tells_alike_from_unlike():
    items = Items(["red fox den", "red fox hill", "stock market news"])
    a, b, c = values(content.Features().fit(items), items)
    assert torch.cosine_similarity(a, b, dim=0) > 0.3
    assert torch.cosine_similarity(a, c, dim=0).abs() < 1e-5


# Errors


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (TfidfVectorizer, r"must be an instance, write TfidfVectorizer\(\) with parentheses"),
        ("tfidf", "with fit and transform, got 'tfidf', which has no fit and no transform and"),
        (LogisticRegression(), r"got LogisticRegression\(\), which has no transform"),
        (make_pipeline(TfidfVectorizer(), LogisticRegression()), "which has no transform"),
    ],
    ids=str,
)
def test_what_is_no_transformer_is_refused(transformer, message):
    with pytest.raises(TypeError, match=message):
        content.Features(transformer).check(WIDTH)


def test_no_transformer_is_fine():
    content.Features().check(WIDTH)
    content.Features(make_pipeline(TfidfVectorizer(), TruncatedSVD(4))).check(WIDTH)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([1.0, 2.0], r"must give one vector an item, of shape \(2, n_numbers\), got shape \(2,\)"),
        (np.ones((2, 1, 3)), r"must give one vector an item.*got shape \(2, 1, 3\)"),
        (np.ones((2, 0)), r"must give one vector an item.*got shape \(2, 0\)"),
        (np.ones((3, 2)), "gave 3 rows for 2 items; it must not drop or add rows"),
        ([[1.0], [np.nan]], r"NaN or infinite numbers for 1 items, among them 1; end it with"),
        ([[np.inf], [0.0]], r"NaN or infinite numbers for 1 items, among them 0"),
        ([[1e300], [0.0]], r"NaN or infinite numbers for 1 items, among them 0"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_what_the_transformer_gives_is_checked(made, message):
    with pytest.raises(ValueError, match=message):
        content.Features(Made(made)).fit(Items(["x", "y"]))


def test_a_data_frame_read_as_texts_says_what_to_do(catalogue):
    operator = content.Features(TfidfVectorizer(), columns=["title"])
    message = "gave 1 rows for 8 items; with `columns` it gets a DataFrame.*ColumnTransformer"
    with pytest.raises(ValueError, match=message):
        operator.fit(catalogue)


def test_numbers_of_new_items_may_not_change_in_count():
    items = Items(["x", "y"])
    operator = content.Features(Made(np.ones((2, 3)))).fit(items)
    operator.transformer_.made = np.ones((2, 4))
    message = "gave 4 numbers an item, but 3 for the training catalogue"
    with pytest.raises(ValueError, match=message):
        operator.prepare(items)


def test_sparse_output_is_made_dense_up_to_a_limit(monkeypatch):
    items = Items(["x", "y"])
    sparse = scipy.sparse.csr_array(np.array([[1.0, 0, 2], [0, 0, -1]]))
    dense = values(content.Features(Made(sparse.toarray())).fit(items), items)
    monkeypatch.setattr(_features, "DENSE_CELLS", 6)
    assert torch.equal(values(content.Features(Made(sparse)).fit(items), items), dense)
    monkeypatch.setattr(_features, "DENSE_CELLS", 5)
    message = r"sparse matrix of shape \(2, 3\), too large.*at most 5e\+00.*TruncatedSVD\(128\)"
    with pytest.raises(ValueError, match=message):
        content.Features(Made(sparse)).fit(items)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"n": [1.0, 2.0]}, r"no words to join in 'n' \(number\); give columns=\[...\]"),
        ({"t": ["", None]}, r"no words to join in 't' \(text\)"),
        ({}, "no column besides 'item_id'"),
    ],
)
@pytest.mark.parametrize("transformer", [None, Lengths()])
def test_catalogue_without_words_raises(columns, message, transformer):
    items = Items({"item_id": [0, 1], **columns})
    with pytest.raises(ValueError, match=message):
        content.Features(transformer).fit(items)


# In a recommender


def words(**parameters):
    return make_pipeline(TfidfVectorizer(**parameters), TruncatedSVD(16, random_state=0))


def make(operator):
    return ContentRecommender(operator, width=16, max_epochs=4, learning_rate=1e-2, random_state=0)


def test_nested_parameters_reach_the_transformer():
    rec = make(content.Features(words()))
    rec.set_params(content__transformer__tfidfvectorizer__min_df=2)
    assert rec.content.transformer[0].min_df == 2
    assert rec.get_params()["content__transformer__truncatedsvd__n_components"] == 16
    message = "transformer__max_df can't be set on transformer=None; pass a transformer"
    with pytest.raises(ValueError, match=message):
        content.Features().set_params(transformer__max_df=2)
    content.Features().set_params(transformer=words(), transformer__tfidfvectorizer__max_df=2)


def test_search_reaches_the_transformer(news):
    grid = {"content__transformer__tfidfvectorizer__min_df": [1, 3], "content__hidden": [(8,)]}
    search = GridSearchCV(
        make(content.Features(words())).set_params(max_epochs=1), grid, cv=2, error_score="raise"
    )
    search.fit(news.train, items=Items(news.items))
    tfidf = search.best_estimator_.content_.transformer_[0]
    assert tfidf.min_df == search.best_params_["content__transformer__tfidfvectorizer__min_df"]
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_pickle_carries_the_fitted_transformer_and_two_fits_are_equal(news):
    rec = make(content.Features(words(), hidden=(8,))).fit(news.train, news.items)
    new = pd.DataFrame({"item_id": [9001], "title": ["fresh news"], "topic": ["space"]})
    new = new.astype({"topic": news.items.topic.dtype})
    wanted = rec.item_vectors(), rec.item_vectors(items=new)
    again = pickle.loads(pickle.dumps(rec))
    assert np.array_equal(again.item_vectors(), wanted[0])
    assert np.array_equal(again.item_vectors(items=new), wanted[1])
    assert np.array_equal(rec.fit(news.train, news.items).item_vectors(), wanted[0])


def test_recommender_by_alias(news):
    rec = make("features").fit(news.train, news.items)
    assert rec.score(news.train) > 0.7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("कुल कल", {"कुल", "कल"}),
        ("mả, ma", {"mả", "ma"}),
        ("ข้าว", {"ข้", "า", "ว"}),
        ("AIと学習", {"ai", "と", "学", "習"}),
        ("C++ and a_b isn't 3.5", {"c", "and", "a_b", "isn", "t", "3", "5"}),
    ],
)
def test_marks_belong_to_words_and_texts_without_spaces_have_several(text, words):
    tfidf = TfidfVectorizer(token_pattern=_features.word_pattern()).fit([text])
    assert set(tfidf.vocabulary_) == words


def test_ascii_words_are_those_of_before():
    random = np.random.default_rng(0)
    texts = ["".join(map(chr, random.choice(range(32, 127), 80))) for _ in range(300)]
    now = CountVectorizer(token_pattern=_features.word_pattern()).fit(texts)
    before = CountVectorizer(token_pattern=r"(?u)\b\w+\b").fit(texts)
    assert now.vocabulary_ == before.vocabulary_
