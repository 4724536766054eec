"""Files of word vectors, word tokenizers, and operators that use them."""

import gzip
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skrec import ContentRecommender, Items, content
from skrec.content._columns.operator import ColumnOperator
from skrec.content._columns.word_vectors import read_word_vectors
from skrec.content._columns.words import WordTokenizer, lookup_words
from skrec.utils._checks_common import items_frame
from skrec.utils.estimator_checks import check_content_operator

WORDS = ["the", "fox", "sea", "owl"]
ROWS = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0], [1e-3, 4.0, 0.0], [7.0, 8.0, 9.0]], "float32")
READERS = sorted(
    alias
    for alias, made in content.ALIASES.items()
    if issubclass(made, ColumnOperator) and made is not content.Tabular
)


def as_text(words, rows, header=False, ending=""):
    lines = [
        " ".join([word, *map(repr, row.tolist())]) for word, row in zip(words, rows, strict=True)
    ]
    first = [f"{len(rows)} {rows.shape[1]}"] if header else []
    return "".join(f"{line}{ending}\n" for line in [*first, *lines])


def as_glove(folder):
    (folder / "v.txt").write_text(as_text(WORDS, ROWS))
    return folder / "v.txt"


def as_word2vec(folder):
    # word2vec writes a space at the end of each line
    (folder / "v.vec").write_text(as_text(WORDS, ROWS, header=True, ending=" "))
    return str(folder / "v.vec")


def as_gzip(folder):
    (folder / "v.gz").write_bytes(gzip.compress(as_text(WORDS, ROWS).encode()))
    return folder / "v.gz"


def as_unmarked_gzip(folder):
    (folder / "v.txt").write_bytes(gzip.compress(as_text(WORDS, ROWS, header=True).encode()))
    return folder / "v.txt"


def as_tabs_and_windows(folder):
    text = as_text(WORDS, ROWS).replace(" ", "\t").replace("\n", "\r\n")
    (folder / "v.tsv").write_bytes((text + "\r\n").encode())
    return folder / "v.tsv"


def as_matrix(folder):
    np.save(folder / "v.npy", ROWS)
    (folder / "v.txt").write_text("\n".join(WORDS))
    return folder / "v.npy"


def as_matrix_next_to_text(folder):
    # v.txt contains vectors here, not words
    np.save(folder / "v.npy", ROWS.astype("float64"))
    (folder / "v.txt").write_text(as_text(WORDS, ROWS))
    (folder / "v.vocab").write_text("\n".join(WORDS) + "\n\n")
    return str(folder / "v.npy")


def as_pair(folder):
    np.save(folder / "numbers.npy", np.asfortranarray(ROWS))
    (folder / "words").write_text("\n".join(WORDS) + "\n")
    return str(folder / "numbers.npy"), folder / "words"


WAYS = [
    as_glove,
    as_word2vec,
    as_gzip,
    as_unmarked_gzip,
    as_tabs_and_windows,
    as_matrix,
    as_matrix_next_to_text,
    as_pair,
]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def source(request, tmp_path):
    return request.param(tmp_path)


@pytest.fixture
def glove(tmp_path):
    return as_glove(tmp_path)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "vectors.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# Reading


def test_every_format_is_read(source):
    words, matrix = read_word_vectors(source, [], 10)
    assert words == WORDS
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, ROWS)


def test_the_first_words_and_those_that_are_wanted_are_read(source):
    words, matrix = read_word_vectors(source, {"owl", "absent"}, 2)
    assert words == ["the", "fox", "owl"]
    np.testing.assert_array_equal(matrix, ROWS[[0, 1, 3]])


def test_of_a_word_that_comes_twice_the_first_counts(write, tmp_path):
    path = write("a 1 2\nb 3 4\na 5 6\n")
    words, matrix = read_word_vectors(path, [], 9)
    assert (words, matrix.tolist()) == (["a", "b"], [[1, 2], [3, 4]])
    np.save(tmp_path / "m.npy", np.array([[1.0], [2.0], [3.0]]))
    words, matrix = read_word_vectors((tmp_path / "m.npy", write("a\nb\na\n")), [], 9)
    assert (words, matrix.tolist()) == (["a", "b"], [[1], [2]])


def test_odd_lines_of_published_files(write):
    # glove.840B has words that contain spaces; other files have double spaces and empty lines
    text = b"a 1 2\n. . 3 4\n\xff 5 6\n\n\xe2\x80\xa8 7 8\nb  9   10\nat name@x.org 1 1\n"
    words, matrix = read_word_vectors(write(text), [], 99)
    assert words == ["a", "\ufffd", "\u2028", "b"]
    assert matrix.tolist() == [[1, 2], [5, 6], [7, 8], [9, 10]]


def test_a_word_that_is_a_number_is_not_a_header(write):
    words, matrix = read_word_vectors(write("7 0.5 1\n8 2 3\n"), [], 9)
    assert (words, matrix.tolist()) == (["7", "8"], [[0.5, 1], [2, 3]])


def test_home_folder_is_expanded(glove, monkeypatch):
    monkeypatch.setenv("HOME", str(glove.parent))
    assert read_word_vectors("~/v.txt", [], 9)[0] == WORDS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'.*vectors.txt' is empty"),
        ("\n", "line 1 of '.*' must be a word and its numbers, got ''"),
        ("fox\nsea\n", "line 1 of '.*' must be a word and its numbers, got 'fox'"),
        ("a 1 2\nb 3\n", "line 2 of '.*' must be a word and 2 numbers, got 1 numbers"),
        ("a 1 2\nb 3 4 5\n", "line 2 of '.*' must be a word and 2 numbers, got 3 numbers"),
        ("a 1 2\nb  3\n", "line 2 of '.*' must be a word and 2 numbers, got 1 numbers"),
        ("2 3\na 1 2\nb 3 4\n", "line 2 of '.*' must be a word and 3 numbers, got 2 numbers"),
        ("a 1 2\nb 3 x4\n", "line 2 of '.*' has 'x4' in place of a number"),
        ("a 1 2\nb 3 nan\n", "line 2 of '.*' has 'nan' in place of a finite number"),
        ("a 1 2\nb -inf 3\n", "line 2 of '.*' has '-inf' in place of a finite number"),
        ("a 1 2\nb 3 1e99\n", "line 2 of '.*' has '1e99' in place of a finite number"),
        ("2 0\na\nb\n", "line 1 of '.*' says that vectors have 0 numbers"),
        ("0 3\n", "'.*' has no word vectors"),
        ("3 2\na 1 2\nb 3 4\n", "is damaged: line 1 says that it has 3 words, but it has 2"),
        ("PK\x03\x04...", "'.*' is a zip archive; unpack it, and give a file from it"),
        (b"2 3\nfox \0\0\x80?\xab\xff", "line 2 of '.*' is not text; word2vec's binary files"),
    ],
)
def test_damaged_text_is_refused(write, text, message):
    with pytest.raises(ValueError, match=message):
        read_word_vectors(write(text), [], 99)


def test_the_number_of_numbers_is_checked_in_lines_that_are_passed_over(write):
    with pytest.raises(ValueError, match="line 3 of '.*' must be a word and 2 numbers, got 1"):
        read_word_vectors(write("a 1 2\nb 3 4\nc 5\n"), [], 1)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_gzip_is_refused(write, damage):
    packed = bytearray(gzip.compress(as_text(WORDS * 50, np.tile(ROWS, (50, 1))).encode()))
    if damage == "cut":
        del packed[-20:]
    else:
        packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="'.*' can't be unpacked, it is damaged: "):
        read_word_vectors(write(bytes(packed)), [], 999)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((3, 2)), "m.npy' has 3 rows, but '.*vectors.txt' has 2 lines; .* one word a line"),
        (np.ones(2), "m.npy' must hold a 2-D array of floats, got float64 of shape \\(2,\\)"),
        (np.ones((2, 2), int), "must hold a 2-D array of floats, got int64 of shape \\(2, 2\\)"),
        (np.ones((2, 0)), "m.npy' is empty, of shape \\(2, 0\\)"),
        (np.array([[1, 2], [3, np.nan]]), "row 1 of '.*m.npy', of the word 'b', is not finite"),
        (np.array([[1, 2], [3, 1e99]]), "row 1 of '.*m.npy', of the word 'b', is not finite"),
    ],
)
def test_damaged_matrix_is_refused(write, tmp_path, matrix, message):
    np.save(tmp_path / "m.npy", matrix)
    with pytest.raises(ValueError, match=message):
        read_word_vectors((tmp_path / "m.npy", write("a\nb\n")), [], 99)


def test_matrix_is_never_unpickled(write, tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "was_here"), "w")

    np.save(tmp_path / "m.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    (tmp_path / "n.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("m.npy", "n.npy"):
        with pytest.raises(ValueError, match=f"{name}' can't be read as a .npy matrix: "):
            read_word_vectors((tmp_path / name, write("a\n")), [], 99)
    assert not (tmp_path / "was_here").exists()


def test_other_files_in_place_of_a_matrix(write, tmp_path):
    (tmp_path / "m.npy").write_bytes(b"")
    with pytest.raises(ValueError, match="can't be read as a .npy matrix"):
        read_word_vectors((tmp_path / "m.npy", write("a\n")), [], 99)
    np.savez(tmp_path / "m.npz", ROWS)
    with pytest.raises(ValueError, match="is an archive of arrays; save the matrix alone"):
        read_word_vectors((tmp_path / "m.npz", write("a\n")), [], 99)
    np.save(tmp_path / "m.npy", np.ones((2, 1)))
    with pytest.raises(ValueError, match="'.*vectors.txt' has no words"):
        read_word_vectors((tmp_path / "m.npy", write(" \n \n")), [], 99)


# Splitting


def words_of(tokenizer, text, max_length=None):
    names = ["?", *tokenizer.codes]
    offsets, codes = tokenizer.encode([text], max_length)
    assert offsets.tolist() == [0, len(codes)]
    return [names[code] for code in codes]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fox sea", ["fox", "sea"]),
        ("  fox\tsea\u3000\n fox ", ["fox", "sea", "fox"]),
        ("Fox FOX US us", ["fox", "fox", "US", "us"]),  # as written, then in lower case
        ("u.s. U.S. fox-sea", ["u.s.", "u.s.", "fox", "sea"]),  # the whole first, then pieces
        ("fox,sea; (owl)", ["fox", ",", "sea", "?"]),  # no vector for ";"
        ("owl 12fox fox_1", ["?", "?", "?"]),
        ("café cafe\u0301", ["café", "café"]),  # composed and decomposed
        ("", []),
        (" \n", []),
        ("!?", []),
    ],
)
def test_texts_are_split_into_words(text, wanted):
    tokenizer = WordTokenizer(["fox", "sea", "us", "US", "u.s.", ",", "café"])
    assert words_of(tokenizer, text) == wanted
    assert words_of(tokenizer, text, 2) == wanted[:2]


def test_many_texts_at_once_and_codes():
    tokenizer = WordTokenizer(["fox", "sea"])
    offsets, codes = tokenizer.encode(["sea fox-owl sea", "", "fox"], 3)
    assert (offsets.tolist(), codes.tolist()) == ([0, 3, 3, 4], [2, 1, 0, 1])
    assert (offsets.dtype, codes.dtype) == ("int64", "int64")
    offsets, codes = tokenizer.encode([], 3)
    assert (offsets.tolist(), codes.tolist()) == ([0], [])


def test_all_words_that_may_be_looked_up():
    found = lookup_words(["The Fox's U.S.", "fox"])
    assert {"The", "the", "Fox's", "fox", "'", "s", "U.S.", "u.s.", "U", "."} <= found


# Operators

ITEMS = Items({"item_id": [0, 1, 2], "title": ["The fox", "sea, SEA zebra", ""]})


def build(operator, width):
    operator.check(width)
    torch.manual_seed(0)
    return operator.build(operator.schema_, width).eval()


@pytest.mark.parametrize("name", READERS)
def test_embeddings_start_from_the_file(name, glove):
    operator = content.ALIASES[name](["title"], word_vectors=glove).fit(ITEMS)
    column = operator.schema_[0]
    assert (column.size, column.vector_size) == (5, 3)
    assert operator.prepare(ITEMS).columns["title"].values.tolist() == [1, 2, 3, 3, 0]
    embed = build(operator, 4).embeddings["text"]
    table, project = embed
    # the scale of other embeddings
    scale = np.float32(0.1 / np.sqrt(np.mean(ROWS.astype("float64") ** 2)))
    torch.testing.assert_close(table.weight[1:].detach(), torch.from_numpy(ROWS * scale))
    assert table.weight[0].any()  # the embedding of unknown words
    assert (project.weight.shape, project.bias) == ((4, 3), None)
    codes = torch.tensor([2, 0])
    torch.testing.assert_close(embed(codes), table.weight[codes] @ project.weight.T)
    assert all(weight.requires_grad for weight in embed.parameters())


def test_vectors_of_the_width_pass_no_linear_layer(glove):
    operator = content.MeanPooling(["title"], word_vectors=glove).fit(ITEMS)
    module = build(operator, 3)
    table = module.embeddings["text"]
    assert table.weight.shape == (5, 3)
    found = module(operator.prepare(ITEMS).take(torch.arange(3)))
    torch.testing.assert_close(found[0], (table.weight[1] + table.weight[2]) / 2)
    torch.testing.assert_close(found[1], (2 * table.weight[3] + table.weight[0]) / 3)
    assert not found[2].any()


def test_projection_keeps_the_scale_in_the_mean(write):
    # otherwise, texts would start with larger or smaller embeddings than other columns
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 50))
    path = write(as_text([f"w{i}" for i in range(200)], rows))
    items = Items(["w1 w2"])
    module = build(content.MeanPooling(word_vectors=path).fit(items), 64)
    embedded = module.embeddings["text"](torch.arange(1, 201))
    assert embedded.square().mean().sqrt().item() == pytest.approx(0.1, rel=0.05)


def test_vocab_size_words_from_the_top_are_kept_for_new_items(glove):
    operator = content.MeanPooling(word_vectors=glove, vocab_size=2)
    operator.fit(Items(["sea"]))
    assert list(operator.tokenizer_.codes) == ["the", "fox", "sea"]
    new = Items(["Fox owl the sea"])  # "owl" has a vector, but was not read
    assert operator.prepare(new).columns["text"].values.tolist() == [2, 0, 1, 3]


def test_text_columns_share_the_words_and_other_columns_are_as_ever(glove, mixed):
    items = Items(mixed.assign(abstract="owl"))
    operator = content.CNN(word_vectors=glove).fit(items)
    sizes = {column.name: (column.size, column.vector_size) for column in operator.schema_}
    assert sizes["title"] == sizes["abstract"] == (5, 3)
    assert all(sizes[name][1] is None for name in ("topic", "tags", "length", "vector"))
    assert set(build(operator, 4).embeddings) == {"text", "1", "2", "3", "4"}


def test_catalogue_without_text_leaves_the_file_alone(glove):
    items = Items({"item_id": [1, 2], "topic": pd.Categorical(["a", "b"])})
    assert content.MeanPooling(word_vectors=glove).fit(items).schema_[0].vector_size is None


def test_max_length_counts_words(glove):
    operator = content.MeanPooling(word_vectors=glove, max_length=2).fit(ITEMS)
    assert operator.prepare(ITEMS).lengths.tolist() == [2, 2, 0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"word_vectors must be the path of a file or a pair of paths \(matrix, words\), got 3"),
        ("", "word_vectors must be the path of a file .*, got ''"),
        (("a", "b", "c"), r"word_vectors must be the path .*, got \('a', 'b', 'c'\)"),
        (("a", 1), r"word_vectors must be the path .*, got \('a', 1\)"),
        ((), r"word_vectors must be the path .*, got \(\)"),
    ],
)
def test_bad_sources_are_refused(value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        content.MeanPooling(word_vectors=value).check(8)


def test_missing_files_are_refused_before_anything_is_read(tmp_path, news):
    rec = ContentRecommender(content.CNN(word_vectors=tmp_path / "none.txt"))
    with pytest.raises(FileNotFoundError, match="^word_vectors: there is no file '.*none.txt'$"):
        rec.fit(news.train, news.items)
    np.save(tmp_path / "v.npy", ROWS)
    message = r"v.npy' needs a file of its words, one a line, named 'v.vocab' or 'v.txt' beside it"
    with pytest.raises(FileNotFoundError, match=message):
        content.CNN(word_vectors=tmp_path / "v.npy").check(8)
    with pytest.raises(FileNotFoundError, match="there is no file '.*words'"):
        content.CNN(word_vectors=(tmp_path / "v.npy", tmp_path / "words")).check(8)


def test_tokenizer_and_word_vectors_exclude_each_other(glove):
    message = "tokenizer and word_vectors can't both be given, .* tokenizer='bert', word_vectors="
    with pytest.raises(ValueError, match=message):
        content.GRU(tokenizer="bert", word_vectors=glove).check(8)


def test_no_word_with_a_vector_is_an_error_and_few_are_a_warning(glove):
    message = (
        "^none of the 3 words in the catalogue's texts has a vector in word_vectors=.*v.txt.*; the "
        "file begins with 'the', 'fox', 'sea', 'owl'; is it of another language"
    )
    with pytest.raises(ValueError, match=message):
        content.MeanPooling(word_vectors=glove).fit(Items(["le renard", "mer"]))
    with pytest.warns(UserWarning, match="^only 1 of the 3 words in the catalogue's texts have a"):
        content.MeanPooling(word_vectors=glove).fit(Items(["le fox", "mer"]))
    content.MeanPooling(word_vectors=glove).fit(Items(["le fox"]))  # one half: no warning
    content.MeanPooling(word_vectors=glove).fit(Items(["", ""]))  # no words: no warning


# In a recommender


@pytest.fixture
def vectors(tmp_path):
    """Write vectors of all words in the headlines, and of one word that no headline has."""
    titles = [*items_frame()["title"], "red fox sun sea dawn"]
    words = sorted({word for title in titles for word in title.lower().split()})
    rows = np.random.default_rng(0).normal(size=(len(words) + 1, 5))
    path = tmp_path / "words.txt"
    path.write_text(as_text([*words, "unheard"], rows))
    return path


@pytest.mark.filterwarnings("ignore:only .* words in the catalogue's texts")
@pytest.mark.parametrize("name", READERS)
def test_operators_keep_their_contract(name, vectors):
    check_content_operator(content.ALIASES[name](word_vectors=str(vectors)))


@pytest.fixture
def fit(news, vectors):
    def fit(operator=None):
        operator = operator or content.MeanPooling(word_vectors=vectors)
        rec = ContentRecommender(
            operator, width=8, max_epochs=2, learning_rate=1e-2, random_state=0
        )
        return rec.set_params(early_stopping=False).fit(news.train, news.items)

    return fit


def test_two_fits_are_the_same_and_vectors_are_trained(fit, vectors, news):
    rec = fit()
    scores = rec.decision_function(news.test)
    again = clone(rec).fit(news.train, news.items).decision_function(news.test)
    assert all(map(np.array_equal, scores, again))
    table = rec.network_.content.embeddings["text"][0].weight[1:].detach()
    start = torch.from_numpy(rec.content_.schema_[0].vectors)
    start = start * (0.1 / start.square().mean().sqrt())
    moved = (table - start).abs().amax(dim=1) > 1e-4
    codes = rec.content_.prepare(Items(news.items)).columns["title"].values
    seen = torch.zeros(len(table) + 1, dtype=torch.bool)
    seen[codes] = True
    assert torch.equal(moved, moved & seen[1:])  # words outside the catalogue keep their vectors
    assert moved.any()


def test_pickle_needs_no_file_and_holds_the_vectors_once(fit, vectors, news):
    for operator in (None, content.WithID(content.CNN(word_vectors=vectors))):
        rec = fit(operator)
        scores = rec.decision_function(news.test)
        data = pickle.dumps(rec)
        kept = vectors.read_bytes()
        vectors.unlink()
        again = pickle.loads(data)
        vectors.write_bytes(kept)
        inner = again.content_ if operator is None else again.content_.operator_
        assert inner.schema_[0].vectors is None
        assert inner.schema_ == getattr(rec.content_, "operator_", rec.content_).schema_
        assert all(map(np.array_equal, scores, again.decision_function(news.test)))


def test_new_items_are_read_by_words_that_training_never_met(fit, news):
    rec = fit()
    new = news.items.iloc[[0, 0, 0]].assign(item_id=[-1, -2, -3], title=["unheard", "qqa", "zzb"])
    a, b, c = rec.item_vectors(new)
    assert not np.allclose(a, b)
    np.testing.assert_array_equal(b, c)  # unknown words share one embedding


def test_search_over_files(fit, news, vectors, tmp_path):
    np.save(tmp_path / "w.npy", np.random.default_rng(1).normal(size=(300, 4)))
    known = [line.split()[0] for line in vectors.read_text().splitlines()]
    (tmp_path / "w.vocab").write_text("\n".join((known * 300)[:300]))
    grid = {"content__word_vectors": [None, str(vectors), tmp_path / "w.npy"]}
    search = GridSearchCV(fit(), grid, cv=2, error_score="raise")
    search.fit(news.train, items=Items(news.items))
    assert len(set(search.cv_results_["mean_test_score"])) == 3


def test_combining_marks_belong_to_words():
    # "\u0915\u0941\u0932" and "\u0915\u0932" differ in a mark; next to punctuation, they are pieces
    first, second = "\u0915\u0941\u0932", "\u0915\u0932"
    tokenizer = WordTokenizer([first, second, "!"])
    _, codes = tokenizer.encode([f"{first}! ({second})"])
    assert codes.tolist() == [1, 3, 2]
    assert {first, second} <= lookup_words([f"{first}! ({second})"])
