"""Two perceptrons, each with its own gate on the user and item features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_int, check_real
from skrec.nn import ACTIVATIONS
from skrec.nn import MLP as Perceptron
from skrec.predictor._base import OneVectorPredictor, Predictor


class FinalMLP(Predictor):
    r"""Two perceptrons over ``x0 = [user; item]``, joined by a bilinear product.

    The two perceptrons are called streams [1]_. A gate selects the features of each stream,
    ``2 sigmoid(MLP(c)) * x0``. The context c is the user vector in the first stream and the item
    vector in the second. The outputs o and p of the streams give the score
    ``b + w . o + w' . p + sum_h o_h W_h p_h``, where o_h and p_h are the parts of o and p in head
    h. Use it to rank short lists when many clicks are available.

    Do not use it if clicks are few, or the whole catalogue is ranked.

    Parameters
    ----------
    hidden : sequence of int, default=(128, 64)
        Sizes of the layers of the first stream, at least one. Each layer has an activation.
    hidden2 : sequence of int, default=None
        Sizes of the layers of the second stream. None uses the sizes in `hidden`.
    n_heads : int, default=2
        Number of heads of the bilinear product. It must divide the last size of both streams.
    gate_hidden : sequence of int, default=(64,)
        Sizes of the hidden layers of each gate. If empty, ``()``, the perceptron of a gate is a
        linear layer. If None, there are no gates, and both streams read x0.
    activation : str, default="relu"
        Activation after each layer of a stream, a key of ``skrec.nn.ACTIVATIONS``.
    dropout : float, default=0.0
        Dropout rate after each activation of a stream.

    See Also
    --------
    MLP : One stream, which also reads the product of the user and item vectors.

    Notes
    -----
    .. math::

       o = \operatorname{MLP}_1(g_1(u) * x_0), \quad p = \operatorname{MLP}_2(g_2(v) * x_0), \quad
       s = b + w^\top o + w'^\top p + \sum_h o_h^\top W_h p_h

    **Cost.** 76,673 weights with ``width=64``; the time per pair is that of two perceptrons and two
    gates.

    In the paper, the context of a gate is either the user or the item features, or a learned
    vector that is the same for all rows. Many other implementations have no gates. The tests
    compare the gates and the bilinear product with FuxiCTR 2.3.

    References
    ----------
    .. [1] Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction",
       arXiv 2304.00902.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.FinalMLP((64, 32), hidden2=(32,), n_heads=4))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_network = True

    def __init__(
        self,
        hidden: Sequence[int] = (128, 64),
        *,
        hidden2: Sequence[int] | None = None,
        n_heads: int = 2,
        gate_hidden: Sequence[int] | None = (64,),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        self.hidden = hidden
        self.hidden2 = hidden2
        self.n_heads = n_heads
        self.gate_hidden = gate_hidden
        self.activation = activation
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_hidden(self.hidden)
        if self.hidden2 is not None:
            check_hidden(self.hidden2, name="hidden2")
        check_int("n_heads", self.n_heads)
        for name, sizes in (("hidden", self.hidden), ("hidden2", self.hidden2)):
            if sizes is not None and sizes[-1] % self.n_heads:
                raise ValueError(
                    f"n_heads must divide the last size in {name}, {sizes[-1]}, "
                    f"got n_heads={self.n_heads}"
                )
        if self.gate_hidden is not None:
            check_hidden(self.gate_hidden, minimum=0, name="gate_hidden")
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        sizes = self.hidden, self.hidden if self.hidden2 is None else self.hidden2
        streams = [
            Perceptron(2 * width, hidden, None, self.activation, self.dropout) for hidden in sizes
        ]
        gates = [
            FeatureGate(width, 2 * width, self.gate_hidden)
            for _ in streams
            if self.gate_hidden is not None
        ]
        fusion = BilinearFusion(sizes[0][-1], sizes[1][-1], self.n_heads)
        return TwoStreams(streams, gates, fusion)


class FeatureGate(nn.Module):
    """Gate that multiplies features by ``2 sigmoid(MLP(context))``, a number between 0 and 2."""

    def __init__(self, n_context: int, n_features: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.mlp = Perceptron(n_context, hidden, n_features)

    def forward(self, context: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map a context (..., n_context) and features x (..., n_features) to (..., n_features)."""
        return 2 * torch.sigmoid(self.mlp(context)) * x


class BilinearFusion(nn.Module):
    """Score ``b + w . o + w' . p + sum_h o_h W_h p_h`` of two vectors that are cut into heads."""

    def __init__(self, n_first: int, n_second: int, n_heads: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_first + n_second, 1)
        self.product = nn.Parameter(torch.empty(n_heads, n_first // n_heads, n_second // n_heads))
        # Glorot initialization
        deviation = math.sqrt(2 / (self.product.shape[1] + self.product.shape[2]))
        nn.init.normal_(self.product, std=deviation)

    def forward(self, o: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        """Map o (..., n_first) and p (..., n_second) to (...)."""
        linear = self.linear(torch.cat([o, p], dim=-1)).squeeze(-1)
        n_heads = len(self.product)
        o, p = o.unflatten(-1, (n_heads, -1)), p.unflatten(-1, (n_heads, -1))  # (..., H, n / H)
        mixed = torch.einsum("...hi,hij->...hj", o, self.product)
        return linear + (mixed * p).sum(dim=(-2, -1))


class TwoStreams(OneVectorPredictor):
    """Feature gates, two perceptrons and their bilinear product."""

    def __init__(
        self,
        streams: Sequence[Perceptron],
        gates: Sequence[FeatureGate],
        fusion: BilinearFusion,
    ) -> None:
        super().__init__()
        self.streams = nn.ModuleList(streams)
        self.gates = nn.ModuleList(gates)
        self.fusion = fusion

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        x0 = torch.cat([user.expand_as(item), item], dim=-1)  # (B, C, 2 D)
        views = [x0, x0]
        if len(self.gates):
            views = [
                gate(context, x0) for gate, context in zip(self.gates, (user, item), strict=True)
            ]
        first, second = (mlp(x) for mlp, x in zip(self.streams, views, strict=True))
        return self.fusion(first, second)
