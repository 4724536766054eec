"""Content-based recommendation with language models, as scikit-learn estimators.

A :class:`ContentRecommender` trains three operators together: content (an item's columns
become its vector), behavior (clicked items become a user vector) and a click predictor.
"""

from skrec import behavior, cache, content, datasets, metrics, predictor, zoo
from skrec._explode import explode
from skrec._items import Items
from skrec._recommender import ContentRecommender
from skrec._saving import load
from skrec._version import __version__
from skrec._wrapper import Interactions

__all__ = [
    "ContentRecommender",
    "Interactions",
    "Items",
    "__version__",
    "behavior",
    "cache",
    "content",
    "datasets",
    "explode",
    "load",
    "metrics",
    "predictor",
    "zoo",
]
