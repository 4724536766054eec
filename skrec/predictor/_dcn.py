"""Deep and cross network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from skrec.nn import VectorCross
from skrec.predictor._deep_cross import CrossPredictor


class DCN(CrossPredictor):
    r"""Cross layers with one weight vector each, and a perceptron, over ``x0 = [user; item]``.

    Layer l of the cross network computes ``x_{l+1} = x0 (w . x_l) + b + x_l`` [1]_. A linear
    layer computes the score from the outputs of the cross network and the perceptron. Use it when
    speed and memory matter: its cross layers add almost no cost, but are less expressive than
    those of `DCNv2`.

    Do not use it if products of many features matter: `DCNv2` expresses more of them.

    Parameters
    ----------
    n_layers : int, default=3
        Number of cross layers.
    hidden : sequence of int, default=(128, 64)
        Sizes of the hidden layers of the perceptron. If empty, ``()``, there is no perceptron and
        the score is linear in the output of the cross network.
    dropout : float, default=0.0
        Dropout rate after each hidden layer of the perceptron. Ignored if `hidden` is empty.

    See Also
    --------
    DCNv2 : A matrix instead of the vector w.
    GDCN : A matrix and a gate.

    Notes
    -----
    .. math::

       x_{l+1} = x_0 (w_l^\top x_l) + b_l + x_l, \quad s = w^\top [x_L; \operatorname{MLP}(x_0)]

    **Cost.** 25,729 weights with ``width=64``; O(D) time per pair and cross layer, in addition to
    the perceptron.

    The tests compare the cross network with ``CrossNet`` of deepctr-torch 0.3 and fuxictr 2.3 and
    with ``CrossNetwork`` of torch-rechub 0.9.

    References
    ----------
    .. [1] Wang et al., "Deep & Cross Network for Ad Click Predictions", arXiv 1708.05123.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.DCN(2))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    def __init__(
        self, n_layers: int = 3, *, hidden: Sequence[int] = (128, 64), dropout: float = 0.0
    ) -> None:
        self.n_layers = n_layers
        self.hidden = hidden
        self.dropout = dropout

    def _cross_layer(self, size: int) -> nn.Module:
        return VectorCross(size)
