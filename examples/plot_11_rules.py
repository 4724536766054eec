"""
==================
Rules of a shop
==================

A list must obey rules that training does not know: only what is in stock, at most two items of a
kind, and not ten times the same. ``recommend`` takes them as arguments, without a new fit.
"""

# %%
# A model and one reader
# ----------------------
# The items are made-up headlines with a topic. The plain list of a reader often has one topic.
import pyarrow.compute as pc

from skrec import ContentRecommender
from skrec.datasets import make_headlines

news = make_headlines(n_users=150, n_items=240, n_impressions=1200, random_state=0)
rec = ContentRecommender(
    content="mean_pooling", width=32, learning_rate=1e-2, max_epochs=6, random_state=0
).fit(news.train, news.items)
histories = news.test[["history"]].drop_duplicates("history", ignore_index=True).head(50)
shown = rec.recommend(histories.head(1), k=6, as_frame=True, columns=["title", "topic"])
shown[["rank", "title", "topic"]]

# %%
# Conditions and quotas
# ---------------------
# ``where`` is a condition on the columns of the catalogue. ``at_most`` limits the items of a
# category.
shown = rec.recommend(
    histories.head(1),
    k=6,
    where=pc.field("topic") != "football",
    at_most={"topic": 2},
    as_frame=True,
    columns=["title", "topic"],
)
shown[["rank", "title", "topic"]]

# %%
# Diversity
# ---------
# ``diversity`` goes from 0, the best scores, to 1. Each item is compared with those that are
# already in the list. The figure shows what it costs, for 50 readers: the mean score of a list
# against the number of its topics.
import numpy as np

topics = news.items.set_index("item_id")["topic"]
values = [0.0, 0.2, 0.4, 0.6, 0.8]
n_topics, mean_score = [], []
for diversity in values:
    ids, scores = rec.recommend(histories, k=10, diversity=diversity)
    n_topics.append(np.mean([topics[row].nunique() for row in ids]))
    mean_score.append(scores.mean())

# %%
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
axis.plot(n_topics, mean_score, "o-")
for x, y, value in zip(n_topics, mean_score, values, strict=True):
    axis.annotate(f" {value}", (x, y))
axis.set(xlabel="topics in a list of ten", ylabel="mean score")
axis.set_title("What diversity costs")
plt.show()
