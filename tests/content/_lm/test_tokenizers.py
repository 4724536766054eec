"""Tokenizers from folders and objects, and the hash that identifies them."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_models import save_tiny, tiny_model, tiny_tokenizer
from tokenizers import normalizers, processors
from transformers import ByT5Tokenizer

from skrec.content._lm import load_base, load_tokenizer, tokenizer_hash

TEXTS = ["one two three", "four five"]
WORDS = TEXTS[0]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("saved"), TEXTS, n_layers=1)


@pytest.fixture
def folder(saved, tmp_path):
    """Copy the saved tokenizer to a folder that a test may modify."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture
def bert():
    return tiny_model("BERT", n_layers=1)


def edit(folder, name, **changes):
    """Change settings of a saved configuration."""
    (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | changes))


def test_tokenizer_of_the_model(saved):
    assert load_tokenizer(None, saved)(WORDS)["input_ids"] == [2, 4, 5, 6, 3]
    assert load_tokenizer(None, load_base(saved).model)(WORDS)["input_ids"] == [2, 4, 5, 6, 3]


def test_tokenizer_of_another_folder(saved, bert):
    assert load_tokenizer(saved, bert)(WORDS)["input_ids"] == [2, 4, 5, 6, 3]


def test_tokenizer_object_is_copied(bert):
    given = tiny_tokenizer(TEXTS)
    copied = load_tokenizer(given, bert)
    copied.add_tokens(["six"])
    assert len(given) == len(copied) - 1


def test_model_made_in_memory_needs_a_tokenizer(bert):
    with pytest.raises(ValueError, match="tokenizer must be given with a model that was made in"):
        load_tokenizer(None, bert)


def test_folder_without_tokenizer(bert, tmp_path):
    # transformers would return a tokenizer with special tokens only, so all texts would be equal
    bert.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no files of a tokenizer; give tokenizer="):
        load_tokenizer(None, tmp_path)


@pytest.mark.parametrize("name", ["Llama", "GPT-2", "RoBERTa", "OPT", "DeBERTa-v2", "Gemma3"])
def test_folder_without_tokenizer_of_other_types(name, tmp_path):
    tiny_model(name, n_layers=1).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="tokenizer"):
        load_tokenizer(None, tmp_path)


def test_broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="has no tokenizer that can be read"):
        load_tokenizer(None, folder)


def test_tokenizer_with_code_of_its_own_is_not_run(folder):
    (folder / "code.py").write_text(f"open({str(folder / 'executed')!r}, 'w')")
    auto_map = {"AutoTokenizer": ["code.Own", None]}
    edit(folder, "tokenizer_config.json", tokenizer_class="Own", auto_map=auto_map)
    edit(folder, "config.json", model_type="own", auto_map={"AutoConfig": "code.Config"})
    with pytest.raises(ValueError, match="code of its own; read it, then set trust_remote_code"):
        load_tokenizer(None, folder)
    assert not (folder / "executed").exists()


@pytest.mark.parametrize("given", [7, tiny_tokenizer(TEXTS).backend_tokenizer])
def test_what_is_no_tokenizer_is_refused(given, bert):
    with pytest.raises(TypeError, match="tokenizer must be a name on the hub, .* got"):
        load_tokenizer(given, bert)


def test_tokenizer_hash_stays_when_saved_used_and_padded(tmp_path):
    tokenizer = tiny_tokenizer(TEXTS)
    before = tokenizer_hash(tokenizer)
    tokenizer(TEXTS, padding="max_length", max_length=9, truncation=True)
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(tmp_path)
    assert tokenizer_hash(tokenizer) == before
    assert tokenizer_hash(load_tokenizer(str(tmp_path), None)) == before


def cased(tokenizer):
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence([])


def no_special_tokens(tokenizer):
    template = processors.TemplateProcessing(single="$A", special_tokens=[])
    tokenizer.backend_tokenizer.post_processor = template


@pytest.mark.parametrize(
    "change",
    [
        cased,
        no_special_tokens,
        lambda tokenizer: tokenizer.add_tokens(["six"]),
        lambda tokenizer: setattr(tokenizer, "truncation_side", "left"),
        lambda tokenizer: setattr(tokenizer, "bos_token", "one"),  # replaces an empty text
    ],
)
def test_tokenizer_hash_changes_with_what_it_reads(change):
    tokenizer = tiny_tokenizer(TEXTS)
    before = tokenizer_hash(tokenizer)
    change(tokenizer)
    assert tokenizer_hash(tokenizer) != before


def test_tokenizer_hash_changes_with_the_vocabulary():
    assert tokenizer_hash(tiny_tokenizer(["one two"])) != tokenizer_hash(
        tiny_tokenizer(["two one"])
    )


def test_tokenizer_written_in_python(tmp_path):
    tokenizer = ByT5Tokenizer()
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(str(tmp_path), None)
    assert again("a")["input_ids"] == tokenizer("a")["input_ids"]
    assert tokenizer_hash(again) == tokenizer_hash(tokenizer)
    assert tokenizer_hash(ByT5Tokenizer(extra_ids=7)) != tokenizer_hash(tokenizer)


def test_file_that_makes_the_tokenizers_library_panic_is_refused(folder):
    path = folder / "tokenizer.json"
    state = json.loads(path.read_text())
    state["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": ""}
    path.write_text(json.dumps(state))
    with pytest.raises(ValueError, match="has no tokenizer that can be read"):
        load_tokenizer(str(folder), None)
