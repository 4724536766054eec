"""`EncodedItems`: the items of a catalogue with their prepared columns and item vectors.

Columns and vectors are computed when first needed. Vectors are dropped when weights change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skrec._data.items import Items, are_equal
from skrec._data.packed import Packed
from skrec._inference.scores import item_rows, weights_version
from skrec._inference.user_vectors import UserVectorCache
from skrec._network import Network, device_of
from skrec.content import ContentOperator
from skrec.content._side import WithSide
from skrec.nn import stack_rows


class EncodedItems:
    """Items with their prepared columns and item vectors.

    The prepared columns are the input of the content module. They and the vectors are computed when
    first needed. When a weight of the network changes, the vectors are dropped and computed again.

    The row of an item, of R numbers, contains its item vector, followed by the other numbers that
    the behavior operator reads: token vectors or side columns.

    Parameters
    ----------
    items : Items
        The items.
    content : ContentOperator or WithSide
        Fitted operator that prepares the items.
    """

    def __init__(self, items: Items, content: ContentOperator | WithSide):
        self.items = items
        self.content = content
        self._packed: Packed | None = None
        self._rows: torch.Tensor | None = None
        self._version: Any = None
        self._user_cache = UserVectorCache()
        self._extension: EncodedItems | None = None

    def packed(self, network: Network) -> Packed:
        """Return the prepared columns, on the network's device."""
        if self._packed is None:
            self._packed = self.content.prepare(self.items).to(device_of(network))
        return self._packed

    def vectors(self, network: Network) -> torch.Tensor:
        """Return the item vectors (N, D)."""
        return self.rows(network)[:, : network.width]

    def rows(self, network: Network) -> torch.Tensor:
        """Return the item rows (N, R), which are computed again if weights have changed."""
        version = weights_version(network)
        if self._rows is None or version != self._version:
            self._rows = item_rows(network, self.packed(network))
            self._version = version
            self._user_cache = UserVectorCache()
        return self._rows

    def user_cache(self, network: Network) -> UserVectorCache:
        """Return the cache of user vectors that are computed from the current item rows."""
        self.rows(network)
        return self._user_cache

    def extend(self, data: Any, network: Network) -> EncodedItems:
        """Return the items with additional or changed ones; only these are encoded.

        The result is kept and returned again by the next call with equal items.

        Parameters
        ----------
        data : Items or DataFrame-like
            New items, and items that replace those with the same id.
        network : Network
            The trained network.

        Returns
        -------
        EncodedItems
        """
        items = self.items.extend(data)
        old = self.rows(network)
        last = self._extension
        if last is not None and last._version == self._version and are_equal(last.items, items):
            return last
        same = items.hashes()[: len(old)] == self.items.hashes()
        changed = np.concatenate([np.flatnonzero(~same), np.arange(len(old), items.n_items)])
        rows = old
        if len(changed):
            packed = self.content.prepare(items.take(changed)).to(old.device)
            both = stack_rows([old, item_rows(network, packed)])
            place = np.arange(items.n_items)
            place[changed] = len(old) + np.arange(len(changed))
            rows = both[torch.from_numpy(place).to(old.device)]
        extended = EncodedItems(items, self.content)
        extended._rows, extended._version = rows, self._version
        self._extension = extended
        return extended
