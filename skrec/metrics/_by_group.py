"""The value of a metric in each group, without the mean over groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skrec.metrics._grouped import check_and_rank
from skrec.metrics._groups import check_groups
from skrec.metrics._registry import get_metric, values_by_group


def by_group(metric: str, y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike) -> pd.Series:
    """Compute a grouped metric for each group.

    Parameters
    ----------
    metric : str
        Name of a grouped metric. See :func:`get_metric` for the names.
    y_true, y_score, groups : array-like of shape (n_rows,)
        Labels 0/1 or gains, as in :func:`compute`, scores, and group ids.

    Returns
    -------
    pandas.Series of shape (n_groups,)
        Value of the metric per group. The index contains the group ids in order of first
        appearance. The value is NaN for groups in which the metric is undefined. The mean of the
        other values is the result of :func:`compute`.

    Raises
    ------
    ValueError
        If the metric is unknown or not grouped, or if the labels, scores or groups are invalid.

    Examples
    --------
    >>> from skrec.metrics import by_group
    >>> by_group("mrr", [1, 0, 0, 1], [0.9, 0.1, 0.8, 0.2], groups=[7, 7, 8, 8])
    7    1.0
    8    0.5
    Name: mrr, dtype: float64
    """
    chosen = get_metric(metric)
    if chosen.kind != "grouped":
        other = "rec.evaluate" if chosen.of_lists else "compute"
        raise ValueError(f"{chosen.name} is not computed within groups; use {other} instead")
    codes, ids = pd.factorize(check_groups(groups))
    values, usable = values_by_group(chosen, check_and_rank(y_true, y_score, codes, graded=True))
    return pd.Series(np.where(usable, values, np.nan), index=ids, name=chosen.name)
