"""Ray runs the fits of a search."""

import sys

import joblib
import ray
from ray.util.joblib import register_ray
from sklearn.model_selection import GridSearchCV

from skrec import ContentRecommender, Items
from skrec.datasets import make_headlines

news = make_headlines(n_users=200, n_items=120, n_impressions=600, random_state=0)
items = Items(news.items, memory=sys.argv[2])  # a file that all machines can read
rec = ContentRecommender("mean_pooling", max_epochs=1, random_state=0)
search = GridSearchCV(rec, {"width": [8, 16]}, cv=2)
ray.init()
register_ray()
with joblib.parallel_config("ray", n_jobs=2):
    search.fit(news.train, items=items)
search.best_estimator_.save(sys.argv[1])
print(search.cv_results_["mean_test_score"].tolist())
