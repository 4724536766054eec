"""
====================
Context of a row
====================

What a reader clicks may depend on the device or the hour, and not only on earlier clicks. Columns
of X that describe the moment become part of the model by ``context=``.
"""

# %%
# Readers with two habits
# -----------------------
# In these made-up impressions, readers want games on the phone and news at the desk. Their earlier
# clicks say nothing about it.
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
items = pd.DataFrame({"item_id": range(60), "topic": pd.Categorical(["news", "games"] * 30)})
device = rng.choice(["phone", "desk"], size=600)
shown = np.array([rng.permutation(60)[:6] for _ in device])
wanted = (shown % 2 == 1) == (device == "phone")[:, None]
clicked = np.eye(6, dtype=int)[(2 * wanted + rng.random(shown.shape)).argmax(axis=1)]
X = pd.DataFrame(
    {
        "history": rng.integers(60, size=(600, 3)).tolist(),
        "candidates": shown.tolist(),
        "clicked": clicked.tolist(),
        "device": device,
    }
)
train, test = X[:450], X[450:]

# %%
# With and without context
# ------------------------
# The GAUC is the probability that a clicked candidate is ranked above one that was not clicked. 0.5
# is chance.
from skrec import ContentRecommender

settings = {"content": "tabular", "width": 16, "random_state": 0}
models = {
    "without context": ContentRecommender(**settings, context=None),
    "with the device": ContentRecommender(**settings, context=["device"]),
}
scores = {name: model.fit(train, items).score(test) for name, model in models.items()}
for name, score in scores.items():
    print(f"{name:16} {score:.3f}")

# %%
# Lists for a device
# ------------------
# ``recommend`` reads the context of each row, so that the same reader has other lists on the phone.
# The share of games in a list of ten says how much.
rows = pd.DataFrame({"history": [[0, 1]] * 2, "device": ["phone", "desk"]})
ids, _ = models["with the device"].recommend(rows, k=10)
games = (ids % 2 == 1).mean(axis=1)
print(dict(zip(rows["device"], games.tolist(), strict=True)))

# %%
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.barh(list(scores), list(scores.values()), color=["0.7", "tab:blue"])
left.axvline(0.5, color="0.3", linestyle=":")
left.set(xlabel="GAUC of the test rows", xlim=(0, 1))
right.bar(rows["device"], games, color="tab:orange")
right.set(ylabel="games among the first ten", ylim=(0, 1))
plt.show()
