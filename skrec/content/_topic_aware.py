"""Item vectors that are trained to tell the topic of an item."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from skrec._common.checks import check_real
from skrec._common.messages import preview
from skrec._data.items import Items
from skrec._data.packed import Column, Packed, inner_columns, outer_columns
from skrec.content._around import PREFIX, OperatorAround, resolve_inner, start_from
from skrec.content._base import ContentOperator
from skrec.content._columns.operator import chosen_roles
from skrec.content._tabular import Tabular
from skrec.content._tokens import tokens_of


class TopicAware(OperatorAround):
    r"""Content operator whose item vectors are also trained to predict the topic of the item.

    This is the news encoder of TANR [1]_. A linear layer predicts the category of an item from its
    vector, and the cross-entropy of this prediction is added to the loss. The topic is not read, so
    new items do not need one. Use it if a category says what texts are about and clicks are few:
    the topics of all items teach the words.

    Do not use it if items have no category, or clicks are many.

    Parameters
    ----------
    operator : content operator or alias, default="cnn"
        Operator that computes the item vectors. Any operator except `TopicAware`. If it has a
        parameter `columns` that is None, it reads all columns except `category`.
    category : str, default=None
        Name of the column with the role ``category`` that is predicted. None uses the first one.
    weight : float, default=0.2
        Weight of the cross-entropy in the loss. Its mean is over the distinct items of a batch.
        Items without a category, and those whose category is not in the training catalogue, add
        nothing to the sum.

    Attributes
    ----------
    operator_ : content operator
        Fitted clone of `operator`.
    topics_ : Tabular
        Operator that encodes the categories.
    schema_ : tuple
        Schema of the inner operator, and number of categories.

    See Also
    --------
    CNN : Reads the category as a column.

    Notes
    -----
    .. math::

       \text{loss} = \text{loss}_\text{clicks} + \lambda \, \operatorname{crossentropy}(W v,
       \text{topic})

    **Cost.** Those of the wrapped operator, and D weights per topic.

    In the paper, an item that occurs several times in a batch also occurs several times in the
    cross-entropy.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Topic-Aware News Representation", ACL 2019.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(
    ...     content=content.TopicAware(content.CNN(), category="topic", weight=0.1)
    ... )
    >>> rec = rec.set_params(content__operator__max_length=16)
    >>> items = pd.DataFrame({"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "red sun"]})
    >>> items["topic"] = pd.Categorical(["animals", "nature", "nature"])
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    def __init__(
        self, operator: Any = "cnn", *, category: str | None = None, weight: float = 0.2
    ) -> None:
        self.operator = operator
        self.category = category
        self.weight = weight

    def check(self, width: int) -> None:
        check_real("weight", self.weight, 0)
        if self.category is not None and not isinstance(self.category, str):
            raise ValueError(f"category must be a column's name or None, got {self.category!r}")
        self._resolve().check(width)

    def _resolve(self) -> ContentOperator:
        return resolve_inner(self.operator, TopicAware)

    def _predicted(self, items: Items) -> str:
        """Return the name of the column that is predicted."""
        categories = [name for name, role in items.roles.items() if role == "category"]
        if self.category is None:
            if not categories:
                raise ValueError(
                    "content.TopicAware predicts a column with the role 'category'; the catalogue "
                    f"has {preview(items.roles, 20)}"
                )
            return categories[0]
        role = chosen_roles(items, [self.category])[self.category]
        if role != "category":
            raise ValueError(
                f"category={self.category!r} must have the role 'category', got {role!r}"
            )
        return self.category

    def fit(self, items: Items, y: Any = None) -> TopicAware:
        """Fit a clone of the inner operator, and learn the categories.

        Parameters
        ----------
        items : Items
            The training catalogue.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no column to predict, or none besides it to read.
        """
        category = self._predicted(items)
        self.topics_ = Tabular([category]).fit(items)
        inner = self._resolve()
        if inner.get_params(deep=False).get("columns", category) is None:
            others = [name for name in items.roles if name != category]
            if not others:
                raise ValueError(f"the catalogue has no column besides {category!r} to read")
            inner.set_params(columns=others)
        self._fit_inner(inner, items)
        [topic] = self.topics_.schema_
        self.schema_ = (self.operator_.schema_, topic.size)
        return self

    def prepare(self, items: Items) -> Packed:
        """Convert items to the columns of the inner operator and the codes of their categories.

        Parameters
        ----------
        items : Items
            A catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        inner = outer_columns(self.operator_.prepare(items).columns, PREFIX)
        [topic] = self.topics_.prepare(items).columns.values()
        return Packed({"topic": topic, **inner})

    def build(self, schema: Any, width: int) -> nn.Module:
        inner, n_topics = schema
        operator = self._inner()
        return VectorsWithTopic(operator.build(inner, width), width, n_topics, self.weight)


class VectorsWithTopic(nn.Module):
    """Item vectors, and the cross-entropy of topics that a linear layer predicts from them."""

    def __init__(self, content: nn.Module, width: int, n_topics: int, weight: float) -> None:
        super().__init__()
        self.content = content
        self.classify = nn.Linear(width, n_topics)
        self.weight = weight

    def start_from(self, columns: dict[str, Column]) -> None:
        """Let the inner module start from the content of some items, if it can."""
        start_from(self.content, inner_columns(columns, PREFIX))

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        return self.content(inner_columns(columns, PREFIX))

    def tokens(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), tokens (U, T, D) and the mask (U, T) of real tokens."""
        return tokens_of(self.content, inner_columns(columns, PREFIX))

    def penalized(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), and the weighted cross-entropy of the topics (U,)."""
        vectors = self(columns)
        topics = columns["topic"][0].squeeze(1)  # (U,), 0 if unknown
        entropy = F.cross_entropy(self.classify(vectors), topics, reduction="none")
        return vectors, self.weight * entropy * (topics > 0)
