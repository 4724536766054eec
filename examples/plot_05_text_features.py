"""
===============================
Text features from scikit-learn
===============================

Any scikit-learn transformer that turns texts into vectors can be a content operator:
:class:`content.Features <skrec.content.Features>` fits it to the catalogue and trains a layer on
top. This example compares TF-IDF with a truncated SVD and a network that learns words from clicks
only.
"""

# %%
# Two ways to read a title
# ------------------------
# The SVD learns from the titles of the catalogue which words occur together; it needs no clicks.
# The convolution starts with random word vectors, and needs clicks for every word. The catalogue in
# this example has titles only, because topics would make the task too easy.
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
# A search can set the parameters of the pipeline, for example
# ``content__transformer__truncatedsvd__n_components``. The fitted pipeline is
# ``content_.transformer_``. Here it shows how much variance of TF-IDF the SVD keeps.
rec = ContentRecommender(content=content.Features(words), random_state=0)
rec.fit(news.train.tail(100), titles)
svd = rec.content_.transformer_["truncatedsvd"]
print(f"{svd.explained_variance_ratio_.sum():.2f} of the variance in {svd.n_components} numbers")

# %%
# Number of clicks
# ----------------
# Both operators are trained on the latest 100 to 2400 impressions before the test.
from time import perf_counter

import pandas as pd

found, trained = [], {}
for n_rows in (100, 300, 1000, 2400):
    for name, operator in operators.items():
        start = perf_counter()
        rec = ContentRecommender(
            operator, "mean_pooling", width=32, learning_rate=5e-3, max_epochs=8, random_state=0
        )
        trained[name] = rec.fit(news.train.tail(n_rows), titles)
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
    axes.set(xlabel="training impressions", xscale="log")
left.legend()
plt.show()

# %%
# Choosing an operator
# --------------------
# With few clicks, use vectors that are computed from the texts alone. The layer on top has few
# weights, so the fit is also fast. With many clicks, words that are learned from clicks catch up,
# as the right end of the curves shows. ``transformer`` can be any other transformer, for example a
# ``ColumnTransformer`` over several columns with ``columns=[...]``.
#
# New items are transformed by the fitted pipeline, so they need no clicks either.
new = pd.DataFrame({"item_id": [1, 2], "title": ["A quick bean stew", "Striker signs for Porto"]})
rec = trained["TF-IDF and SVD"]
X = pd.DataFrame({"history": [news.test["history"].iloc[0]], "candidates": [[1, 2]]})
print(rec.decision_function(X, items=new)[0].round(2))
