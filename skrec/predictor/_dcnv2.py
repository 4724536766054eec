"""The improved deep and cross network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from skrec._common.checks import check_int
from skrec.nn import FullCross, LowRankCross
from skrec.predictor._deep_cross import CrossPredictor


class DCNv2(CrossPredictor):
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
        After each hidden layer of the perceptron, in training. Ignored without one.

    See Also
    --------
    GDCN : Gates in the cross layers.
    MLP : Without cross layers.

    Notes
    -----
    The cross network was compared with ``CrossNet`` and ``CrossNetMix`` of deepctr-torch 0.3 and
    ``CrossNetV2`` of fuxictr 2.3. Gates of experts are a softmax over a linear layer, which each
    cross layer has for itself; a single expert has none.

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
        super().check(width)
        if self.rank is not None:
            check_int("rank", self.rank)
        check_int("n_experts", self.n_experts)

    def _cross_layer(self, size: int) -> nn.Module:
        if self.rank is None:
            return FullCross(size)
        return LowRankCross(size, self.rank, self.n_experts)
