"""Rows of `fit`, which may come from a log of clicks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from skrec._common.status import StatusLine
from skrec._data.click_log import as_catalogue, describe, read_log, warn_of_rows
from skrec._data.context_columns import check_log_columns
from skrec._data.log_columns import find_columns
from skrec._data.shards import ShardedInteractions
from skrec._data.table import Table
from skrec._data.user_histories import remember
from skrec._training.start import labels_and_catalogue


@dataclass(frozen=True)
class FitRows:
    """Arguments of `fit`.

    Attributes
    ----------
    X, y, items : object
        Rows, labels and catalogue. The rows of a log are bare histories, one per user.
    histories : pyarrow.Table or None
        What a recommender remembers of a log; see `skrec._data.user_histories`.
    """

    X: Any
    y: Any
    items: Any
    histories: pa.Table | None = None


def read_rows(
    X: Any,
    y: Any,
    items: Any,
    columns: Mapping[str, str | None] | None,
    sample_weight: Any = None,
    status: StatusLine | None = None,
    context: Any = None,
) -> FitRows:
    """Return the rows of `fit`, and read them if X is a log of clicks.

    Parameters
    ----------
    X, y, items, columns, sample_weight : object
        Arguments of `fit`.
    status : StatusLine, default=None
        Where to print what was read.
    context : object, default=None
        The recommender's `context`, which a log does not have.

    Returns
    -------
    FitRows

    Raises
    ------
    ValueError, TypeError
        If the log is invalid, or there are labels or weights, or context is asked for.
    """
    if isinstance(X, ShardedInteractions):
        return _sharded(X, y, items, columns, sample_weight)
    names = find_columns(X, columns)
    if names is None:
        return FitRows(X, *labels_and_catalogue(y, items))
    y, items = as_catalogue(y, names.item), as_catalogue(items, names.item)
    y, items = labels_and_catalogue(y, items)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"{name} has one value for each row of X, and X is a log of clicks, which becomes "
                f"one history per user; leave {name} out, or make the rows with "
                "skrec.datasets.histories_from_clicks"
            )
    used = [name for name in asdict(names).values() if name is not None]
    check_log_columns(Table(X), used, context)
    log = read_log(X, names).in_order()
    warn_of_rows(log.report)
    if status is not None and status.verbose:
        time = "the order of the rows" if log.events.time is None else f"time={names.time!r}"
        shown = f"user={names.user!r}, item={names.item!r}, {time}"
        status.print(f"log of clicks: {shown}; {describe(log.full_report())}")
    rows = log.histories()
    read = [name for name in rows.column_names if name != "times"]
    return FitRows(rows.select(read), None, items, remember(log, names))


def _sharded(X: Any, y: Any, items: Any, columns: Any, sample_weight: Any) -> FitRows:
    """Return the rows of shards, which have no arguments of the length of X."""
    y, items = labels_and_catalogue(y, items)
    given = {"y": y, "sample_weight": sample_weight, "columns": columns}
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"sharded rows are read from their own columns, so {name} can't be given with "
                "them; write labels to the column 'clicked', and weights of clicks to 'weights'"
            )
    return FitRows(X, None, items)
