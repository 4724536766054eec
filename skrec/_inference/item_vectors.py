"""`EncodedItems`: the items of a catalogue with their prepared columns and item vectors.

Columns and vectors are computed when first needed. Vectors are dropped when weights change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skrec._common.locks import ForkSafeLock
from skrec._data.items import Items, are_equal
from skrec._data.packed import Packed
from skrec._inference.row_buffer import RowBuffer
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
    buffer : RowBuffer or None
        Tensor that begins with the rows, to which further rows may be added.
    """

    version: Any
    rows: torch.Tensor
    users: UserVectorCache
    buffer: RowBuffer | None = None

    @torch.inference_mode()
    def with_rows(self, new: torch.Tensor, at: np.ndarray, other: torch.Tensor) -> Encoding:
        """Return the rows with other ones at the positions `at`, followed by new ones.

        If there are only new ones, the others are not copied, except for those of a full buffer.
        """
        rows, buffer = self.rows, self.buffer
        if len(at) or new.shape[1] != rows.shape[1]:
            place = np.arange(len(rows) + len(new))
            place[at] = len(rows) + len(new) + np.arange(len(at))
            both = stack_rows([rows, new, other])
            rows, buffer = both[torch.from_numpy(place).to(rows.device)], None
            return Encoding(self.version, rows, UserVectorCache())
        found = None if buffer is None else buffer.append(len(rows), new)
        if found is None:
            buffer = RowBuffer(rows, len(rows) + len(new))
            found = buffer.append(len(rows), new)
            assert found is not None  # the new buffer has room
        return Encoding(self.version, found, UserVectorCache(), buffer)


@dataclass(frozen=True)
class Extension:
    """The last extended items, with what they were extended by.

    Attributes
    ----------
    passed : object
        What was passed.
    new : Items
        The items that were added or replaced.
    version : object
        The version of the weights; see `weights_version`.
    extended : EncodedItems
    """

    passed: Any
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
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._lock = ForkSafeLock()

    def with_rows(self, rows: torch.Tensor, network: Network) -> EncodedItems:
        """Return the items with rows that are read from a file, after a check of the rows.

        Parameters
        ----------
        rows : tensor of shape (N, R)
        network : Network
            The network that computed the rows.

        Returns
        -------
        EncodedItems

        Raises
        ------
        ValueError
            If there is not a row of finite numbers for each item, of the network's width and type.
        """
        dtype, width = network.empty_history.dtype, network.item_width
        if rows.ndim != 2 or len(rows) != self.items.n_items:
            raise ValueError(
                f"item vectors have the shape {tuple(rows.shape)} for {self.items.n_items} items"
            )
        n_others = rows.shape[1] - width  # of tokens, each with a number that says if it is real
        if n_others % (network.width + 1) or (n_others > 0) != network.reads_tokens:
            raise ValueError(f"item vectors have {rows.shape[1]} numbers, but the width is {width}")
        if rows.dtype is not dtype:
            raise ValueError(f"item vectors must have values of {dtype}, got {rows.dtype}")
        if not torch.isfinite(torch.stack(rows.aminmax())).all():
            raise ValueError("item vectors have values that are not finite")
        rows = rows.to(device_of(network))
        encoding = Encoding(weights_version(network), rows, UserVectorCache())
        return EncodedItems(self.items, self.content, encoding=encoding)

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

        The result is kept and returned again by the next call with equal items: at once if they are
        the same `Items`, and after a comparison of the hashes of their contents otherwise.

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
        encoding, last = self.encoding(network), self._extension
        if last is not None and last.version != encoding.version:
            last = None
        if last is not None and isinstance(data, Items) and data is last.passed:
            return last.extended
        new = self.items.conform(data)
        if last is not None and are_equal(last.new, new):
            return last.extended
        extended = self._extended(new, encoding, network)
        self._extension = Extension(data, new, encoding.version, extended)
        return extended

    def _extended(self, new: Items, encoding: Encoding, network: Network) -> EncodedItems:
        """Return the items with additional or changed ones; only these are read."""
        at, added, changed = self.items._changes(new)
        items = self.items._extended(new, at, added, changed)
        if items is self.items:
            return self
        packed = self.content.prepare(new.take(np.concatenate([changed, added])))
        fresh = item_rows(network, packed.to(encoding.rows.device))
        own = encoding.with_rows(fresh[len(changed) :], at[changed], fresh[: len(changed)])
        return EncodedItems(items, self.content, encoding=own)

    def kept(self, name: str, source: Any, make: Callable[[Items], Any]) -> Any:
        """Return ``make(items)``, which is kept until it is asked for with another source."""
        found = self._kept.get(name)
        if found is None or found[0] is not source:
            found = source, make(self.items)
            self._kept = {**self._kept, name: found}
        return found[1]
