"""The contract of content operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skrec._data.items import Items
from skrec._data.packed import Packed
from skrec._operators import Operator


@dataclass(frozen=True)
class Resources:
    """What a recommender lends its content operator: where to compute, and where to keep it.

    Parameters
    ----------
    memory : str, Path or None
        The recommender's `memory`.
    device : torch.device
        Where to compute what is computed once.
    progress : callable, default=None
        Told ``(n_done, n_in_all)`` items in long work.
    """

    memory: str | Path | None = None
    device: torch.device = torch.device("cpu")
    progress: Callable[[int, int], None] | None = None


class ContentOperator(Operator):
    """Turns an item's columns into its vector.

    A subclass defines `fit`, `prepare` and `build`. `fit` learns what the columns hold
    (vocabularies, scales) and sets ``schema_``; `build` makes the module that the recommender
    trains from that schema alone; `prepare` turns items into the tensors that it reads.

    Of a module that loads pretrained weights, ``module.pretrained = True`` gives its weights the
    recommender's `pretrained_learning_rate`, and ``module.reloads_frozen = True`` says that
    `build` makes its frozen weights the same each time, so that pickles leave them out.
    """

    _resources = Resources()

    def use(self, resources: Resources) -> None:
        """Take what the recommender lends, before `fit` and `prepare`.

        Parameters
        ----------
        resources : Resources
            Where to compute, and where to keep what is computed.
        """
        self._resources = resources

    @property
    def keeps_states(self) -> bool:
        """Whether `prepare` computes something to keep, which takes a while the first time."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_resources", None)  # of this machine
        return state

    def fit(self, items: Items, y: Any = None) -> ContentOperator:
        """Learn vocabularies and scales from the training catalogue.

        Parameters
        ----------
        items : Items
            The catalogue.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        raise NotImplementedError

    def prepare(self, items: Items) -> Packed:
        """Turn items into packed tensors, with what `fit` learned.

        Parameters
        ----------
        items : Items
            Any catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        raise NotImplementedError

    def build(self, schema: Any, width: int) -> nn.Module:
        """Make the module that maps the columns of U items to vectors (U, width).

        Parameters
        ----------
        schema : object
            The ``schema_`` that `fit` set.
        width : int
            D, the size of an item vector.

        Returns
        -------
        torch.nn.Module
            Its ``forward`` takes what ``Packed.take`` returns.
        """
        raise NotImplementedError


def refuse_nested(operator: Operator, name: str, params: dict[str, Any], example: str) -> None:
    """Raise a ValueError for a key such as operator__max_length where that is no object."""
    target = params.get(name, getattr(operator, name))
    for key in params:
        if key.startswith(f"{name}__") and (target is None or isinstance(target, str)):
            raise ValueError(
                f"{key} can't be set on {name}={target!r}; pass {example} with its parameters"
            )
