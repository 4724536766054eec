"""Convolution and attention over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention, Convolution


class CNN(BehaviorOperator):
    r"""Convolution over the clicks, followed by ReLU and additive attention.

    This is the news encoder of NAML [1]_, applied to clicks instead of words. The convolution reads
    which clicks directly follow each other. The attention ignores positions, so the operator does
    not know how old a click is. Use it when neighboring clicks belong together, as in sessions.

    Do not use it if the age of a click matters more than its neighbors.

    Parameters
    ----------
    kernel_size : int, default=3
        Number of neighboring clicks that the convolution combines. It must be odd.
    dropout : float, default=0.0
        Dropout rate of the output of the convolution.

    See Also
    --------
    GRU : Reads all clicks in their order.
    AdditiveAttention : No convolution.

    Notes
    -----
    .. math::

       c_l = \operatorname{relu}\left(\sum_k W_k h_{l+k} + b\right), \quad u = \sum_l \alpha_l c_l

    **Cost.** 16,576 weights with ``width=64``; O(L K D²) time for a kernel of K clicks.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Attentive Multi-View Learning",
       arXiv 1907.05576.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.CNN(kernel_size=5))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    def __init__(self, kernel_size: int = 3, *, dropout: float = 0.0) -> None:
        self.kernel_size = kernel_size
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_int("kernel_size", self.kernel_size)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return ConvolutionOverClicks(width, self.kernel_size, self.dropout)


class ConvolutionOverClicks(nn.Module):
    """Convolution, ReLU and additive attention over the clicks."""

    def __init__(self, width: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.convolve = Convolution(width, kernel_size)
        self.attention = AdditiveAttention(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        x = self.dropout(torch.relu(self.convolve(x, mask)))  # (B, L, D)
        return self.attention(x, mask).unsqueeze(1)
