"""Shares of words add up to the score, are exact where it is linear, and leave no trace."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec._inference.scores import weights_version
from skrec._inference.word_shares import integrated_gradients


@pytest.fixture(scope="module")
def history(news):
    return list(max(news.test["history"], key=len))[:5]


@pytest.fixture(scope="module")
def item(news):
    return int(news.items["item_id"].iloc[7])


def adds_up(found):
    """Check that the shares and the score without words add up to the score."""
    total = np.abs(found.words["share"]).sum()
    gap = found.score_without_words + found.words["share"].sum() - found.score
    return abs(gap) <= 0.02 * total + 0.005 * abs(found.score) and total > 0


def test_gradients_of_a_linear_function_are_the_terms():
    rng = np.random.default_rng(0)
    weight, x, base = (torch.from_numpy(rng.normal(size=(4, 3))) for _ in range(3))
    shares, value = integrated_gradients(lambda p: (p * weight).sum(dim=(1, 2)), x, base)
    np.testing.assert_allclose(shares, (weight * (x - base)).sum(dim=1), rtol=1e-12)
    assert value == pytest.approx(float((weight * base).sum()), rel=1e-12)


def test_gradients_are_those_of_a_plain_integral():
    # f = product of the sums of two tokens, along the way from 0 to x: t**2 a b, halved for each
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64)
    shares, value = integrated_gradients(lambda p: p.sum(dim=2).prod(dim=1), x, torch.zeros_like(x))
    np.testing.assert_allclose(shares, [3.0, 3.0], rtol=1e-6)
    assert value == 0


def test_more_points_are_used_only_where_they_are_needed():
    asked = []

    def f(points):
        asked.append(len(points))
        return torch.relu(points - 0.999).sum(dim=(1, 2)) * 1000

    x = torch.ones(1, 1, dtype=torch.float64)
    shares, _ = integrated_gradients(f, x, torch.zeros_like(x))
    assert asked == [2, 16, 64, 256, 1024]
    assert shares.sum() == pytest.approx(1, abs=0.05)


def test_shares_of_a_mean_of_words_are_its_terms(news, history, item):
    titles = Items(news.items[["item_id", "title"]])
    rec = ContentRecommender(
        "mean_pooling", "additive_attention", predictor.Dot(temperature=0.5),
        width=8, max_epochs=2, random_state=0,
    )  # fmt: skip
    rec.fit(news.train, titles)
    found = rec.explain(history, item)
    operator = rec.content_
    title = news.items.set_index("item_id")["title"][item]
    encoded = operator.tokenizer_.encode(title)
    table = rec.network_.content.embeddings["text"].weight.detach().numpy()
    user = rec.transform([history])[0]
    by_token = table[encoded.ids] @ user / len(encoded.ids) / 0.5
    assert found.words["share"].sum() == pytest.approx(by_token.sum(), rel=1e-4)
    assert found.score_without_words == pytest.approx(0, abs=1e-6)
    spans = {}
    for (start, stop), word, share in zip(encoded.offsets, encoded.word_ids, by_token, strict=True):
        text, total = spans.get(word, ("", 0.0))
        spans[word] = text + title[start:stop], total + share
    assert found.words["word"].tolist() == [text for text, _ in spans.values()]
    wanted = [total for _, total in spans.values()]
    np.testing.assert_allclose(found.words["share"], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("parts", "columns"),
    [
        ({"content": "cnn"}, ["title"]),
        ({"content": content.WithID("additive_attention")}, ["title"]),
        ({"content": content.TopicAware("gru")}, ["title"]),
        ({"behavior": "target_attention", "predictor": "mlp"}, ["title"]),
        ({"behavior": behavior.TokenTransformer()}, ["title"]),
    ],
    ids=str,
)
def test_shares_add_up(news, history, item, parts, columns, make_recommender):
    rec = make_recommender(**{"max_epochs": 1, "learning_rate": 0.02, **parts})
    found = rec.fit(news.train, news.items).explain(history, item)
    assert adds_up(found)
    assert found.words["column"].unique().tolist() == columns


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(content.ALIASES))
def test_shares_of_all_operators_add_up(news, history, item, name, make_recommender):
    if name in ("mixture_of_experts", "vectors"):
        pytest.skip("reads vectors, which the headlines lack")
    rec = make_recommender(content=name, max_epochs=1, learning_rate=0.02)
    found = rec.fit(news.train, news.items).explain(history, item)
    if name in ("id", "tabular", "features", "topic_aware") and found.words is None:
        assert name != "topic_aware"
    else:
        assert adds_up(found)


def test_other_terms_of_the_score_are_no_words(news, history, item):
    histories = news.train.drop_duplicates("user_id")["history"].tolist()
    rec = ContentRecommender("mean_pooling", width=8, max_epochs=1, random_state=0)
    rec.fit(histories, news.items)
    whole = rec.explain(history, item)
    assert adds_up(whole)
    prior = rec.prior_
    assert prior is not None
    object.__setattr__(prior, "weights", (2 * prior.weights[0], *prior.weights[1:]))
    double = rec.explain(history, item)
    np.testing.assert_allclose(double.words["share"], 2 * whole.words["share"], rtol=1e-5)
    assert adds_up(double)


def test_texts_that_are_cut_or_empty(mixed):
    histories = [[0, 1, 2], [3, 4], [5, 6, 7], [0, 7]]
    operator = content.MeanPooling(["title"], max_length=3)
    rec = ContentRecommender(operator, width=4, max_epochs=1, random_state=0, co_clicks=False)
    rec.fit(histories, mixed)
    cut = rec.explain([0, 1], 2)  # "the fox and the sea"
    assert len("".join(cut.words["word"])) < len("thefoxandthesea")
    assert "thefoxandthesea".startswith("".join(cut.words["word"]))
    empty = rec.explain([0, 1], 3)
    assert len(empty.words) == 0
    assert empty.score_without_words == pytest.approx(empty.score, rel=1e-5)


def test_nothing_is_left_behind(fitted, history, item):
    network = fitted.network_
    before = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    version, embed = weights_version(network), network.content.embeddings["text"]
    scores = fitted.decision_function([history])
    fitted.explain(history, item)
    for parameter, gradient in zip(network.parameters(), before, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)
    assert weights_version(network) == version
    assert network.content.embeddings["text"] is embed
    assert not any(module.training for module in network.modules())
    np.testing.assert_array_equal(fitted.decision_function([history]), scores)


def test_threads_and_modes_of_autograd(fitted, history, news):
    items = news.items["item_id"].head(6).tolist()
    wanted = [fitted.explain(history, item).words["share"].to_numpy() for item in items]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda item: fitted.explain(history, item), items * 3))
    for got, want in zip(found, wanted * 3, strict=True):
        np.testing.assert_allclose(got.words["share"], want, rtol=1e-5, atol=1e-7)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            again = fitted.explain(history, items[0]).words["share"]
        np.testing.assert_allclose(again, wanted[0], rtol=1e-5, atol=1e-7)


def test_shares_that_do_not_add_up_warn(fitted, history, item, monkeypatch):
    monkeypatch.setattr(
        "skrec._inference.word_shares.integrated_gradients",
        lambda f, x, base: (np.full(len(x), 10.0), 0.0),
    )
    with pytest.warns(UserWarning, match="the shares of the words miss the score by"):
        fitted.explain(history, item)


# Language models


@pytest.mark.parametrize(
    "options",
    [{}, {"trainable_layers": 1}, {"trainable_layers": 0, "pooling": "mean"}],
    ids=["whole", "split", "frozen"],
)
def test_words_of_language_models(news, history, item, tiny_bert, options, make_recommender):
    operator = content.LanguageModel(tiny_bert, template="{topic}: {title}", **options)
    rec = make_recommender(content=operator, max_epochs=1).fit(news.train, news.items)
    found = rec.explain(history, item)
    row = news.items.set_index("item_id").loc[item]
    text = f"{row['topic']}: {row['title']}"
    assert "".join(found.words["word"]) == text.replace(" ", "")
    assert found.words["column"].unique().tolist() == ["topic, title"]
    assert adds_up(found)
    again = rec.explain(history, item)
    np.testing.assert_allclose(again.words["share"], found.words["share"], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, 2])
@pytest.mark.parametrize("layers", [None, 0, 1, 3])
def test_shares_of_split_and_adapted_models_add_up(
    news, history, item, tiny_bert, layers, lora, make_recommender
):
    if layers == 0 and lora:
        pytest.skip("there is nothing to adapt")
    operator = content.LanguageModel(tiny_bert, trainable_layers=layers, lora=lora)
    for each in (operator, content.WithID(operator), content.MixtureOfExperts(operator)):
        rec = make_recommender(content=each, max_epochs=1).fit(news.train, news.items)
        assert adds_up(rec.explain(history, item))
