"""
===========================
Inspecting a fitted model
===========================

Four plots show the course of training, the reliability of the probabilities, the quality of the
ranking by group, and the popularity of the recommended items.
"""

# %%
# The model reads headlines, and is trained on the clicks of 300 readers.
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
# The loss keeps falling, but the score of the held-out impressions does not keep rising. The
# weights of the best epoch are kept.
TrainingCurveDisplay.from_estimator(rec)
plt.show()

# %%
# Probabilities
# -------------
# The softmax loss only compares candidates of the same impression, so the sigmoid of the scores is
# not a probability. It becomes one by calibration on the held-out impressions.
display = ReliabilityDisplay.from_estimator(rec, news.test)
ReliabilityDisplay.from_estimator(rec, news.test, calibrated=False, ax=display.ax_, histogram=False)
plt.show()

# %%
# Groups
# ------
# The mean over impressions hides how many of them are ranked no better than at random. This plot
# shows the distribution for short and for long histories.
length = news.test["history"].map(len)
kind = np.where(length < length.median(), "short histories", "long histories")
GroupScoreDisplay.from_estimator(rec, news.test, metric="gauc", by=kind)
plt.show()

# %%
# Popularity
# ----------
# New items have no clicks, so they are at the left edge. If the points were on a line, every reader
# would get the same popular items.
PopularityDisplay.from_estimator(rec, news.train)
plt.show()
