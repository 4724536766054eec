"""Content-based recommendation with language models, as scikit-learn estimators.

A :class:`ContentRecommender` trains three operators together: content (an item's columns
become its vector), behavior (clicked items become a user vector) and a click predictor.
"""

from skrec import baselines, behavior, cache, content, datasets, metrics, predictor, zoo
from skrec._common.version import __version__
from skrec._data.explode import explode
from skrec._data.interactions import Interactions
from skrec._data.items import Items
from skrec._recommender import ContentRecommender, load
from skrec.utils._show_versions import show_versions

__all__ = [
    "ContentRecommender",
    "Interactions",
    "Items",
    "__version__",
    "baselines",
    "behavior",
    "cache",
    "content",
    "datasets",
    "explode",
    "load",
    "metrics",
    "predictor",
    "show_versions",
    "zoo",
]
