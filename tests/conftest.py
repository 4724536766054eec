"""Data that many tests read: small, seeded, and made in memory."""

import os

# several test processes, and those that tests start, share the cores; read when torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import pytest
import torch
from tiny_models import save_tiny

from skrec import ContentRecommender, Items, explode
from skrec.datasets import make_headlines


@pytest.fixture(autouse=True, scope="session")
def data_home(tmp_path_factory):
    """Converted copies of data sets go to a folder of the tests."""
    home = tmp_path_factory.mktemp("data_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKREC_DATA", str(home))
        yield home


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Several threads on small tensors, or beside other processes, are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def news():
    """Headlines and clicks: 40 users, 120 items, 240 impressions."""
    return make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)


@pytest.fixture(scope="session")
def items(news):
    return Items(news.items)


@pytest.fixture(scope="session")
def pairs(news):
    """Train and test as pairs with y, grouped by impression_id."""
    return explode(news.train), explode(news.test)


@pytest.fixture
def make_recommender():
    """Make a small recommender that fits in a moment."""

    def make(**parameters):
        defaults = {"content": "mean_pooling", "width": 16, "max_epochs": 2, "random_state": 0}
        return ContentRecommender(**(defaults | parameters))

    return make


@pytest.fixture(scope="session")
def fitted(news):
    """Fit a small recommender once; tests must not change it."""
    rec = ContentRecommender(
        content="mean_pooling", width=16, max_epochs=3, learning_rate=1e-2, random_state=0
    )
    return rec.fit(news.train, news.items)


@pytest.fixture(scope="session")
def mixed():
    """Make a catalogue with a column of every role."""
    return pd.DataFrame(
        {
            "item_id": range(8),
            "title": ["a red fox", "blue sea", "the fox and the sea", "", "red", "sea", "x", "y z"],
            "topic": pd.Categorical(["animal", "sea", "animal", None, "colour", "sea", "x", "x"]),
            "tags": [["a", "b"], [], ["b"], ["c"], ["a"], ["a", "c"], [], ["b", "c"]],
            "length": [3.0, 2.0, 5.0, 0.0, 1.0, 1.0, 1.0, 2.0],
            "vector": [[float(i), 1.0, -float(i)] for i in range(8)],
        }
    )


@pytest.fixture(scope="session")
def tiny_bert(news, tmp_path_factory):
    """Save a random BERT of 3 layers, with a tokenizer that knows the headlines' words."""
    return save_tiny(tmp_path_factory.mktemp("tiny_bert"), list(news.items["title"]))
