"""Vectors that the catalogue holds already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skrec._data.items import Items
from skrec.content._columns.dense import DenseOperator, describe
from skrec.content._columns.operator import chosen_roles


class Vectors(DenseOperator):
    """Vectors that the catalogue already holds, through a multi-layer perceptron.

    For items that were encoded elsewhere: by a sentence encoder, an image model, or a model of
    your own. The vectors stay as they are, and the perceptron is trained with the rest.

    Parameters
    ----------
    columns : list of str, default=None
        Columns of role ``vector``, which are laid side by side; None reads all that there are.
    hidden : sequence of int, default=(128,)
        Sizes of the hidden layers; ``()`` makes the perceptron one linear layer.
    dropout : float, default=0.0
        After each hidden layer, in training. Ignored where there is none.

    Attributes
    ----------
    schema_ : int
        Numbers an item.
    scale_ : float
        Root mean square of all numbers in the training catalogue, by which they are divided.
    columns_ : list of str
        The columns that are read.

    See Also
    --------
    Features : Vectors that a scikit-learn transformer makes.

    Examples
    --------
    >>> from skrec import ContentRecommender, Items, content
    >>> items = Items({"item_id": [7, 8], "image": [[0.1, 0.9, 0.3], [0.8, 0.2, 0.1]]})
    >>> rec = ContentRecommender(content=content.Vectors(["image"], hidden=(64,)))
    """

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
    ):
        self.columns = columns
        self.hidden = hidden
        self.dropout = dropout

    def fit(self, items: Items, y: Any = None) -> Vectors:
        """Learn the sizes and the scale of the vectors.

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
            Where the catalogue has no vectors, or where `columns` names anything else.
        """
        roles = chosen_roles(items, self.columns)
        others = [name for name, role in roles.items() if role != "vector"]
        if self.columns is not None and others:
            raise ValueError(
                f"columns of content.Vectors must have the role 'vector', got {describe(roles)}; "
                "another operator, such as content.CNN(), reads columns of every role"
            )
        if len(others) == len(roles):
            raise ValueError(
                f"content.Vectors needs a column of vectors; the catalogue has {describe(roles)}. "
                "Add one of lists of floats of one length, for instance "
                "items.assign(vector=list(array)) with a 2-D array, or take content.Features()"
            )
        self.columns_ = [name for name, role in roles.items() if role == "vector"]
        self._measure(self._read(items))
        return self

    def _read(self, items: Items) -> np.ndarray:
        columns = [items.column(name) for name in self.columns_]
        return np.hstack([c.flatten().to_numpy().reshape(len(c), -1) for c in columns])
