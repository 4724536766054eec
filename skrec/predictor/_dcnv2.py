"""Improved deep and cross network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from skrec._common.checks import check_int
from skrec.nn import FullCross, LowRankCross
from skrec.predictor._deep_cross import CrossPredictor


class DCNv2(CrossPredictor):
    r"""Cross layers with one matrix each, and a perceptron, over ``x0 = [user; item]``.

    Layer l of the cross network computes ``x_{l+1} = x0 * (W x_l + b) + x_l`` [1]_. After l
    layers it has formed products of up to l + 1 features, which a perceptron can learn only with
    difficulty. Use it to rank short lists when many clicks are available.

    Do not use it if the whole catalogue is ranked: each pair is scored separately.

    Parameters
    ----------
    n_layers : int, default=3
        Number of cross layers.
    hidden : sequence of int, default=(128, 64)
        Sizes of the hidden layers of the perceptron. If empty, ``()``, there is no perceptron in
        either structure, and the score is linear in the output of the cross network.
    structure : {"parallel", "stacked"}, default="parallel"
        How the perceptron and the cross network are combined. With "parallel", the perceptron
        reads x0, and a linear layer computes the score from both outputs. With "stacked", the
        perceptron reads the output of the cross network.
    rank : int, default=None
        Rank of the `n_experts` matrices whose mixture replaces W. Each has two tanh functions
        between its factors. Use it for wide vectors. None uses a full matrix.
    n_experts : int, default=4
        Number of matrices in the mixture. Ignored if `rank` is None.
    dropout : float, default=0.0
        Dropout rate after each hidden layer of the perceptron. Ignored if `hidden` is empty.

    See Also
    --------
    GDCN : Gates in the cross layers.
    MLP : No cross layers.

    Notes
    -----
    .. math::

       x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, \quad s = w^\top [x_L; \operatorname{MLP}(x_0)]

    **Cost.** 74,497 weights with ``width=64``; O(D²) time per pair and layer, or O(D r) with `rank`
    r.

    The tests compare the cross network with ``CrossNet`` and ``CrossNetMix`` of deepctr-torch 0.3
    and with ``CrossNetV2`` of fuxictr 2.3. The gates of the experts are the softmax of a linear
    layer. Each cross layer has its own gates, and a single expert has none.

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for
       Web-scale Learning to Rank Systems", arXiv 2008.13535.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.DCNv2(2, structure="stacked", rank=16))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
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
    ) -> None:
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
