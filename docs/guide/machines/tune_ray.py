"""Ray Tune stops fits that fall behind; a callback reports the score of each epoch."""

import sys

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from skrec import ContentRecommender, Items
from skrec.datasets import make_headlines


class Report:
    """Callback that reports the held-out score after each epoch."""

    def setup(self, estimator, context): ...
    def teardown(self, estimator, context): ...
    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            tune.report({"score": fitted_estimator.validation_scores_[-1]})


def train(config, news, items):
    rec = ContentRecommender("mean_pooling", width=16, max_epochs=4, random_state=0, **config)
    rec.set_params(n_iter_no_change=4).set_callbacks(Report()).fit(news.train, items=items)


news = make_headlines(n_users=200, n_items=120, n_impressions=600, random_state=0)
items = Items(news.items, memory=sys.argv[2])  # a file that all machines can read
ray.init()
asha = ASHAScheduler(metric="score", mode="max", max_t=4, grace_period=1, reduction_factor=2)
tuner = tune.Tuner(
    tune.with_parameters(train, news=news, items=items),
    param_space={"learning_rate": tune.grid_search([1e-2, 3e-3, 1e-4, 1e-5])},
    tune_config=tune.TuneConfig(scheduler=asha, max_concurrent_trials=2),
    run_config=tune.RunConfig(storage_path=sys.argv[1], verbose=0),
)
found = tuner.fit()
best = found.get_best_result("score", "max", scope="all")
print([best.config["learning_rate"], *(len(each.metrics_dataframe) for each in found)])
