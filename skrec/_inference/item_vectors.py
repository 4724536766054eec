"""A catalogue with its prepared columns and item vectors, as training and prediction read it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skrec._data.items import Items, are_equal
from skrec._inference.scores import item_rows, weights_version
from skrec._inference.user_vectors import UserStore
from skrec._network import Network, device_of
from skrec.content import ContentOperator, Packed
from skrec.content._side import WithSide
from skrec.nn import stack_rows


class EncodedItems:
    """Items with what is computed of them, when it is first asked for.

    An item's row (R,) is its vector, and behind it what else the behavior operator reads.

    Parameters
    ----------
    items : Items
        The items.
    content : content operator
        What prepares them: a fitted one, or one with another beside it.
    """

    def __init__(self, items: Items, content: ContentOperator | WithSide):
        self.items = items
        self.content = content
        self._packed: Packed | None = None
        self._rows: torch.Tensor | None = None
        self._version: Any = None
        self._users = UserStore()
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
        """Return the item rows (N, R), computing them where the weights have changed."""
        version = weights_version(network)
        if self._rows is None or version != self._version:
            self._rows = item_rows(network, self.packed(network))
            self._version = version
            self._users = UserStore()
        return self._rows

    def users(self, network: Network) -> UserStore:
        """Return the store of user vectors that these item rows gave."""
        self.rows(network)
        return self._users

    def extend(self, data: Any, network: Network) -> EncodedItems:
        """Return a catalogue in which `data` adds and overrides items; only these are encoded.

        The last one is kept, for the next call with the same items.
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
