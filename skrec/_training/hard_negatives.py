"""Hard negatives: items whose vectors are similar to that of a click, and that were not clicked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from skrec._data.co_clicks import click_matrix
from skrec._data.coded import CodedInteractions
from skrec._data.ragged import segment_ids
from skrec._training.processes import Processes

# largest cosine of a negative and the click, as a fraction of the click's cosine with itself
MARGIN = 0.95
CELLS = 1 << 22  # cosines that are computed at a time


class HardNegatives:
    """Items that are most similar to each click, by the vectors of the network that is trained.

    Vectors are compared by the cosine, after the mean vector of the catalogue is subtracted: it
    adds the same to the scores of all items, so it says nothing of their ranking.

    Items that probably are positives are spared. These are items whose cosine with the click is
    above `MARGIN`, as in NV-Retriever [1]_, and items that go together with the click: at least as
    many users of the training rows clicked both as would be expected by chance, which is the
    product of their numbers of users, divided by the number of all users.

    Parameters
    ----------
    data : CodedInteractions
        The training rows.
    n_items : int
        N, the number of items in the catalogue.
    n : int
        Number of negatives per click.

    Attributes
    ----------
    table : ndarray of int64, shape (N, n)
        Negatives of each item, most similar first. -1 where there are no more, and for items that
        nobody clicked.
    vectors : callable or None
        Function that returns the current item vectors (N, D).

    References
    ----------
    .. [1] Moreira et al., "NV-Retriever: Improving text embedding models with effective
       hard-negative mining", arXiv 2407.15831.
    """

    def __init__(self, data: CodedInteractions, n_items: int, n: int):
        self.n, self._n_items = n, n_items
        clicks = click_matrix(data, n_items)  # (M, N)
        clicks.data = np.ones_like(clicks.data)
        self._users, self._users_of_item = clicks, clicks.T.tocsr()
        self._n_users_of_item = np.diff(self._users_of_item.indptr).astype(np.float64)
        self._clicked = np.flatnonzero(self._n_users_of_item)
        self.table = np.full((n_items, n), -1, dtype=np.int64)
        self.vectors: Callable[[], torch.Tensor] | None = None

    def refresh(self, processes: Processes) -> None:
        """Find the hard negatives of the current vectors, which the trainer needs for each epoch.

        They are those of process 0, because all processes must draw the same, and the vectors may
        differ by rounding.
        """
        vectors = self.vectors
        if vectors is not None:
            self.table = processes.first(lambda: self.mine(vectors()), "hard negatives")

    def mine(self, vectors: torch.Tensor) -> np.ndarray:
        """Return the table for new item vectors (N, D).

        Memory is bounded: the cosines of `CELLS` pairs are computed at a time.
        """
        table = np.full_like(self.table, -1)
        n_found = min(self.n, self._n_items)
        size = max(1, CELLS // self._n_items)
        with torch.inference_mode():
            dtype = torch.promote_types(vectors.dtype, torch.float32)
            vectors = vectors.to(dtype)
            vectors = F.normalize(vectors - vectors.mean(dim=0), dim=1)
            for start in range(0, len(self._clicked), size):
                codes = self._clicked[start : start + size]
                cosines = vectors[torch.from_numpy(codes).to(vectors.device)] @ vectors.T
                cosines.masked_fill_(cosines > MARGIN, -torch.inf)
                row, column = self._go_together(codes)
                own = np.arange(len(codes))
                row, column = np.concatenate([own, row]), np.concatenate([codes, column])
                place = (torch.from_numpy(each).to(vectors.device) for each in (row, column))
                cosines[tuple(place)] = -torch.inf
                best, found = cosines.topk(n_found, dim=1)
                found = found.masked_fill(best == -torch.inf, -1)
                table[codes, :n_found] = found.cpu().numpy()
        return table

    def _go_together(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return positions in `codes` and codes of the items that go together with them."""
        both = (self._users_of_item[codes] @ self._users).tocsr()  # (b, N)
        row, column = segment_ids(both.indptr), both.indices.astype(np.int64)
        n_users = self._n_users_of_item
        by_chance = n_users[codes[row]] * n_users[column] / self._users.shape[0]
        kept = both.data >= by_chance
        return row[kept], column[kept]

    def of(
        self, clicks: np.ndarray, group: np.ndarray, forbidden: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """Return the negatives of some clicks.

        Parameters
        ----------
        clicks : ndarray of int, shape (m,)
            Codes of the clicks.
        group : ndarray of int, shape (m,)
            Row of each click.
        forbidden : tuple of (ndarray of int, ndarray of int)
            Pairs of a row and an item that must not be a negative of this row.

        Returns
        -------
        ndarray of int64, shape (m, n)
            Codes of the negatives; -1 where there is none.
        """
        found = self.table[clicks]
        key = group[:, None] * self._n_items + found
        is_own = np.isin(key, forbidden[0] * self._n_items + forbidden[1])
        return np.where(is_own, -1, found)


def columns_of(pool: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the pool has the negatives of targets.

    Parameters
    ----------
    pool : ndarray of int64, shape (S,)
        Codes of the pool, which may repeat.
    codes : ndarray of int64, shape (T, n)
        Negatives of each target; -1 where there is none.

    Returns
    -------
    target, column : ndarray of int64
        Pairs of a target and a column of the pool, by ascending target.
    """
    order = np.argsort(pool, kind="stable")
    first, last = (np.searchsorted(pool[order], codes.ravel(), side) for side in ("left", "right"))
    n_found = last - first
    target = np.repeat(np.arange(codes.size) // max(1, codes.shape[1]), n_found)
    place = np.arange(n_found.sum()) - np.repeat(np.cumsum(n_found) - n_found, n_found)
    return target, order[np.repeat(first, n_found) + place]
