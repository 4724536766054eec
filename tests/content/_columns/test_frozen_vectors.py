"""Pretrained word vectors that are not trained."""

import pickle

import numpy as np
import pytest
import torch

from skrec import ContentRecommender, Items, content
from skrec.content._columns.operator import ColumnOperator
from skrec.utils._checks_common import items_frame
from skrec.utils.estimator_checks import check_content_operator

READERS = sorted(
    alias
    for alias, made in content.ALIASES.items()
    if issubclass(made, ColumnOperator) and made is not content.Tabular
)
ITEMS = Items({"item_id": [0, 1, 2], "title": ["The fox", "sea, SEA zebra", ""]})


@pytest.fixture
def vectors(tmp_path):
    """Write vectors of words in the headlines."""
    titles = [*items_frame()["title"], "the red fox sun sea dawn"]
    words = sorted({word for title in titles for word in title.lower().split()})
    rows = np.random.default_rng(0).normal(size=(len(words), 5))
    lines = [
        " ".join([word, *map(repr, row.tolist())]) for word, row in zip(words, rows, strict=True)
    ]
    path = tmp_path / "words.txt"
    path.write_text("\n".join(lines))
    return path


def fit(operator, news):
    rec = ContentRecommender(
        operator, width=8, max_epochs=2, learning_rate=1e-2, early_stopping=False, random_state=0
    )
    return rec.fit(news.train, news.items)


@pytest.mark.parametrize("name", READERS)
def test_frozen_vectors_are_no_trained_weights(name, vectors):
    operator = content.ALIASES[name](["title"], word_vectors=vectors, trainable=False).fit(ITEMS)
    operator.check(8)
    table, project = operator.build(operator.schema_, 8).embeddings["text"]
    rows = operator.schema_[0].vectors
    scale = np.float32(0.1 / np.sqrt(np.mean(rows.astype("float64") ** 2)))
    expected = np.vstack([np.zeros_like(rows[:1]), rows * scale])  # unknown words are zeros
    np.testing.assert_allclose(table.weight.numpy(), expected, rtol=1e-6)
    assert not table.weight.requires_grad and project.weight.requires_grad


@pytest.mark.filterwarnings("ignore:only .* words in the catalogue's texts")
@pytest.mark.parametrize("name", ["additive_attention", "cnn", "intents"])
def test_operators_with_frozen_vectors_keep_their_contract(name, vectors):
    check_content_operator(content.ALIASES[name](word_vectors=str(vectors), trainable=False))


def test_training_leaves_frozen_vectors_alone(vectors, news, tmp_path):
    rec = fit(content.MeanPooling(word_vectors=vectors, trainable=False), news)
    table, project = rec.network_.content.embeddings["text"]
    start = torch.from_numpy(rec.content_.schema_[0].vectors)
    start = start * (0.1 / start.square().mean().sqrt())
    torch.testing.assert_close(table.weight[1:], start)
    assert not table.weight[0].any()
    trained = fit(content.MeanPooling(word_vectors=vectors), news)
    scores = rec.decision_function(news.test)
    assert not all(map(np.allclose, scores, trained.decision_function(news.test)))
    rec.save(tmp_path / "saved")
    data = pickle.dumps(rec)
    for again in (ContentRecommender.load(tmp_path / "saved"), pickle.loads(data)):
        table = again.network_.content.embeddings["text"][0]
        assert not table.weight.requires_grad
        assert all(map(np.array_equal, scores, again.decision_function(news.test)))
        again.partial_fit(news.train)
        after = again.network_.content.embeddings["text"]
        assert torch.equal(after[0].weight, table.weight)
        assert not torch.equal(after[1].weight, project.weight)


def test_frozen_vectors_need_vectors():
    with pytest.raises(ValueError, match="^trainable=False keeps .* needs word_vectors="):
        content.CNN(trainable=False).check(8)
    with pytest.raises(ValueError, match="trainable must be"):
        content.CNN(trainable="no").check(8)
