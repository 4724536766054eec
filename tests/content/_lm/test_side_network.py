"""Side networks: blocks on pooled states of a language model that runs once per item."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from tiny_models import save_tiny

from skrec import ContentRecommender, Items, cache, content
from skrec._data.packed import Dense
from skrec.content import Packed
from skrec.content._side_network import _measure

EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def make(tiny_bert):
    """Return a function that creates a recommender with a small side network."""

    def make(memory=None, max_epochs=2, **parameters):
        defaults = {"template": "{title}", "bottleneck": 4, "max_length": 16}
        return ContentRecommender(
            content.SideNetwork(tiny_bert, **(defaults | parameters)),
            width=16,
            max_epochs=max_epochs,
            learning_rate=1e-2,
            memory=memory,
            random_state=0,
        )

    return make


@pytest.fixture
def texts_read():
    """Return a list with one number: how many texts any BERT has read."""
    from transformers.models.bert.modeling_bert import BertEmbeddings

    read = [0]

    def count(module, args, answer):
        if not isinstance(module, BertEmbeddings):
            return
        n_texts, length = answer.shape[:2]
        if n_texts > 1 or length > 5:  # one short text is a check after loading
            read[0] += n_texts

    handle = torch.nn.modules.module.register_module_forward_hook(count)  # for all modules
    yield read
    handle.remove()


def n_texts(news):
    return news.items.title.nunique()


def test_learns_from_clicks(make, news):
    # even the states of a random model distinguish words
    rec = make(max_epochs=8).fit(news.train, news.items)
    assert rec.score(news.train) > 0.7
    shapes = [answer.shape for answer in rec.predict_proba(news.test)]
    assert shapes == [(len(row), 2) for row in news.test.candidates]


def test_equal_to_a_plain_run_of_the_model(tiny_bert, items):
    """Compare tokens, layers, pooling, standardization and store with transformers alone."""
    from transformers import AutoModel, AutoTokenizer

    operator = content.SideNetwork(
        tiny_bert, layers=[3, 0, 1], template="{title}", dtype="float64", cache_dtype="float64"
    )
    operator.fit(items)
    assert operator.layers_ == (0, 1, 3)
    assert operator.n_layers_ == 3
    module = operator.build(operator.schema_, 6).double()
    codes = torch.arange(items.n_items)
    with torch.no_grad():
        found = module(operator.prepare(items).take(codes))

    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    model = AutoModel.from_pretrained(tiny_bert, dtype=torch.float64).eval()
    states = []
    with torch.no_grad():
        for title in items.column("title").to_pylist():
            given = tokenizer(title, return_tensors="pt", truncation=True, max_length=64)
            hidden = model(**given, output_hidden_states=True).hidden_states
            states.append(torch.stack([hidden[layer][0].mean(dim=0) for layer in (0, 1, 3)]))
        states = torch.stack(states)  # (N, m, H)
        mean, scale = states.mean(dim=0), states.std(dim=0, correction=0)
        # the module stores mean and scale in single precision
        states = (states - mean.float().double()) / scale.float().double()
        wanted = module.project(module.side(states))
    torch.testing.assert_close(found, wanted, **EXACT)


def test_kept_in_bfloat16_it_is_nearly_the_same(tiny_bert, items):
    vectors = []
    for cache_dtype in ("float32", "bfloat16"):
        operator = content.SideNetwork(tiny_bert, template="{title}", cache_dtype=cache_dtype)
        operator.fit(items)
        torch.manual_seed(0)
        module = operator.build(operator.schema_, 6)
        packed = operator.prepare(items)
        vectors.append(module(packed.take(torch.arange(items.n_items))).detach())
    assert (vectors[0] - vectors[1]).abs().max() < 0.02 * vectors[0].abs().max()
    assert not torch.equal(*vectors)


@pytest.mark.parametrize(
    ("n_layers", "wanted"),
    [(1, (0, 1)), (2, (0, 2)), (3, (0, 1, 3)), (6, (0, 2, 4, 6)), (12, (0, 2, 4, 6, 8, 10, 12))],
)
def test_default_layers_are_the_embeddings_and_every_second_from_the_top(n_layers, wanted):
    assert content.SideNetwork("any")._chosen(n_layers) == wanted


def test_language_model_reads_each_text_once(make, news, texts_read):
    # neither training nor prediction may run it again
    rec = make().fit(news.train, news.items)
    assert texts_read == [n_texts(news)]
    rec.predict_proba(news.test)
    rec.recommend([[]], k=3)
    assert texts_read == [n_texts(news)]


def test_second_fit_finds_all_in_memory(make, news, tmp_path, texts_read):
    first = make(tmp_path).fit(news.train, news.items)
    kept = cache.info(tmp_path)
    assert kept.n_items.tolist() == [n_texts(news)]
    # other trained blocks read the same states
    second = make(tmp_path, bottleneck=8).fit(news.train, news.items)
    third = make(tmp_path).fit(news.train, news.items)
    assert cache.info(tmp_path).n_items.tolist() == kept.n_items.tolist()
    assert texts_read == [n_texts(news)]
    assert not np.array_equal(first.item_vectors(), second.item_vectors())
    assert np.array_equal(first.item_vectors(), third.item_vectors())


@pytest.mark.parametrize(
    "changed", [{"layers": [0, 3]}, {"pooling": "cls"}, {"max_length": 8}, {"template": "{topic}"}]
)
def test_other_states_have_a_store_of_their_own(make, news, tmp_path, changed):
    make(tmp_path).fit(news.train, news.items)
    make(tmp_path, **changed).fit(news.train, news.items)
    assert len(cache.info(tmp_path)) == 2


def test_last_layer_is_shared_with_the_frozen_language_model(
    make, tiny_bert, news, tmp_path, texts_read
):
    make(tmp_path, layers=[3]).fit(news.train, news.items)
    frozen = content.LanguageModel(
        tiny_bert, trainable_layers=0, pooling="mean", template="{title}", max_length=16
    )
    make(tmp_path).set_params(content=frozen).fit(news.train, news.items)
    assert texts_read == [n_texts(news)]


def test_search_over_blocks_reads_each_text_once(make, news, tmp_path, texts_read):
    search = GridSearchCV(
        make(tmp_path, max_epochs=1), {"content__bottleneck": [2, 4]}, cv=2, error_score="raise"
    )
    search.fit(news.train, items=Items(news.items))
    assert texts_read == [n_texts(news)]
    assert search.best_estimator_.content_.bottleneck in (2, 4)


def test_changed_and_new_items_are_read_alone(make, news, texts_read):
    rec = make().fit(news.train, news.items)
    vectors = rec.item_vectors()
    new = news.items.iloc[:2].assign(title=["a title unlike any other", news.items.title[1]])
    ids, _ = rec.recommend([[]], k=2, items=new)
    assert texts_read == [n_texts(news) + 1]
    assert np.array_equal(rec.item_vectors(), vectors)
    assert ids.shape == (1, 2)


def test_new_items_are_standardised_as_the_training_catalogue(tiny_bert, items):
    # otherwise, the vector of an item would depend on the other items
    operator = content.SideNetwork(tiny_bert, template="{title}").fit(items)
    module = operator.build(operator.schema_, 6)
    few = items.conform(items.to_pandas().iloc[[5, 3]])
    with torch.no_grad():
        all_items = module(operator.prepare(items).take(torch.tensor([5, 3])))
        alone = module(operator.prepare(few).take(torch.tensor([0, 1])))
    torch.testing.assert_close(alone, all_items)


def test_mean_and_scale_are_those_of_the_kept_states(tiny_bert, items, monkeypatch):
    monkeypatch.setattr("skrec.content._side_network.PART", 7)
    operator = content.SideNetwork(tiny_bert, template="{title}", cache_dtype="float32").fit(items)
    kept = operator.prepare(items).take(torch.arange(items.n_items))["states"][0]
    kept = kept.double().unflatten(2, operator.schema_.mean.shape).squeeze(1).numpy()
    np.testing.assert_allclose(operator.schema_.mean, kept.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(operator.schema_.scale, kept.std(axis=0), rtol=1e-5)


def one_row_per_item(values):
    """Return values (n, m * H) as stored states."""
    return Packed({"states": Dense(values.unsqueeze(1))})


def test_rounding_is_not_blown_up_to_differences():
    # otherwise, entries that differ in the last bit would count as much as informative ones
    values = torch.tensor([[4.0, 0.0, 1000.0, 1.0], [4.0, 0.0, 1002.0, 3.0]])
    mean, scale = _measure(one_row_per_item(values), 2, precision=1 / 128)
    assert mean.tolist() == [[4.0, 0.0], [1001.0, 2.0]]
    wanted = [[4 / 128, 1.0], [np.hypot(1, 1001 / 128), np.hypot(1, 2 / 128)]]
    np.testing.assert_allclose(scale, wanted, rtol=1e-12)


def test_numbers_next_to_nothing_are_left_alone():
    # the last norm of MiniLM shuts off some entries, which then carry no information
    values = torch.tensor([[1e-32, 1.0, -2.0], [3e-32, 3.0, 2.0]])
    _, scale = _measure(one_row_per_item(values), 1, precision=0.0)
    np.testing.assert_allclose(scale, [[1e-3, 1.0, 2.0]], rtol=1e-12)
    # float32 cannot divide by a number this small
    _, scale = _measure(one_row_per_item(values[:, :1] * 1e-9), 1, precision=0.0)
    assert scale.tolist() == [[1.0]]


def test_precision_is_that_of_the_kept_numbers(tiny_bert, items):
    # all texts start with the same token, so its embedding has no variance
    parameters = {"layers": [0], "pooling": "cls", "template": "{title}"}
    for cache_dtype, eps in (("bfloat16", 2**-7), ("float16", 2**-10)):
        operator = content.SideNetwork(tiny_bert, cache_dtype=cache_dtype, **parameters).fit(items)
        schema = operator.schema_
        np.testing.assert_allclose(schema.scale, eps * np.abs(schema.mean), rtol=0.5)


def test_last_hidden_states_of_another_size(tmp_path):
    # OPT-350m projects them: they can be read alone, but not together with other layers
    items = Items(["a red fox", "the blue sea", "sea and fox"])
    folder = save_tiny(tmp_path, items.column("text").to_pylist(), name="OPT")
    operator = content.SideNetwork(folder, layers=[3]).fit(items)
    assert operator.schema_.mean.shape == (1, 16)
    packed = operator.prepare(items)
    assert operator.build(operator.schema_, 4)(packed.take(torch.arange(3))).shape == (3, 4)
    assert content.SideNetwork(folder, layers=[0, 2]).fit(items).schema_.mean.shape == (2, 32)
    with pytest.raises(ValueError, match="leave the last layer out of `layers`"):
        content.SideNetwork(folder).fit(items)


def test_pickle_answers_alike_without_the_language_model(make, news, tmp_path):
    rec = make(tmp_path).fit(news.train, news.items)
    dumped = pickle.dumps(rec)
    assert b"encoder.layer" not in dumped
    other = pickle.loads(dumped)
    for found, wanted in zip(
        other.predict_proba(news.test), rec.predict_proba(news.test), strict=True
    ):
        assert np.array_equal(found, wanted)


def test_clone_has_the_parameters_and_nothing_learned(make, news):
    rec = make(layers=(0, 2), pooling="last").fit(news.train, news.items)
    copy = clone(rec)
    assert copy.content.get_params() == rec.content.get_params()
    assert not hasattr(copy, "content_")
    assert not hasattr(clone(rec.content_), "schema_")


def test_one_item_and_one_layer(tiny_bert):
    # no variance to standardize by, and no gate
    items = Items(pd.DataFrame({"item_id": [1], "title": ["a red fox"]}))
    operator = content.SideNetwork(tiny_bert, layers=[2]).fit(items)
    vectors = operator.build(operator.schema_, 4)(operator.prepare(items).take(torch.tensor([0])))
    assert vectors.shape == (1, 4)
    assert vectors.isfinite().all()


@pytest.mark.parametrize("layers", [[], 2, "all", [0, 0], [-1], [True], [1.5], {0, 1}])
def test_wrong_layers_are_refused(make, news, layers):
    with pytest.raises(ValueError, match="layers must be None or a sequence of different ints"):
        make(layers=layers).fit(news.train, news.items)


def test_layers_that_the_model_lacks_are_refused(make, news):
    message = r"layers must be at most 3, the layers of this model, got \[0, 4\]"
    with pytest.raises(ValueError, match=message):
        make(layers=[0, 4]).fit(news.train, news.items)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bottleneck": 0}, "bottleneck must be a positive int, got 0"),
        (
            {"pooling": "attention"},
            "pooling must be one of 'mean', 'cls', 'last', got 'attention'",
        ),
        ({"cache_dtype": "int8"}, "cache_dtype must be one of .*, got 'int8'"),
    ],
)
def test_wrong_parameters_are_refused(make, news, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(news.train, news.items)
