"""Content combined with a learned vector per id."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_real
from skrec._data.items import Items
from skrec._data.packed import Column, Packed, inner_columns, outer_columns
from skrec.content._around import PREFIX, OperatorAround, resolve_inner, start_from
from skrec.content._base import ContentOperator
from skrec.content._id import id_codes, ids_only
from skrec.content._tokens import tokens_of
from skrec.nn import embedding_table, real_first


class WithID(OperatorAround):
    r"""Sum of the vector of any content operator and a learned vector per id.

    The id vector captures what the clicks of an item say beyond its content. New items have no id
    vector and are represented by their content alone. Use it if most items have many clicks and
    some are new. Id vectors start at zero, so an item that is never seen in training is represented
    by its content, too.

    Do not use it if most items are new: their ids are never trained.

    Parameters
    ----------
    operator : content operator or alias, default="cnn"
        Operator that reads the content. Any operator except `WithID`.
    dropout : float, default=0.5
        Probability that an item has no id vector in a training batch, as in [1]_, so that the
        model learns to score items by their content alone. Id vectors that are not dropped are
        not scaled up: as in prediction, known items are ``content + id`` and new items are
        ``content``.

    Attributes
    ----------
    operator_ : content operator
        Fitted clone of `operator`.
    items_ : Items
        Ids of the training catalogue.
    schema_ : tuple
        Schema of the inner operator, and number of items.

    See Also
    --------
    ID : Learned vectors without content.

    Notes
    -----
    .. math::

       v = \operatorname{operator}(\text{columns}) + E_{\text{id}}

    **Cost.** Those of the wrapped operator, and D weights per item.

    References
    ----------
    .. [1] Volkovs et al., "DropoutNet: Addressing Cold Start in Recommender Systems",
       NeurIPS 2017.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.WithID(content.MeanPooling(), dropout=0.3))
    >>> rec = rec.set_params(content__operator__max_length=16)
    >>> items = {"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "red sun"]}
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    def __init__(self, operator: Any = "cnn", *, dropout: float = 0.5) -> None:
        self.operator = operator
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_real("dropout", self.dropout, 0, 1, closed="left")
        self._resolve().check(width)

    def _resolve(self) -> ContentOperator:
        return resolve_inner(self.operator, WithID)

    def fit(self, items: Items, y: Any = None) -> WithID:
        """Fit a clone of the inner operator, and store the ids.

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
        self.items_ = ids_only(items)
        self.schema_ = (self.operator_.schema_, items.n_items)
        return self

    def prepare(self, items: Items) -> Packed:
        """Convert items to the columns of the inner operator and their positions in training.

        Parameters
        ----------
        items : Items
            A catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        inner = self.operator_.prepare(items).columns
        return Packed({"id": id_codes(self.items_, items), **outer_columns(inner, PREFIX)})

    def build(self, schema: Any, width: int) -> nn.Module:
        inner, n_items = schema
        operator = self._inner()
        return ContentAndID(operator.build(inner, width), n_items, width, self.dropout)


class ContentAndID(nn.Module):
    """Sum of a content vector and an id vector. The code -1 has no id vector."""

    def __init__(self, content: nn.Module, n_items: int, width: int, dropout: float) -> None:
        super().__init__()
        self.content = content
        self.table = embedding_table(n_items, width)
        nn.init.zeros_(self.table.weight)
        self.dropout = dropout

    def start_from(self, columns: dict[str, Column]) -> None:
        """Let the inner module start from the content of some items, if it can."""
        start_from(self.content, inner_columns(columns, PREFIX))

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        ids, _ = self._ids(columns)
        return self.content(inner_columns(columns, PREFIX)) + ids

    def tokens(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), tokens (U, T, D) and the mask (U, T) of real tokens.

        The id vector is the first token of an item that has one.
        """
        ids, present = self._ids(columns)
        vectors, x, mask = tokens_of(self.content, inner_columns(columns, PREFIX))
        x = torch.cat([ids.unsqueeze(1), x], dim=1)
        mask = torch.cat([present.unsqueeze(1), mask], dim=1)
        return vectors + ids, *real_first(x, mask)

    def _ids(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return id vectors (U, D), zeros for items without one, and which items have one (U,)."""
        codes = columns["id"][0].squeeze(1)  # (U,)
        present = codes >= 0
        if self.training and self.dropout:
            present = present & (torch.rand(codes.shape, device=codes.device) >= self.dropout)
        return self.table(codes.clamp_min(0)) * present.unsqueeze(1), present
