"""Shares of the words of an item's texts in its score.

The shares are integrated gradients [1]_: the gradients of the score with respect to the embeddings
of the tokens, averaged over the way from embeddings that say nothing to those of the text, times
the difference of both. For scores that are linear in the embeddings, this is the gradient times the
input. The shares add up to the difference of both scores, up to the error of the average.

References
----------
.. [1] Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017,
   arXiv 1703.01365.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from skrec._data.coded import CodedInteractions
from skrec._data.packed import Column, Packed
from skrec._inference.item_vectors import EncodedItems
from skrec._inference.scores import block_scorer
from skrec._network import Network, device_of
from skrec.content._words import ReadWords

STEPS = (16, 64, 256, 1024)  # points on the way; more are used only if the shares do not add up
ENOUGH = 0.005  # error at which no more points are used, relative to the sum of absolute shares
TOKENS = 1 << 13  # tokens whose gradients are computed at a time


@dataclass(frozen=True)
class WordShares:
    """Shares of words in the score of a network.

    Attributes
    ----------
    columns, words : list of str of length n_words
        Column and text of each word.
    shares : ndarray of float, shape (n_words,)
        Share of each word.
    score : float
        Score of the item as the network gives it in lists.
    base : float
        Score of the item without its words.
    """

    columns: list[str]
    words: list[str]
    shares: np.ndarray
    score: float
    base: float


def word_shares(
    network: Network, encoded: EncodedItems, data: CodedInteractions, code: int, max_history: int
) -> WordShares | None:
    """Compute the shares of the words of an item in its score for one history.

    The gradients are those of a copy that shares the weights of the network, so that no thread
    sees them.

    Parameters
    ----------
    network : Network
    encoded : EncodedItems
        The items that the codes refer to.
    data : CodedInteractions
        One row, whose history is read.
    code : int
        The item.
    max_history : int
        Number of latest clicks that are read from a history.

    Returns
    -------
    WordShares or None
        None if the content operator reads no tokens.
    """
    rows = encoded.encoding(network).rows
    items = encoded.items.take(np.array([code]))
    made = _copy_of_modules(network)
    with torch.inference_mode(False), torch.enable_grad():
        read = encoded.content.read_words(items, made.content)
        if read is None:
            return None
        packed = encoded.content.prepare(items).to(device_of(network))
        history, user_context, _ = data.distinct_readers()
        with torch.no_grad():
            score_rows = block_scorer(made, rows, data, history, user_context, max_history, None)

        def score(item: torch.Tensor) -> torch.Tensor:
            """Return the scores (S,) of item rows (S, W)."""
            return score_rows(np.zeros(len(item), np.int64), item.unsqueeze(1)).squeeze(1)

        def score_points(points: torch.Tensor) -> torch.Tensor:
            """Return the scores (S,) of embeddings (S, n, E)."""
            item = made.item_rows(_columns_of_points(packed, read, points))
            return score(item[:, : made.item_width])

        shares, base = integrated_gradients(score_points, read.x, read.base)
        with torch.no_grad():
            known = float(score(rows[code : code + 1, : made.item_width].clone()))
    is_text = read.word_of_token >= 0
    by_word = np.bincount(read.word_of_token[is_text], shares[is_text], minlength=len(read.words))
    return WordShares(read.columns, read.words, by_word, known, base)


def integrated_gradients(
    f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, base: torch.Tensor
) -> tuple[np.ndarray, float]:
    """Return the shares of tokens in the value of a function.

    Parameters
    ----------
    f : callable
        Differentiable function of points (S, n, E) that returns values (S,).
    x, base : tensor of shape (n, E)
        End and start of the way over which gradients are averaged.

    Returns
    -------
    shares : ndarray of float64, shape (n,)
        Share of each token, ``sum_e (x - base) * mean gradient``.
    value : float
        Value of f at `base`.
    """
    with torch.no_grad():
        there, start = f(torch.stack([x, base])).double().cpu().tolist()
    shares, difference = np.zeros(len(x)), x - base
    if not len(x) or not difference.any():
        return shares, start
    for n_steps in STEPS:
        total = torch.zeros_like(x, dtype=torch.float64)
        middles = (torch.arange(n_steps, device=x.device) + 0.5) / n_steps
        for part in middles.to(x.dtype).split(max(1, TOKENS // len(x))):
            points = (base + part[:, None, None] * difference).requires_grad_()  # (S, n, E)
            [gradient] = torch.autograd.grad(f(points).sum(), points)
            total += gradient.double().sum(dim=0)
        shares = (total / n_steps * difference).sum(dim=1).cpu().numpy()
        if abs(shares.sum() - (there - start)) <= ENOUGH * np.abs(shares).sum():
            break
    return shares, start


def _copy_of_modules(network: Network) -> Any:
    """Return a copy of the modules of a network, with the same weights and buffers."""
    tensors = [*network.parameters(), *network.buffers()]
    made = copy.deepcopy(network, memo={id(tensor): tensor for tensor in tensors})
    for module in made.modules():
        if isinstance(module, nn.RNNBase):  # cuDNN gives gradients in training mode only
            module.dropout = 0.0
            module.train()
    return made


def _columns_of_points(packed: Packed, read: ReadWords, points: torch.Tensor) -> dict[str, Column]:
    """Return the columns of one item, once per point (S, n, E), with the tokens of the points."""
    n_points, n_tokens = points.shape[:2]
    # the last row is for padding, which is embedded on a GPU
    read.given.rows = F.pad(points.flatten(0, 1), (0, 0, 0, 1))
    first = torch.arange(n_points, device=points.device).unsqueeze(1) * n_tokens  # (S, 1)
    columns: dict[str, Column] = {}
    for name, column in packed.columns.items():
        if name in read.spans:
            at = read.spans[name]
            codes = first + torch.arange(at.start, max(at.stop, at.start + 1), device=first.device)
            mask = torch.full_like(codes, at.stop > at.start, dtype=torch.bool)
            columns[name] = codes.masked_fill(~mask, 0), mask
            continue
        columns[name] = column.take(torch.zeros(n_points, dtype=torch.long))
    return columns
