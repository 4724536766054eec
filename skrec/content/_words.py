"""The words that a content operator reads of an item, to explain the score of the item.

::

    texts --> token ids --embed--> x (n, E) --+
                  |                           +--> points between base and x --GivenTokens--> module
                  |               base (n, E) --+
                  +--> words, each of one or more tokens
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class GivenTokens(nn.Module):
    """Embedding layer whose rows are set before each forward pass.

    Attributes
    ----------
    rows : tensor of shape (n, E)
        Embeddings of the tokens with the codes 0 to n - 1.
    """

    rows: torch.Tensor

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the rows (..., E) of codes (...)."""
        return F.embedding(codes, self.rows)


@dataclass(frozen=True)
class ReadWords:
    """Texts of one item, and the layer by which a module reads their tokens.

    Attributes
    ----------
    columns, words : list of str of length n_words
        Column and text of each word.
    word_of_token : ndarray of int64, shape (n,)
        Word of each token; -1 for tokens that are no part of the texts.
    spans : dict of str to slice
        Tokens of each packed column.
    x : tensor of shape (n, E)
        Embeddings of the tokens.
    base : tensor of shape (n, E)
        Embeddings of tokens that say nothing, in their place.
    given : GivenTokens
        Layer from which the module reads the embeddings, in place of its own.
    """

    columns: list[str]
    words: list[str]
    word_of_token: np.ndarray
    spans: dict[str, slice]
    x: torch.Tensor
    base: torch.Tensor
    given: GivenTokens

    def with_prefix(self, prefix: str) -> ReadWords:
        """Return the same words of columns with a prefix; see `outer_columns`."""
        return replace(self, spans={prefix + name: at for name, at in self.spans.items()})
