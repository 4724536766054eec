"""Additive attention over the tokens of all columns as one sequence."""

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from skrec import ContentRecommender, Items, content
from skrec.content._columns.network import ColumnEmbeddings

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture(scope="module")
def catalogue(mixed):
    return Items(mixed)


def build(operator):
    torch.manual_seed(0)
    return operator.build(operator.schema_, WIDTH).double().eval()


def take(packed, codes):
    return packed.take(torch.tensor(codes))


def tokens_of(module, packed, code):
    """Return the T tokens of one item, (D,) each, computed column by column in plain loops."""
    rows = []
    for column, key in zip(module.schema, module.keys, strict=True):
        values, mask = packed.take(torch.tensor([code]))[column.name]
        layer = module.embeddings[key]
        if column.role in ("number", "vector"):
            rows.append(layer.weight @ values[0].double() + layer.bias)
        else:
            rows += [layer.weight[i] for i in values[0][mask[0]].tolist()]
    return rows


def test_vector_equals_the_formula_over_the_tokens_of_all_columns(catalogue):
    operator = content.AdditiveAttention(hidden=5).fit(catalogue)
    module, packed = build(operator), operator.prepare(catalogue)
    found = module(take(packed, list(range(8))))
    layer = module.attention
    W, b, w = layer.project.weight, layer.project.bias, layer.query.weight[0]
    assert W.shape == (5, WIDTH)
    for code in range(8):
        rows = tokens_of(module, packed, code)
        scores = torch.stack([w @ torch.tanh(W @ row + b) for row in rows])
        weights = scores.exp() / scores.exp().sum()
        wanted = sum(weight * row for weight, row in zip(weights, rows, strict=True))
        torch.testing.assert_close(found[code], wanted, **EXACT)


def test_weights_of_zero_give_the_mean_of_all_tokens():
    # three words and one category: each token counts equally, not each column
    items = Items(
        {"item_id": [0], "title": ["red fox den"], "topic": pd.Categorical(["a"])},
    )
    operator = content.AdditiveAttention().fit(items)
    module, packed = build(operator), operator.prepare(items)
    with torch.no_grad():
        module.attention.query.weight.zero_()
    rows = tokens_of(module, packed, 0)
    assert len(rows) == 4
    torch.testing.assert_close(module(take(packed, [0]))[0], sum(rows) / 4, **EXACT)


def test_a_text_in_two_columns_equals_the_whole_in_one():
    # columns form one sequence, so a text may be split over columns
    whole = Items({"item_id": [0, 1], "a": ["red fox den", "sea"]})
    parts = Items({"item_id": [0, 1], "a": ["red fox", ""], "b": ["den", "sea"]})
    one, two = content.AdditiveAttention().fit(whole), content.AdditiveAttention().fit(parts)
    two.tokenizer_ = one.tokenizer_
    module = build(one)
    twin = two.build(two.schema_, WIDTH).double().eval()
    vocab = one.tokenizer_.get_vocab_size()
    with torch.no_grad():
        twin.embeddings["text"].weight = torch.nn.Parameter(module.embeddings["text"].weight)
    twin.attention.load_state_dict(module.attention.state_dict())
    assert len(module.embeddings["text"].weight) == vocab
    wanted = module(take(one.prepare(whole), [0, 1]))
    torch.testing.assert_close(twin(take(two.prepare(parts), [0, 1])), wanted, **EXACT)


def test_order_of_words_plays_no_part():
    items = Items(["fox eats hen", "hen eats fox", "fox eats fox"])
    operator = content.AdditiveAttention().fit(items)
    a, b, c = build(operator)(take(operator.prepare(items), [0, 1, 2]))
    torch.testing.assert_close(a, b, **EXACT)
    assert not torch.allclose(a, c)


def test_item_without_any_token_is_zeros_alone_and_in_company():
    items = Items(["red fox", "", "a long title of many words"])
    operator = content.AdditiveAttention().fit(items)
    module, packed = build(operator), operator.prepare(items)
    assert not module(take(packed, [1])).any()
    together = module(take(packed, [0, 1, 2]))
    assert not together[1].any()
    assert together[[0, 2]].any(dim=1).all()


def test_grid_of_tokens_has_the_real_ones_first_and_zeros_behind(catalogue):
    # operators that read histories as tokens depend on this
    operator = content.AdditiveAttention().fit(catalogue)
    packed = operator.prepare(catalogue)
    torch.manual_seed(0)
    module = ColumnEmbeddings(operator.schema_, WIDTH).double()
    codes = [2, 3, 7, 2]
    x, place, mask = module.embed_sequence(take(packed, codes))
    grid = F.embedding(place, x)
    assert len(x) == 1 + int(packed.lengths[codes].sum())  # each real token is embedded once
    assert grid.shape == (4, int(packed.lengths[codes].max()), WIDTH)
    assert mask.sum(dim=1).tolist() == packed.lengths[codes].tolist()
    assert not grid[~mask].any()
    for row, code in enumerate(codes):
        wanted = torch.stack(tokens_of(module, packed, code))
        torch.testing.assert_close(grid[row, : len(wanted)], wanted, **EXACT)


def test_grid_of_nothing_but_empty_texts():
    items = Items(["", "fox"])
    operator = content.AdditiveAttention().fit(items)
    module = ColumnEmbeddings(operator.schema_, WIDTH)
    x, place, mask = module.embed_sequence(take(operator.prepare(items), [0, 0]))
    assert F.embedding(place, x).tolist() == [[[0.0] * WIDTH]] * 2
    assert mask.tolist() == [[False], [False]]


def test_dropout_acts_in_training_only(catalogue):
    operator = content.AdditiveAttention(dropout=0.5).fit(catalogue)
    module, columns = build(operator), take(operator.prepare(catalogue), [2, 0])
    assert torch.equal(module(columns), module(columns))
    module.train()
    assert not torch.equal(module(columns), module(columns))


def test_recommender_by_alias(news):
    rec = ContentRecommender(
        "additive_attention", width=16, max_epochs=8, early_stopping=False, random_state=0
    )
    rec.set_params(learning_rate=3e-2)
    assert rec.fit(news.train, news.items).score(news.train) > 0.85
