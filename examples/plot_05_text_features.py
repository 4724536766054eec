"""
=============================
Text features of scikit-learn
=============================

Any transformer that turns texts into vectors can be a content operator:
:class:`content.Features <skrec.content.Features>` fits it to the catalogue and trains a layer on
top. This example sets TF-IDF with a truncated SVD against a network that learns words from clicks
alone.
"""

# %%
# Two ways to read a title
# ------------------------
# The SVD finds which words go together from the titles of the whole catalogue, before it has seen
# a click. The convolution starts from random word vectors, and every word costs it clicks. The
# catalogue has titles only: with topics beside them there would be little to read.
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skrec import ContentRecommender, content
from skrec.datasets import make_headlines

news = make_headlines(random_state=0)
titles = news.items[["item_id", "title"]]
words = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, stop_words="english"), TruncatedSVD(64, random_state=0)
)
operators = {"TF-IDF and SVD": content.Features(words), "CNN": content.CNN()}

# %%
# A pipeline is a set of parameters like any other, and a search reaches into it by names such as
# ``content__transformer__truncatedsvd__n_components``.
# The fitted one is kept in ``content_.transformer_``, here to see how much of TF-IDF is left.
rec = ContentRecommender(content=content.Features(words), random_state=0)
rec.fit(news.train.tail(100), titles)
svd = rec.content_.transformer_["truncatedsvd"]
print(f"{svd.explained_variance_ratio_.sum():.2f} of the variance in {svd.n_components} numbers")

# %%
# How many clicks does it take?
# -----------------------------
# Both operators learn from the latest 100 to 2400 impressions before the test.
from time import perf_counter

import pandas as pd

found = []
for n_rows in (100, 300, 1000, 2400):
    for name, operator in operators.items():
        start = perf_counter()
        rec = ContentRecommender(
            content=operator, behavior="mean_pooling", width=32, learning_rate=5e-3, random_state=0
        )
        rec.fit(news.train.tail(n_rows), titles)
        seconds = perf_counter() - start
        found.append((name, n_rows, rec.score(news.test), seconds))
found = pd.DataFrame(found, columns=["content", "impressions", "gauc", "seconds"])
print(found.pivot(index="impressions", columns="content").round(3))

# %%
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.5), layout="constrained")
for name, some in found.groupby("content", sort=False):
    left.plot(some["impressions"], some["gauc"], "o-", label=name)
    right.plot(some["impressions"], some["seconds"], "o-", label=name)
left.axhline(0.5, color="0.7", linestyle=":", zorder=0)
left.set(title="Quality", ylabel="GAUC on the test impressions")
right.set(title="Time to fit", ylabel="seconds", yscale="log")
for axes in (left, right):
    axes.set(xlabel="impressions to learn from", xscale="log")
left.legend()
plt.show()

# %%
# Which to take
# -------------
# With few clicks, take vectors that know the words already. Their layer on top has few weights,
# so the fit is quick as well. With many clicks, words learned for the purpose catch up: here it
# is the right end of the curves. ``transformer`` takes any other vectors too, such as a
# ``ColumnTransformer`` over several columns with ``columns=[...]``.
#
# New items pass through the fitted pipeline, so they need no clicks either.
new = pd.DataFrame({"item_id": [1, 2], "title": ["A quick bean stew", "Striker signs for Porto"]})
rec = ContentRecommender(content=operators["TF-IDF and SVD"], random_state=0)
rec.fit(news.train, titles)
X = pd.DataFrame({"history": [news.test["history"].iloc[0]], "candidates": [[1, 2]]})
print(rec.decision_function(X, items=new)[0].round(2))
