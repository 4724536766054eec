"""Convolution over the clicked items, and attention."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention, Convolution


class CNN(BehaviorOperator):
    """A convolution over the clicks, ReLU, and additive attention over its places.

    It reads which clicks came right after each other, as sessions show; the attention then
    takes all places alike, so it does not know how long ago they were. It is the news encoder of
    NAML [1]_ on clicks in place of words.

    Parameters
    ----------
    kernel_size : int, default=3
        Clicks that one place of the convolution sees; odd.
    dropout : float, default=0.0
        Of the convolution's output, in training.

    See Also
    --------
    GRU : Reads clicks from the first to the last.
    AdditiveAttention : The same without the convolution.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Attentive Multi-View Learning",
       arXiv 1907.05576.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.CNN(kernel_size=5))
    """

    def __init__(self, kernel_size: int = 3, *, dropout: float = 0.0):
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

    def __init__(self, width: int, kernel_size: int, dropout: float):
        super().__init__()
        self.convolve = Convolution(width, kernel_size)
        self.attention = AdditiveAttention(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        x = self.dropout(torch.relu(self.convolve(x, mask)))  # (B, L, D)
        return self.attention(x, mask).unsqueeze(1)
