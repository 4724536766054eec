"""Fastformer over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention, LayerStack, fastformer


class Fastformer(BehaviorOperator):
    """Fastformer layers over the clicks, then additive attention.

    The user encoder of Fastformer [1]_: clicks meet through one global query and one global key
    a head, in time linear in the length of the history. Their order plays no part.

    Parameters
    ----------
    n_layers : int, default=2
        Layers.
    n_heads : int, default=4
        Attention heads; divides the recommender's `width`.
    hidden : int, default=None
        Size of the feed-forward part's inner layer; None takes the recommender's `width`. Ignored
        where `bare` is true.
    dropout : float, default=0.2
        Of the clicks' vectors and of what each part of a layer gives, in training.
    bare : bool, default=False
        Leave out the layers' norms, feed-forward part and outer residuals. The authors found
        that better for news [2]_; with more than two layers, vectors may grow out of bounds.

    See Also
    --------
    SelfAttention : Each click attends to every other; fine for usual lengths.
    Transformer : Knows the order.

    Notes
    -----
    As in the paper, the queries are the values too. The paper also gives all layers one set of
    weights; here, as in the authors' code, each has its own. The norms come first in a layer,
    where the authors' code has them last.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.
    .. [2] The notes that come with the authors' code, https://github.com/wuch15/Fastformer.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.Fastformer(n_layers=1))
    """

    def __init__(
        self,
        n_layers: int = 2,
        *,
        n_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.2,
        bare: bool = False,
    ):
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.bare = bare

    def check(self, width: int) -> None:
        check_layers(self, width)
        check_choice("bare", self.bare, (True, False))

    def build(self, width: int) -> nn.Module:
        layers = fastformer(
            width, self.n_layers, self.n_heads, self.hidden, self.dropout, self.bare
        )
        return AttentionOverLayers(layers, width)


class AttentionOverLayers(nn.Module):
    """Additive attention over the states of the clicks after layers."""

    def __init__(self, layers: LayerStack, width: int):
        super().__init__()
        self.layers = layers
        self.attention = AdditiveAttention(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return self.attention(self.layers(x, mask), mask).unsqueeze(1)
