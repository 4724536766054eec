"""Simple recommenders to compare with: popularity, co-clicks, and similar content.

They are fitted in closed form, in seconds, and have the methods of
:class:`~skrec.ContentRecommender`.
"""

from skrec.baselines._content_knn import ContentKNN
from skrec.baselines._ease import EASE
from skrec.baselines._item_knn import ItemKNN
from skrec.baselines._popularity import Popularity

__all__ = ["EASE", "ContentKNN", "ItemKNN", "Popularity"]
