"""The gated deep and cross network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from skrec.nn import GatedCross
from skrec.predictor._deep_cross import CrossPredictor


class GDCN(CrossPredictor):
    """Cross layers whose products pass a gate, and a perceptron, over ``x0 = [user; item]``.

    Layer l of the cross network is ``x_{l+1} = x0 * (W x_l + b) * sigmoid(W_g x_l) + x_l`` [1]_.
    The gate keeps out products that only add noise, so that more layers do no harm.

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
    dropout : float, default=0.0
        After each hidden layer of the perceptron, in training. Ignored without one.

    See Also
    --------
    DCNv2 : The same without gates.
    DCN : A vector in place of the matrix W.

    References
    ----------
    .. [1] Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR
       Prediction", arXiv 2311.04635.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.GDCN(2, structure="stacked"))
    """

    def __init__(
        self,
        n_layers: int = 3,
        *,
        hidden: Sequence[int] = (128, 64),
        structure: str = "parallel",
        dropout: float = 0.0,
    ):
        self.n_layers = n_layers
        self.hidden = hidden
        self.structure = structure
        self.dropout = dropout

    def _cross_layer(self, size: int) -> nn.Module:
        return GatedCross(size)
