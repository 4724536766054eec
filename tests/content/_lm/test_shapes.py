"""A config.json that describes far more than the weights is refused before memory is allocated."""

import json

import pytest
from tiny_models import save_tiny

from skrec.content._lm import load_base


@pytest.fixture
def folder(tmp_path):
    """Save a tiny model in a folder that a test may modify."""
    save_tiny(tmp_path / "model", ["a b c"], "BERT", n_layers=1)
    return tmp_path / "model"


def edit(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize("size", [10**6, 10**9, 10**15])
@pytest.mark.parametrize(
    "name",
    [
        *("hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads"),
        *("num_hidden_layers", "type_vocab_size", "vocab_size"),
    ],
)
def test_absurd_sizes_are_refused_at_once(folder, name, size):
    edit(folder, **{name: size})
    with pytest.raises(
        ValueError, match=r"can't be read: (config.json (describes|has)|The hidden|St|In)"
    ):
        load_base(folder)


def test_layers_without_weights_are_refused(folder):
    edit(folder, num_hidden_layers=9000)  # few enough for lists of them
    with pytest.raises(ValueError, match="config.json describes more layers than its .* arrays"):
        load_base(folder)


def test_a_missing_pooler_is_still_no_error(folder):
    load_base(folder)
