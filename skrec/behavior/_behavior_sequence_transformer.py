"""Transformer over the clicks and the candidate."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_heads, check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import LayerStack, Positions, TransformerLayer, masked_mean, recency


class BehaviorSequenceTransformer(BehaviorOperator):
    r"""Transformer layers over the sequence of the clicks, followed by the candidate.

    This is the behavior sequence of BST [1]_: clicks and candidate attend to each other, and
    learned vectors show their positions. Use it to rank short lists when the order of the clicks
    predicts the next one. It is the slowest operator on item vectors, because the layers run once
    per candidate. Users have no vector independent of a candidate, so ``transform`` raises an
    error.

    Do not use it if the whole catalogue is ranked, or histories are long.

    Parameters
    ----------
    n_layers : int, default=1
        Number of Transformer layers. In the paper, one was best.
    n_heads : int, default=4
        Number of attention heads. It must divide the recommender's `width`. The paper uses 8.
    hidden : int, default=None
        Size of the hidden layer of the feed-forward parts. None uses the recommender's `width`.
    dropout : float, default=0.2
        Dropout rate of the input of the layers and of the output of their parts.
    n_positions : int, default=50
        Number of positions that have a learned vector, counted in clicks back from the candidate.
        Older clicks share the last one.
    pooling : {"mean", "candidate"}, default="mean"
        How the outputs of the layers become one vector. "mean" averages the outputs of the clicks
        and of the candidate. "candidate" uses only the output of the candidate.

    See Also
    --------
    TargetAttention : Compares the candidate with each click separately; faster.
    GRU : Reads the order of the clicks without the candidate.

    Notes
    -----
    .. math::

       u(v) = \operatorname{pool}\left(\operatorname{Transformer}([h_1 + p_L, \ldots, h_L + p_1, v
       + p_0])\right)

    **Cost.** 28,480 weights with ``width=64``; O(C (L² D + L D²)) time for C candidates and L
    clicks.

    In the paper, positions are time differences and are concatenated to the item vectors. Here
    they are numbers of clicks, because clicks have no times, and their vectors are added. In the
    paper, the perceptron reads the concatenation of all outputs. Here the outputs are averaged to
    one user vector of `width` entries.

    References
    ----------
    .. [1] Chen et al., "Behavior Sequence Transformer for E-commerce Recommendation in Alibaba",
       arXiv 1905.06874.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, predictor
    >>> bst = behavior.BehaviorSequenceTransformer(n_heads=8)
    >>> rec = ContentRecommender(behavior=bst, predictor=predictor.MLP())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
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
    ) -> None:
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
                norm_first=False,  # as in the paper; the stack then needs no final norm
                activation="leaky_relu",
            )
            for _ in range(self.n_layers)
        ]
        stack = LayerStack(layers, width, self.dropout, norm=False)
        positions = Positions(self.n_positions + 1, width)
        return TransformerOverClicksAndCandidate(stack, positions, self.pooling)


class TransformerOverClicksAndCandidate(nn.Module):
    """Transformer over one sequence per candidate: the clicks, then the candidate."""

    def __init__(self, layers: nn.Module, positions: nn.Module, pooling: str) -> None:
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
        # each candidate has its own sequence, so candidates do not affect each other
        clicks = clicks.unsqueeze(1).expand(-1, C, -1, -1)  # (B, C, L, D)
        x = torch.cat([clicks, last.unsqueeze(2)], dim=2).flatten(0, 1)  # (B * C, L + 1, D)
        mask = torch.cat([mask, mask.new_ones((B, 1))], dim=1)  # (B, L + 1)
        mask = mask.repeat_interleave(C, dim=0)  # (B * C, L + 1)
        outputs = self.layers(x, mask)  # (B * C, L + 1, D)
        user = outputs[:, -1] if self.pooling == "candidate" else masked_mean(outputs, mask)
        return user.unflatten(0, (B, C)).unsqueeze(2)
