"""Vectors from the catalogue."""

import numpy as np
import pandas as pd
import pytest
import torch

from skrec import ContentRecommender, Items, content

WIDTH = 4
EXACT = {"rtol": 0, "atol": 1e-10}


def catalogue(**columns):
    return Items({"item_id": range(len(next(iter(columns.values())))), **columns})


def test_columns_stand_side_by_side_divided_by_one_scale():
    items = catalogue(a=[[3.0, 0.0], [0.0, 1.0]], title=["x", "y"], b=[[1.0], [-5.0]])
    operator = content.Vectors().fit(items)
    scale = np.sqrt((9 + 1 + 1 + 25) / 6)
    assert operator.scale_ == pytest.approx(scale, rel=1e-12)
    assert operator.schema_ == 3
    assert operator.columns_ == ["a", "b"]
    values, mask = operator.prepare(items).take(torch.tensor([1, 0]))["vector"]
    np.testing.assert_allclose(values, np.array([[0, 1, -5], [3, 0, 1]]) / scale, rtol=1e-6)
    assert mask.tolist() == [[True], [True]]


def test_columns_chooses_and_orders():
    items = catalogue(a=[[3.0, 0.0], [0.0, 1.0]], b=[[1.0], [-1.0]])
    operator = content.Vectors(["b", "a"]).fit(items)
    assert operator.prepare(items).columns["vector"].values.sign().tolist() == [
        [1, 1, 0],
        [-1, 0, 1],
    ]
    assert content.Vectors(["b"]).fit(items).schema_ == 1


def test_vector_equals_the_perceptron_by_hand():
    items = catalogue(a=[[1.0, -1.0], [-1.0, 1.0]])
    operator = content.Vectors(hidden=(3,)).fit(items)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH).double().eval()
    first, _, _, last = module.mlp.layers
    found = module(operator.prepare(items).take(torch.tensor([0])))[0]
    h = (first.weight[:, 0] - first.weight[:, 1] + first.bias).clamp_min(0)
    torch.testing.assert_close(found, last.weight @ h + last.bias, **EXACT)


def test_without_hidden_layers_it_is_linear():
    items = catalogue(a=[[1.0, -1.0], [-1.0, 1.0]])
    operator = content.Vectors(hidden=()).fit(items)
    module = operator.build(operator.schema_, WIDTH)
    assert {name: tuple(w.shape) for name, w in module.named_parameters()} == {
        "mlp.layers.0.weight": (WIDTH, 2),
        "mlp.layers.0.bias": (WIDTH,),
    }


def test_size_of_the_numbers_plays_no_part():
    # small numbers would be learned slowly, and large numbers would make training diverge
    values = np.random.default_rng(0).normal(size=(6, 5))
    small, large = (catalogue(a=list(values * scale)) for scale in (1e-4, 1e4))
    a, b = (content.Vectors().fit(items).prepare(items) for items in (small, large))
    torch.testing.assert_close(a.columns["vector"].values, b.columns["vector"].values)


def test_vectors_of_zeros_stay_zeros():
    items = catalogue(a=[[0.0, 0.0], [0.0, 0.0]])
    assert not content.Vectors().fit(items).prepare(items).columns["vector"].values.any()


def test_new_items_have_the_scale_of_the_training_catalogue():
    items = catalogue(a=[[2.0], [-2.0]])
    operator = content.Vectors().fit(items)
    new = items.conform(pd.DataFrame({"item_id": [7], "a": [[8.0]]}))
    assert operator.prepare(new).columns["vector"].values.tolist() == [[4.0]]


def test_columns_of_other_roles_are_refused():
    items = catalogue(title=["x"], a=[[1.0]], n=[2.0])
    message = r"must have the role 'vector', got 'a' \(vector\), 'n' \(number\); another operator"
    with pytest.raises(ValueError, match=message):
        content.Vectors(["a", "n"]).fit(items)


def test_catalogue_without_vectors_says_how_to_add_them():
    items = catalogue(title=["x"], n=[2.0])
    message = (
        r"needs a column of vectors; the catalogue has 'title' \(text\), 'n' \(number\)\. "
        r"Add one of lists of floats of one length.*content\.Features\(\)"
    )
    with pytest.raises(ValueError, match=message):
        content.Vectors().fit(items)


def test_recommender_by_alias(news):
    # vectors that state the topic of an item
    topics = pd.get_dummies(news.items.topic).to_numpy(np.float32)
    items = news.items.assign(vector=list(topics))
    rec = ContentRecommender("vectors", width=16, max_epochs=4, learning_rate=1e-2, random_state=0)
    assert rec.fit(news.train, items).score(news.train) > 0.65
    with pytest.raises(ValueError, match="needs a column of vectors"):
        rec.fit(news.train, news.items)
