"""X as a table, and which of the three kinds of rows it holds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from skrec._arrow import Table, did_you_mean, is_list, is_table, preview, to_arrow

COLUMNS = (
    "history",
    "candidates",
    "candidate",
    "clicked",
    "user_id",
    "impression_id",
    "time",
)
LISTS_HINT = "histories are lists of item ids, one for each row: write [[3, 8, 1]] for one history"
NO_ROWS = "X has no rows; at least one is needed"


def as_table(X: Any) -> Table:
    """Read X as a table; lists of histories become a table with only `history`."""
    if is_table(X):
        return Table(X)
    if isinstance(X, (str, bytes)) or not isinstance(X, Iterable):
        raise TypeError(f"{LISTS_HINT}, or give a table; got {X!r}")
    try:
        column = to_arrow(X, "the histories")
    except ValueError as error:
        raise TypeError(f"{LISTS_HINT}; {error}") from error
    if len(column) and not is_list(column.type):
        raise TypeError(f"{LISTS_HINT}; got a flat sequence of {column.type}")
    return Table({"history": column})


def kind_of(table: Table) -> str:
    """Return "impressions", "pairs" or "histories", or raise for a table that is none."""
    if "history" not in table:
        raise ValueError(
            f"X has no column 'history'{_nearest('history', table.names)}; its columns are "
            f"{preview(table.names, 20)}"
        )
    if "candidates" in table and "candidate" in table:
        raise ValueError(
            "X has both 'candidate' and 'candidates'; keep 'candidates' (a list for each row) for "
            "impressions or 'candidate' (one id for each row) for pairs"
        )
    if not table.length("history"):
        raise ValueError(NO_ROWS)
    for name, lists in (("history", True), ("candidates", True), ("candidate", False)):
        if name not in table:
            continue
        kind = table.type(name)
        if lists and not is_list(kind):
            hint = "; for one id a row call it 'candidate'" if name == "candidates" else ""
            raise TypeError(
                f"column {name!r} must hold a list of ids in each row, like [[3, 8, 1]], got "
                f"{kind}{hint}"
            )
        if not lists and is_list(kind):
            raise TypeError(
                "column 'candidate' must hold one id in each row, got lists; call it 'candidates'"
            )
    if "candidates" in table:
        return "impressions"
    return "pairs" if "candidate" in table else "histories"


def _nearest(name: str, names: list[str]) -> str:
    return did_you_mean(name, names, cutoff=0.7).replace("did you mean", "is it")


def warn_of_misspelt(table: Table, stacklevel: int) -> None:
    """Warn of columns that are not used, where one that is has a name like theirs."""
    for name in table.names:
        hint = "" if name in COLUMNS else did_you_mean(name, COLUMNS, cutoff=0.7)
        if hint and not any(known in table for known in COLUMNS if repr(known) in hint):
            warnings.warn(
                f"column {name!r} of X is not used{hint}", UserWarning, stacklevel=stacklevel + 1
            )
