"""The improved deep and cross network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._operators import check_choice, check_hidden, check_int, check_real
from skrec.nn import MLP as Perceptron
from skrec.nn import CrossNetwork, FullCross, LowRankCross
from skrec.predictor._base import OneVectorPredictor, Predictor


class DCNv2(Predictor):
    """Cross layers and a multi-layer perceptron over ``x0 = [user; item]``.

    Layer l of the cross network is ``x_{l+1} = x0 * (W x_l + b) + x_l`` [1]_, so that after l
    layers products of up to l + 1 features have been formed, which a perceptron learns badly.

    Parameters
    ----------
    n_layers : int, default=3
        Cross layers.
    hidden : sequence of int, default=(128, 64)
        Sizes of the perceptron's hidden layers. Without any, ``()``, there is no perceptron in
        either structure: the score is linear in the cross network's output.
    structure : {"parallel", "stacked"}, default="parallel"
        "parallel": the perceptron reads x0, and a linear layer both outputs. "stacked": the
        perceptron reads the cross network's output.
    rank : int, default=None
        Makes W a mixture of `n_experts` matrices of this rank, each with two tanh in between,
        for wide vectors; None takes a full matrix.
    n_experts : int, default=4
        Matrices in the mixture. Ignored where `rank` is None.
    dropout : float, default=0.0
        After each hidden layer of the perceptron, in training.

    See Also
    --------
    MLP : Without cross layers.

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for
       Web-scale Learning to Rank Systems", arXiv 2008.13535.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.DCNv2(2, structure="stacked", rank=16))
    """

    def __init__(
        self,
        n_layers: int = 3,
        *,
        hidden: Sequence[int] = (128, 64),
        structure: str = "parallel",
        rank: int | None = None,
        n_experts: int = 4,
        dropout: float = 0.0,
    ):
        self.n_layers = n_layers
        self.hidden = hidden
        self.structure = structure
        self.rank = rank
        self.n_experts = n_experts
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_int("n_layers", self.n_layers)
        check_hidden(self.hidden, minimum=0)
        check_choice("structure", self.structure, ("parallel", "stacked"))
        if self.rank is not None:
            check_int("rank", self.rank)
        check_int("n_experts", self.n_experts)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        size = 2 * width
        layers = [
            FullCross(size) if self.rank is None else LowRankCross(size, self.rank, self.n_experts)
            for _ in range(self.n_layers)
        ]
        parallel = self.structure == "parallel" and len(self.hidden) > 0
        return DeepCross(CrossNetwork(layers), size, self.hidden, parallel, self.dropout)


class DeepCross(OneVectorPredictor):
    """A cross network, with a perceptron beside it or on top of it."""

    def __init__(
        self,
        cross: CrossNetwork,
        size: int,
        hidden: Sequence[int],
        parallel: bool,
        dropout: float,
    ):
        super().__init__()
        self.cross = cross
        self.mlp = Perceptron(size, hidden, 1, dropout=dropout)
        self.out = nn.Linear(size, 1, bias=False) if parallel else None

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, D), to (B, C)."""
        x0 = torch.cat([user.expand_as(item), item], dim=-1)  # (B, C, 2 D)
        x = self.cross(x0)
        if self.out is None:
            return self.mlp(x).squeeze(-1)
        # a linear layer over two outputs is a sum; that over the hidden layers is in the MLP
        return (self.out(x) + self.mlp(x0)).squeeze(-1)
