"""Fastformer over all tokens of a history."""

from __future__ import annotations

from torch import nn

from skrec._common.checks import check_choice, check_int, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.behavior._token_transformer import LayersOverTokens
from skrec.nn import fastformer


class TokenFastformer(BehaviorOperator):
    """Fastformer layers over the tokens of all clicked items, as one sequence; then attention.

    Words of one click meet words of another before anything is pooled, in time and memory
    linear in the number of tokens [1]_: what makes whole histories of tokens affordable. The
    order of the clicks plays no part, but for `max_tokens`, which keeps the latest.

    An operator such as ``content.Vectors``, which knows no tokens, gives each item's vector as
    its one token.

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
        Of the tokens and of what each part of a layer gives, in training.
    bare : bool, default=False
        Leave out the layers' norms, feed-forward part and outer residuals; see `Fastformer`.
    max_tokens : int, default=512
        Tokens that are read of a history, the last of the latest clicks.

    See Also
    --------
    TokenTransformer : Knows the order of the clicks; its cost grows with the square.
    Fastformer : One vector an item.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.TokenFastformer(max_tokens=1024))
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
    ):
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
