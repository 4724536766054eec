"""A Transformer over the clicks and the candidate."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_heads, check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import LayerStack, Positions, TransformerLayer, masked_mean, recency


class BehaviorSequenceTransformer(BehaviorOperator):
    """Transformer layers over the clicks with the candidate behind them, as if it came next.

    The behavior sequence of BST [1]_: clicks and candidate are read in the light of each other
    and of how long ago they were. Strong where the order of the clicks says what comes next.
    It is the dearest way to read them: the layers run once for each candidate. Users have no
    vector of their own, so ``transform`` raises.

    Parameters
    ----------
    n_layers : int, default=1
        Transformer layers; the paper found one to be best.
    n_heads : int, default=4
        Attention heads; divides the recommender's `width`. The paper has 8.
    hidden : int, default=None
        Size of the feed-forward part's inner layer; None takes the recommender's `width`.
    dropout : float, default=0.2
        Of the layers' input and of what their parts give, in training.
    n_positions : int, default=50
        Distances from the candidate, counted in clicks, with a vector each; clicks further back
        share the last one.
    pooling : {"mean", "candidate"}, default="mean"
        What becomes of the outputs. "mean" averages those of the clicks and of the candidate,
        "candidate" takes the candidate's own.

    See Also
    --------
    TargetAttention : Weighs each click by itself; cheaper.
    GRU : Reads the order without looking at the candidate.

    Notes
    -----
    In the paper positions are time differences, concatenated to the items' vectors. Here they
    are distances, since clicks have no times, and are added. The paper hands all outputs to its
    perceptron, one beside the other; one user vector of `width` entries is their mean.

    References
    ----------
    .. [1] Chen et al., "Behavior Sequence Transformer for E-commerce Recommendation in Alibaba",
       arXiv 1905.06874.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, predictor
    >>> bst = behavior.BehaviorSequenceTransformer(n_heads=8)
    >>> rec = ContentRecommender(behavior=bst, predictor=predictor.MLP())
    """

    candidate_aware = True

    def __init__(
        self,
        n_layers: int = 1,
        *,
        n_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.2,
        n_positions: int = 50,
        pooling: str = "mean",
    ):
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.n_positions = n_positions
        self.pooling = pooling

    def check(self, width: int) -> None:
        check_int("n_layers", self.n_layers)
        check_heads(self.n_heads, width)
        if self.hidden is not None:
            check_int("hidden", self.hidden)
        check_real("dropout", self.dropout, 0, 1, closed="left")
        check_int("n_positions", self.n_positions)
        check_choice("pooling", self.pooling, ("mean", "candidate"))

    def build(self, width: int) -> nn.Module:
        layers = [
            TransformerLayer(
                width,
                self.n_heads,
                self.hidden or width,
                self.dropout,
                norm_first=False,  # as in the paper, so that outputs need no norm behind them
                activation="leaky_relu",
            )
            for _ in range(self.n_layers)
        ]
        stack = LayerStack(layers, width, self.dropout, norm=False)
        positions = Positions(self.n_positions + 1, width)
        return TransformerOverClicksAndCandidate(stack, positions, self.pooling)


class TransformerOverClicksAndCandidate(nn.Module):
    """One sequence of clicks for each candidate, which stands at its end."""

    def __init__(self, layers: nn.Module, positions: nn.Module, pooling: str):
        super().__init__()
        self.layers = layers
        self.positions = positions
        self.pooling = pooling

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) and candidates (B, C, D) to (B, C, 1, D)."""
        B, C, _ = candidates.shape
        clicks = self.positions(x, recency(mask) + 1)  # (B, L, D)
        last = self.positions(candidates, mask.new_zeros((B, C), dtype=torch.long))  # (B, C, D)
        # candidates never stand in one sequence, so that none can see another
        clicks = clicks.unsqueeze(1).expand(-1, C, -1, -1)  # (B, C, L, D)
        x = torch.cat([clicks, last.unsqueeze(2)], dim=2).flatten(0, 1)  # (B * C, L + 1, D)
        mask = torch.cat([mask, mask.new_ones((B, 1))], dim=1)  # (B, L + 1)
        mask = mask.repeat_interleave(C, dim=0)  # (B * C, L + 1)
        outputs = self.layers(x, mask)  # (B * C, L + 1, D)
        user = outputs[:, -1] if self.pooling == "candidate" else masked_mean(outputs, mask)
        return user.unflatten(0, (B, C)).unsqueeze(2)
