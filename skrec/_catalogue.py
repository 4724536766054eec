"""A catalogue with its prepared columns and item vectors, as prediction reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skrec._inference import device_of, item_vectors, weights_version
from skrec._items import Items
from skrec._network import Network
from skrec.content import ContentOperator, Packed


class Catalogue:
    """Items, their packed columns, and their vectors, which are computed once a weights version.

    Parameters
    ----------
    items : Items
    packed : Packed
        What the content operator prepared of them, on the network's device.
    """

    def __init__(self, items: Items, packed: Packed):
        self.items = items
        self.packed = packed
        self._vectors: torch.Tensor | None = None
        self._version: Any = None

    def vectors(self, network: Network) -> torch.Tensor:
        """Return the item vectors (N, D), computing them where the weights have changed."""
        version = weights_version(network)
        if self._vectors is None or version != self._version:
            self._vectors = item_vectors(network, self.packed)
            self._version = version
        return self._vectors

    def extend(self, data: Any, content: ContentOperator, network: Network) -> Catalogue:
        """Return a catalogue in which `data` adds and overrides items; only these are encoded."""
        items = self.items.extend(data)
        n_old = self.items.n_items
        same = items.hashes()[:n_old] == self.items.hashes()
        changed = np.concatenate([np.flatnonzero(~same), np.arange(n_old, items.n_items)])
        extended = Catalogue(items, content.prepare(items).to(device_of(network)))
        old = self.vectors(network)
        vectors = old.new_empty((items.n_items, old.shape[1]))
        vectors[:n_old] = old
        if len(changed):
            at = torch.from_numpy(changed).to(old.device)
            vectors[at] = item_vectors(network, extended.packed, changed)
        extended._vectors, extended._version = vectors, weights_version(network)
        return extended
