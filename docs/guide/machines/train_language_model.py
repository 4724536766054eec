"""All processes train one language model, of which each keeps a part; the first one saves it."""

import sys

from torch import distributed

from skrec import ContentRecommender, content
from skrec.datasets import make_headlines

news = make_headlines(n_users=200, n_items=120, n_impressions=600, random_state=0)
rec = ContentRecommender(content.LanguageModel(sys.argv[1]), max_epochs=1, random_state=0)
rec.fit(news.train, news.items)
if distributed.get_rank() == 0:
    rec.save(sys.argv[2])
