"""Ray Train starts the processes and connects them."""

import sys

import ray
from ray.train import ScalingConfig, get_context
from ray.train.torch import TorchTrainer

from skrec import ContentRecommender
from skrec.datasets import make_headlines


def train(config):
    news = make_headlines(n_users=200, n_items=120, n_impressions=600, random_state=0)
    rec = ContentRecommender("mean_pooling", predictor="dot", co_clicks=False, random_state=0)
    rec.set_params(max_epochs=3, learning_rate=0.01)
    rec.fit(news.train, news.items)
    if get_context().get_world_rank() == 0:
        rec.save(config["folder"], include_vectors=True)


ray.init()
scaling = ScalingConfig(num_workers=2, use_gpu=False)
TorchTrainer(train, train_loop_config={"folder": sys.argv[1]}, scaling_config=scaling).fit()
