"""
======================
Combining text and ids
======================

A text does not contain everything that matters, for example the quality of an item or its
pictures. Clicks reveal it, once there are some. :class:`content.WithID <skrec.content.WithID>` adds
a learned vector per id to an operator that reads texts. Known items have both, and new items are
represented by their text only.
"""

# %%
# Clicks that depend on more than the text
# ----------------------------------------
# The headlines are those of the other examples. The interests of the readers have two parts of
# about the same size: topics, which the headline reveals, and three hidden properties of each item,
# which it does not reveal. One quarter of the items are new: they are candidates in the test rows
# only.
import numpy as np
import pandas as pd

from skrec.datasets import make_headlines

items = make_headlines(n_items=360, random_state=0).items
n_readers, n_items, n_test = 1800, len(items), 600
rng = np.random.default_rng(0)
visible = rng.normal(size=(n_readers, 12))[:, items["topic"].cat.codes]
hidden = rng.normal(size=(n_readers, 3)) @ rng.normal(size=(3, n_items)) / np.sqrt(3)
liking = visible + hidden + 0.5 * rng.gumbel(size=visible.shape)
is_new = rng.permutation(n_items) < n_items // 4

ids, rows = items["item_id"].to_numpy(), []
for reader in range(n_readers):
    # the history has the best 10 of 60 items; the best 3 of 12 candidates are clicked
    met = rng.choice(np.flatnonzero(~is_new), 60, replace=False)
    history = rng.permutation(met[np.argsort(-liking[reader, met])[:10]])
    in_test = reader >= n_readers - n_test
    others = np.setdiff1d(np.arange(n_items) if in_test else np.flatnonzero(~is_new), met)
    shown = rng.choice(others, 12, replace=False)
    clicked = liking[reader, shown] >= np.sort(liking[reader, shown])[-3]
    rows.append((ids[history], ids[shown], clicked.astype(int)))
rows = pd.DataFrame(rows, columns=["history", "candidates", "clicked"])
train, test = rows[:-n_test], rows[-n_test:]

# %%
# Three models, three seeds
# -------------------------
# The models differ only in the content operator. They also learn clicks inside the histories,
# against 32 sampled items, because vectors of ids need many clicks.
#
# The training catalogue does not contain the new items. Each model ranks the known candidates, and
# then the new ones.
from skrec import ContentRecommender, content, explode

operators = {
    "text": content.MeanPooling(),
    "ids": content.ID(),
    "text and ids": content.WithID(content.MeanPooling(), dropout=0.2),
}
pairs, y = explode(test)
candidate_is_new = pairs["candidate"].isin(ids[is_new]).to_numpy()
found = []
for name, operator in operators.items():
    for seed in range(3):
        rec = ContentRecommender(
            content=operator,
            behavior="mean_pooling",
            width=32,
            n_negatives=32,
            history_targets=3,
            learning_rate=1e-2,
            batch_size=128,
            max_epochs=8,
            random_state=seed,
        ).fit(train, items[~is_new])
        for kind, some in (("known items", ~candidate_is_new), ("new items", candidate_is_new)):
            answer = rec.evaluate(pairs[some], y[some], metrics="gauc", items=items[is_new])
            found.append((name, kind, seed, answer["gauc"]))
found = pd.DataFrame(found, columns=["model", "candidates", "seed", "gauc"])
table = found.pivot_table("gauc", "model", "candidates", sort=False)
print(table.round(3))

# %%
# The effect of ids in addition to text, on known items and on new ones:
print((table.loc["text and ids"] - table.loc["text"]).round(3).to_string())

# %%
# New items
# ---------
# A new item has no id vector, so the model must be able to rank by text alone. It learns this by
# ``dropout``, which leaves out the id vectors of some items in each batch, here of one fifth.
# Include ``content__dropout`` in a search, and evaluate new items separately: a mean over all
# candidates hides what the new items lose.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained", sharey=True)
colors = dict(zip(operators, ["tab:blue", "tab:orange", "tab:green"], strict=True))
for axis, kind in zip(axes, ("known items", "new items"), strict=True):
    for place, name in enumerate(operators):
        some = found[(found["model"] == name) & (found["candidates"] == kind)]
        axis.bar(place, table.loc[name, kind], color=colors[name], alpha=0.35, width=0.6)
        axis.plot([place] * len(some), some["gauc"], "o", color=colors[name])
    axis.axhline(0.5, color="0.6", linestyle=":")
    axis.set(title=kind, xticks=range(len(operators)), xticklabels=list(operators))
axes[0].set(ylabel="GAUC, one point per seed", ylim=(0.45, 0.85))
plt.show()
