"""Vectors that are already in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skrec._data.items import Items
from skrec.content._columns.dense import DenseOperator, describe_roles
from skrec.content._columns.operator import chosen_roles


class Vectors(DenseOperator):
    r"""Vectors from the catalogue, followed by a multi-layer perceptron.

    Use it for items that were encoded in advance, for example by a sentence encoder, an image model
    or a model of your own. The vectors stay fixed, and the perceptron is trained together with the
    other operators.

    Do not use it if texts are at hand: `LanguageModel` trains what reads them.

    Parameters
    ----------
    columns : list of str, default=None
        Names of columns with the role ``vector``, which are concatenated. None reads all columns
        with this role.
    hidden : sequence of int, default=(128,)
        Sizes of the hidden layers. With ``()``, the perceptron is one linear layer.
    dropout : float, default=0.0
        Dropout rate after each hidden layer during training. Ignored without hidden layers.

    Attributes
    ----------
    schema_ : int
        Number of features per item.
    scale_ : float
        Root mean square of all features in the training catalogue. Features are divided by it.
    columns_ : list of str
        Names of the columns that are read.

    See Also
    --------
    Features : Reads the output of a scikit-learn transformer.

    Notes
    -----
    .. math::

       v = \operatorname{MLP}(x)

    **Cost.** The weights of the perceptron; O(S D) time per item with vectors of S numbers.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> items = {"item_id": [0, 1, 2], "image": [[0.1, 0.9], [0.8, 0.2], [0.2, 0.7]]}
    >>> rec = ContentRecommender(content=content.Vectors(["image"], hidden=(64,)))
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
        dropout: float = 0.0,
    ) -> None:
        self.columns = columns
        self.hidden = hidden
        self.dropout = dropout

    def fit(self, items: Items, y: Any = None) -> Vectors:
        """Learn the size and the scale of the vectors.

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
            If the catalogue has no vectors, or if `columns` names columns with other roles.
        """
        roles = chosen_roles(items, self.columns)
        others = [name for name, role in roles.items() if role != "vector"]
        if self.columns is not None and others:
            raise ValueError(
                "columns of content.Vectors must have the role 'vector', got "
                f"{describe_roles(roles)}; another operator, such as content.CNN(), reads columns "
                "of every role"
            )
        if len(others) == len(roles):
            raise ValueError(
                "content.Vectors needs a column of vectors; the catalogue has "
                f"{describe_roles(roles)}. Add one of lists of floats of one length, for instance "
                "items.assign(vector=list(array)) with a 2-D array, or take content.Features()"
            )
        self.columns_ = [name for name, role in roles.items() if role == "vector"]
        self._fit_scale(self._read(items))
        return self

    def _read(self, items: Items) -> np.ndarray:
        columns = [items.column(name) for name in self.columns_]
        return np.hstack([c.flatten().to_numpy().reshape(len(c), -1) for c in columns])
