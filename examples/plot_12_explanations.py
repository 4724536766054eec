"""
==========================
Why is it in the list?
==========================

``explain`` says which clicks of a history, and which words of an item, raise or lower its score.
"""

# %%
# A recommendation
# ----------------
from skrec import ContentRecommender
from skrec.datasets import make_headlines

news = make_headlines(n_users=150, n_items=240, n_impressions=1200, random_state=0)
rec = ContentRecommender(
    content="mean_pooling", width=32, learning_rate=1e-2, max_epochs=6, random_state=0
).fit(news.train, news.items)
history = news.test["history"].iloc[0][-5:]
ids, _ = rec.recommend([history], k=1)
item = ids[0, 0]
title = news.items.set_index("item_id")["title"]
print("clicked:", *title[history], sep="\n  ")
print("recommended:", title[item], sep="\n  ")

# %%
# The clicks behind it
# --------------------
# The share of a click is what the score loses without it. This is exact for every recommender.
found = rec.explain(history, item, columns=["title"])
found.clicks[["title", "share"]]

# %%
# The words behind it
# -------------------
# The shares of the words and the score without them add up to the score.
print(f"{found.words['share'].sum() + found.score_without_words:.3f} = {found.score:.3f}")
found.words

# %%
# Both as bars
# ------------
import matplotlib.pyplot as plt

from skrec.inspection import ExplanationDisplay

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
ExplanationDisplay(found).plot(kind="clicks", label="title", ax=left)
ExplanationDisplay(found).plot(kind="words", ax=right)
plt.show()
