"""Plain copies of GGUF files: one per file and number type, equal to the file."""

import numpy as np
import pytest
from tiny_models import tiny_model, write_gguf

from skrec import ContentRecommender, Items, cache, content, load
from skrec.content._lm import (
    gguf_copies,
    load_base,
    load_tokenizer,
    pretrained,
    tokenizer_hash,
)
from skrec.content._lm.gguf_copies import plain_copies, plain_copy

ITEMS = Items({"item_id": [1, 2, 3, 4], "title": ["abcd", "ab", "abc abd", "hgf"]})
HISTORIES = [[1, 2, 3], [2, 3, 4], [4, 1, 2], [3, 4]] * 3


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, tiny_model("Llama", n_layers=2))
    return path


@pytest.fixture
def n_read(monkeypatch):
    """Count the GGUF files that are read to be copied."""
    read, load_base = [], gguf_copies.load_base
    monkeypatch.setattr(
        gguf_copies, "load_base", lambda *args: read.append(args) or load_base(*args)
    )
    return read


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_copies_equal_the_file(gguf, tmp_path, n_read, dtype):
    copy = plain_copy(str(gguf), tmp_path, dtype)
    assert load_base(copy, dtype).fingerprint == load_base(gguf, dtype).fingerprint
    assert tokenizer_hash(load_tokenizer(None, copy)) == tokenizer_hash(load_tokenizer(None, gguf))
    assert plain_copy(gguf, str(tmp_path), dtype) == copy and len(n_read) == 1


def test_changed_files_and_other_types_have_copies_of_their_own(gguf, tmp_path):
    other = tmp_path / "other.gguf"
    write_gguf(other, tiny_model("Llama", n_layers=1))
    copies = [plain_copy(path, tmp_path, "float32") for path in (gguf, other)]
    copies.append(plain_copy(gguf, tmp_path, "bfloat16"))
    assert len(set(copies)) == 3
    assert load_base(copies[1]).model.config.num_hidden_layers == 1


def test_other_models_have_no_copies(gguf, tmp_path):
    model = tiny_model("Llama", n_layers=1)
    assert plain_copy(model, tmp_path, "float32") is model
    assert plain_copy(gguf, None, "float32") is gguf
    for name in "nowhere.gguf", "name/on-the-hub", str(tmp_path):
        assert plain_copy(name, tmp_path, "float32") is name
    assert not plain_copies(tmp_path).exists()


def test_recommenders_read_the_file_once(gguf, tmp_path, n_read):
    def scores(memory):
        operator = content.LanguageModel(str(gguf), trainable_layers=1, template="{title}")
        rec = ContentRecommender(operator, width=8, max_epochs=1, memory=memory, random_state=0)
        return rec.fit(HISTORIES, items=ITEMS), rec.recommend(HISTORIES, k=2)[1]

    memory = tmp_path / "memory"
    rec, first = scores(memory)
    np.testing.assert_array_equal(scores(memory)[1], first)
    np.testing.assert_array_equal(scores(None)[1], first)
    assert len(n_read) == 1
    rec.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.recommend(HISTORIES, k=2)[1], first)
    assert cache.clear(memory) and plain_copies(memory).exists()
    assert cache.clear(memory, which="all") > 10_000 and not plain_copies(memory).exists()


@pytest.mark.parametrize(
    "way",
    [{}, {"trainable_layers": 0}, {"trainable_layers": 1}, {"trainable_layers": 1, "lora": 2}],
)
def test_without_memory_a_fit_reads_the_file_once(way, gguf, monkeypatch):
    read = []
    monkeypatch.setattr(
        pretrained, "load_base", lambda *args: read.append(args) or load_base(*args)
    )
    operator = content.LanguageModel(str(gguf), template="{title}", cache_dtype="float32", **way)
    rec = ContentRecommender(operator, width=8, max_epochs=1, random_state=0)
    rec.fit(HISTORIES, items=ITEMS)
    assert len(read) == 1
    assert rec.content_._base is None  # two models need twice the memory
    plain = content.LanguageModel(
        load_base(gguf).model, tokenizer=load_tokenizer(None, gguf), **operator_parameters(operator)
    )
    expected = ContentRecommender(plain, width=8, max_epochs=1, random_state=0)
    expected.fit(HISTORIES, items=ITEMS)
    np.testing.assert_array_equal(rec.item_vectors(), expected.item_vectors())


def operator_parameters(operator):
    """Return all parameters except the model and its tokenizer."""
    given = operator.get_params(deep=False)
    return {name: value for name, value in given.items() if name not in ("model", "tokenizer")}


def test_a_file_that_cannot_be_read_leaves_no_copy(gguf, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(gguf.read_bytes()[:200])
    with pytest.raises(ValueError, match="cut.gguf' can't be read: "):
        plain_copy(cut, tmp_path, "float32")
    assert not any(path.is_dir() for path in plain_copies(tmp_path).iterdir())
