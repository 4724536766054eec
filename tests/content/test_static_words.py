"""Weighted means of pretrained word vectors."""

import gzip
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skrec import ContentRecommender, Items, content
from skrec._operators import required_parameters
from skrec.utils._checks_common import items_frame
from skrec.utils.estimator_checks import check_content_operator

VECTORS = {"the": [1.0, 0.0], "fox": [0.0, 2.0], "sea": [4.0, 4.0], "owl": [-8.0, 8.0]}
TITLES = ["The fox", "the the sea", "zebra!", ""]


def write(path, vectors):
    lines = [" ".join([word, *map(repr, row)]) for word, row in vectors.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "vectors.txt", VECTORS)


@pytest.fixture
def items():
    return Items({"item_id": range(4), "title": TITLES})


def read(operator, items):
    """Return the input (n_items, d) of the perceptron, before scaling."""
    column = operator.prepare(items).columns["vector"].values
    return column.double().numpy() * operator.scale_


def test_uniform_is_the_mean_of_the_words_that_are_known(path, items):
    operator = content.StaticWords(path, weighting="uniform").fit(items)
    wanted = [[0.5, 1.0], [2.0, 4 / 3], [0.0, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(read(operator, items), wanted, rtol=1e-6, atol=1e-7)
    assert operator.scale_ == pytest.approx(np.sqrt(np.mean(np.square(wanted))), rel=1e-6)
    assert (operator.schema_, operator.columns_) == (2, {"title": "text"})


@pytest.mark.parametrize("smoothing", [1e-3, 0.5])
def test_sif_equals_the_formula(path, items, smoothing):
    operator = content.StaticWords(path, smoothing=smoothing).fit(items)
    # six words: "the" occurs three times; "fox", "sea" and "zebra" occur once
    weight = {
        word: smoothing / (smoothing + count / 6)
        for word, count in {"the": 3, "fox": 1, "sea": 1, "owl": 1}.items()
    }
    bags = [["the", "fox"], ["the", "the", "sea"]]
    wanted = [
        sum(weight[word] * np.array(VECTORS[word]) for word in bag) / sum(weight[w] for w in bag)
        for bag in bags
    ]
    np.testing.assert_allclose(read(operator, items)[:2], wanted, rtol=1e-6)
    # "owl" is not in the training catalogue and is weighted like a word that occurs once
    new = Items({"item_id": [9], "title": ["The owl and the owl"]})
    bag = 2 * weight["the"] * np.array(VECTORS["the"]) + 2 * weight["owl"] * np.array(
        VECTORS["owl"]
    )
    wanted = bag / (2 * weight["the"] + 2 * weight["owl"])
    np.testing.assert_allclose(read(operator, new)[0], wanted, rtol=1e-6)


def test_vector_equals_the_perceptron_by_hand(path, items):
    operator = content.StaticWords(path, hidden=(3,)).fit(items)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, 4).double().eval()
    first, _, _, last = module.mlp.layers
    x = operator.prepare(items).columns["vector"].values.double()
    wanted = last(first(x).clamp_min(0))
    found = module(operator.prepare(items).take(torch.arange(4)))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def test_vocab_size_words_from_the_top_are_kept_for_new_items(path):
    operator = content.StaticWords(path, vocab_size=2, weighting="uniform")
    operator.fit(Items(["sea"]))
    np.testing.assert_allclose(operator.vectors_, [[0, 0], [1, 0], [0, 2], [4, 4]])
    found = read(operator, Items(["fox", "owl", "fox owl sea"]))
    np.testing.assert_allclose(found, [[0, 2], [0, 0], [2, 3]], rtol=1e-6)
    assert len(content.StaticWords(path, vocab_size=0).fit(Items(["sea"])).vectors_) == 2


def test_categories_are_words_where_they_are_named(path):
    items = Items(
        {
            "item_id": [1, 2],
            "title": ["the", "the"],
            "topic": pd.Categorical(["fox", None]),
            "tags": [["sea", "owl"], []],
        }
    )
    operator = content.StaticWords(path, weighting="uniform").fit(items)
    np.testing.assert_allclose(read(operator, items), [[1, 0], [1, 0]], rtol=1e-6)
    operator.set_params(columns=["title", "topic", "tags"]).fit(items)
    np.testing.assert_allclose(read(operator, items), [[-0.75, 3.5], [1, 0]], rtol=1e-6)


def test_words_of_neighbouring_columns_stay_apart(path):
    items = Items({"item_id": [1], "a": ["fox"], "b": ["sea"]})
    operator = content.StaticWords(path, weighting="uniform").fit(items)
    np.testing.assert_allclose(read(operator, items), [[2, 3]], rtol=1e-6)


# Errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weighting": "tfidf"}, "weighting must be one of 'sif', 'uniform', got 'tfidf'"),
        ({"smoothing": 0}, r"smoothing must be a number in \(0, inf\), got 0"),
        ({"vocab_size": -1}, "vocab_size must be a non-negative int, got -1"),
        ({"hidden": 8}, "hidden must be a sequence of layer sizes, got 8"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
        ({"word_vectors": None}, "word_vectors must be the path of a file or a pair .*, got None"),
    ],
)
def test_bad_parameters_are_refused(path, parameters, message):
    operator = content.StaticWords(path).set_params(**parameters)
    with pytest.raises(ValueError, match=f"^{message}$"):
        operator.check(8)


def test_missing_file_is_refused():
    with pytest.raises(FileNotFoundError, match="^word_vectors: there is no file 'none.txt'$"):
        content.StaticWords("none.txt").check(8)


def test_columns_that_are_no_words_are_refused(path, mixed):
    message = r"must be texts, categories or multi-categories, got 'title' \(text\), 'length' \(num"
    with pytest.raises(ValueError, match=message):
        content.StaticWords(path, ["title", "length"]).fit(Items(mixed))
    items = Items({"item_id": [1], "topic": pd.Categorical(["fox"]), "n": [1.0]})
    message = r"needs a column of texts; the catalogue has 'topic' \(category\), 'n' \(number\)"
    with pytest.raises(ValueError, match=message):
        content.StaticWords(path).fit(items)
    with pytest.raises(ValueError, match="columns names 'titel'.*did you mean 'title'"):
        content.StaticWords(path, ["titel"]).fit(Items(mixed))


def test_catalogue_without_known_words_is_refused(path):
    with pytest.raises(ValueError, match=r"found no words in 'text' \(text\); take content.Tab"):
        content.StaticWords(path).fit(Items(["", "  "]))
    with pytest.raises(ValueError, match="none of the 2 words in the catalogue's texts has a vec"):
        content.StaticWords(path).fit(Items(["le renard"]))
    with pytest.warns(UserWarning, match="only 1 of the 3 words"):
        content.StaticWords(path).fit(Items(["le fox roux"]))


# scikit-learn conventions, and recommenders


def test_it_has_no_alias_for_it_needs_a_file():
    assert required_parameters(content.StaticWords) == ["word_vectors"]
    assert "static_words" not in content.ALIASES


def test_repr_clone_and_parameters(path):
    operator = content.StaticWords(("a.npy", "a.txt"), ["title"], weighting="uniform")
    assert repr(clone(operator)) == repr(operator)
    assert clone(operator).get_params() == operator.get_params()
    assert vars(operator) == operator.get_params()  # __init__ only assigns
    assert "StaticWords" in operator._repr_html_()


@pytest.fixture
def vectors(tmp_path):
    """Write vectors of all words in the headlines."""
    rng = np.random.default_rng(0)
    words = sorted({word for title in items_frame()["title"] for word in title.lower().split()})
    return write(tmp_path / "words.txt", {word: rng.normal(size=5).tolist() for word in words})


@pytest.mark.filterwarnings("ignore:only .* words in the catalogue's texts")
@pytest.mark.parametrize(
    "parameters", [{}, {"weighting": "uniform", "columns": ["title", "topic"]}]
)
def test_contract(vectors, parameters):
    check_content_operator(content.StaticWords(str(vectors), **parameters))


@pytest.fixture
def fit(news, vectors):
    def fit(**parameters):
        operator = content.StaticWords(vectors, **parameters)
        rec = ContentRecommender(
            operator, width=8, max_epochs=4, learning_rate=1e-2, random_state=0
        )
        return rec.fit(news.train, news.items)

    return fit


def test_pickle_needs_no_file_and_reads_new_items(fit, vectors, news):
    rec = fit()
    scores = rec.decision_function(news.test)
    words = vectors.read_text().split("\n")[0].split()[0]
    new = news.items.iloc[[0, 0]].assign(item_id=[-1, -2], title=[words, "qqq"])
    known, unknown = rec.item_vectors(new)
    data = pickle.dumps(rec)
    vectors.unlink()
    again = pickle.loads(data)
    assert all(map(np.array_equal, scores, again.decision_function(news.test)))
    np.testing.assert_array_equal(again.item_vectors(new), [known, unknown])
    assert not np.allclose(known, unknown)


def test_what_vectors_know_of_words_is_learned_from(fit, news, vectors):
    # vectors that state in which topics a word occurs
    topics = pd.get_dummies(news.items.topic).to_numpy(float)
    bags = [set(title.lower().split()) for title in news.items.title]
    words = sorted(set().union(*bags))
    write(
        vectors,
        {w: topics[[w in bag for bag in bags]].mean(axis=0).tolist() for w in words},
    )
    assert fit().score(news.train) > 0.65


def test_two_fits_are_the_same(fit, news):
    rec = fit()
    again = clone(rec).fit(news.train, news.items)
    twins = zip(rec.decision_function(news.test), again.decision_function(news.test), strict=True)
    assert all(np.array_equal(a, b) for a, b in twins)


def test_frozen_vectors_are_no_weights(fit):
    names = [name for name, _ in fit().network_.content.named_parameters()]
    assert all(name.startswith("mlp.") for name in names)


def test_search_over_files_and_weightings(fit, news, vectors, tmp_path):
    packed = tmp_path / "other.gz"
    packed.write_bytes(gzip.compress(vectors.read_bytes().replace(b"-", b"")))
    grid = {
        "content__word_vectors": [str(vectors), packed],
        "content__weighting": ["sif", "uniform"],
    }
    search = GridSearchCV(fit(), grid, cv=2, error_score="raise")
    search.fit(news.train, items=Items(news.items))
    assert len(set(search.cv_results_["mean_test_score"])) == 4
