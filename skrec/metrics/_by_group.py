"""One value for each group, where the metrics give the mean."""

import numpy as np
import pandas as pd

from skrec.metrics._grouped import check_and_rank
from skrec.metrics._groups import check_groups
from skrec.metrics._registry import get_metric, values_by_group


def by_group(metric, y_true, y_score, groups):
    """Compute a grouped metric for each group.

    Parameters
    ----------
    metric : str
        Name of a grouped metric, as `get_metric` takes it.
    y_true, y_score, groups : array-like of shape (n_rows,)
        Labels 0/1, scores, and group ids.

    Returns
    -------
    pandas.Series of shape (n_groups,)
        The values by group id, in the order in which the groups first come up. NaN for a group
        without the classes that the metric needs; the mean of the others is what `compute` gives.

    Raises
    ------
    ValueError
        If the metric is unknown or not grouped, and for columns that can't be ranked.

    Examples
    --------
    >>> from skrec.metrics import by_group
    >>> by_group("mrr", [1, 0, 0, 1], [0.9, 0.1, 0.8, 0.2], groups=[7, 7, 8, 8])
    7    1.0
    8    0.5
    Name: mrr, dtype: float64
    """
    metric = get_metric(metric)
    if metric.kind != "grouped":
        raise ValueError(f"{metric.name} is not computed within groups; take compute")
    codes, ids = pd.factorize(check_groups(groups))
    values, usable = values_by_group(metric, check_and_rank(y_true, y_score, codes))
    return pd.Series(np.where(usable, values, np.nan), index=ids, name=metric.name)
