"""Rules by which `recommend` lists items, in the order in which they apply.

::

    candidates, exclude, where --> Choice     which items may be listed
    boost                      --> numbers    added to the scores
    at_most, diversity         --> Selection  which of the best items are listed
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from skrec._common.checks import check_real
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._inference.boosts import read_boost
from skrec._inference.choice import Choice, candidates_of_rows, read_choice
from skrec._inference.quotas import Quotas, read_quotas
from skrec._inference.top_k import CodedBlocks


@dataclass(frozen=True, eq=False)
class Rules:
    """Rules by which items are listed.

    Attributes
    ----------
    choice : Choice
        The items that may be listed.
    boost : ndarray of float64, shape (N,), or None
        Numbers that are added to the scores.
    quotas : Quotas or None
        Limits on the items of each category.
    diversity : float
        Weight of the cosine in the maximal marginal relevance, in [0, 1).
    """

    choice: Choice = field(default_factory=lambda: Choice(0))
    boost: np.ndarray | None = None
    quotas: Quotas | None = None
    diversity: float = 0.0

    def boosted(self, blocks: CodedBlocks) -> CodedBlocks:
        """Yield blocks of scores with the boost added."""
        if self.boost is None:
            yield from blocks
            return
        boost = torch.tensor(self.boost)
        for rows, scores, codes in blocks:
            boost = boost.to(scores)
            yield rows, scores.add_(boost[codes]), codes


def read_rules(
    items: Items,
    data: CodedInteractions,
    *,
    candidates: Any = None,
    exclude: Any = None,
    where: Any = None,
    at_most: Any = None,
    boost: Any = None,
    diversity: Any = 0.0,
    removed: np.ndarray | None = None,
    drop_unknown: bool = False,
) -> Rules:
    """Return the rules that a user passed to `recommend`.

    Parameters
    ----------
    items : Items
        The catalogue.
    data : CodedInteractions
        The rows of X.
    candidates, exclude, where, at_most, boost, diversity
        Arguments of `recommend`.
    removed : ndarray of int64, default=None
        Codes of items that are in no list.
    drop_unknown : bool, default=False
        Whether ids in `exclude` that are missing from the catalogue are dropped.

    Returns
    -------
    Rules

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """
    check_real("diversity", diversity, 0, 1, closed="left")
    if isinstance(candidates, str) and candidates == "row":
        candidates = candidates_of_rows(data, items.n_items)
    choice = read_choice(
        items,
        data.n_rows,
        candidates=candidates,
        exclude=exclude,
        where=where,
        removed=removed,
        drop_unknown=drop_unknown,
    )
    return Rules(
        choice,
        None if boost is None else read_boost(boost, items),
        None if at_most is None else read_quotas(at_most, items),
        float(diversity),
    )
