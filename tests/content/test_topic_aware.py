"""Topic-aware item vectors against the loss of TANR."""

import numpy as np
import pandas as pd
import pytest
import torch

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec._batch import Batch
from skrec._network import Network

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}
# two users, whose histories and candidates are all five items
BATCH = Batch(
    items=torch.arange(5),
    history=torch.tensor([[0, 1], [3, 0]]),
    history_mask=torch.tensor([[True, True], [True, False]]),
    user=torch.zeros(2, dtype=torch.long),
    history_of_row=torch.arange(2),
    candidates=torch.tensor([[2, 1], [4, 0]]),
    shared=torch.zeros(0, dtype=torch.long),
    candidate_mask=torch.ones(2, 2, dtype=torch.bool),
    labels=torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
    log_q=torch.zeros(2, 2),
    weight=torch.ones(2),
    n_rows=2,
)


@pytest.fixture(scope="module")
def items():
    return Items(
        pd.DataFrame(
            {
                "item_id": range(5),
                "title": ["red fox", "blue sea at dawn", "the fox", "sun", ""],
                "topic": pd.Categorical(["animal", "water", "animal", "sky", None]),
                "kind": pd.Categorical(["x", "y", "x", "y", "y"]),
            }
        )
    )


def build(operator, items):
    operator.check(WIDTH)
    operator.fit(items)
    torch.manual_seed(0)
    return operator.build(operator.schema_, WIDTH).double().eval()


def test_penalty_equals_the_cross_entropy_in_values_and_gradients(items):
    operator = content.TopicAware(content.MeanPooling(), weight=0.3)
    module, packed = build(operator, items), operator.prepare(items)
    taken = packed.take(torch.arange(5))
    vectors, penalties = module.penalized(taken)
    torch.testing.assert_close(vectors, module(taken), **EXACT)
    W, b = module.classify.weight, module.classify.bias
    codes = [1, 3, 1, 2]  # animal, water, animal, sky in sorted order; the last item has none
    wanted = []
    for vector, code in zip(vectors, codes, strict=False):
        logits = W @ vector + b
        wanted.append(-0.3 * (logits[code] - logits.exp().sum().log()))
    wanted = torch.stack([*wanted, torch.zeros((), dtype=torch.float64)])
    torch.testing.assert_close(penalties, wanted, **EXACT)
    weights = list(module.parameters())
    found, wanted = (
        torch.autograd.grad(p.sum(), weights, retain_graph=True) for p in (penalties, wanted)
    )
    torch.testing.assert_close(found, wanted, **EXACT)


def test_topic_is_predicted_and_not_read(items):
    operator = content.TopicAware().fit(items)
    assert [column.name for column in operator.operator_.schema_] == ["title", "kind"]
    changed = items.to_pandas().assign(topic=pd.Categorical(["sky"] * 5))
    module = build(operator, items)
    before, after = (
        module(operator.prepare(table).take(torch.arange(5)))
        for table in (items, items.conform(changed))
    )
    torch.testing.assert_close(before, after, **EXACT)


def test_columns_of_the_operator_are_kept(items):
    operator = content.TopicAware(content.CNN(["title", "topic"]), category="kind").fit(items)
    assert [column.name for column in operator.operator_.schema_] == ["title", "topic"]
    assert operator.schema_[1] == 3  # two kinds, and a code for unknown ones
    assert operator.operator.columns == ["title", "topic"]


def test_unseen_topics_add_nothing(items):
    operator = content.TopicAware(content.MeanPooling())
    module = build(operator, items)
    new = items.conform(items.to_pandas().assign(topic="new"))
    _, penalties = module.penalized(operator.prepare(new).take(torch.arange(5)))
    assert not penalties.any()


@pytest.mark.parametrize("token_budget", [1, 1000])
@pytest.mark.parametrize("reader", [behavior.MeanPooling(), behavior.TokenTransformer()])
def test_the_network_adds_the_mean_over_distinct_items(items, reader, token_budget):
    operator = content.TopicAware(content.MeanPooling(), weight=0.5)
    module, packed = build(operator, items), operator.prepare(items)
    network = Network(module, reader.build(WIDTH), predictor.Dot().build(WIDTH), WIDTH, reader)
    outputs = network.double().eval().outputs(BATCH, packed, token_budget)
    _, penalties = module.penalized(packed.take(torch.arange(5)))
    torch.testing.assert_close(outputs.penalty, penalties.mean(), **EXACT)


# Parameters


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"weight": -1}, ValueError, r"weight must be a number in \[0, inf\), got -1"),
        ({"category": 3}, ValueError, "category must be a column's name or None, got 3"),
        ({"operator": "cnnn"}, ValueError, "got 'cnnn' .did you mean 'cnn'"),
        ({"operator": "topic_aware"}, ValueError, "other than TopicAware.*got 'topic_aware'"),
        ({"operator": content.TopicAware()}, ValueError, "other than TopicAware"),
        ({"operator": content.CNN}, TypeError, r"write CNN\(\) with parentheses"),
        ({"operator": content.CNN(kernel_size=2)}, ValueError, "kernel_size must be odd, got 2"),
    ],
    ids=str,
)
def test_bad_parameters_raise_in_check(parameters, error, message):
    with pytest.raises(error, match=message):
        content.TopicAware(**parameters).check(WIDTH)


def test_columns_that_can_not_be_predicted_raise_in_fit(items):
    with pytest.raises(ValueError, match="category='title' must have the role 'category', got 't"):
        content.TopicAware(category="title").fit(items)
    with pytest.raises(ValueError, match="columns names 'topics', which the catalogue lacks"):
        content.TopicAware(category="topics").fit(items)
    with pytest.raises(ValueError, match="predicts a column with the role 'category'"):
        content.TopicAware().fit(Items(["a text"]))
    only = Items({"item_id": [1, 2], "topic": pd.Categorical(["a", "b"])})
    with pytest.raises(ValueError, match="no column besides 'topic' to read"):
        content.TopicAware().fit(only)


def test_nested_key_on_an_alias_says_what_to_pass():
    with pytest.raises(ValueError, match=r"operator__max_length can't be set on operator='cnn'.*"):
        content.TopicAware().set_params(operator__max_length=3)


# In a recommender


def test_topics_are_learned_and_saved(news, tmp_path):
    settings = {"width": 16, "max_epochs": 4, "random_state": 0, "learning_rate": 1e-2}
    accuracy = {}
    for weight in (0.0, 1.0):
        operator = content.TopicAware(content.MeanPooling(), weight=weight)
        rec = ContentRecommender(operator, **settings).fit(news.train, news.items)
        taken = rec.content_.prepare(rec.items_).take(torch.arange(rec.items_.n_items))
        with torch.no_grad():
            logits = rec.network_.content.classify(rec.network_.content(taken))
        accuracy[weight] = (logits.argmax(dim=1) == taken["topic"][0][:, 0]).double().mean().item()
    assert accuracy[1.0] > accuracy[0.0] + 0.3
    rec.save(tmp_path / "rec")
    again = ContentRecommender.load(tmp_path / "rec")
    np.testing.assert_array_equal(again.item_vectors(), rec.item_vectors())
