"""Splitters for scikit-learn's searches and cross-validation: rows of the future stay there."""

from skrec.model_selection._last import split_last
from skrec.model_selection._time import TimeSeriesImpressionSplit, split_by_time

__all__ = ["TimeSeriesImpressionSplit", "split_by_time", "split_last"]
