"""
===========================
Looking at a fitted model
===========================

Four pictures: how training went, whether probabilities can be believed, for whom the ranking is
bad, and whether everybody gets what is popular.
"""

# %%
# A model of headlines, trained on the clicks of 300 readers.
import matplotlib.pyplot as plt
import numpy as np

from skrec import ContentRecommender, content
from skrec.datasets import make_headlines
from skrec.inspection import (
    GroupScoreDisplay,
    PopularityDisplay,
    ReliabilityDisplay,
    TrainingCurveDisplay,
)

news = make_headlines(n_users=300, n_items=400, n_impressions=3000, random_state=0)
rec = ContentRecommender(
    content=content.MeanPooling(), width=32, learning_rate=1e-2, max_epochs=15, random_state=0
).fit(news.train, news.items)

# %%
# Training
# --------
# The loss falls on; the score of the held-out part does not. The weights of its best epoch are the
# ones that were kept.
TrainingCurveDisplay.from_estimator(rec)
plt.show()

# %%
# Probabilities
# -------------
# A softmax ranks the candidates of an impression against each other, so the sigmoid of its scores
# is no probability. After the calibration on the held-out part it is.
display = ReliabilityDisplay.from_estimator(rec, news.test)
ReliabilityDisplay.from_estimator(rec, news.test, calibrated=False, ax=display.ax_, histogram=False)
plt.show()

# %%
# Groups
# ------
# The mean over impressions hides for how many the ranking is no better than a coin. Here by the
# length of the history.
length = news.test["history"].map(len)
kind = np.where(length < length.median(), "short histories", "long histories")
GroupScoreDisplay.from_estimator(rec, news.test, metric="gauc", by=kind)
plt.show()

# %%
# Popularity
# ----------
# New items have no click and stand at the left edge. Were the points on a line, readers would get
# what all others get.
PopularityDisplay.from_estimator(rec, news.train)
plt.show()
