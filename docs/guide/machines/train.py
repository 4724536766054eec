"""All processes of a launcher train one model, and the first one saves it."""

import sys

from torch import distributed

from skrec import ContentRecommender
from skrec.datasets import make_headlines

news = make_headlines(n_users=200, n_items=120, n_impressions=600, random_state=0)
rec = ContentRecommender("mean_pooling", predictor="dot", co_clicks=False, random_state=0)
rec.set_params(max_epochs=3, learning_rate=0.01)
rec.fit(news.train, news.items, checkpoint=sys.argv[2])
if distributed.get_rank() == 0:
    rec.save(sys.argv[1], include_vectors=True)
