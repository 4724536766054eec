"""Intents of texts against a plain restatement of CROWN's news encoder."""

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skrec import ContentRecommender, Items, content

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}
OTHERS = [(2, "topic"), (3, "kind")]


@pytest.fixture(scope="module")
def items():
    return Items(
        pd.DataFrame(
            {
                "item_id": range(4),
                "title": ["red fox", "blue sea at dawn", "the fox", "sun"],
                "body": ["a sly animal", "salt water", "", "it is hot so hot"],
                "topic": pd.Categorical(["animal", "water", "animal", None]),
                "kind": pd.Categorical(["x", "y", "x", "y"]),
            }
        )
    )


def build(operator, items):
    operator.check(WIDTH)
    operator.fit(items)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH).double().eval()
    with torch.no_grad():
        for weight in module.parameters():  # layer norms start as if they had none
            weight.add_(0.2 * torch.randn_like(weight))
    return module


def text_vector(encoder, words):
    """The mean of torch's own Transformer layer over the embedded words (L, D)."""
    [layer] = encoder.layers.layers
    twin = nn.TransformerEncoderLayer(WIDTH, 2, 11, 0.0, batch_first=True).double().eval()
    twin.self_attn.in_proj_weight = layer.mix.project.weight
    twin.self_attn.in_proj_bias = layer.mix.project.bias
    twin.self_attn.out_proj = layer.mix.out
    twin.linear1, twin.linear2 = (
        part for part in layer.feed_forward.layers if isinstance(part, nn.Linear)
    )
    twin.norm1, twin.norm2 = layer.mix_norm, layer.feed_forward_norm
    return twin((words + encoder.positions.table.weight[: len(words)])[None])[0].mean(dim=0)


def attend(layer, intents):
    scores = layer.query(torch.tanh(layer.project(intents)))
    return (torch.softmax(scores, dim=0) * intents).sum(dim=0)


def restated(module, packed, code):
    """The vector of one item with two texts and two categories."""
    columns, fusion = packed.take(torch.tensor([code])), module.fusion
    texts = []
    for name, encoder in zip(("title", "body"), module.encoders, strict=False):
        ids = columns[name][0][columns[name][1]]
        words = module.embeddings["text"](ids)
        texts.append(text_vector(encoder, words) if len(ids) else torch.zeros(WIDTH).double())
    topic, kind = (
        module.embeddings[str(i)](columns[n][0][0, 0]) for i, n in ((2, "topic"), (3, "kind"))
    )
    others = torch.cat([topic, kind])
    guide = fusion.guide(others)
    layers = list(zip(fusion.intents.weight.chunk(3), fusion.intents.bias.chunk(3), strict=True))
    title, body = (
        attend(layer, torch.stack([F.relu(W @ torch.cat([text, guide]) + b) for W, b in layers]))
        for layer, text in zip((fusion.title, fusion.body), texts, strict=True)
    )
    alike = (F.cosine_similarity(title, body, dim=0) + 1) / 2
    present = float(columns["body"][1].any())
    return fusion.project(torch.cat([title, present * alike * body, others]))


def test_equals_the_formula_in_values_and_gradients(items):
    operator = content.Intents(n_heads=2, hidden=11)
    module, packed = build(operator, items), operator.prepare(items)
    found = module(packed.take(torch.arange(4)))
    wanted = torch.stack([restated(module, packed, code) for code in range(4)])
    torch.testing.assert_close(found, wanted, **EXACT)
    weights = [w for name, w in module.named_parameters() if "classify" not in name]
    found, wanted = (torch.autograd.grad(y.square().sum(), weights) for y in (found, wanted))
    torch.testing.assert_close(found, wanted, **EXACT)


@pytest.mark.parametrize(
    "columns", [["title"], ["topic"], ["title", "body"], ["title", "topic"], ["topic", "kind"]]
)
def test_any_columns_do(items, columns):
    operator = content.Intents(columns)
    module = build(operator, items)
    taken = operator.prepare(items).take(torch.arange(4))
    vectors = module(taken)
    if hasattr(module, "penalized"):
        module.penalized(taken)[1].sum().backward()
    (vectors * torch.randn_like(vectors)).sum().backward()
    assert vectors.shape == (4, WIDTH) and vectors.isfinite().all()
    assert all(weight.grad.any() for weight in module.parameters())


def test_penalty_is_the_cross_entropy_of_the_title_s_intents(items):
    operator = content.Intents(n_heads=2, hidden=11, category_weight=0.5)
    module, packed = build(operator, items), operator.prepare(items)
    taken, fusion = packed.take(torch.arange(4)), module.fusion
    vectors, penalties = module.penalized(taken)
    torch.testing.assert_close(vectors, module(taken), **EXACT)
    layers = list(zip(fusion.intents.weight.chunk(3), fusion.intents.bias.chunk(3), strict=True))
    topics = [1, 2, 1, 0]  # animal, water, animal, none
    for code, topic in enumerate(topics):
        alone = packed.take(torch.tensor([code]))
        title = text_vector(module.encoders[0], module.embeddings["text"](alone["title"][0][0]))
        others = torch.cat([module.embeddings[str(i)](alone[n][0][0, 0]) for i, n in OTHERS])
        given = torch.cat([title, fusion.guide(others)])
        intents = torch.stack([F.relu(W @ given + b) for W, b in layers])
        logits = module.classify(attend(fusion.title, intents))
        wanted = -0.5 * logits.log_softmax(dim=0)[topic] if topic else torch.zeros(()).double()
        torch.testing.assert_close(penalties[code], wanted, **EXACT)


def test_no_category_is_predicted_without_a_weight_or_a_category(items):
    for operator in (content.Intents(category_weight=0), content.Intents(["title", "body"])):
        assert not hasattr(build(operator, items), "penalized")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_intents": 0}, "^n_intents must be a positive int, got 0$"),
        ({"n_heads": 3}, "^n_heads must divide width=8, got n_heads=3$"),
        ({"hidden": 0}, "^hidden must be a positive int, got 0$"),
        ({"category_weight": -1}, r"^category_weight must be a number in \[0, inf\), got -1$"),
        ({"dropout": 1.0}, r"^dropout must be a number in \[0, 1\), got 1.0$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        content.Intents(**parameters).check(WIDTH)


def test_saved_and_loaded(news, tmp_path):
    rec = ContentRecommender(content.Intents(), width=8, max_epochs=1, random_state=0)
    rec.fit(news.train, news.items).save(tmp_path / "rec")
    again = ContentRecommender.load(tmp_path / "rec")
    assert (again.item_vectors() == rec.item_vectors()).all()
