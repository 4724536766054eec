"""Tests of all registered content operators."""

import pickle

import pandas as pd
import pytest
import torch
from sklearn.base import clone

from skrec import Items, content
from skrec.content._columns.operator import ColumnOperator

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}


TITLES = ["red fox", "blue sea at dawn", "the fox, the sea and the red red sun", "sun", ""]


@pytest.fixture(scope="module")
def catalogue():
    """Return items with columns of every role; most values of the last item are missing."""
    return Items(
        pd.DataFrame(
            {
                "item_id": range(5),
                "title": TITLES,
                "abstract": ["a sly animal", "salt water", "tale", "it is hot, so hot", None],
                "topic": pd.Categorical(["animal", "water", "animal", "sky", None]),
                "tags": [["a", "b"], ["c"], ["b"], ["a", "b", "c"], []],
                "length": [3.0, 2.0, 5.0, 1.0, 0.0],
                "vector": [[0.5, 1.0], [2.0, -1.0], [0.0, 3.0], [1.0, 1.0], [0.0, 0.0]],
            }
        )
    )


@pytest.fixture(params=sorted(content.ALIASES))
def operator(request):
    """Return each registered operator, without dropout."""
    return without_dropout(content.ALIASES[request.param]())


def aliases_where(condition):
    return [alias for alias, made in sorted(content.ALIASES.items()) if condition(made)]


def reads_all_roles(made):
    return issubclass(made, ColumnOperator) and made is not content.Tabular


@pytest.fixture(params=aliases_where(reads_all_roles))
def column_operator(request):
    """Return each registered operator that reads columns of all roles, without dropout."""
    return without_dropout(content.ALIASES[request.param]())


@pytest.fixture(params=aliases_where(lambda made: "columns" in made().get_params()))
def choosing_operator(request):
    """Return each registered operator that has the parameter `columns`."""
    return content.ALIASES[request.param]()


def without_dropout(operator):
    if "dropout" in operator.get_params():
        operator.set_params(dropout=0.0)
    return operator


def build(operator):
    torch.manual_seed(0)
    return operator.build(operator.schema_, WIDTH).double().eval()


def encode(module, packed, codes):
    return module(packed.take(torch.tensor(codes)))


def test_an_item_gets_one_vector(operator, catalogue):
    module = build(operator.fit(catalogue))
    vectors = encode(module, operator.prepare(catalogue), [0, 3, 3])
    assert vectors.shape == (3, WIDTH)
    torch.testing.assert_close(vectors[1], vectors[2], **EXACT)
    assert not torch.allclose(vectors[0], vectors[1])  # the vector depends on the item


def test_a_batch_equals_one_by_one(operator, catalogue):
    # the vector of an item must not depend on the other items in the batch
    module = build(operator.fit(catalogue))
    packed = operator.prepare(catalogue)
    together = encode(module, packed, [4, 2, 0, 1, 3])
    alone = torch.cat([encode(module, packed, [code]) for code in [4, 2, 0, 1, 3]])
    torch.testing.assert_close(together, alone, **EXACT)


def test_padding_changes_nothing(operator, catalogue):
    module = build(operator.fit(catalogue))
    rows = catalogue.to_pandas().iloc[[0, 1]]
    long = rows.assign(
        title=["red fox", "sea " * 30],
        abstract=["a sly animal", "hot " * 30],
        tags=[["a"], ["b"] * 9],
    )
    packed = operator.prepare(catalogue.conform(long))
    alone = encode(module, packed, [0])
    torch.testing.assert_close(encode(module, packed, [0, 1])[:1], alone, **EXACT)


def test_item_without_content_is_finite_alone_and_in_company(operator, catalogue):
    module = build(operator.fit(catalogue))
    packed = operator.prepare(catalogue)
    alone = encode(module, packed, [4])
    assert alone.isfinite().all()
    alone.square().sum().backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in module.parameters())
    torch.testing.assert_close(encode(module, packed, [2, 4])[1:], alone, **EXACT)


@pytest.mark.parametrize("column", ["title", "topic", "tags", "length", "vector"])
def test_one_column_is_enough_and_may_be_empty(column_operator, catalogue, column):
    # one column is not fused, so the vector of an empty text is the item vector
    column_operator.set_params(columns=[column]).fit(catalogue)
    vectors = encode(build(column_operator), column_operator.prepare(catalogue), range(5))
    assert vectors.shape == (5, WIDTH)
    assert vectors.isfinite().all()


def test_unseen_words_and_categories_are_finite(operator, catalogue):
    module = build(operator.fit(catalogue))
    new = catalogue.to_pandas().iloc[[0]]
    new = new.assign(
        item_id=99, title="žluťoučký 猫", abstract="QQQ", topic="new", tags=[["?", None]]
    )
    packed = operator.prepare(catalogue.conform(new))
    assert len(packed) == 1
    vectors = encode(module, packed, [0])
    assert vectors.shape == (1, WIDTH)
    assert vectors.isfinite().all()


def test_every_parameter_gets_a_gradient(operator, catalogue):
    # a layer that is built but not used would never be trained
    module = build(operator.fit(catalogue)).train()
    taken = operator.prepare(catalogue).take(torch.arange(5))
    vectors = module(taken)
    if hasattr(module, "penalized"):
        vectors = torch.cat([vectors, module.penalized(taken)[1].unsqueeze(1)], dim=1)
    (vectors * torch.randn_like(vectors)).sum().backward()
    idle = [name for name, w in module.named_parameters() if w.grad is None or not w.grad.any()]
    assert not idle


def test_nothing_that_was_prepared_is_changed(operator, catalogue):
    # masking in place would change the packed columns that all batches share
    module = build(operator.fit(catalogue))
    packed = operator.prepare(catalogue)
    before = pickle.loads(pickle.dumps(packed))
    taken = packed.take(torch.arange(5))
    copy = {name: (values.clone(), mask.clone()) for name, (values, mask) in taken.items()}
    module(taken)
    for name, (values, mask) in copy.items():
        assert torch.equal(taken[name][0], values)
        assert torch.equal(taken[name][1], mask)
    assert_same_packed(packed, before)


def assert_same_packed(a, b):
    assert a.columns.keys() == b.columns.keys()
    for name in a.columns:
        for field in vars(a.columns[name]):
            x, y = getattr(a.columns[name], field), getattr(b.columns[name], field)
            assert torch.equal(x, y), name


def test_two_fits_and_a_pickle_prepare_the_same(operator, catalogue):
    first = operator.fit(catalogue).prepare(catalogue)
    assert_same_packed(clone(operator).fit(catalogue).prepare(catalogue), first)
    again = pickle.loads(pickle.dumps(operator))
    assert again.schema_ == operator.schema_
    assert_same_packed(again.prepare(catalogue), first)


def test_items_prepare_the_same_wherever_they_stand(operator, catalogue):
    # the offsets of a slice must not be those of the whole catalogue
    operator.fit(catalogue)
    module = build(operator)
    whole = encode(module, operator.prepare(catalogue), [3, 1])
    part = encode(module, operator.prepare(catalogue.take([3, 1])), [0, 1])
    torch.testing.assert_close(part, whole, **EXACT)


def test_lengths_count_the_tokens_of_an_item(operator, catalogue):
    # lengths determine the size of micro-batches; wrong ones could exhaust the memory
    packed = operator.fit(catalogue).prepare(catalogue)
    for code in range(5):
        taken = packed.take(torch.tensor([code]))
        assert packed.lengths[code] == sum(int(mask.sum()) for _, mask in taken.values())


def test_fit_leaves_the_parameters_alone(operator, catalogue):
    before = clone(operator).get_params()
    assert operator.fit(catalogue) is operator
    assert operator.get_params() == before


# Columns


def test_columns_chooses_and_orders(column_operator, catalogue):
    column_operator.set_params(columns=["topic", "title"]).fit(catalogue)
    assert [column.name for column in column_operator.schema_] == ["topic", "title"]
    assert set(column_operator.prepare(catalogue).columns) == {"topic", "title"}
    column_operator.set_params(columns=None).fit(catalogue)
    assert [column.name for column in column_operator.schema_] == list(catalogue.roles)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["titel"], "columns names 'titel', which the catalogue lacks.*did you mean 'title'"),
        ([], r"columns must be a list of column names or None, got \[\]"),
        ("title", "columns must be a list of column names or None, got 'title'"),
    ],
)
def test_bad_columns_raise(choosing_operator, catalogue, columns, message):
    with pytest.raises(ValueError, match=message):
        choosing_operator.set_params(columns=columns).fit(catalogue)


def test_catalogue_of_ids_alone_raises(choosing_operator):
    with pytest.raises(ValueError, match=r"no column besides 'item_id'.*content\.ID\(\)"):
        choosing_operator.fit(Items({"item_id": [1, 2]}))


# Known answers


def test_id_gives_its_row_and_an_unseen_item_the_mean_of_all(catalogue):
    operator = content.ID().fit(catalogue)
    module = build(operator)
    some = Items({"item_id": [3, 77, 0, 78], "title": [""] * 4})
    vectors = encode(module, operator.prepare(some), range(4))
    table = module.table.weight
    assert torch.equal(vectors[[0, 2]], table[[3, 0]])
    wanted = sum(table[i] for i in range(5)) / 5
    torch.testing.assert_close(vectors[1], wanted, **EXACT)
    torch.testing.assert_close(vectors[3], wanted, **EXACT)


def test_id_is_looked_up_by_id_not_by_position(catalogue):
    operator = content.ID().fit(catalogue)
    packed = operator.prepare(catalogue.take([4, 2]))
    assert packed.columns["id"].values.squeeze(1).tolist() == [4, 2]


def embedded(module, packed, name, code):
    """Return the token embeddings (L, D) of one text, without padding."""
    ids, mask = packed.take(torch.tensor([code]))[name]
    return module.embeddings["text"](ids[mask])


def attend(layer, rows):
    """Compute additive attention over rows (L, D), one row at a time."""
    scores = torch.stack([layer.query.weight[0] @ torch.tanh(layer.project(row)) for row in rows])
    weights = scores.exp() / scores.exp().sum()
    return sum(weight * row for weight, row in zip(weights, rows, strict=True))


def convolve(layer, rows):
    """Compute the ReLU of a zero-padded one-dimensional convolution, one position at a time."""
    half = layer.kernel_size[0] // 2
    places = []
    for i in range(len(rows)):
        total = layer.bias.clone()
        for j in range(-half, half + 1):
            if 0 <= i + j < len(rows):
                total = total + layer.weight[:, :, j + half] @ rows[i + j]
        places.append(total.clamp_min(0))
    return torch.stack(places)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_cnn_on_text_equals_the_formula(catalogue, kernel_size):
    operator = content.CNN(["title"], kernel_size=kernel_size).fit(catalogue)
    module, packed = build(operator), operator.prepare(catalogue)
    found = encode(module, packed, range(5))
    encoder = module.encoders[0]
    for code in range(4):
        rows = convolve(encoder.convolve, embedded(module, packed, "title", code))
        torch.testing.assert_close(found[code], attend(encoder.attention, rows), **EXACT)


def test_self_attention_on_text_equals_the_formula(catalogue):
    operator = content.SelfAttention(["title"], n_heads=2).fit(catalogue)
    module, packed = build(operator), operator.prepare(catalogue)
    found = encode(module, packed, range(5))
    encoder = module.encoders[0]
    twin = torch.nn.MultiheadAttention(WIDTH, 2, batch_first=True).double()
    twin.in_proj_weight.data = encoder.mix.project.weight.data
    twin.in_proj_bias.data = encoder.mix.project.bias.data
    twin.out_proj = encoder.mix.out
    for code in range(4):
        rows = embedded(module, packed, "title", code).unsqueeze(0)
        mixed = twin(rows, rows, rows)[0][0]
        torch.testing.assert_close(found[code], attend(encoder.attention, mixed), **EXACT)


def test_mean_pooling_is_the_mean_of_the_columns_means(catalogue):
    operator = content.MeanPooling(["title", "abstract", "length"]).fit(catalogue)
    module, packed = build(operator), operator.prepare(catalogue)
    found = encode(module, packed, range(5))
    for code in range(5):
        parts = [embedded(module, packed, name, code) for name in ("title", "abstract")]
        length = packed.columns["length"].values[code].double()
        columns = [part.mean(dim=0) for part in parts if len(part)]
        columns.append(module.embeddings["2"](length))
        # the last item has no text: missing columns are left out of the mean
        torch.testing.assert_close(found[code], sum(columns) / len(columns), **EXACT)


@pytest.mark.parametrize("name", ["CNN", "SelfAttention"])
def test_attention_over_the_columns_equals_the_formula(catalogue, name):
    operator = without_dropout(getattr(content, name)(["title", "topic"])).fit(catalogue)
    module, packed = build(operator), operator.prepare(catalogue)
    found = encode(module, packed, range(5))
    ids, mask = packed.take(torch.arange(5))["title"]
    text = module.encoders[0](module.embeddings["text"](ids), mask)
    topic = module.embeddings["1"](packed.columns["topic"].values.squeeze(1))
    for code in range(4):
        wanted = attend(module.fusion, torch.stack([text[code], topic[code]]))
        torch.testing.assert_close(found[code], wanted, **EXACT)
    # the title of the last item is empty, so attention reads the topic only
    torch.testing.assert_close(found[4], topic[4], **EXACT)


@pytest.mark.parametrize("alias", ["cnn", "self_attention"])
def test_concat_lays_the_columns_side_by_side(catalogue, alias):
    operator = content.ALIASES[alias](["title", "topic"], fusion="concat").fit(catalogue)
    module, packed = build(operator), operator.prepare(catalogue)
    found = encode(module, packed, range(5))
    ids, mask = packed.take(torch.arange(5))["title"]
    text = module.encoders[0](module.embeddings["text"](ids), mask)
    topic = module.embeddings["1"](packed.columns["topic"].values.squeeze(1))
    W, b = module.fusion.project.weight, module.fusion.project.bias
    for code in range(5):
        missing = code == 4
        title = torch.zeros(WIDTH).double() if missing else text[code]
        wanted = W[:, :WIDTH] @ title + W[:, WIDTH:] @ topic[code] + b
        torch.testing.assert_close(found[code], wanted, **EXACT)


def test_cnn_reads_the_order_of_words_and_self_attention_does_not():
    items = Items(["fox eats hen", "hen eats fox"])
    for operator, ordered in ((content.CNN(), True), (content.SelfAttention(), False)):
        module = build(operator.fit(items))
        a, b = encode(module, operator.prepare(items), [0, 1])
        assert torch.allclose(a, b, rtol=0, atol=1e-10) is not ordered


def test_dropout_acts_in_training_only(catalogue):
    for name in ("CNN", "SelfAttention"):
        operator = getattr(content, name)(["title"], dropout=0.5).fit(catalogue)
        module, packed = build(operator), operator.prepare(catalogue)
        assert torch.equal(encode(module, packed, [2]), encode(module, packed, [2]))
        module.train()
        assert not torch.equal(encode(module, packed, [2]), encode(module, packed, [2]))


def test_max_length_cuts_texts(column_operator, catalogue):
    column_operator.set_params(columns=["title"], max_length=2).fit(catalogue)
    assert column_operator.prepare(catalogue).lengths.tolist() == [2, 2, 2, 1, 0]
