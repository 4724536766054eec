"""Long texts in overlapping windows equal windows that are read one by one."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from tiny_models import projected, tiny_tokenizer
from transformers import AutoModel, AutoTokenizer

from skrec import ContentRecommender, Items, cache, load
from skrec.baselines import ContentKNN
from skrec.content import LanguageModel, MixtureOfExperts, SideNetwork
from skrec.content._lm.text import token_ids
from skrec.content._lm.windows import cut_into_windows, mean_of_windows, special_tokens_around
from skrec.utils.estimator_checks import check_content_operator

LENGTH, STRIDE = 8, 2
WAYS = {
    "whole": {},
    "whole, LoRA": {"lora": 2},
    "split": {"trainable_layers": 1},
    "split, LoRA": {"trainable_layers": 2, "lora": 2},
    "frozen": {"trainable_layers": 0},
}
SLOW = pytest.param("whole", marks=pytest.mark.slow)
SOME_WAYS = [SLOW, *(way for way in WAYS if way != "whole")]


@pytest.fixture(scope="module")
def texts(news):
    """Texts of one to five titles; the third one is empty."""
    titles = list(news.items["title"])
    long = [" ".join(titles[at : at + 1 + at % 5]) for at in range(len(titles))]
    return pd.DataFrame({"item_id": news.items["item_id"], "text": [*long[:2], "", *long[3:]]})


@pytest.fixture
def make(tiny_bert):
    """Return a function that creates a small recommender in float64."""

    def make(memory=None, behavior="mean_pooling", **parameters):
        options = {"max_length": LENGTH, "stride": STRIDE} | parameters
        return ContentRecommender(
            LanguageModel(tiny_bert, dtype="float64", cache_dtype="float64", **options),
            behavior=behavior,
            width=8,
            max_epochs=1,
            batch_size=128,
            early_stopping=False,
            precision="float64",
            memory=memory,
            random_state=0,
        )

    return make


def windows_of(tokenizer, text):
    """Cut one text as transformers does it."""
    found = tokenizer(
        text,
        truncation=True,
        max_length=LENGTH,
        stride=STRIDE,
        return_overflowing_tokens=True,
    )
    return found["input_ids"]


@torch.no_grad()
def slow_vector(rec, model, text):
    """Read the windows of a text one by one, and pool the states of their tokens."""
    operator, network = rec.content_, rec.network_.content
    windows = windows_of(operator.tokenizer_, text)
    states = [model(torch.tensor([ids])).last_hidden_state[0] for ids in windows]
    if operator.pooling == "attention":
        every = torch.cat(states)  # (n_tokens, H)
        logits = torch.tanh(network.pool.project(every)) @ network.pool.query.weight.T
        pooled = (torch.softmax(logits, dim=0) * every).sum(dim=0)
    else:
        one = {"mean": lambda x: x.mean(dim=0), "cls": lambda x: x[0], "last": lambda x: x[-1]}
        vectors = [one[operator.pooling](each) for each in states]
        sizes = [len(each) for each in states]
        total = sum(n * vector for n, vector in zip(sizes, vectors, strict=True))
        pooled = total / sum(sizes)
    return projected(network, pooled[: operator.truncate_dim]).numpy()


@pytest.mark.parametrize("length", range(12))
@pytest.mark.parametrize("stride", [0, 1, STRIDE, LENGTH - 3])
def test_windows_are_those_of_transformers(length, stride, texts):
    tokenizer = tiny_tokenizer(list(texts["text"]))
    words = [word for word in tokenizer.get_vocab() if word[0] != "["]
    text = " ".join(words[: 3 * length])
    offsets, ids = token_ids(tokenizer, ["", text], None)
    around = special_tokens_around(tokenizer)
    assert around == (1, 1)
    of_text, offsets, ids = cut_into_windows(offsets, ids, LENGTH - 2, stride, around)
    found = [ids[a:b].tolist() for a, b in zip(offsets, offsets[1:], strict=False)]
    expected = tokenizer(
        text, truncation=True, max_length=LENGTH, stride=stride, return_overflowing_tokens=True
    )["input_ids"]
    assert of_text.tolist() == [0, 1, 1 + len(expected)]
    assert found == [[2, 3], *expected]


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls", "last"])
@pytest.mark.parametrize("way", SOME_WAYS)
def test_equals_windows_that_are_read_one_by_one(way, pooling, make, news, texts):
    rec = make(pooling=pooling, truncate_dim=20, **WAYS[way]).fit(news.train.head(40), texts)
    model = rec.content_.language_model(merge_lora=True).eval()
    expected = [slow_vector(rec, model, text) for text in texts["text"][:25]]
    lengths = [len(windows_of(rec.content_.tokenizer_, text)) for text in texts["text"][:25]]
    assert min(lengths) == 1 and max(lengths) > 3
    assert_allclose(rec.item_vectors()[:25], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("way", SOME_WAYS)
def test_equals_the_plain_way_if_texts_fit_one_window(way, make, news):
    titles = news.items[["item_id", "title"]]
    one = make(max_length=32, **WAYS[way]).fit(news.train.head(40), titles)
    plain = make(max_length=32, stride=None, **WAYS[way]).fit(news.train.head(40), titles)
    assert_allclose(one.item_vectors(), plain.item_vectors(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("way", SOME_WAYS)
def test_saved_pickled_and_cloned(way, make, news, texts, tmp_path):
    rec = make(**WAYS[way]).fit(news.train.head(40), texts)
    expected = rec.item_vectors()
    rec.save(tmp_path / "rec", include_base=True)
    for again in (load(tmp_path / "rec"), pickle.loads(pickle.dumps(rec))):
        assert again.content_.stride == STRIDE
        assert_allclose(again.item_vectors(), expected, rtol=0, atol=1e-12)
    again = clone(rec).fit(news.train.head(40), texts)
    assert_array_equal(again.item_vectors(), expected)


def test_windows_are_stored_once_for_all_strides_and_items(make, news, texts, tmp_path):
    """A window is stored by its token ids, so that equal windows of other texts are the same."""
    rec = make(tmp_path, trainable_layers=1).fit(news.train.head(40), texts)
    tokenizer = rec.content_.tokenizer_
    windows = {tuple(each) for text in texts["text"] for each in windows_of(tokenizer, text)}
    assert cache.info(tmp_path).n_items.tolist() == [len(windows)]
    rec.set_params(content__stride=None).fit(news.train.head(40), texts)
    assert cache.info(tmp_path).n_items.tolist() == [len(windows)]


@pytest.mark.parametrize("way", ["split", "frozen", SLOW])
def test_tokens_are_those_of_all_windows(way, make, news, texts):
    rec = make(**WAYS[way], behavior="token_transformer").fit(news.train.head(40), texts)
    assert np.isfinite(np.concatenate(list(rec.decision_function(news.test)))).all()
    model, network = rec.content_.language_model().eval(), rec.network_.content
    codes = torch.tensor([4, 2, 0])
    with torch.no_grad():
        vectors, x, mask = network.tokens(rec.content_.prepare(Items(texts)).take(codes))
        for row, code in enumerate(codes.tolist()):
            windows = windows_of(rec.content_.tokenizer_, texts["text"][code])
            states = [model(torch.tensor([ids])).last_hidden_state[0] for ids in windows]
            expected = projected(network, torch.cat(states))
            assert int(mask[row].sum()) == len(expected)
            torch.testing.assert_close(x[row][mask[row]], expected, rtol=0, atol=1e-10)
    assert_allclose(vectors.numpy(), rec.item_vectors()[codes], rtol=0, atol=1e-10)


def test_gradients_are_the_same_in_parts(make, news, texts, monkeypatch):
    """Long batches are encoded in parts, whose activations are computed again."""
    rec = make(trainable_layers=1).fit(news.train.head(40), texts)
    network, columns = (
        rec.network_.content,
        rec.content_.prepare(Items(texts)).take(torch.arange(9)),
    )
    gradients = []
    for part, budget in ((1 << 11, 1 << 14), (16, 8)):
        monkeypatch.setattr("skrec.content._lm.network.PART_ON_CPU", part)
        monkeypatch.setattr("skrec.content._lm.network.TOKEN_BUDGET", budget)
        network.zero_grad()
        network(columns).square().sum().backward()
        gradients.append([p.grad for p in network.parameters() if p.requires_grad])
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


@pytest.mark.parametrize("way", ["split", "frozen", SLOW])
def test_each_window_begins_with_the_prompt(way, make, news, texts):
    prompt = f"{texts['text'][0].split()[0]} "
    rec = make(prompt=prompt, max_length=LENGTH + 1, pooling="mean", **WAYS[way])
    rec.fit(news.train.head(40), texts)
    model, tokenizer = rec.content_.language_model().eval(), rec.content_.tokenizer_
    start = tokenizer(prompt)["input_ids"][:-1]  # without the special token at the end
    assert len(start) == 2
    for row, text in enumerate(texts["text"][:10]):
        windows = [start + ids[1:] for ids in windows_of(tokenizer, text)]
        with torch.no_grad():
            states = [model(torch.tensor([ids])).last_hidden_state[0] for ids in windows]
            expected = projected(rec.network_.content, torch.cat(states).mean(dim=0))
        assert_allclose(rec.item_vectors()[row], expected, rtol=0, atol=1e-10)


def test_a_prompt_that_the_tokenizer_joins_with_texts(make, news, texts):
    word = texts["text"][0].split()[0]
    texts = texts.assign(text=f"{word[2:]} " + texts["text"])  # the prompt completes the word
    with pytest.raises(ValueError, match=f"joins the end of prompt='{word[:2]}' with the text"):
        make(prompt=word[:2]).fit(news.train.head(40), texts)


def test_a_side_network_reads_all_windows(tiny_bert, news, texts):
    def fitted(texts, **parameters):
        operator = SideNetwork(tiny_bert, layers=[1, 2], cache_dtype="float32", **parameters)
        return operator, operator.fit(Items(texts)).prepare(Items(texts))

    operator, windows = fitted(texts, max_length=LENGTH, stride=STRIDE)
    cut = [windows_of(operator.tokenizer_, text) for text in texts["text"]]
    model = AutoModel.from_pretrained(tiny_bert).eval()
    expected = []  # one by one
    for of_text in cut:
        with torch.no_grad():
            found = [model(torch.tensor([ids]), output_hidden_states=True) for ids in of_text]
        states = [torch.cat(each.hidden_states[1:3], dim=2)[0] for each in found]
        expected.append(torch.cat(states).mean(dim=0))
    expected = torch.stack(expected)  # (n, m * H)
    every = windows.take(torch.arange(len(texts)))
    assert_allclose(mean_of_windows(every), expected, rtol=1e-4, atol=1e-5)
    mean = operator.schema_.mean.ravel()
    assert_allclose(mean, expected.mean(dim=0), rtol=1e-4, atol=1e-5)
    tower = operator.build(operator.schema_, 4)
    states = (expected.unflatten(1, (2, -1)) - tower.mean) / tower.scale
    torch.testing.assert_close(
        tower(every), tower.project(tower.side(states)), rtol=1e-3, atol=1e-4
    )

    short = texts.assign(text=news.items["title"])
    (one, few), (other, plain) = (
        fitted(short, max_length=32, stride=0),
        fitted(short, max_length=32),
    )
    assert_array_equal(one.schema_.mean, other.schema_.mean)
    torch.manual_seed(0)
    tower, rows = one.build(one.schema_, 4), torch.arange(len(short))
    torch.testing.assert_close(tower(few.take(rows)), tower(plain.take(rows)))


def test_experts_read_windows(make, news, texts):
    rec = make()
    rec.set_params(content=MixtureOfExperts(rec.content, n_experts=2)).fit(
        news.train.head(40), texts
    )
    assert np.isfinite(rec.item_vectors()).all()


@pytest.mark.parametrize("pooling", ["attention", "cls"])
def test_neighbors_by_windows(pooling, tiny_bert, news, texts):
    operator = LanguageModel(
        tiny_bert,
        trainable_layers=0,
        max_length=LENGTH,
        stride=STRIDE,
        cache_dtype="float32",
        pooling=pooling,
        truncate_dim=9,
    )
    knn = ContentKNN(operator).fit(news.train.head(40), texts)
    model = operator.fit(Items(texts)).language_model().eval()
    for row, text in enumerate(texts["text"][:10]):
        windows = windows_of(operator.tokenizer_, text)
        with torch.no_grad():
            states = [model(torch.tensor([ids])).last_hidden_state[0] for ids in windows]
        one = {"attention": lambda x: x.sum(0), "cls": lambda x: len(x) * x[0]}[pooling]
        vector = sum(map(one, states))[:9]
        expected = (vector / vector.norm()).numpy()
        assert_allclose(knn._vectors[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_it_passes_the_public_checks(tiny_bert):
    check_content_operator(LanguageModel(tiny_bert, max_length=6, stride=1, trainable_layers=1))


def test_words_of_long_texts_are_not_explained(make, news, texts):
    rec = make().fit(news.train.head(40), texts)
    history = list(news.test["history"].iloc[0])
    tokenizer = rec.content_.tokenizer_
    n_windows = [len(windows_of(tokenizer, text)) * bool(text) for text in texts["text"]]
    short, long = (texts["item_id"].iloc[n_windows.index(n)] for n in (1, 3))
    assert len(rec.explain(history, short).words)
    with pytest.raises(ValueError, match="has 3 windows of max_length=8 tokens, and only texts"):
        rec.explain(history, long)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"stride": -1}, "stride must be a non-negative int, got -1"),
        ({"stride": 1.5}, "stride must be a non-negative int, got 1.5"),
        ({"stride": 8}, "stride must be less than max_length - 2, .* got stride=8, max_length=8"),
        ({"stride": 6}, "stride must be less than max_length - 2, .* got stride=6, max_length=8"),
        ({"stride": 0, "max_length": 2}, "stride must be less than max_length - 2"),
        ({"stride": 5, "prompt": "of "}, "stride must be less than max_length - 3, because each"),
        ({"max_length": 999}, "max_length must be at most 70"),
    ],
)
def test_invalid_values(parameters, match, make, news, texts):
    with pytest.raises(ValueError, match=match):
        make(**parameters).fit(news.train.head(40), texts)


def test_a_tokenizer_with_unknown_special_tokens(make, news, texts, tiny_bert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    tokenizer.num_special_tokens_to_add = lambda pair=False: 3
    with pytest.raises(ValueError, match="not known which of its 3 special tokens"):
        special_tokens_around(tokenizer)
