"""The deep and cross network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from skrec.nn import VectorCross
from skrec.predictor._deep_cross import CrossPredictor


class DCN(CrossPredictor):
    """Cross layers with one weight vector each, beside a perceptron, over ``x0 = [user; item]``.

    Layer l of the cross network is ``x_{l+1} = x0 (w . x_l) + b + x_l`` [1]_: it costs next to
    nothing, and says less than the layers of `DCNv2`.

    Parameters
    ----------
    n_layers : int, default=3
        Cross layers.
    hidden : sequence of int, default=(128, 64)
        Sizes of the perceptron's hidden layers. Without any, ``()``, there is no perceptron: the
        score is linear in the cross network's output.
    dropout : float, default=0.0
        After each hidden layer of the perceptron, in training. Ignored without one.

    See Also
    --------
    DCNv2 : A matrix in place of the vector w.
    GDCN : The same, with a gate.

    Notes
    -----
    The cross network was compared with ``CrossNet`` of deepctr-torch 0.3 and of fuxictr 2.3 and
    with ``CrossNetwork`` of torch-rechub 0.9.

    References
    ----------
    .. [1] Wang et al., "Deep & Cross Network for Ad Click Predictions", arXiv 1708.05123.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.DCN(2))
    """

    def __init__(
        self, n_layers: int = 3, *, hidden: Sequence[int] = (128, 64), dropout: float = 0.0
    ):
        self.n_layers = n_layers
        self.hidden = hidden
        self.dropout = dropout

    def _cross_layer(self, size: int) -> nn.Module:
        return VectorCross(size)
