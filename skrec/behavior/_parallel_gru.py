"""Parallel recurrent networks over parts of the vectors of the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import MultiHeadSelfAttention, last_real


class ParallelGRU(BehaviorOperator):
    r"""Self-attention over the clicks, followed by gated recurrent units over parts of the vectors.

    This is the user encoder of MINS [1]_. Multi-head self-attention mixes the clicks. Their vectors
    are then cut into channels of equal size, and each channel has its own GRU over the clicks,
    oldest first. The user vector is the concatenation of the last states. Use it if the order of
    the clicks matters and users follow several interests at the same time: each channel forgets at
    its own pace.

    Do not use it if histories are long and training time matters: the clicks are read one after
    another.

    Parameters
    ----------
    n_channels : int, default=4
        Number of channels, and of attention heads. It must divide the recommender's `width`. The
        authors' code has 6.
    shared : bool, default=False
        Whether the GRUs of all channels have the same weights, as in the authors' code. In the
        paper, each channel learns its own.
    dropout : float, default=0.0
        Dropout rate of the output of the self-attention.

    See Also
    --------
    GRU : One GRU over the whole vectors, without self-attention.
    PolyAttention : Several user vectors, which are not concatenated.

    Notes
    -----
    .. math::

       z = \operatorname{SelfAttention}(h), \quad u = [\operatorname{GRU}_1(z^{(1)}); \ldots;
       \operatorname{GRU}_c(z^{(c)})]

    **Cost.** 23,168 weights with ``width=64``; O(L² D + L D²) time, L steps in sequence.

    In the authors' code, additive attention follows the concatenation. It reads a sequence of one
    vector, so its output equals its input, and it is left out here. Padding takes part in their
    self-attention; here it does not. Their self-attention has no final linear layer, which mixes
    the heads here.

    References
    ----------
    .. [1] Wang et al., "Modeling Multi-interest News Sequence for News Recommendation",
       arXiv 2207.07331.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.ParallelGRU(n_channels=8))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    def __init__(self, n_channels: int = 4, *, shared: bool = False, dropout: float = 0.0) -> None:
        self.n_channels = n_channels
        self.shared = shared
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_int("n_channels", self.n_channels)
        if width % self.n_channels:
            raise ValueError(
                f"n_channels must divide width={width}, got n_channels={self.n_channels}"
            )
        check_choice("shared", self.shared, (True, False))
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return ChannelsOverClicks(width, self.n_channels, self.shared, self.dropout)


class ChannelsOverClicks(nn.Module):
    """Self-attention over the clicks, and the last states of one GRU per channel."""

    def __init__(self, width: int, n_channels: int, shared: bool, dropout: float) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.mix = MultiHeadSelfAttention(width, n_channels)
        self.dropout = nn.Dropout(dropout)
        size = width // n_channels
        self.channels = nn.ModuleList(
            nn.GRU(size, size, batch_first=True) for _ in range(1 if shared else n_channels)
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        parts = self.dropout(self.mix(x, mask)).chunk(self.n_channels, dim=2)  # (B, L, D / K) each
        # padding comes after all clicks, so it does not affect the states at the clicks
        states = [
            self.channels[number % len(self.channels)](part)[0] for number, part in enumerate(parts)
        ]
        return last_real(torch.cat(states, dim=2), mask).unsqueeze(1)
