"""Scores and user vectors of a trained network and its items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from skrec._data.coded import CodedInteractions
from skrec._data.context import ContextFeatures
from skrec._data.items import Items
from skrec._inference import scores as inference
from skrec._inference.choice import Choice
from skrec._inference.item_vectors import EncodedItems
from skrec._inference.prior import Prior
from skrec._inference.ranker import Ranker
from skrec._inference.top_k import Blocks, lists_of, most_similar
from skrec._inference.word_shares import WordShares, word_shares
from skrec._network import Network
from skrec.nn import unit


@dataclass(frozen=True)
class Scorer(Ranker):
    """Trained network with encoded items, which computes the results for rows of item codes.

    Attributes
    ----------
    network : Network
    encoded_items : EncodedItems
        Items that the codes refer to.
    max_history : int
        Number of latest clicks that are read from a history.
    calibration : tuple of (float, float)
        a and b of the click probability ``sigmoid(a * score + b)``.
    known_users : pyarrow.Array or None
        Ids of the known users, if the behavior operator has user vectors.
    prior : Prior or None
        Terms that are added to the scores of the network.
    n_clicks : ndarray of float, shape (N,), or None
        Number of training clicks on each item, if it is known.
    removed : ndarray of int64 or None
        Codes of items that are in no list.
    context : ContextFeatures or None
        Fitted transformer of the context columns.
    """

    network: Network
    encoded_items: EncodedItems
    max_history: int
    calibration: tuple[float, float] = (1.0, 0.0)
    known_users: pa.Array | None = None
    prior: Prior | None = None
    n_clicks: np.ndarray | None = None
    removed: np.ndarray | None = None
    context: ContextFeatures | None = None

    @property
    def items(self) -> Items:
        """Items that the codes refer to."""
        return self.encoded_items.items

    def word_shares(self, data: CodedInteractions, code: int) -> WordShares | None:
        """Return the shares of an item's words in the term of the network for one row."""
        found = word_shares(self.network, self.encoded_items, data, code, self.max_history)
        if found is None or self.prior is None:
            return found
        w = self.prior.weights[0]
        return replace(found, shares=w * found.shares, score=w * found.score, base=w * found.base)

    def score_candidates(self, data: CodedInteractions) -> np.ndarray:
        """Return the scores (P,) of the candidates of impressions or pairs."""
        scores = self._compute(inference.score_candidates, data)
        if self.prior is None:
            return scores
        return self.prior.add_to_candidates(scores, data, self.items)

    def blocks(self, data: CodedInteractions, among: np.ndarray | None = None) -> Any:
        """Yield blocks of rows with their scores of all items; see `score_catalogue`."""
        blocks = self._compute(inference.score_catalogue, data, among=among)
        return blocks if self.prior is None else self._with_prior(self.prior, blocks, data, among)

    def _with_prior(
        self, prior: Prior, blocks: Blocks, data: CodedInteractions, among: np.ndarray | None
    ) -> Blocks:
        """Yield blocks of rows with the scores of the network and the terms of the prior."""
        for rows, scores in blocks:
            part = data.take(np.arange(rows.start, rows.stop))
            yield rows, prior.add_to_block(scores, part, self.items, among)

    @property
    def has_vectors(self) -> bool:
        """Whether items have vectors, which is always true."""
        return True

    def unit_vectors(self) -> torch.Tensor:
        """Return the item vectors (N, D), divided by their lengths."""
        return unit(self.encoded_items.vectors(self.network))

    def similar(
        self, codes: np.ndarray, k: int, choice: Choice | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes and cosines (n, k) of the items most similar to items (n,).

        Parameters
        ----------
        codes : ndarray of int64, shape (n,)
            Codes of the items to compare with.
        k : int
            Length of the lists.
        choice : Choice, default=None
            Items that may be listed for each of the n items. None means all.

        Returns
        -------
        codes, cosines : ndarray of shape (n, k)
            See `most_similar`.
        """
        vectors, choice = self.encoded_items.vectors(self.network), choice or Choice(0)
        if choice.is_empty:
            return lists_of(iter(()), len(codes), k)
        return most_similar(vectors, codes, k, choice.among, choice.exclude(None), choice.holds)

    def users(self, data: CodedInteractions) -> np.ndarray:
        """Return the user vectors (n, K, D)."""
        vectors, reader_of_row = self._compute(inference.user_vectors, data)
        return vectors.cpu().numpy()[reader_of_row]

    def _compute(
        self, function: Callable[..., Any], data: CodedInteractions, **options: Any
    ) -> Any:
        """Call a function of `skrec._inference.scores` with the item rows and the user cache."""
        encoding = self.encoded_items.encoding(self.network)
        rows, users = encoding.rows, encoding.users
        return function(self.network, rows, data, self.max_history, users, **options)
