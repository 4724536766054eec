"""Language models as content operators: all training modes, and states kept between fits."""

import copy
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from peft import PeftModel
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from tiny_models import projected, save_tiny, tiny_model, tiny_tokenizer
from transformers import AutoModel

from skrec import ContentRecommender, Items, cache, content
from skrec._training.optimizers import parameter_groups
from skrec._training.trainer import Plan
from skrec.content import LanguageModel
from skrec.utils.estimator_checks import check_content_operator, check_recommender

WAYS = {
    "whole": {},
    "whole, LoRA": {"lora": 4},
    "all layers": {"trainable_layers": 3},
    "split": {"trainable_layers": 2},
    "split, LoRA": {"trainable_layers": 1, "lora": 4},
    "frozen tokens": {"trainable_layers": 0},
    "frozen mean": {"trainable_layers": 0, "pooling": "mean"},
    "split, last": {"trainable_layers": 1, "pooling": "last"},
    "split, checkpointing": {"trainable_layers": 2, "gradient_checkpointing": True},
}
KEPT = [name for name, way in WAYS.items() if way.get("trainable_layers", 3) < 3]


@pytest.fixture(scope="module")
def titles(news):
    return news.items[["item_id", "title"]]


@pytest.fixture
def make(tiny_bert):
    """Return a function that creates a small recommender with a language model."""

    def make(memory=None, precision="auto", learning_rate=1e-2, model=tiny_bert, **parameters):
        return ContentRecommender(
            content=LanguageModel(model, **({"max_length": 16} | parameters)),
            behavior="mean_pooling",
            width=8,
            max_epochs=2,
            batch_size=128,
            learning_rate=learning_rate,
            pretrained_learning_rate=1e-3,
            memory=memory,
            precision=precision,
            random_state=0,
        )

    return make


@pytest.fixture(scope="module")
def fit_ways(news, titles, tiny_bert):
    """Return a function that fits each training mode once."""
    fitted = {}

    def fit(name, make):
        if name not in fitted:
            rec = make(**WAYS[name]).set_params(early_stopping=False)
            fitted[name] = rec.fit(news.train, titles)
        return fitted[name]

    return fit


def scores(rec, X, **parameters):
    return np.concatenate(list(rec.decision_function(X, **parameters)))


@pytest.mark.parametrize("name", WAYS)
def test_every_way_trains_predicts_and_pickles(name, make, fit_ways, news):
    rec = fit_ways(name, make)
    expected = scores(rec, news.test)
    assert np.isfinite(expected).all() and np.ptp(expected) > 0
    again = pickle.loads(pickle.dumps(rec))
    assert_array_equal(scores(again, news.test), expected)
    # the same for new items
    new = pd.DataFrame({"item_id": [-1], "title": ["storm over the northern sea"]})
    X = pd.DataFrame({"history": [news.test["history"].iloc[0]], "candidates": [[-1]]})
    assert_allclose(scores(again, X, items=new), scores(rec, X, items=new), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "split, LoRA", "frozen tokens", "frozen mean"])
def test_passes_the_public_checks(name, tiny_bert):
    check_content_operator(LanguageModel(tiny_bert, **WAYS[name]))


@pytest.mark.slow
def test_a_recommender_of_it_passes_the_public_checks(make):
    check_recommender(make(trainable_layers=1))


@pytest.mark.parametrize("name", ["split, LoRA", "frozen mean", "whole"])
def test_two_fits_are_the_same(name, make, fit_ways, news, titles):
    rec = clone(fit_ways(name, make))
    assert_array_equal(
        scores(rec.fit(news.train, titles), news.test),
        scores(fit_ways(name, make), news.test),
    )


@pytest.mark.parametrize("name", WAYS)
def test_what_is_trained_changes_and_the_rest_does_not(name, make, fit_ways, tiny_bert):
    rec = fit_ways(name, make)
    before = AutoModel.from_pretrained(tiny_bert).state_dict()
    merged = rec.content_.language_model(merge_lora=True)
    after = merged.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    layers = {key.split(".")[2] for key in changed if key.startswith("encoder.layer")}
    n_trained = WAYS[name].get("trainable_layers", 3)
    assert layers == {str(at) for at in range(3 - n_trained, 3)}
    embeddings = {key for key in changed if key.startswith("embeddings")}
    assert bool(embeddings) == (name == "whole")
    if "lora" in WAYS[name]:
        assert {key.split(".")[-2] for key in changed} == {"query", "value"}


@pytest.mark.parametrize("name", WAYS)
def test_a_pickle_holds_what_was_trained(name, make, fit_ways):
    rec = fit_ways(name, make)
    arrays = rec.__getstate__()["network_"]
    trained = {n for n, p in rec.network_.named_parameters() if p.requires_grad}
    assert set(arrays) == trained
    n_weights = sum(p.numel() for p in rec.network_.parameters() if p.requires_grad)
    tokenizer = len(pickle.dumps(rec.content_.tokenizer_))
    data = len(pickle.dumps(rec.items_)) + tokenizer
    assert len(pickle.dumps(rec)) < 4 * n_weights + data + 20_000


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls", "last"])
@pytest.mark.parametrize(
    "way", [{}, {"lora": 2}, {"trainable_layers": 1}, {"trainable_layers": 0}], ids=str
)
@pytest.mark.parametrize(
    ("precision", "rtol", "atol"), [("float64", 0, 1e-10), ("float32", 1e-4, 1e-5)]
)
def test_equals_the_whole_model_text_by_text(
    way, pooling, precision, rtol, atol, make, news, titles
):
    """Compare with the model from language_model(), without store, batches or padding."""
    rec = make(
        precision=precision, dtype=precision, cache_dtype=precision, pooling=pooling, **way
    ).fit(news.train, titles)
    model = rec.content_.language_model(merge_lora=True).eval()
    network = rec.network_.content.eval()
    vectors = []
    with torch.no_grad():
        for title in titles["title"][:20]:
            tokens = rec.content_.tokenizer_(
                title, truncation=True, max_length=16, return_tensors="pt"
            )
            hidden = model(tokens["input_ids"]).last_hidden_state  # (1, L, H)
            if pooling == "attention":
                query = torch.tanh(network.pool.project(hidden)) @ network.pool.query.weight.T
                pooled = (torch.softmax(query, dim=1) * hidden).sum(dim=1)
            else:
                pooled = {"mean": hidden.mean(1), "cls": hidden[:, 0], "last": hidden[:, -1]}[
                    pooling
                ]
            vectors.append(projected(network, pooled)[0].numpy())
    assert_allclose(rec.item_vectors()[:20], vectors, rtol=rtol, atol=atol)


def test_torchs_generator_is_left_alone(make, news, titles):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    rec = make(trainable_layers=1).fit(news.train, titles)
    pickle.loads(pickle.dumps(rec)).item_vectors()
    assert torch.equal(torch.get_rng_state(), before)


def test_bf16_states_change_scores_little(make, news, titles):
    exact, short = (
        make(trainable_layers=1, cache_dtype=dtype).fit(news.train, titles).item_vectors()
        for dtype in ("float32", "bfloat16")
    )
    difference = np.abs(exact - short).max() / np.abs(exact).max()
    # measured: 0.01, from rounding and two epochs of training on rounded states
    assert 0 < difference < 0.05


# Stored states


def test_a_grid_search_computes_each_prefix_once(make, news, titles, tmp_path):
    """8 settings in 3 folds and the refit: 25 fits, but one forward pass per item."""
    grid = {
        "behavior": ["mean_pooling", "additive_attention"],
        "predictor": ["dot", "cosine"],
        "content__lora": [None, 2],
    }
    rec = make(memory=tmp_path, trainable_layers=1).set_params(max_epochs=1)
    search = GridSearchCV(rec, grid, cv=3, error_score="raise")
    search.fit(news.train.head(60), items=Items(titles))
    kept = cache.info(tmp_path)
    assert len(search.cv_results_["params"]) == 8
    assert list(kept["n_items"]) == [titles["title"].nunique()]


def test_only_a_changed_text_is_computed(make, news, titles, tmp_path):
    rec = make(memory=tmp_path, trainable_layers=1)
    rec.fit(news.train, titles)
    n_texts = titles["title"].nunique()
    changed = titles.copy()
    changed.loc[3, "title"] = "a title that was never there before"
    clone(rec).fit(news.train, changed)
    assert list(cache.info(tmp_path)["n_items"]) == [n_texts + 1]
    # items of a single call
    rec.recommend([[titles["item_id"][0]]], k=2, items=changed)
    assert list(cache.info(tmp_path)["n_items"]) == [n_texts + 1]


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_length": 12},
        {"template": "news: {title}"},
        {"trainable_layers": 2},
        {"cache_dtype": "float32"},
        {"dtype": "bfloat16"},
        {"trainable_layers": 0},
        {"trainable_layers": 0, "pooling": "mean"},
    ],
    ids=str,
)
def test_what_states_depend_on_computes_all(parameters, make, news, titles, tmp_path):
    """A store that is identified by the name of the data alone would return wrong states."""
    for given in ({}, parameters):
        make(**({"memory": tmp_path, "trainable_layers": 1} | given)).fit(news.train, titles)
    kept = cache.info(tmp_path)
    assert list(kept["n_items"]) == [titles["title"].nunique()] * 2


@pytest.mark.parametrize(
    "parameters", [{"lora": 2}, {"pooling": "mean"}, {"gradient_checkpointing": True}], ids=str
)
def test_what_states_do_not_depend_on_computes_nothing(parameters, make, news, titles, tmp_path):
    for given in ({}, parameters):
        make(memory=tmp_path, trainable_layers=1, **given).fit(news.train, titles)
    assert list(cache.info(tmp_path)["n_items"]) == [titles["title"].nunique()]


def test_a_changed_weight_of_the_model_computes_all(make, news, titles, tmp_path):
    folder = save_tiny(tmp_path / "model", list(titles["title"]))
    memory = tmp_path / "memory"
    first = make(memory=memory, model=folder, trainable_layers=1).fit(news.train, titles)
    model = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.encoder.layer[0].output.dense.weight[0, 0] += 1.0
    model.save_pretrained(folder)
    second = clone(first).fit(news.train, titles)
    assert list(cache.info(memory)["n_items"]) == [titles["title"].nunique()] * 2
    assert not np.allclose(first.item_vectors(), second.item_vectors())
    # the first recommender cannot be loaded with the modified model
    with pytest.raises(ValueError, match="is not the one that this was trained with"):
        pickle.loads(pickle.dumps(first))


def test_the_same_model_under_another_name_computes_nothing(
    make, news, titles, tmp_path, tiny_bert
):
    memory = tmp_path / "memory"
    for model in (tiny_bert, Path(shutil.copytree(tiny_bert, tmp_path / "copy"))):
        make(memory=memory, model=model, trainable_layers=1).fit(news.train, titles)
    assert list(cache.info(memory)["n_items"]) == [titles["title"].nunique()]


@pytest.mark.slow
def test_a_second_process_reads_what_the_first_computed(make, news, titles, tmp_path):
    memory = tmp_path / "memory"
    rec = make(memory=memory, trainable_layers=1)
    (tmp_path / "rec.pickle").write_bytes(pickle.dumps((rec, news.train, titles)))
    script = (
        "import pickle, sys, torch\n"
        "torch.set_num_threads(1)\n"  # as in this process, because rounding depends on it
        "rec, X, items = pickle.load(open(sys.argv[1], 'rb'))\n"
        "pickle.dump(rec.fit(X, items), open(sys.argv[1], 'wb'))\n"
    )
    run = [sys.executable, "-c", script, str(tmp_path / "rec.pickle")]
    subprocess.run(run, check=True)
    other = pickle.loads((tmp_path / "rec.pickle").read_bytes())
    clone(rec).fit(news.train, titles)
    assert list(cache.info(memory)["n_items"]) == [titles["title"].nunique()]
    assert_allclose(
        other.item_vectors(), clone(rec).fit(news.train, titles).item_vectors(), rtol=1e-5
    )


def test_without_memory_there_is_no_folder(make, news, titles, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rec = make(trainable_layers=1).fit(news.train, titles)
    assert np.isfinite(scores(rec, news.test)).all()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", KEPT)
def test_frozen_layers_are_not_run_in_training(name, make, news, titles, tmp_path, monkeypatch):
    memory = tmp_path / "memory"
    make(memory=memory, **WAYS[name]).fit(news.train, titles)
    ran = []
    run = torch.nn.Module.__call__

    def watch(self, *args, **kwargs):
        if type(self).__name__ == "BertLayer":
            ran.append(any(p.requires_grad for p in self.parameters()))
        return run(self, *args, **kwargs)

    rec = make(memory=memory, **WAYS[name])
    rec.content = LanguageModel(**rec.content.get_params(deep=False))
    monkeypatch.setattr(torch.nn.Module, "__call__", watch)
    rec.fit(news.train, titles)
    n_trained = WAYS[name]["trainable_layers"]
    # loading runs the model three times to check sizes and padding, and building it once more
    n_checks = 3 * (3 + (n_trained > 0))
    assert len([one for one in ran if not one]) <= n_checks
    assert bool(len(ran) > n_checks) == bool(n_trained)


# Models, objects, number types


def test_a_model_object_is_copied_and_shared_by_clones(make, news, titles, tmp_path):
    model = tiny_model("Llama")
    before = copy.deepcopy(model.state_dict())
    tokenizer = tiny_tokenizer(list(titles["title"]))
    rec = make(model=model, tokenizer=tokenizer, pooling="last")
    assert clone(rec).content.model is model
    rec.fit(news.train, titles)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert all(p.requires_grad for p in model.parameters())
    again = pickle.loads(pickle.dumps(rec))
    assert_array_equal(again.item_vectors(), rec.item_vectors())


def test_a_model_object_needs_a_tokenizer(make, news, titles):
    with pytest.raises(ValueError, match="tokenizer"):
        make(model=tiny_model("BERT")).fit(news.train, titles)


@pytest.mark.parametrize("way", [{"lora": 2}, {"trainable_layers": 1}, {"trainable_layers": 0}])
def test_bfloat16_weights(way, make, news, titles):
    rec = make(dtype="bfloat16", **way).fit(news.train, titles)
    assert_array_equal(pickle.loads(pickle.dumps(rec)).item_vectors(), rec.item_vectors())
    trained = rec.content_.language_model(merge_lora=True)
    # what was trained is float32, and would lose small updates in bfloat16
    assert trained.dtype == (torch.float32 if way == {"trainable_layers": 1} else torch.bfloat16)


@pytest.mark.parametrize("way", [{}, {"trainable_layers": 1}], ids=str)
def test_texts_without_words_and_texts_alike(way, make, news, titles):
    odd = titles.assign(title=["" if at % 3 else "same words" for at in range(len(titles))])
    assert np.isfinite(make(**way).fit(news.train, odd).item_vectors()).all()


def test_with_ids(tiny_bert, make, news, titles):
    rec = make(trainable_layers=1)
    rec.set_params(content=content.WithID(rec.content, dropout=0.2)).fit(news.train, titles)
    assert_array_equal(pickle.loads(pickle.dumps(rec)).item_vectors(), rec.item_vectors())
    assert rec.content_.operator_.language_model().config.num_hidden_layers == 3


def test_the_language_model_comes_back_whole(make, fit_ways, tmp_path, tiny_bert):
    rec = fit_ways("split", make)
    whole = rec.content_.language_model()
    assert type(whole).__name__ == "BertModel"
    whole.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    torch.testing.assert_close(again.state_dict(), whole.state_dict(), rtol=0, atol=0)
    assert isinstance(fit_ways("split, LoRA", make).content_.language_model(), PeftModel)
    # also from a pickle
    back = pickle.loads(pickle.dumps(rec)).content_.language_model()
    torch.testing.assert_close(back.state_dict(), whole.state_dict(), rtol=0, atol=0)
    with pytest.raises(AttributeError, match="rec.content_.language_model"):
        LanguageModel(tiny_bert).language_model()


@pytest.mark.parametrize(("name", "rates"), [("split", {1e-2, 1e-3}), ("split, LoRA", {1e-2})])
def test_learning_rates(name, rates, make, fit_ways):
    rec = fit_ways(name, make)
    groups = {g["lr"]: g["params"] for g in parameter_groups(rec.network_, Plan.of(rec, "softmax"))}
    assert set(groups) == rates
    if 1e-3 in rates:
        top = {id(p) for p in rec.network_.content.top.parameters() if p.requires_grad}
        assert {id(p) for p in groups[1e-3]} == top


def test_progress_is_printed(make, news, titles, tmp_path, capsys):
    rec = make(memory=tmp_path, trainable_layers=1).set_params(verbose=1)
    rec.fit(news.train, titles)
    n_texts = titles["title"].nunique()
    assert f"prefix states: {n_texts}/{n_texts} items" in capsys.readouterr().out
    rec.fit(news.train, titles)
    assert "prefix states" not in capsys.readouterr().out


# Errors


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"trainable_layers": 4}, "trainable_layers must be at most 3, the layers of this model"),
        ({"trainable_layers": -1}, "trainable_layers must be a non-negative int, got -1"),
        ({"trainable_layers": 0, "lora": 4}, "lora adapts the layers that are trained"),
        ({"max_length": 71}, "max_length must be at most 70, the tokens that .* can read, got 71"),
        ({"max_length": 0}, "max_length must be a positive int, got 0"),
        (
            {"pooling": "max"},
            "pooling must be one of 'attention', 'mean', .*, 'saved', got 'max'",
        ),
        ({"dtype": "int8"}, "dtype must be one of"),
        ({"cache_dtype": torch.float16}, "cache_dtype must be one of"),
        ({"template": "{titel}"}, "titel.*did you mean 'title'"),
        ({"lora": 0}, "lora must be a positive int, got 0"),
        ({"model": "/no/such/folder"}, "no/such/folder"),
    ],
    ids=str,
)
def test_bad_parameters(parameters, match, make, news, titles):
    with pytest.raises((ValueError, OSError), match=match):
        make(**parameters).fit(news.train, titles)


def test_the_alias_says_what_it_needs(news, titles):
    with pytest.raises(
        ValueError, match=r"needs parameters; pass skrec.content.LanguageModel\(model="
    ):
        ContentRecommender("language_model").fit(news.train, titles)


def test_a_tokenizer_of_another_model(make, news, titles):
    model = tiny_model("BERT")
    model.resize_token_embeddings(20)
    tokenizer = tiny_tokenizer(list(titles["title"]))
    with pytest.raises(ValueError, match="knows 20 tokens; give the tokenizer that belongs to it"):
        make(model=model, tokenizer=tokenizer).fit(news.train, titles)


def test_a_model_that_is_none(make, news, titles):
    with pytest.raises(TypeError, match="model must be the name of a language model.*got 3"):
        make(model=3).fit(news.train, titles)


@pytest.mark.parametrize("memory", [3, ["a"]])
def test_bad_memory(memory, make, news, titles):
    with pytest.raises(TypeError, match="memory must be the path of a folder or None"):
        make(memory=memory).fit(news.train, titles)


def untrained_vectors(rec, news, titles, width):
    """Return the item vectors of an untrained model, and the states that they project."""
    untrained = {"max_epochs": 1, "learning_rate": 1e-30, "history_targets": 0}
    rec = rec.set_params(width=width, **untrained).fit(news.train, titles)
    network = rec.network_.content
    [column] = rec._encoded().packed(rec.network_).columns.values()
    values, mask = column.take(torch.arange(len(titles)))
    with torch.no_grad():
        pooled = network.pool(values.float(), mask)
    pooled = pooled / pooled.norm(dim=1, keepdim=True)
    return rec.item_vectors(), pooled.numpy()


def test_before_training_items_are_as_alike_as_in_the_language_model(news, titles, make):
    """A large projection starts as an isometry, so the ranking by cosines is kept."""
    found, pooled = untrained_vectors(make(trainable_layers=0), news, titles, width=40)
    assert pooled.shape[1] <= 40
    np.testing.assert_allclose(found @ found.T, 20 * pooled @ pooled.T, rtol=1e-3, atol=1e-4)


def test_a_small_projection_starts_at_the_principal_directions(news, titles, make):
    found, pooled = untrained_vectors(make(trainable_layers=0), news, titles, width=8)
    pca = PCA(8).fit(pooled)
    components = pca.transform(pooled) / pca.singular_values_**0.5
    wanted = components @ components.T
    scale = (found**2).sum() / np.trace(wanted)
    np.testing.assert_allclose(found @ found.T, scale * wanted, rtol=1e-3, atol=1e-4)
