"""Dask runs the fits of a search."""

import sys

import joblib
from dask.distributed import Client
from sklearn.model_selection import GridSearchCV

from skrec import ContentRecommender, Items
from skrec.datasets import make_headlines

if __name__ == "__main__":
    news = make_headlines(n_users=200, n_items=120, n_impressions=600, random_state=0)
    items = Items(news.items, memory=sys.argv[2])  # a file that all machines can read
    rec = ContentRecommender("mean_pooling", max_epochs=1, random_state=0)
    search = GridSearchCV(rec, {"width": [8, 16]}, cv=2)
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
        with joblib.parallel_config("dask"):
            search.fit(news.train, items=items)
    search.best_estimator_.save(sys.argv[1])
    print(search.cv_results_["mean_test_score"].tolist())
