"""Metrics of click prediction and ranking, as functions and by name."""

from skrec.metrics._by_group import by_group
from skrec.metrics._grouped import (
    gauc,
    hit,
    lrap,
    mean_average_precision,
    mrr,
    mrr_mind,
    ndcg,
    precision,
    recall,
)
from skrec.metrics._pointwise import auc, brier, ece, f1, logloss
from skrec.metrics._ranking import Ranking
from skrec.metrics._registry import Metric, compute, compute_ranked, get_metric, scorer

__all__ = [
    "Metric",
    "Ranking",
    "auc",
    "brier",
    "by_group",
    "compute",
    "compute_ranked",
    "ece",
    "f1",
    "gauc",
    "get_metric",
    "hit",
    "logloss",
    "lrap",
    "mean_average_precision",
    "mrr",
    "mrr_mind",
    "ndcg",
    "precision",
    "recall",
    "scorer",
]
