"""A catalogue with its prepared columns and item vectors, as training and prediction read it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skrec._inference import device_of, item_vectors, weights_version
from skrec._items import Items
from skrec._network import Network
from skrec.content import ContentOperator, Packed


class Catalogue:
    """Items with what is computed of them, when it is first asked for.

    Parameters
    ----------
    items : Items
        The items.
    content : content operator
        A fitted one, which prepares them.
    """

    def __init__(self, items: Items, content: ContentOperator):
        self.items = items
        self.content = content
        self._packed: Packed | None = None
        self._vectors: torch.Tensor | None = None
        self._version: Any = None

    def packed(self, network: Network) -> Packed:
        """Return the prepared columns, on the network's device."""
        if self._packed is None:
            self._packed = self.content.prepare(self.items).to(device_of(network))
        return self._packed

    def vectors(self, network: Network) -> torch.Tensor:
        """Return the item vectors (N, D), computing them where the weights have changed."""
        version = weights_version(network)
        if self._vectors is None or version != self._version:
            self._vectors = item_vectors(network, self.packed(network))
            self._version = version
        return self._vectors

    def extend(self, data: Any, network: Network) -> Catalogue:
        """Return a catalogue in which `data` adds and overrides items; only these are encoded."""
        items = self.items.extend(data)
        old = self.vectors(network)
        same = items.hashes()[: len(old)] == self.items.hashes()
        changed = np.concatenate([np.flatnonzero(~same), np.arange(len(old), items.n_items)])
        vectors = old.new_empty((items.n_items, old.shape[1]))
        vectors[: len(old)] = old
        if len(changed):
            packed = self.content.prepare(items.take(changed)).to(old.device)
            vectors[torch.from_numpy(changed).to(old.device)] = item_vectors(network, packed)
        extended = Catalogue(items, self.content)
        extended._vectors, extended._version = vectors, self._version
        return extended
