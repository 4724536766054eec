"""Base class of content operators."""

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
from skrec.content._words import ReadWords

# operator classes by alias; filled in by `skrec.content` once all operators are defined
ALIASES: dict[str, type] = {}


@dataclass(frozen=True)
class Resources:
    """Device and storage that a recommender provides to its content operator.

    Parameters
    ----------
    memory : str, Path or None
        Folder for stored states: the recommender's `memory`.
    device : torch.device
        Device for computations that run once per item, outside of training.
    progress : callable, default=None
        Function that is called as ``progress(n_done, n_total)`` during long computations. Both
        arguments count items.
    """

    memory: str | Path | None = None
    device: torch.device = torch.device("cpu")
    progress: Callable[[int, int], None] | None = None


class ContentOperator(Operator):
    """Base class of operators that map the columns of an item to its item vector.

    A subclass defines three methods. `fit` learns what depends on the catalogue, such as
    vocabularies and scales, and sets ``schema_``. `build` receives the schema, but not the
    catalogue, and creates the module that the recommender trains. `prepare` converts items to the
    tensors that the module reads.

    A module with pretrained weights can set two attributes. ``module.pretrained = True`` trains its
    weights with the recommender's `pretrained_learning_rate`. ``module.reloads_frozen = True``
    states that `build` restores its frozen weights exactly, so that pickles leave them out.

    A module can add a term to the training loss. ``module.penalized(columns)`` then returns the
    item vectors (U, width) that ``forward`` returns, and one weighted penalty per item (U,). The
    mean of the penalties over the distinct items of a batch is added to the loss.

    A module can start from the content of the catalogue. ``module.start_from(columns)`` is then
    called once before training, with the columns of some items.

    Attributes
    ----------
    is_fast : bool
        Whether thousands of items per step cost little. Recommenders whose `n_negatives` is "auto"
        then learn from many negatives.
    """

    is_fast = False
    _resources = Resources()

    def use(self, resources: Resources) -> None:
        """Set the device and the storage. The recommender calls it before `fit` and `prepare`.

        Parameters
        ----------
        resources : Resources
            Device for computations, and folder for their results.
        """
        self._resources = resources

    @property
    def keeps_states(self) -> bool:
        """Whether `prepare` computes and stores states, which takes a while the first time."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_resources", None)  # specific to this machine
        return state

    def fit(self, items: Items, y: Any = None) -> ContentOperator:
        """Learn vocabularies and scales from the training catalogue.

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
        raise NotImplementedError

    def prepare(self, items: Items) -> Packed:
        """Convert items to packed tensors, using what `fit` learned.

        Parameters
        ----------
        items : Items
            A catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        raise NotImplementedError

    def read_words(self, items: Items, module: nn.Module) -> ReadWords | None:
        """Prepare the texts of one item for an explanation of its score.

        Operators whose module reads tokens of texts override this method.

        Parameters
        ----------
        items : Items
            The item: a catalogue of one.
        module : torch.nn.Module
            Copy of the module that `build` created, which shares its weights. It is modified: it
            must read tokens from ``ReadWords.given`` afterwards.

        Returns
        -------
        ReadWords or None
            None if the module reads no tokens of texts.
        """
        return None

    def build(self, schema: Any, width: int) -> nn.Module:
        """Create the module that maps the columns of U items to item vectors (U, width).

        Parameters
        ----------
        schema : object
            The ``schema_`` that `fit` set.
        width : int
            Size D of an item vector.

        Returns
        -------
        torch.nn.Module
            Module whose ``forward`` takes the return value of ``Packed.take``.
        """
        raise NotImplementedError


def refuse_nested(operator: Operator, name: str, params: dict[str, Any], example: str) -> None:
    """Raise a ValueError for a key such as operator__max_length if `name` is an alias or None."""
    target = params.get(name, getattr(operator, name))
    for key in params:
        if key.startswith(f"{name}__") and (target is None or isinstance(target, str)):
            raise ValueError(
                f"{key} can't be set on {name}={target!r}; pass {example} with its parameters"
            )
