"""Gated deep and cross network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from skrec.nn import GatedCross
from skrec.predictor._deep_cross import CrossPredictor


class GDCN(CrossPredictor):
    r"""Gated cross layers with one matrix each, and a perceptron, over ``x0 = [user; item]``.

    Layer l of the cross network computes
    ``x_{l+1} = x0 * (W x_l + b) * sigmoid(W_g x_l) + x_l`` [1]_. The gate filters out products
    that only add noise, so additional layers do no harm. Use it instead of `DCNv2` for networks
    with many cross layers.

    Do not use it if clicks are few, or speed matters: it has twice the matrices of `DCNv2`.

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
    dropout : float, default=0.0
        Dropout rate after each hidden layer of the perceptron. Ignored if `hidden` is empty.

    See Also
    --------
    DCNv2 : No gates.
    DCN : No gates, and a vector instead of the matrix W.

    Notes
    -----
    .. math::

       x_{l+1} = x_0 * (W_l x_l + b_l) * \sigma(G_l x_l) + x_l

    **Cost.** 123,649 weights with ``width=64``; O(D²) time per pair and layer.

    References
    ----------
    .. [1] Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR
       Prediction", arXiv 2311.04635.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.GDCN(2, structure="stacked"))
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
        dropout: float = 0.0,
    ) -> None:
        self.n_layers = n_layers
        self.hidden = hidden
        self.structure = structure
        self.dropout = dropout

    def _cross_layer(self, size: int) -> nn.Module:
        return GatedCross(size)
