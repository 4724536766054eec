"""
==========
Cold start
==========

A model that reads content can rank a headline that is an hour old, and serve a reader who has
clicked once. This example compares it with a model that only looks up ids, on new items and on
readers with few clicks.
"""

# %%
# Items that are not in the training data
# ---------------------------------------
# Three in ten headlines appear only after training. They are also left out of the catalogue that
# the models are fitted to, so not even their words are known.
#
# The two models differ only in the content operator: one reads title and topic, the other learns
# one vector per id.
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
# To rank the new items, pass them in the call: ``items=`` of any method adds items for this call,
# and only these are encoded. Within each impression, old candidates are compared with old ones, and
# new candidates with new ones.
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
# The model with ids ranks old items well, because each click trains the vector of one item. All new
# items have the same vector, the mean of the others, so their ranking is random. For the model that
# reads content, a new item is a text like any other.

# %%
# Readers who have clicked little
# -------------------------------
# A reader is represented by a history, so readers need not be in the training data. How many clicks
# does a model need? This part uses the impressions of readers with at least ten clicks, and only
# the old candidates, on which ids work well. The models see only the latest ``n`` clicks.
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
# The first clicks are the most informative. An empty history also has a result: it is replaced by
# one learned click, but contains nothing that is specific to the reader. On old items, ids are
# nearly as good as text. The left plot shows that they fail on new items.
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained", sharey=True)
gauc.plot.bar(ax=left, rot=0, color=["tab:blue", "tab:orange"], legend=False)
for bars in left.containers:
    left.bar_label(bars, fmt="%.2f", padding=2)
left.set(title="New items", ylabel="GAUC", ylim=(0.45, 0.95))
for (name, values), color in zip(curves.items(), ["tab:blue", "tab:orange"], strict=True):
    right.plot(n_clicks, values, "o-", color=color, label=name)
right.set(title="Readers with few clicks", xlabel="clicks that the model sees")
right.legend()
for axes in (left, right):
    axes.axhline(0.5, color="0.7", linestyle=":", zorder=0)
plt.show()

# %%
# One reader
# ----------
# The topics that a reader clicked last, and the probabilities that this reader clicks three of the
# new headlines.
title = news.items.set_index("item_id")["title"]
topic = news.items.set_index("item_id")["topic"]
history = news.test["history"].iloc[0]
print("read last:", *topic[history[-8:]].unique())
three = new_items.groupby("topic", observed=True).first().iloc[:3]["item_id"].tolist()
one = pd.DataFrame({"history": [history], "candidates": [three]})
for item, p in zip(three, models["text"].predict_proba(one, items=new_items)[0][:, 1], strict=True):
    print(f"{p:.2f}  {topic[item]:10} {title[item]}")
