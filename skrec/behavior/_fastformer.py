"""Fastformer over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention, LayerStack, fastformer


class Fastformer(BehaviorOperator):
    r"""Fastformer layers over the clicks, followed by additive attention.

    This is the user encoder of Fastformer [1]_. In each head, the clicks exchange information
    through one global query and one global key, so time is linear in the length of the history.
    The order of the clicks is ignored. Use it instead of `SelfAttention` for long histories.

    Do not use it if histories are short, where `SelfAttention` is as fast and reads pairs of
    clicks.

    Parameters
    ----------
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Number of attention heads. It must divide the recommender's `width`.
    hidden : int, default=None
        Size of the hidden layer of the feed-forward parts. None uses the recommender's `width`.
        Ignored if `bare` is True.
    dropout : float, default=0.2
        Dropout rate of the vectors of the clicks and of the output of each part of a layer.
    bare : bool, default=False
        Whether to omit the norms, the feed-forward parts and the outer residual connections of
        the layers. The authors found this better for news [2]_. With more than two layers,
        vectors may grow without bound.

    See Also
    --------
    SelfAttention : Compares each click with every other click.
    Transformer : Reads the order of the clicks.

    Notes
    -----
    .. math::

       q = \sum_l \alpha_l q_l, \quad k = \sum_l \beta_l (q * k_l), \quad z_l = W (k * q_l) + q_l

    **Cost.** 46,720 weights with ``width=64``; O(L D²) time for a history of L clicks, per layer.

    As in the paper, the queries also serve as the values. In the paper, all layers share one set
    of weights. Here, as in the authors' code, each layer has its own. The norms come first in a
    layer, while the authors' code has them last.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.
    .. [2] Notes in the repository of the authors' code, https://github.com/wuch15/Fastformer.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.Fastformer(n_layers=1))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    def __init__(
        self,
        n_layers: int = 2,
        *,
        n_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.2,
        bare: bool = False,
    ) -> None:
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
    """Additive attention over the output of a stack of layers."""

    def __init__(self, layers: LayerStack, width: int) -> None:
        super().__init__()
        self.layers = layers
        self.attention = AdditiveAttention(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return self.attention(self.layers(x, mask), mask).unsqueeze(1)
