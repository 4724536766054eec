"""`EncodedItems`: the items of a catalogue with their prepared columns and item vectors.

Columns and vectors are computed when first needed. Vectors are dropped when weights change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skrec._common.locks import ForkSafeLock
from skrec._data.items import Items, are_equal
from skrec._data.packed import Packed
from skrec._inference.scores import item_rows, weights_version
from skrec._inference.user_vectors import UserVectorCache
from skrec._network import Network, device_of
from skrec.content import ContentOperator
from skrec.content._side import WithSide
from skrec.nn import stack_rows


@dataclass(frozen=True)
class Encoding:
    """Item rows that were computed with one version of the weights.

    Attributes
    ----------
    version : object
        The version of the weights; see `weights_version`.
    rows : tensor of shape (N, R)
    users : UserVectorCache
        Cache of the user vectors that are computed from these rows.
    """

    version: Any
    rows: torch.Tensor
    users: UserVectorCache


@dataclass(frozen=True)
class Extension:
    """The last extended items, with what they were extended by.

    Attributes
    ----------
    new : Items
        The items that were added or replaced.
    version : object
        The version of the weights; see `weights_version`.
    extended : EncodedItems
    """

    new: Items
    version: Any
    extended: EncodedItems


class EncodedItems:
    """Items with their prepared columns and item vectors.

    The prepared columns are the input of the content module. They and the vectors are computed when
    first needed. When a weight of the network changes, the vectors are dropped and computed again.

    Any number of threads may use the same object: what it computes is never changed afterwards,
    only replaced as a whole.

    The row of an item, of R numbers, contains its item vector, followed by the other numbers that
    the behavior operator reads: token vectors or side columns.

    Parameters
    ----------
    items : Items
        The items.
    content : ContentOperator or WithSide
        Fitted operator that prepares the items.
    packed : Packed, default=None
        The prepared columns, if they are known.
    encoding : Encoding, default=None
        The item rows, if they are known.
    """

    def __init__(
        self,
        items: Items,
        content: ContentOperator | WithSide,
        packed: Packed | None = None,
        encoding: Encoding | None = None,
    ):
        self.items = items
        self.content = content
        self._packed = packed
        self._encoding = encoding
        self._extension: Extension | None = None
        self._lock = ForkSafeLock()

    def packed(self, network: Network) -> Packed:
        """Return the prepared columns, on the network's device."""
        with self._lock.held():
            if self._packed is None:
                self._packed = self.content.prepare(self.items).to(device_of(network))
            return self._packed

    def encoding(self, network: Network) -> Encoding:
        """Return the item rows and the cache of user vectors of the current weights.

        Threads that need them at the same time wait for the first one, which computes them.
        """
        version = weights_version(network)
        encoding = self._encoding
        if encoding is None or encoding.version != version:
            with self._lock.held():
                encoding = self._encoding
                if encoding is None or encoding.version != version:
                    rows = item_rows(network, self.packed(network))
                    encoding = Encoding(version, rows, UserVectorCache())
                    self._encoding = encoding
        return encoding

    def vectors(self, network: Network) -> torch.Tensor:
        """Return the item vectors (N, D)."""
        return self.encoding(network).rows[:, : network.width]

    def for_training(self, items: Items) -> EncodedItems:
        """Return the same or extended items for a network that is going to be trained."""
        return EncodedItems(items, self.content, self._packed if items is self.items else None)

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
        new = self.items.conform(data)
        encoding, last = self.encoding(network), self._extension
        if last is not None and last.version == encoding.version and are_equal(last.new, new):
            return last.extended
        items = self.items.extend(new)
        old = encoding.rows
        same = items.hashes()[: len(old)] == self.items.hashes()
        changed = np.concatenate([np.flatnonzero(~same), np.arange(len(old), items.n_items)])
        rows = old
        if len(changed):
            packed = self.content.prepare(items.take(changed)).to(old.device)
            both = stack_rows([old, item_rows(network, packed)])
            place = np.arange(items.n_items)
            place[changed] = len(old) + np.arange(len(changed))
            rows = both[torch.from_numpy(place).to(old.device)]
        own = Encoding(encoding.version, rows, UserVectorCache())
        extended = EncodedItems(items, self.content, encoding=own)
        self._extension = Extension(new, encoding.version, extended)
        return extended
