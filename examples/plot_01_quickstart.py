"""
===========================
Quickstart with headlines
===========================

A recommender that reads content learns from clicks what people like to read about. It can then
rank headlines that nobody has clicked yet.
"""

# %%
# The data
# --------
# :func:`~skrec.datasets.make_headlines` generates headlines on twelve topics, readers with known
# interests, and impressions. An impression contains the history of a reader, the candidates that
# were shown, and which of them were clicked. One tenth of the items are *cold*: they appear in the
# test impressions only.
from skrec.datasets import make_headlines

news = make_headlines(random_state=0)
print(news.items.head())
print(news.train[["history", "candidates", "clicked"]].head(3))

# %%
# Fit
# ---
# Three parts are trained together. A *content operator* turns the columns of an item into an item
# vector, a *behavior operator* turns clicked items into a user vector, and a *predictor* computes a
# score from both. The latest tenth of the impressions is held out for early stopping and for the
# calibration of the probabilities.
from skrec import ContentRecommender

rec = ContentRecommender(random_state=0, verbose=1).fit(news.train, news.items)

# %%
# Evaluate
# --------
# GAUC is the probability that a clicked candidate is ranked above a candidate of the same
# impression that was not clicked. A random ranking has a GAUC of 0.5.
for name, value in rec.evaluate(news.test, metrics=["gauc", "ndcg@5", "logloss", "ece"]).items():
    print(f"{name:14} {value:.3f}")

# %%
# ``predict_proba`` returns one array per impression, of shape (n_candidates, 2).
print(rec.predict_proba(news.test.head(1))[0].round(3))

# %%
# Recommend
# ---------
# ``recommend`` selects the best items of the whole catalogue, here for a reader who clicked three
# headlines. Items of the history are left out.
title = news.items.set_index("item_id").title
history = news.test.history.iloc[0][-3:]
print("clicked:", *title[history], sep="\n  ")
ids, scores = rec.recommend([history], k=5)
print("recommended:", *title[ids[0]], sep="\n  ")

# %%
# Items that did not exist when the model was trained are ranked by their content.
import pandas as pd

new = pd.DataFrame(
    {
        "item_id": [1, 2],
        "title": ["A lentil soup for cold evenings", "Late goal decides the derby"],
        "topic": ["cooking", "football"],
    }
)
X = pd.DataFrame({"history": [history], "candidates": [[1, 2]]})
print(rec.decision_function(X, items=new)[0])

# %%
# Training curves
# ---------------
# The training loss keeps falling. The score of the held-out impressions determines when to stop.
import matplotlib.pyplot as plt

figure, left = plt.subplots(figsize=(6, 3.5), layout="constrained")
epochs = range(1, rec.n_epochs_ + 1)
left.plot(epochs, rec.loss_curve_, "o-", color="tab:blue")
left.set(xlabel="epoch", ylabel="training loss")
left.yaxis.label.set_color("tab:blue")
right = left.twinx()
right.plot(epochs, rec.validation_scores_, "s--", color="tab:orange")
right.set_ylabel("GAUC of the held-out impressions")
right.yaxis.label.set_color("tab:orange")
left.set_title("The weights of the best epoch are kept")
left.axvline(rec.validation_scores_.index(rec.best_score_) + 1, color="0.8", zorder=0)
plt.show()
