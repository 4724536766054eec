"""
===========================
Headlines: a first look
===========================

A recommender that reads: it learns from clicks what people like to read about, and ranks
headlines that nobody has clicked yet.
"""

# %%
# The data
# --------
# :func:`~skrec.datasets.make_headlines` invents a newspaper: headlines on twelve topics, readers
# with known interests, and impressions: what a reader had clicked before, the candidates shown,
# and which of them were clicked. A tenth of the items are *cold*: they appear in the test
# impressions only.
from skrec.datasets import make_headlines

news = make_headlines(random_state=0)
print(news.items.head())
print(news.train[["history", "candidates", "clicked"]].head(3))

# %%
# Fit
# ---
# Three parts are trained together: a *content operator* turns the columns of an item into a
# vector, a *behavior operator* turns clicked items into a user, and a *predictor* compares the
# two. The latest tenth of the impressions is held out, to stop in time and to calibrate the
# probabilities.
from skrec import ContentRecommender

rec = ContentRecommender(random_state=0, verbose=1).fit(news.train, news.items)

# %%
# Score
# -----
# GAUC is the chance that a clicked candidate is ranked above one of the same impression that
# was not; a coin gets one half.
for name, value in rec.evaluate(news.test, metrics=["gauc", "ndcg@5", "logloss", "ece"]).items():
    print(f"{name:14} {value:.3f}")

# %%
# Probabilities come as one array an impression, of shape (n_candidates, 2).
print(rec.predict_proba(news.test.head(1))[0].round(3))

# %%
# Recommend
# ---------
# The best items of the whole catalogue for a reader who clicked three headlines, seen ones left
# out.
title = news.items.set_index("item_id").title
history = news.test.history.iloc[0][-3:]
print("clicked:", *title[history], sep="\n  ")
ids, scores = rec.recommend([history], k=5)
print("recommended:", *title[ids[0]], sep="\n  ")

# %%
# An item that did not exist when the model was trained is ranked by what it says.
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
# How it went
# -----------
# The training loss falls on; the score of the held-out part says when to stop.
import matplotlib.pyplot as plt

figure, left = plt.subplots(figsize=(6, 3.5), layout="constrained")
epochs = range(1, rec.n_epochs_ + 1)
left.plot(epochs, rec.loss_curve_, "o-", color="tab:blue")
left.set(xlabel="epoch", ylabel="training loss")
left.yaxis.label.set_color("tab:blue")
right = left.twinx()
right.plot(epochs, rec.validation_scores_, "s--", color="tab:orange")
right.set_ylabel("GAUC of the held-out part")
right.yaxis.label.set_color("tab:orange")
left.set_title("The best epoch's weights are kept")
left.axvline(rec.validation_scores_.index(rec.best_score_) + 1, color="0.8", zorder=0)
plt.show()
