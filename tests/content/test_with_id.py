"""Content plus a learned vector per id."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skrec import ContentRecommender, Items, content

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}
INNER = sorted(set(content.ALIASES) - {"with_id"})


@pytest.fixture(scope="module")
def catalogue(mixed):
    return Items(mixed)


def build(operator):
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH).double().eval()
    torch.nn.init.normal_(module.table.weight)
    return module


def inner_vectors(module, operator, items):
    """Return the vectors of the content module, without ids."""
    packed = operator.operator_.prepare(items)
    return module.content(packed.take(torch.arange(items.n_items)))


def vectors(module, operator, items):
    return module(operator.prepare(items).take(torch.arange(items.n_items)))


@pytest.mark.parametrize("alias", INNER)
def test_vector_is_content_plus_id_and_content_alone_for_new_items(catalogue, alias):
    operator = content.WithID(alias).fit(catalogue)
    module = build(operator)
    table = module.table.weight
    wanted = inner_vectors(module, operator, catalogue) + table
    torch.testing.assert_close(vectors(module, operator, catalogue), wanted, **EXACT)
    # 3 and 6 have other positions than in training; 98 and 99 are new
    some = catalogue.to_pandas().iloc[[6, 0, 3, 1]].assign(item_id=[6, 98, 3, 99])
    some = catalogue.conform(some)
    wanted = inner_vectors(module, operator, some)
    wanted = wanted + torch.stack([table[6], 0 * table[0], table[3], 0 * table[0]])
    torch.testing.assert_close(vectors(module, operator, some), wanted, **EXACT)


def test_items_alike_in_content_differ_by_their_ids():
    items = Items({"item_id": [1, 2], "title": ["red fox", "red fox"]})
    operator = content.WithID("mean_pooling").fit(items)
    module = build(operator)
    a, b = vectors(module, operator, items)
    torch.testing.assert_close(a - b, module.table.weight[0] - module.table.weight[1], **EXACT)


def test_id_vectors_start_at_exactly_zero(catalogue):
    operator = content.WithID().fit(catalogue)
    assert not operator.build(operator.schema_, WIDTH).table.weight.any()


def test_dropout_takes_whole_id_vectors_and_scales_nothing(catalogue):
    operator = content.WithID("mean_pooling", dropout=0.25).fit(catalogue)
    module = build(operator).train()
    codes = torch.arange(8).repeat(1000)
    ids = module(operator.prepare(catalogue).take(codes))
    ids = ids - inner_vectors(module, operator, catalogue)[codes]
    kept = (ids.abs() > 1e-9).any(dim=1)
    torch.testing.assert_close(ids[kept], module.table.weight[codes[kept]], **EXACT)
    assert not ids[~kept].abs().gt(1e-12).any()
    assert kept.double().mean().item() == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(("dropout", "same"), [(0.0, True), (0.5, False)])
def test_dropout_acts_in_training_only(catalogue, dropout, same):
    operator = content.WithID("id", dropout=dropout).fit(catalogue)
    module = build(operator)
    whole = vectors(module, operator, catalogue)
    torch.testing.assert_close(
        whole, inner_vectors(module, operator, catalogue) + module.table.weight, **EXACT
    )
    trained = vectors(module.train(), operator, catalogue)
    assert torch.allclose(trained, whole) is same


def test_dropped_ids_get_no_gradient(catalogue):
    operator = content.WithID("mean_pooling", dropout=0.5).fit(catalogue)
    module = build(operator).train()
    out = vectors(module, operator, catalogue)
    kept = ((out - inner_vectors(module, operator, catalogue)).abs() > 1e-9).any(dim=1)
    assert 0 < kept.sum() < 8
    out.sum().backward()
    assert torch.equal(module.table.weight.grad.any(dim=1), kept)


@pytest.mark.parametrize("name", ["id", "content.id", "content."])
def test_columns_of_any_name_are_read_as_columns(name):
    # a column named "id" must not be taken for the codes of the ids
    items = Items({"item_id": [5, 6], name: ["red fox", "sea"]})
    operator = content.WithID("cnn").fit(items)
    module = build(operator)
    wanted = inner_vectors(module, operator, items) + module.table.weight
    torch.testing.assert_close(vectors(module, operator, items), wanted, **EXACT)


# Parameters


@pytest.mark.parametrize(
    ("operator", "error", "message"),
    [
        ("cnnn", ValueError, "one of 'additive_attention', .*got 'cnnn' .did you mean 'cnn'"),
        ("with_id", ValueError, "a content operator other than WithID.*got 'with_id'"),
        (content.WithID(), ValueError, "a content operator other than WithID.*got WithID"),
        (content.CNN, TypeError, r"operator must be an instance, write CNN\(\) with parentheses"),
        (None, ValueError, "operator must be a content operator.*got None"),
        (content.CNN(kernel_size=2), ValueError, "kernel_size must be odd, got 2"),
        (content.SelfAttention(n_heads=3), ValueError, "n_heads must divide width=64"),
    ],
    ids=str,
)
def test_bad_operators_raise_in_check(operator, error, message):
    with pytest.raises(error, match=message):
        content.WithID(operator).check(64)


def test_nested_key_on_an_alias_says_what_to_pass():
    with pytest.raises(ValueError, match=r"operator__max_length can't be set on operator='cnn'.*"):
        content.WithID().set_params(operator__max_length=3)
    operator = content.WithID().set_params(operator=content.CNN(), operator__max_length=3)
    assert operator.operator.max_length == 3


def test_fit_leaves_the_given_operator_alone(catalogue):
    inner = content.MeanPooling()
    operator = content.WithID(inner).fit(catalogue)
    assert operator.operator is inner
    assert not hasattr(inner, "schema_")
    assert clone(operator).operator is not inner


# In a recommender


def make(**parameters):
    return ContentRecommender(
        content.WithID(content.MeanPooling(), **parameters),
        width=16,
        max_epochs=2,
        random_state=0,
    )


def test_items_never_met_in_training_have_no_id_vector(news):
    # AdamW must not change rows without a gradient
    rows = news.train.head(30)
    rec = make(dropout=0.0).set_params(n_negatives=1, early_stopping=False)
    rec.fit(rows, news.items)  # one negative per click: none is sampled
    seen = {i for column in ("history", "candidates") for row in rows[column] for i in row}
    met = torch.from_numpy(np.isin(rec.items_.ids, sorted(seen)))
    assert 0 < met.sum() < len(met)
    table = rec.network_.content.table.weight
    assert table[met].any()
    assert not table[~met].any()


def test_pickle_keeps_the_id_vectors_and_two_fits_are_equal(news):
    rec = make().set_params(early_stopping=False).fit(news.train, news.items)
    assert rec.network_.content.table.weight.any()
    wanted = rec.item_vectors()
    assert np.array_equal(pickle.loads(pickle.dumps(rec)).item_vectors(), wanted)
    assert np.array_equal(rec.fit(news.train, news.items).item_vectors(), wanted)


def test_new_item_is_worth_its_content(news):
    rec = make().set_params(early_stopping=False).fit(news.train, news.items)
    operator, module = rec.content_, rec.network_.content.eval()
    old = rec.items_.take([0])
    with torch.no_grad():
        content_alone = inner_vectors(module, operator, old)
        known = vectors(module, operator, old)
    new = rec.item_vectors(items=news.items.head(1).assign(item_id=9001))
    np.testing.assert_allclose(new, content_alone, atol=1e-6)
    np.testing.assert_allclose(rec.item_vectors()[:1], known, atol=1e-6)
    assert not np.allclose(new, known, atol=1e-3)


def test_search_reaches_the_inner_operator(news):
    grid = {"content__operator__max_length": [1, 8], "content__dropout": [0.2]}
    search = GridSearchCV(make().set_params(max_epochs=1), grid, cv=2, error_score="raise")
    search.fit(news.train, items=Items(news.items))
    found = search.best_estimator_.content_
    assert found.operator_.max_length == search.best_params_["content__operator__max_length"]
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_recommender_by_alias(news):
    rec = ContentRecommender(
        "with_id", "additive_attention", width=16, max_epochs=3, learning_rate=1e-2,
        history_targets=0, n_negatives=4, random_state=0,
    )  # fmt: skip
    assert rec.fit(news.train, news.items).score(news.train) > 0.7
