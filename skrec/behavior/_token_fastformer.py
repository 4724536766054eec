"""Fastformer over all tokens of a history."""

from __future__ import annotations

from torch import nn

from skrec._common.checks import check_choice, check_int, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.behavior._token_transformer import LayersOverTokens
from skrec.nn import fastformer


class TokenFastformer(BehaviorOperator):
    r"""Fastformer layers over the tokens of all clicked items, followed by additive attention.

    The tokens of all clicks form one sequence, so words of one click meet words of another before
    anything is pooled. Time and memory are linear in the number of tokens [1]_. Use it when words
    recur across items and texts or histories are long. The order of the clicks is ignored, except
    that `max_tokens` keeps the latest ones.

    If the content operator has no tokens, as ``content.Vectors``, the vector of an item is its only
    token.

    Do not use it if a vector per item is enough: other operators take a fraction of the time.

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
        Dropout rate of the tokens and of the output of each part of a layer.
    bare : bool, default=False
        Whether to omit the norms, the feed-forward parts and the outer residual connections of
        the layers; see `Fastformer`.
    max_tokens : int, default=512
        Maximum number of tokens per history. The last tokens of the latest clicks are kept.

    See Also
    --------
    TokenTransformer : Reads the order of the clicks, in quadratic time.
    Fastformer : Reads one vector per item.

    Notes
    -----
    .. math::

       u = \operatorname{pool}\left(\operatorname{Fastformer}([x_{1,1}, \ldots, x_{1,T}, \ldots,
       x_{L,T}])\right)

    **Cost.** 46,720 weights with ``width=64``; O(T D²) time for T tokens in all clicks, per layer.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.TokenFastformer(max_tokens=1024))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    reads_tokens = True

    def __init__(
        self,
        n_layers: int = 2,
        *,
        n_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.2,
        bare: bool = False,
        max_tokens: int = 512,
    ) -> None:
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.bare = bare
        self.max_tokens = max_tokens

    def check(self, width: int) -> None:
        check_layers(self, width)
        check_choice("bare", self.bare, (True, False))
        check_int("max_tokens", self.max_tokens)

    def build(self, width: int) -> nn.Module:
        layers = fastformer(
            width, self.n_layers, self.n_heads, self.hidden, self.dropout, self.bare
        )
        return LayersOverTokens(layers, width, self.max_tokens)
