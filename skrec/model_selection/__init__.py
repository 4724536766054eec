"""Train-test splits of interactions, and cross-validation splitters for scikit-learn's searches."""

from skrec.model_selection._cold import ColdItemSplit, split_cold_items
from skrec.model_selection._last import split_last
from skrec.model_selection._time import TimeSeriesImpressionSplit, split_by_time
from skrec.model_selection._without_items import without_items

__all__ = [
    "ColdItemSplit",
    "TimeSeriesImpressionSplit",
    "split_by_time",
    "split_cold_items",
    "split_last",
    "without_items",
]
