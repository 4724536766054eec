"""Templates for the texts of items, and token ids of texts."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from tiny_models import tiny_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from skrec import Items
from skrec.content import LanguageModel, _texts
from skrec.content._lm import check_template, render, token_ids

ROLES = {"title": "text", "topic": "category", "year": "number", "image": "vector"}


@pytest.fixture
def films():
    return Items(
        pd.DataFrame(
            {
                "item_id": [1, 2, 3],
                "title": ["Up", "", "Alien"],
                "topic": pd.Categorical(["kids", None, "horror"]),
                "genres": [["air", "old"], [], ["space"]],
                "year": [2009, 1.5, 1979],
                "image": [[0.0, 1.0]] * 3,
            }
        )
    )


@pytest.fixture
def tokenizer():
    """Return a tokenizer with [PAD] [UNK] [CLS] [SEP] as ids 0 to 3, followed by five words."""
    return tiny_tokenizer(["one two three four five"])


def plain_tokenizer(**special):
    """Return a tokenizer that adds no special tokens, like those of most decoders."""
    vocabulary = {"zero": 0, "one": 1, "<a>": 2, "<b>": 3}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="zero"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def test_template_takes_columns_of_every_readable_role(films):
    assert render(films, "{title} [{topic}] ({year}): {genres}") == [
        "Up [kids] (2009): air, old",
        " [] (1.5): ",
        "Alien [horror] (1979): space",
    ]


def test_template_repeats_columns_and_escapes_braces(films):
    assert render(films, "{{{title}}} and {title}{{}}")[0] == "{Up} and Up{}"


def test_without_template_empty_columns_are_left_out(films):
    assert render(films, None) == [
        "title: Up, topic: kids, genres: air, old, year: 2009",
        "year: 1.5",
        "title: Alien, topic: horror, genres: space, year: 1979",
    ]


def test_without_template_a_single_column_is_taken_as_it_is():
    frame = {"item_id": [1, 2], "title": ["a {b}", ""], "image": np.eye(2)}
    assert render(Items(frame), None) == ["a {b}", ""]


def test_values_are_not_read_as_templates(films):
    frame = {"item_id": [1], "title": ["{topic}"], "topic": ["x"]}
    assert render(Items(frame), "{title}!") == ["{topic}!"]


def test_column_names_may_hold_anything_but_formats():
    frame = {"item_id": [1], "a.b": ["x"], "my title": ["y"], "0": ["z"]}
    assert render(Items(frame), "{a.b}{my title}{0}") == ["xyz"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{titel}", r"'titel' that the catalogue lacks \(did you mean 'title'\?\)"),
        ("{image}", "'image', whose role is vector"),
        ("{title.upper}", r"names of columns alone.*got \{title.upper\}"),
        ("{title[0]}", r"names of columns alone.*got \{title\[0\]\}"),
        ("{}", r"names of columns alone.*got \{\}"),
        ("{0}", r"names of columns alone.*got \{0\}"),
        ("{title!r}", r"without conversions or formats.*write \{title\}"),
        ("{year:.2f}", r"without conversions or formats.*write \{year\}"),
        ("{title", r"can't be read: .*write \{\{ and \}\} for plain braces"),
        ("title}", r"can't be read: .*write \{\{ and \}\} for plain braces"),
        ("all alike", "must name a column in braces"),
        ("", "must name a column in braces"),
        (7, "template must be a str or None, got 7"),
    ],
)
def test_bad_template_is_refused(template, message):
    with pytest.raises(ValueError, match=message):
        check_template(template, ROLES)


def test_catalogue_without_readable_columns_is_refused():
    with pytest.raises(ValueError, match="needs a column to read"):
        check_template(None, {"image": "vector"})


def test_good_templates_pass():
    check_template("{title} {topic} {year}", ROLES)
    check_template(None, ROLES)


def test_ids_have_special_tokens_and_are_packed(tokenizer):
    offsets, ids = token_ids(tokenizer, ["one two", "", "what"], 8)
    assert_array_equal(offsets, [0, 4, 6, 9])
    assert_array_equal(ids, [2, 4, 5, 3, 2, 3, 2, 1, 3])
    assert offsets.dtype == ids.dtype == np.int64


def test_max_length_counts_special_tokens(tokenizer):
    offsets, ids = token_ids(tokenizer, ["one two three four", "five"], 4)
    assert_array_equal(ids, [2, 4, 5, 3, 2, 8, 3])
    assert_array_equal(offsets, [0, 4, 7])


@pytest.mark.parametrize("max_length", [1, 2])
def test_max_length_leaves_room_for_text(tokenizer, max_length):
    with pytest.raises(ValueError, match=rf"max_length must be at least 3, .*got {max_length}"):
        token_ids(tokenizer, ["one"], max_length)


def test_padding_saved_with_a_tokenizer_is_not_applied(tokenizer):
    # the tokenizer of all-MiniLM-L6-v2 pads all texts to 128 tokens
    tokenizer.backend_tokenizer.enable_padding(length=16)
    tokenizer.backend_tokenizer.enable_truncation(3)
    _, ids = token_ids(tokenizer, ["one two"], 8)
    assert_array_equal(ids, [2, 4, 5, 3])


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        ({"pad_token": "<a>", "eos_token": "<b>"}, 3),
        ({"pad_token": "<a>", "eos_token": "<b>", "bos_token": "one"}, 1),
        ({"pad_token": "<a>"}, 2),
        ({}, 0),
    ],
)
def test_empty_text_gets_one_token(special, expected):
    # an item without tokens would have no states, and their mean would be NaN
    offsets, ids = token_ids(plain_tokenizer(**special), ["one", "", "one"], 8)
    assert_array_equal(offsets, [0, 1, 2, 3])
    assert_array_equal(ids, [1, expected, 1])


def test_distinct_texts_are_read_once_and_in_batches(tokenizer, monkeypatch):
    read = []

    class Counting:
        def __call__(self, texts, **options):
            read.append(list(texts))
            return tokenizer(texts, **options)

        def __getattr__(self, name):
            return getattr(tokenizer, name)

    monkeypatch.setattr(_texts, "BATCH_TEXTS", 2)
    texts = ["one", "two", "one", "three two", "two"]
    offsets, ids = token_ids(Counting(), texts, 8)
    assert read == [["one", "two"], ["three two"]]
    expected = [tokenizer(text)["input_ids"] for text in texts]
    assert_array_equal(ids, np.concatenate(expected))
    assert_array_equal(np.diff(offsets), [len(row) for row in expected])


def test_no_texts_give_no_ids(tokenizer):
    offsets, ids = token_ids(tokenizer, [], 8)
    assert_array_equal(offsets, [0])
    assert ids.shape == (0,)


def long_texts():
    """Return texts far longer than their first tokens, with and without spaces."""
    words = ["one", "two", "three", "four", "five", "six", "what"]
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(words, n)) for n in (3, 300, 3000, 30000)]
    return [*texts, "one" * 3000, " " * 9000 + "two one", "one " + " " * 9000 + "two", "\n" * 9000]


@pytest.mark.parametrize("max_length", [3, 8, 200])
@pytest.mark.parametrize("side", ["right", "left"])
def test_long_texts_are_read_as_if_they_were_not_cut(tokenizer, max_length, side):
    tokenizer.truncation_side = side
    texts = long_texts()
    _, ids = token_ids(tokenizer, texts, max_length)
    expected = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    assert_array_equal(ids, np.concatenate(expected))


def test_only_the_beginning_of_a_long_text_is_read(tokenizer):
    read = []

    class Counting:
        def __call__(self, texts, **options):
            read.extend(map(len, texts))
            return tokenizer(texts, **options)

        def __getattr__(self, name):
            return getattr(tokenizer, name)

    token_ids(Counting(), ["one two " * 100_000] * 2, 8)
    assert sum(read) < 1000


def test_failure_of_a_tokenizer_names_the_row(tokenizer):
    # a template or a category can contain half of a character
    with pytest.raises(
        ValueError, match=r"texts of items, row 3: .*'bad \\ud83d'; it has lone sur"
    ):
        token_ids(tokenizer, ["one", "two", "one", "bad \ud83d"], 8)


def test_panic_of_a_tokenizer_is_an_error_that_names_the_row(tokenizer):
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.FixedLength(0)
    with pytest.raises(ValueError, match="texts of items, row 0: the tokenizer failed on 'one'"):
        token_ids(tokenizer, ["one", "two"], 8)


@pytest.mark.parametrize(
    ("template", "columns"),
    [
        (None, "columns 'title', 'topic'"),
        ("{topic}: {title}, {topic}", "columns 'topic', 'title'"),
        ("{title}!", "column 'title'"),
    ],
)
def test_a_language_model_names_the_columns_of_the_texts(tiny_bert, tokenizer, template, columns):
    items = Items({"item_id": [1, 2], "title": ["one", "two"], "topic": ["three", "three"]})
    operator = LanguageModel(tiny_bert, tokenizer=tokenizer, template=template).fit(items)
    operator.tokenizer_.backend_tokenizer.pre_tokenizer = pre_tokenizers.FixedLength(0)
    with pytest.raises(ValueError, match=f"^{columns}, row 0: the tokenizer failed on '"):
        operator.prepare(items)
