"""Tokens of items, as behavior operators read them."""

import numpy as np
import pytest
import torch

from skrec import Items, content
from skrec.content._lm.network import LanguageModelNetwork
from skrec.content._tokens import tokens_of
from skrec.nn import masked_mean

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}


def without_dropout(operator):
    if "dropout" in operator.get_params():
        operator.set_params(dropout=0.0)
    return operator


def build(operator, items):
    operator = without_dropout(operator).fit(items)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH).double().eval()
    return module, operator.prepare(items)


def take(packed, codes):
    columns = packed.take(torch.as_tensor(codes))
    return {
        name: (values.double() if values.is_floating_point() else values, mask)
        for name, (values, mask) in columns.items()
    }


@pytest.fixture(params=sorted(content.ALIASES))
def built(request, mixed):
    items = Items(mixed)
    return build(content.ALIASES[request.param](), items)


def test_vectors_are_those_of_forward(built):
    module, packed = built
    columns = take(packed, range(len(packed)))
    vectors, _, _ = tokens_of(module, columns)
    torch.testing.assert_close(vectors, module(columns), **EXACT)


def test_real_tokens_come_first(built):
    module, packed = built
    _, x, mask = tokens_of(module, take(packed, range(len(packed))))
    assert x.shape == (*mask.shape, WIDTH)
    assert torch.equal(mask, mask.sort(dim=1, descending=True, stable=True).values)
    assert torch.isfinite(x[mask]).all()


def test_a_batch_equals_one_by_one(built):
    module, packed = built
    _, x, mask = tokens_of(module, take(packed, range(len(packed))))
    for code in range(len(packed)):
        _, alone, real = tokens_of(module, take(packed, [code]))
        torch.testing.assert_close(alone[0][real[0]], x[code][mask[code]], **EXACT)


def test_tokens_are_the_words_and_values_of_all_columns(mixed):
    items = Items(mixed)
    module, packed = build(content.MeanPooling(), items)
    _, _, mask = tokens_of(module, take(packed, range(len(packed))))
    assert np.array_equal(mask.sum(dim=1), packed.lengths)


def test_the_mean_of_one_texts_tokens_is_its_vector(mixed):
    module, packed = build(content.MeanPooling(["title"]), Items(mixed))
    vectors, x, mask = tokens_of(module, take(packed, range(len(packed))))
    torch.testing.assert_close(masked_mean(x, mask), vectors, **EXACT)


def test_operators_without_tokens_have_one_a_vector(mixed):
    module, packed = build(content.ID(), Items(mixed))
    vectors, x, mask = tokens_of(module, take(packed, [2, 5]))
    assert torch.equal(x, vectors.unsqueeze(1))
    assert mask.tolist() == [[True], [True]]


def test_an_id_vector_is_the_first_token_where_there_is_one(mixed):
    operator = content.WithID(content.MeanPooling(["title"]), dropout=0.0)
    module, packed = build(operator, Items(mixed))
    torch.nn.init.normal_(module.table.weight)
    columns = take(packed, [0, 1])
    columns["id"] = (torch.tensor([[0], [-1]]), columns["id"][1])  # the second item is new
    _, x, mask = tokens_of(module, columns)
    n_words = columns["content.title"][1].sum(dim=1)
    assert mask.sum(dim=1).tolist() == [n_words[0] + 1, n_words[1]]
    assert torch.equal(x[0, 0], module.table.weight[0])
    words = module.content.embeddings["text"](columns["content.title"][0])
    torch.testing.assert_close(x[1, : n_words[1]], words[1, : n_words[1]], **EXACT)


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls", "last"])
def test_tokens_of_a_language_model_are_its_states(pooling):
    torch.manual_seed(0)
    network = LanguageModelNetwork(None, pooling, 6, WIDTH).double()
    mask = torch.arange(5) < torch.tensor([[5], [2], [1]])
    states = torch.randn(3, 5, 6, dtype=torch.float64)
    columns = {"states": (states, mask)}
    vectors, x, real = network.tokens(columns)
    torch.testing.assert_close(vectors, network(columns), **EXACT)
    assert torch.equal(real, mask)
    torch.testing.assert_close(x[mask], network.project(states[mask]), **EXACT)
