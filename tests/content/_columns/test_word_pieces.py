"""Word-piece tokenizers and the encoding of texts."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from unicodedata import normalize

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from skrec import Items, content
from skrec.content._columns import operator, word_pieces
from skrec.content._columns.word_pieces import (
    UNKNOWN,
    encode_texts,
    for_ascii,
    load_fast_tokenizer,
    train_word_pieces,
)

ROOT = Path(__file__).parents[3]
TEXTS = ["The red fox", "red sea, red sun", "foxes and suns", ""]


def pieces(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).tokens


# Training


def awkward_texts():
    """Return words with tied counts in each merge, and more rare letters than are kept."""
    letters = "abcdefghijklmnop"
    words = [f"{a}{b}{c}" for a in letters for b in letters for c in letters if a < b < c]
    rare = [chr(0xAC00 + i) for i in range(5100)]
    return words + ["".join(rare[i : i + 3]) for i in range(0, 5100, 3)]


def trained_as_json():
    """Return trained tokenizers as text, which must be equal in every process."""
    return json.dumps(
        [
            [sorted(tokenizer.get_vocab().items()), pieces(tokenizer, "abc fox nop \uac01\ubfe8")]
            for tokenizer in (train_word_pieces(awkward_texts(), size) for size in (10050, 10300))
        ]
    )


@pytest.mark.slow
def test_training_is_the_same_in_every_process():
    # the tokenizers library breaks ties in hash order, which differs between processes
    code = f"import runpy, sys; sys.stdout.write(runpy.run_path({__file__!r})['trained_as_json']())"
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == trained_as_json()
    assert trained_as_json() == trained_as_json()


def test_training_words_and_their_parts_are_known():
    tokenizer = train_word_pieces(TEXTS, 1000)
    for text in TEXTS:
        assert UNKNOWN not in pieces(tokenizer, text)
    assert pieces(tokenizer, "red sea") == ["red", "sea"]
    assert "".join(pieces(tokenizer, "foxsun")).replace("##", "") == "foxsun"


def test_ids_are_contiguous_and_unknown_is_the_first():
    # an id above the size of the vocabulary would be out of range of the embedding table
    vocab = train_word_pieces(TEXTS, 1000).get_vocab()
    assert sorted(vocab.values()) == list(range(len(vocab)))
    assert vocab[UNKNOWN] == 0


def test_vocab_size_bounds_the_pieces_but_for_single_characters():
    n_characters = len(Counter("".join(TEXTS).lower().replace(" ", "")))
    for vocab_size in (2, 40):
        size = train_word_pieces(TEXTS, vocab_size).get_vocab_size()
        assert size == max(vocab_size, 2 * n_characters + 1)


def test_case_does_not_matter_and_punctuation_is_apart():
    tokenizer = train_word_pieces(TEXTS, 1000)
    assert pieces(tokenizer, "RED,SEA") == ["red", ",", "sea"]


# a real sentence of each script, and two words that differ in marks or small letters
SCRIPTS = {
    "Japanese": ("今日は天気がいいので公園へ散歩に行きました", "パンダ", "ハンダ"),
    "Chinese": ("今天天气很好我们去公园散步", "我们", "他们"),
    "Thai": ("วันนี้อากาศดีมากเราไปเดินเล่นที่สวนสาธารณะ", "ข้าว", "ขาว"),
    "Khmer": ("ថ្ងៃនេះអាកាសធាតុល្អណាស់", "កាត់", "កាត"),
    "Hindi": ("आज मौसम बहुत अच्छा है।", "कुल", "कल"),
    "Tamil": ("இன்று வானிலை மிகவும் நன்றாக உள்ளது", "கல்", "கல"),
    "Arabic": ("الطقس جميل اليوم في المدينة", "كَتَبَ", "كُتُب"),
    "Hebrew": ("מזג האוויר נעים היום", "שָׁלוֹם", "שלום"),
    "Korean": ("오늘 날씨가 아주 좋습니다", "나라", "너라"),
    "Vietnamese": ("Hôm nay thời tiết rất đẹp", "mả", "ma"),
    "Russian": ("Сегодня очень хорошая погода", "мой", "мои"),
    "Greek": ("Σήμερα ο καιρός είναι πολύ καλός", "νόμος", "νομός"),
}


@pytest.fixture(scope="module")
def scripts_tokenizer():
    return train_word_pieces([text for texts in SCRIPTS.values() for text in texts], 10000)


@pytest.mark.parametrize("script", SCRIPTS)
def test_marks_tell_words_of_every_script_apart(script, scripts_tokenizer):
    sentence, first, second = SCRIPTS[script]
    for tokenizer in (scripts_tokenizer, train_word_pieces(SCRIPTS[script], 10000)):
        known = pieces(tokenizer, sentence)
        assert len(known) > 3
        assert UNKNOWN not in known
        assert pieces(tokenizer, first) != pieces(tokenizer, second)
        assert pieces(tokenizer, normalize("NFD", first)) == pieces(tokenizer, first)


@pytest.mark.parametrize("script", ["Japanese", "Chinese", "Thai", "Khmer"])
def test_long_text_without_spaces_has_known_pieces(script, scripts_tokenizer):
    # a word of more than 100 characters is unknown, and so is one with an unknown character
    text = SCRIPTS[script][0] * 20
    known = pieces(scripts_tokenizer, text)
    assert len(known) > 100
    assert UNKNOWN not in known
    tokens = pieces(scripts_tokenizer, f"{text}\u4e02{text}\u0eaa")
    assert tokens.count(UNKNOWN) == 2
    assert len(tokens) > 2 * len(known)


def test_an_unknown_character_leaves_the_rest_of_a_word_known():
    tokenizer = train_word_pieces(TEXTS, 1000)
    assert pieces(tokenizer, "red\U0001f98a") == ["red", UNKNOWN]
    assert pieces(tokenizer, "погода red") == [UNKNOWN, "red"]


def test_wide_and_narrow_forms_are_equal():
    tokenizer = train_word_pieces(["ABC 123 パンダ", "ហ្វូណន"], 1000)
    assert pieces(tokenizer, "\uff21\uff22\uff23\u3000\uff11\uff12\uff13") == ["abc", "123"]
    assert pieces(tokenizer, "\uff8a\uff9f\uff9d\uff80\uff9e") == pieces(tokenizer, "パンダ")
    # superscripts are other characters, and "10\u00b2" is another number than "102"
    assert pieces(tokenizer, "1\u00b2") != pieces(tokenizer, "12")


def test_a_zero_width_space_separates_words():
    tokenizer = train_word_pieces(["abc\u200bdef"], 1000)
    assert pieces(tokenizer, "abc def") == pieces(tokenizer, "abc\u200bdef") == ["abc", "def"]


def bert_word_pieces(texts, vocab_size):
    """Train a tokenizer as version 0.1.0.dev0 did."""
    tokenizer = Tokenizer(models.WordPiece({UNKNOWN: 0}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts = Counter(char for text in texts for char in tokenizer.normalizer.normalize_str(text))
    alphabet = [char for char in sorted(counts) if not char.isspace()]
    alphabet.sort(key=counts.__getitem__, reverse=True)
    special = [UNKNOWN, *alphabet, *(f"##{char}" for char in alphabet)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=special, limit_alphabet=0, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    made = Tokenizer(models.WordPiece(tokenizer.get_vocab(), unk_token=UNKNOWN))
    made.normalizer, made.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    return made


@pytest.mark.parametrize("vocab_size", [2, 400, 2000])
def test_ascii_texts_are_read_as_before(vocab_size):
    # figures that were recorded with English texts stay true
    random = Random(0)
    characters = [chr(code) for code in range(128)] + list("eeetttaaoo    ") * 8
    texts = ["".join(random.choices(characters, k=random.randrange(120))) for _ in range(800)]
    texts += ["a" * 99, "a" * 100, "a" * 101]
    before, now = bert_word_pieces(texts, vocab_size), train_word_pieces(texts, vocab_size)
    assert before.get_vocab() == now.get_vocab()
    for text in texts:
        assert before.encode(text).ids == now.encode(text).ids


ASCII = [*TEXTS, "a\tb\x00c\x07d", "It's 5%-10% [off]!", "e-mail: A.B@c.de", "x" * 200, "  "]


def test_ascii_texts_are_read_in_the_same_way_but_faster():
    tokenizer = train_word_pieces([*ASCII, "\uff21 \u0e44\u0e17\u0e22 na\u00efve"], 60)
    fast = for_ascii(tokenizer)
    assert fast is not tokenizer
    for text in ASCII:
        assert pieces(fast, text) == pieces(tokenizer, text)
    mixed = [*ASCII, "\uff21\u0e44\u0e17\u0e22"]
    found = encode_texts(tokenizer, mixed, 30)  # these are not
    alone = [encode_texts(tokenizer, [text], 30)[1].tolist() for text in mixed]
    assert found[1].tolist() == sum(alone, [])


def test_training_on_ascii_texts_is_the_same_but_faster(monkeypatch):
    found = train_word_pieces(ASCII, 60).get_vocab()
    monkeypatch.setattr(word_pieces, "for_ascii", lambda tokenizer: tokenizer)
    assert train_word_pieces(ASCII, 60).get_vocab() == found


def test_other_tokenizers_are_left_as_they_are():
    other = bert_word_pieces(TEXTS, 60)
    assert for_ascii(other) is other


def test_a_tokenizer_of_a_large_catalogue_is_trained_on_some_items(monkeypatch):
    monkeypatch.setattr(operator, "N_SAMPLED", 3)
    texts = ["sun", "moon", "sea", "fox", "red"]  # the first, the third and the last are read
    fitted = content.MeanPooling().fit(Items(texts))
    some = content.MeanPooling().fit(Items([texts[0], texts[2], texts[4]]))
    assert fitted.tokenizer_.get_vocab() == some.tokenizer_.get_vocab()
    assert len(fitted.prepare(Items(texts))) == 5


def test_texts_without_any_word():
    tokenizer = train_word_pieces(["", "  "], 100)
    assert tokenizer.get_vocab() == {UNKNOWN: 0}
    assert pieces(tokenizer, "new words") == [UNKNOWN, UNKNOWN]


def test_operator_shares_one_vocabulary_among_its_text_columns():
    items = Items({"item_id": [0], "a": ["fox"], "b": ["sea"]})
    tokenizer = content.CNN().fit(items).tokenizer_
    assert pieces(tokenizer, "fox sea") == ["fox", "sea"]


def test_vocab_size_reaches_the_tokenizer():
    items = Items(["abc abd abe abf"])
    small = content.CNN(vocab_size=2).fit(items).schema_[0].size
    assert small < content.CNN().fit(items).schema_[0].size


# Encoding


def test_encoding_is_ragged_and_cut():
    tokenizer = train_word_pieces(TEXTS, 1000)
    ids = tokenizer.get_vocab()
    offsets, values = encode_texts(tokenizer, ["red sea and sun", "", "zzz sea"], 3)
    assert offsets.tolist() == [0, 3, 3, 5]
    wanted = ["red", "sea", "and", UNKNOWN, "sea"]
    assert values.tolist() == [ids[piece] for piece in wanted]
    assert (offsets.dtype, values.dtype) == ("int64", "int64")


def test_encoding_nothing():
    offsets, values = encode_texts(train_word_pieces(TEXTS, 1000), [], 3)
    assert (offsets.tolist(), values.tolist()) == ([0], [])


# Pretrained tokenizers


@pytest.fixture
def word_tokenizer():
    """Return a tokenizer with one id per word and a gap in the ids, as in some published ones."""
    vocab = {"[UNK]": 0, "red": 1, "sea": 2, "[CLS]": 5, "fox": 9}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A", None, [("[CLS]", 5)])
    return tokenizer


@pytest.fixture(params=["file", "folder"])
def saved(request, word_tokenizer, tmp_path):
    """Save a tokenizer that pads and truncates, as those of sentence-transformers do."""
    word_tokenizer.enable_padding(length=6)
    word_tokenizer.enable_truncation(2)
    if request.param == "file":
        word_tokenizer.save(str(tmp_path / "tokenizer.json"))
        return str(tmp_path / "tokenizer.json")
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(tokenizer_object=word_tokenizer, unk_token="[UNK]")
    fast.save_pretrained(tmp_path)
    return str(tmp_path)


def test_pretrained_tokenizer_is_read(saved):
    items = Items(["red red fox", "blue sea"])
    operator = content.MeanPooling(tokenizer=saved, vocab_size=2).fit(items)
    column = operator.prepare(items).columns["text"]
    # no padding, no special tokens, and truncation to `max_length` only
    assert column.values.tolist() == [1, 1, 9, 0, 2]
    assert column.offsets.tolist() == [0, 3, 5]


def test_embedding_reaches_the_greatest_id(saved):
    items = Items(["red fox"])
    operator = content.MeanPooling(tokenizer=saved).fit(items)
    assert operator.schema_[0].size >= 10
    module = operator.build(operator.schema_, 4)
    assert module(operator.prepare(items).take(torch.tensor([0]))).isfinite().all()


def test_home_folder_is_expanded(word_tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    word_tokenizer.save(str(tmp_path / "words.json"))
    assert load_fast_tokenizer("~/words.json").get_vocab()["fox"] == 9


@pytest.mark.parametrize("name", ["no-such-model", "not a name!", "/no/such/folder", ""])
def test_unknown_name_raises(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=f"no tokenizer could be loaded from '{name}'; give a"):
        content.CNN(tokenizer=name).fit(Items(["text"]))


def test_file_that_is_no_tokenizer_raises(tmp_path):
    (tmp_path / "vocab.txt").write_text("{}")
    with pytest.raises(ValueError, match="no tokenizer could be loaded from .*vocab.txt'; give"):
        load_fast_tokenizer(str(tmp_path / "vocab.txt"))


def test_folder_without_a_tokenizer_raises(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="no tokenizer could be loaded from"):
        load_fast_tokenizer(str(tmp_path))


def test_slow_tokenizer_raises(monkeypatch):
    import transformers

    class Slow:
        is_fast = False

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda name: Slow())
    with pytest.raises(ValueError, match="no tokenizer could be loaded") as caught:
        load_fast_tokenizer("slow")
    assert "no fast version" in str(caught.value.__cause__)
