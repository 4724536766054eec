"""Mixture of experts on top of a content operator."""

from __future__ import annotations

import math
from typing import Any

import torch
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from skrec._common.checks import check_choice, check_int, check_real
from skrec._data.items import Items
from skrec._data.packed import Packed
from skrec.content._around import OperatorAround, refuse_class
from skrec.content._base import ContentOperator
from skrec.content._columns.dense import DenseNetwork, DenseOperator
from skrec.content._language_model import LanguageModel
from skrec.content._vectors import Vectors
from skrec.content._words import ReadWords

NOISE_FLOOR = 1e-2  # least standard deviation of the noise of the gate


class MixtureOfExperts(OperatorAround):
    r"""Mixture of linear experts, in place of the last linear layer of a content operator.

    This is the adapter of UniSRec [1]_. It maps the vector x of a text encoder to the item vector
    ``sum_e g_e W_e (x - b_e)``. The shifts b_e and matrices W_e replace a whitening transformation:
    they are learned such that directions that all texts share have no influence. The gate
    ``g = softmax(V x)`` chooses the experts, so different kinds of texts are mapped differently.
    Use it for vectors of a frozen language model.

    Do not use it if items are alike: one linear layer is enough, and has fewer weights.

    Parameters
    ----------
    operator : content operator, default=None
        Operator whose last linear layer is replaced. It is one of `Vectors`, `Features`,
        `StaticWords` and `LanguageModel`. None reads the columns with the role ``vector``, as
        ``content.Vectors(hidden=())`` does.
    n_experts : int, default=8
        Number of experts.
    dropout : float, default=0.2
        Dropout rate of the input of each expert during training. The gate reads the input without
        dropout.
    noise : bool, default=False
        Whether random numbers are added to the inputs of the gate's softmax during training [2]_.
        Their standard deviation is ``softplus(U x) + 0.01``, with a learned matrix U. The authors'
        code adds them.

    Attributes
    ----------
    operator_ : content operator
        Fitted clone of `operator`.
    schema_ : object
        Schema of the inner operator.

    See Also
    --------
    LanguageModel : One linear layer on the output of a language model.
    Vectors : A perceptron on vectors of the catalogue.

    Notes
    -----
    .. math::

       v = \sum_e g_e W_e (x - b_e), \quad g = \operatorname{softmax}(V x)

    **Cost.** E S (D + 2) weights for E experts and vectors of S numbers; O(E S D) time per item.

    Shifts, gate and noise start at zero, as in the authors' code, so all experts start with equal
    weights. The matrices start as those of ``torch.nn.Linear``, at a scale that depends on the size
    of x; the authors' have a standard deviation of 0.02.

    References
    ----------
    .. [1] Hou et al., "Towards Universal Sequence Representation Learning for Recommender Systems",
       arXiv 2206.05941.
    .. [2] Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated
       Mixture-of-Experts Layer", arXiv 1701.06538.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> frozen = content.LanguageModel(
    ...     "sentence-transformers/all-MiniLM-L6-v2", trainable_layers=0, pooling="mean"
    ... )
    >>> rec = ContentRecommender(content=content.MixtureOfExperts(frozen, n_experts=4))
    >>> rec = rec.set_params(content__operator__max_length=32)

    Vectors that the catalogue contains:

    >>> items = {"item_id": [0, 1, 2], "image": [[0.1, 0.9], [0.8, 0.2], [0.2, 0.7]]}
    >>> rec = ContentRecommender(content=content.MixtureOfExperts(content.Vectors(["image"])))
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    _example = "content.Vectors(...)"

    def __init__(
        self,
        operator: Any = None,
        *,
        n_experts: int = 8,
        dropout: float = 0.2,
        noise: bool = False,
    ) -> None:
        self.operator = operator
        self.n_experts = n_experts
        self.dropout = dropout
        self.noise = noise

    def check(self, width: int) -> None:
        check_int("n_experts", self.n_experts)
        check_real("dropout", self.dropout, 0, 1, closed="left")
        check_choice("noise", self.noise, (True, False))
        self._resolve().check(width)

    def _resolve(self) -> ContentOperator:
        """Return a clone of the inner operator, or the default one."""
        value = self.operator
        if value is None:
            return Vectors(hidden=())
        refuse_class(value)
        if isinstance(value, (DenseOperator, LanguageModel)):
            return clone(value)
        raise ValueError(
            "operator must be content.Vectors, Features, StaticWords or LanguageModel, whose last "
            f"layer is linear, or None; got {value!r}"
        )

    def fit(self, items: Items, y: Any = None) -> MixtureOfExperts:
        """Fit a clone of the inner operator.

        Parameters
        ----------
        items : Items
            The training catalogue.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._fit_inner(self._resolve(), items)
        self.schema_ = self.operator_.schema_
        return self

    def prepare(self, items: Items) -> Packed:
        """Convert items to the input of the inner operator.

        Parameters
        ----------
        items : Items
            A catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        return self.operator_.prepare(items)

    def read_words(self, items: Items, module: Any) -> ReadWords | None:
        return self.operator_.read_words(items, module)

    def build(self, schema: Any, width: int) -> nn.Module:
        operator = self._inner()
        module: Any = operator.build(schema, width)
        if isinstance(module, DenseNetwork):
            module.mlp.layers[-1] = self._experts(module.mlp.layers[-1])
        else:
            module.project = self._experts(module.project)
        return module

    def _experts(self, layer: Any) -> Experts:
        """Return the experts that replace a linear layer."""
        sizes = layer.in_features, layer.out_features
        return Experts(*sizes, self.n_experts, self.dropout, self.noise)


class Experts(nn.Module):
    """Layer ``sum_e g_e W_e (x - b_e)`` with the gate ``g = softmax(V x)``.

    Parameters
    ----------
    in_features : int
        Size of x.
    out_features : int
        Size of the output.
    n_experts : int
        Number of experts, E.
    dropout : float
        Dropout rate of x, drawn separately for each expert.
    noise : bool
        Whether the gate is noisy in training.
    """

    def __init__(
        self, in_features: int, out_features: int, n_experts: int, dropout: float, noise: bool
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        weight = torch.empty(n_experts, out_features, in_features).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.shift = nn.Parameter(torch.zeros(n_experts, in_features))
        self.gate = nn.Linear(in_features, n_experts, bias=False)
        self.noise = nn.Linear(in_features, n_experts, bias=False) if noise else None
        for layer in (self.gate, self.noise):
            if layer is not None:
                nn.init.zeros_(layer.weight)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        scores = self.gate(x)  # (..., E)
        if self.noise is not None and self.training:
            deviation = F.softplus(self.noise(x)) + NOISE_FLOOR
            scores = scores + deviation * torch.randn_like(scores)
        gates = torch.softmax(scores, dim=-1)
        # one expert at a time, because the outputs of all experts for a catalogue are large
        outputs = [
            gate * (F.linear(self.dropout(x), weight) - weight @ shift)
            for gate, weight, shift in zip(
                gates.split(1, dim=-1), self.weight, self.shift, strict=True
            )
        ]
        return torch.stack(outputs).sum(dim=0)
