"""The baselines that `skrec.load` may build."""

from functools import partial

from skrec.baselines._content_knn import ContentKNN
from skrec.baselines._ease import EASE
from skrec.baselines._item_knn import ItemKNN
from skrec.baselines._popularity import Popularity
from skrec.baselines._restored import restored_state

# classes by name, with the check of what a folder contains
SAVED = {
    kind.__name__: (kind, partial(restored_state, kind))
    for kind in (ContentKNN, EASE, ItemKNN, Popularity)
}
