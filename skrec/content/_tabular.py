"""Items without text: categories, numbers and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_real
from skrec._data.items import Items
from skrec.content._columns.network import ColumnNetwork, MeanEncoder
from skrec.content._columns.operator import ColumnOperator, chosen_roles
from skrec.nn import ACTIVATIONS, MLP


class Tabular(ColumnOperator):
    r"""Multi-layer perceptron over categories, multi-categories, numbers and vectors.

    Each column becomes a vector: the embedding of a category, the mean embedding of a
    multi-category, or a linear map of a number or vector. The perceptron reads the concatenation of
    these vectors. Text columns are ignored. Use it for catalogues without text, or as a baseline
    that shows how much text adds.

    Do not use it if items have texts: they say more than categories.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. Text columns are not allowed. None reads all columns except
        text.
    hidden : sequence of int, default=(128,)
        Sizes of the hidden layers. With ``()``, the perceptron is one linear layer.
    activation : {"relu", "gelu", "tanh", "leaky_relu", "prelu", "dice"}, default="relu"
        Activation after each hidden layer.
    dropout : float, default=0.0
        Dropout rate after each activation during training.

    Attributes
    ----------
    schema_ : tuple
        Name, role and size of each column that is read.

    See Also
    --------
    MeanPooling : Reads texts, too.
    Vectors : Reads vector columns only.

    Notes
    -----
    .. math::

       v = \operatorname{MLP}([x_1; \ldots; x_c])

    **Cost.** D weights per category and those of the perceptron; O(D) time per column and item,
    times the hidden units.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec import ContentRecommender, content
    >>> items = pd.DataFrame({"item_id": [0, 1, 2], "price": [9.5, 20.0, 7.0]})
    >>> items["topic"] = pd.Categorical(["art", "food", "art"])
    >>> rec = ContentRecommender(content=content.Tabular(["topic", "price"]))
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    is_fast = True

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        hidden: Sequence[int] = (128,),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        self.columns = columns
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_hidden(self.hidden, minimum=0)
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def _roles(self, items: Items) -> dict[str, str]:
        """Return the columns to read and their roles, or raise a ValueError for text columns."""
        roles = chosen_roles(items, self.columns)
        texts = [name for name, role in roles.items() if role == "text"]
        if self.columns is not None and texts:
            raise ValueError(
                f"Tabular reads no text, and columns names {texts[0]!r}; leave it out, make it a "
                "category with roles={...: 'category'}, or take content.MeanPooling"
            )
        roles = {name: role for name, role in roles.items() if role != "text"}
        if not roles:
            raise ValueError(
                f"the catalogue has nothing but text ({', '.join(map(repr, texts))}), which "
                "Tabular does not read; take content.MeanPooling, or add categories or numbers"
            )
        return roles

    def build(self, schema: Any, width: int) -> nn.Module:
        def fusion(n_columns: int) -> nn.Module:
            return SideBySide(n_columns, width, self.hidden, self.activation, self.dropout)

        network = ColumnNetwork(schema, width, MeanEncoder, fusion)
        network.fusion = network.fusion or fusion(1)
        return network


class SideBySide(nn.Module):
    """Perceptron over the concatenated vectors of the columns. Missing columns are zeros."""

    def __init__(
        self, n_columns: int, width: int, hidden: Sequence[int], activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.mlp = MLP(n_columns * width, hidden, width, activation, dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map column vectors x (U, S, D) with mask (U, S) to vectors (U, D)."""
        return self.mlp((x * mask.unsqueeze(-1)).flatten(1))
