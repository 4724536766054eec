"""
=======================
Better than baselines?
=======================

Four recommenders in closed form show what is possible without training. A comparison on the same
impressions shows whether a trained model is better, and how sure this is.
"""

# %%
# Fit baselines
# -------------
# Each baseline is fitted in a moment. ``decay`` gives recent clicks a larger weight.
import matplotlib.pyplot as plt

from skrec import ContentRecommender, content
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity
from skrec.datasets import make_headlines
from skrec.inspection import compare

news = make_headlines(n_users=300, n_items=400, n_impressions=3000, random_state=0)
models = {
    "trained": ContentRecommender(
        content=content.MeanPooling(), width=32, learning_rate=1e-2, max_epochs=8, random_state=0
    ),
    "popularity": Popularity(),
    "item kNN": ItemKNN(decay=0.8),
    "EASE": EASE(regularization=50.0, decay=0.8),
    "content kNN": ContentKNN(columns=["title"], decay=0.8),
}
for model in models.values():
    model.fit(news.train, news.items)

# %%
# Compare
# -------
# The table has the mean of each metric over the test impressions. The interval belongs to the
# difference from the first model; it does not contain 0 if the choice of the impressions hardly
# explains the difference.
found = compare(models, news.test, metrics=["gauc", "ndcg@10"], random_state=0)
found.table_

# %%
# The same intervals as a plot. Many headlines of the test impressions are new: no one clicked them
# before, so that models of co-clicks do not know them, in contrast to models that read them.
found.plot()
plt.show()

# %%
# A list for a reader
# -------------------
# Baselines have all methods of a recommender.
ids, scores = models["content kNN"].recommend(news.test["history"].head(1), k=3)
news.items.set_index("item_id").title[ids[0]]
