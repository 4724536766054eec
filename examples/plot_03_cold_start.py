"""
==========
Cold start
==========

A headline is an hour old, a reader has clicked once. A model that reads can rank the one and
serve the other; a model that looks ids up can't. This example measures both.
"""

# %%
# Items that training never met
# -----------------------------
# Three in ten headlines of this newspaper appear only after the time of training. They are left
# out of the catalogue that the models are fitted with, so nothing of them is known, not even
# their words.
#
# Two models differ in the content operator alone: one reads title and topic, one has a learned
# vector for each id.
from skrec import ContentRecommender, behavior, content, explode
from skrec.datasets import make_headlines

news = make_headlines(n_items=300, n_impressions=3000, cold_fraction=0.3, random_state=0)
is_new = news.items["item_id"].isin(news.cold_items)
old_items, new_items = news.items[~is_new], news.items[is_new]

models = {"text": content.MeanPooling(), "ids": content.ID()}
for name, operator in models.items():
    models[name] = ContentRecommender(
        content=operator,
        behavior=behavior.MeanPooling(),
        width=32,
        learning_rate=1e-2,
        random_state=0,
    ).fit(news.train, old_items)

# %%
# To rank them, hand them over with the call: ``items=`` on any verb adds items for that call, and
# ``new_items`` is all that is encoded. Candidates are compared among their own kind, old with old
# and new with new, within each impression.
import pandas as pd

pairs, y = explode(news.test)
candidate_is_new = pairs["candidate"].isin(news.cold_items)
rows = {"old items": ~candidate_is_new, "new items": candidate_is_new}
gauc = pd.DataFrame(
    {
        name: {
            kind: rec.evaluate(pairs[some], y[some], metrics="gauc", items=new_items)["gauc"]
            for kind, some in rows.items()
        }
        for name, rec in models.items()
    }
)
print(gauc.round(3))

# %%
# Ids know a lot of old items, since every click on one is about that one. A new item has the mean
# of all vectors, the same for each, and the ranking of new items is that of a coin. To the model
# that reads, a new item is a text like any other.

# %%
# Readers who have clicked little
# -------------------------------
# A reader is a history, so nobody has to be in the training data. How many clicks does a model
# need? Below are the impressions of readers with at least ten clicks, of which the models are
# shown the latest ``n`` only, and the old candidates alone, on which ids do well.
pairs, y = pairs[~candidate_is_new], y[~candidate_is_new]
many = pairs["history"].str.len() >= 10
pairs, y = pairs[many], y[many]
n_clicks = [0, 1, 2, 3, 5, 10]
curves = {name: [] for name in models}
for n in n_clicks:
    shorter = pairs.assign(history=[history[len(history) - n :] for history in pairs["history"]])
    for name, rec in models.items():
        curves[name].append(rec.evaluate(shorter, y, metrics="gauc")["gauc"])
print(pd.DataFrame(curves, index=pd.Index(n_clicks, name="clicks")).round(3))

# %%
# The first clicks tell most. An empty history has an answer too: it is read as one click, learned
# from those who had no history during training, but there is nothing in it to rank by. On old
# items ids keep up with text. What they can't do is on the left of the picture.
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained", sharey=True)
gauc.plot.bar(ax=left, rot=0, color=["tab:blue", "tab:orange"], legend=False)
for bars in left.containers:
    left.bar_label(bars, fmt="%.2f", padding=2)
left.set(title="New items", ylabel="GAUC", ylim=(0.45, 0.95))
for (name, values), color in zip(curves.items(), ["tab:blue", "tab:orange"], strict=True):
    right.plot(n_clicks, values, "o-", color=color, label=name)
right.set(title="Readers with few clicks", xlabel="clicks that the model is shown")
right.legend()
for axes in (left, right):
    axes.axhline(0.5, color="0.7", linestyle=":", zorder=0)
plt.show()

# %%
# One reader
# ----------
# Three of the new headlines, and how likely a reader is to click them who read these topics last.
title = news.items.set_index("item_id")["title"]
topic = news.items.set_index("item_id")["topic"]
history = news.test["history"].iloc[0]
print("read last:", *topic[history[-8:]].unique())
three = new_items.groupby("topic", observed=True).first().iloc[:3]["item_id"].tolist()
one = pd.DataFrame({"history": [history], "candidates": [three]})
for item, p in zip(three, models["text"].predict_proba(one, items=new_items)[0][:, 1], strict=True):
    print(f"{p:.2f}  {topic[item]:10} {title[item]}")
