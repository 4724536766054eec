"""Perceptron over the concatenated columns, without texts."""

import numpy as np
import pandas as pd
import pytest
import torch

from skrec import ContentRecommender, Items, content
from skrec.content._tabular import Tabular

WIDTH = 4


def built(items, **parameters):
    operator = Tabular(**parameters)
    operator.check(WIDTH)
    operator.fit(items)
    torch.manual_seed(0)
    return operator, operator.build(operator.schema_, WIDTH).double().eval()


def vectors(operator, module, items):
    packed = operator.prepare(items)
    columns = packed.take(torch.arange(items.n_items))
    with torch.no_grad():
        return module(columns).numpy()


def test_texts_are_left_out(mixed):
    operator, _ = built(Items(mixed))
    assert [column.name for column in operator.schema_] == ["topic", "tags", "length", "vector"]
    assert not hasattr(operator, "tokenizer_")


def test_equals_the_formula(mixed):
    items = Items(mixed)
    operator, module = built(items, columns=["topic", "tags", "length"], hidden=(5,))
    topics = operator.vocabularies_["topic"].to_pylist()
    tags = operator.vocabularies_["tags"].to_pylist()
    topic, tag = (module.embeddings[key].weight.detach().numpy() for key in ("0", "1"))
    line = module.embeddings["2"]
    first, last = module.fusion.mlp.layers[0], module.fusion.mlp.layers[-1]
    lengths = mixed["length"].to_numpy()
    found = vectors(operator, module, items)
    for row, values in enumerate(mixed.itertuples()):
        known = isinstance(values.topic, str)
        of_topic = topic[topics.index(values.topic) + 1 if known else 0]
        of_tags = np.zeros(WIDTH)
        if values.tags:
            of_tags = np.mean([tag[tags.index(one) + 1] for one in values.tags], axis=0)
        scaled = np.float32((values.length - lengths.mean()) / lengths.std())
        of_length = line.weight.detach().numpy()[:, 0] * scaled + line.bias.detach().numpy()
        x = np.concatenate([of_topic, of_tags, of_length])
        x = np.maximum(first.weight.detach().numpy() @ x + first.bias.detach().numpy(), 0)
        wanted = last.weight.detach().numpy() @ x + last.bias.detach().numpy()
        np.testing.assert_allclose(found[row], wanted, rtol=0, atol=1e-10)


def test_one_column_passes_the_perceptron_too(mixed):
    _, module = built(Items(mixed), columns=["topic"], hidden=(7,))
    assert module.fusion.mlp.layers[0].in_features == WIDTH
    assert module.fusion.mlp.layers[0].out_features == 7


def test_options_reach_the_perceptron(mixed):
    _, module = built(Items(mixed), hidden=(7, 6), activation="tanh", dropout=0.25)
    kinds = [type(layer).__name__ for layer in module.fusion.mlp.layers]
    assert kinds == ["Linear", "Tanh", "Dropout"] * 2 + ["Linear"]
    assert module.fusion.mlp.layers[2].p == 0.25


def test_new_items_and_unseen_categories(mixed, news):
    rec = ContentRecommender(Tabular(), width=8, max_epochs=1, random_state=0)
    rec.fit(news.train, news.items)
    new = news.items.iloc[[0]].assign(item_id=-5)
    new["topic"] = "never seen"
    assert np.isfinite(rec.item_vectors(new)).all()


def test_a_text_column_that_is_asked_for_is_refused(mixed):
    with pytest.raises(ValueError, match="Tabular reads no text, and columns names 'title'"):
        Tabular(["topic", "title"]).fit(Items(mixed))


def test_a_catalogue_of_text_alone_is_refused():
    items = Items(pd.DataFrame({"item_id": [1, 2], "title": ["a", "b"]}))
    with pytest.raises(ValueError, match=r"nothing but text \('title'\).*content.MeanPooling"):
        Tabular().fit(items)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": 8}, "hidden must be a sequence of layer sizes, got 8"),
        ({"activation": "relo"}, "activation must be one of 'relu', .*got 'relo'"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
    ],
)
def test_what_cannot_work_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        content.Tabular(**parameters).check(WIDTH)
