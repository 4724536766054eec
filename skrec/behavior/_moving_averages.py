"""Exponential moving averages of the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import causal_pooling, masked_softmax

# decays of the averages at the start of training lie between these two
FASTEST, SLOWEST = 0.5, 0.92


class MovingAverages(BehaviorOperator):
    r"""Sum of exponential moving averages of the clicks, each followed by a linear layer.

    An average with decay r gives a click of age n, counted in clicks, the weight ``r**n``. The
    decays, the linear layers and the weights of the averages are learned. At the start, the decays
    are spread between 0.5 and 0.92, and the linear layers are the identity, so that the user vector
    is a mean of the clicks in which recent ones count most. Use it for lists: it has few weights,
    and it ranked best on the data sets of the benchmark.

    Do not use it if patterns of several clicks matter, such as a film after its prequel.

    Parameters
    ----------
    n_averages : int, default=3
        Number of averages.
    dropout : float, default=0.0
        Dropout rate of the vectors of the clicks.

    See Also
    --------
    MeanPooling : One average without weights to learn.
    GRU : Its decays depend on the clicks.

    Notes
    -----
    .. math::

       u = \sum_k w_k W_k \, \frac{\sum_l r_k^{L - l} h_l}{\sum_l r_k^{L - l}}

    **Cost.** 12,294 weights with ``width=64``; O(L D + D²) time per average.

    A history of averages is a linear recurrence, as in linear state space models [1]_.

    References
    ----------
    .. [1] Yue et al., "Linear Recurrent Units for Sequential Recommendation", arXiv 2310.02367.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.MovingAverages(dropout=0.3))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    causal = True

    def __init__(self, n_averages: int = 3, *, dropout: float = 0.0) -> None:
        self.n_averages = n_averages
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_int("n_averages", self.n_averages)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return SumOfAverages(width, self.n_averages, self.dropout)


class SumOfAverages(nn.Module):
    """Weighted sum of linear layers of exponential moving averages."""

    def __init__(self, width: int, n_averages: int, dropout: float) -> None:
        super().__init__()
        share = torch.linspace(0, 1, n_averages) if n_averages > 1 else torch.full((1,), 0.5)
        decays = FASTEST + (SLOWEST - FASTEST) * share
        self.logits = nn.Parameter(torch.log(decays / (1 - decays)))  # of the decays
        self.mixture = nn.Parameter(torch.zeros(n_averages))
        self.maps = nn.Parameter(torch.eye(width).repeat(n_averages, 1, 1))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        weights = masked_softmax(self._scores(x), mask.unsqueeze(1))  # (B, A, L)
        averages = weights @ self.dropout(x)  # (B, A, D)
        return self._sum(averages.unsqueeze(1))

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to the user vectors (B, L, 1, D) after each."""
        scores, x = self._scores(x), self.dropout(x)
        averages = [causal_pooling(each.expand_as(mask), x, mask) for each in scores]
        return self._sum(torch.stack(averages, dim=2)).unsqueeze(2)

    def _scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of the weights of the clicks (A, L), up to a constant."""
        rates = nn.functional.softplus(-self.logits)  # -log sigmoid(logits)
        return rates.unsqueeze(1) * torch.arange(x.shape[1], device=x.device, dtype=rates.dtype)

    def _sum(self, averages: torch.Tensor) -> torch.Tensor:
        """Map averages (..., A, D) to their weighted sums (..., D) after the linear layers."""
        maps = self.maps * torch.softmax(self.mixture, dim=0)[:, None, None]
        return torch.einsum("...ad,ade->...e", averages, maps)
