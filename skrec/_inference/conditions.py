"""Conditions on the catalogue's columns that decide which items may be listed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import did_you_mean, preview
from skrec._data.items import Items

EXAMPLE = "pc.field('price') < 20, with `import pyarrow.compute as pc`"


@dataclass(frozen=True, eq=False)
class Conditions:
    """One condition per row: the items that satisfy it.

    Attributes
    ----------
    masks : ndarray of uint8, shape (E, ceil(N / 8))
        Items that satisfy each of E distinct conditions, as bits; see `numpy.packbits`.
    mask_of_row : ndarray of int64, shape (n,)
        Condition of each row.
    n_items : int
        N, the number of items.
    """

    masks: np.ndarray
    mask_of_row: np.ndarray
    n_items: int

    def hold(self, rows: slice) -> np.ndarray:
        """Return the items that may be listed in a slice of rows, as a bool array (b, N)."""
        bits = np.unpackbits(self.masks[self.mask_of_row[rows]], axis=1, count=self.n_items)
        return bits.view(bool)

    def hold_for(self, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return whether the condition of row ``rows[i]`` holds for item ``codes[i]``, (P,)."""
        byte = self.masks[self.mask_of_row[rows], codes >> 3]
        return (byte >> (7 - (codes & 7)).astype(np.uint8) & 1).astype(bool)


def read_where(where: Any, items: Items, n_rows: int) -> np.ndarray | Conditions:
    """Evaluate conditions on the columns of a catalogue. Distinct ones are evaluated once.

    Parameters
    ----------
    where : pyarrow expression, or list of n_rows expressions
        One condition for all rows, or one per row. None in the list is no condition.
    items : Items
        The catalogue.
    n_rows : int
        Number of rows of X.

    Returns
    -------
    ndarray of bool, shape (n_items,), or Conditions
        Whether each item satisfies the one condition; `Conditions` if rows have different ones.
        Null is not satisfied.

    Raises
    ------
    TypeError
        If there is something else than pyarrow expressions.
    ValueError
        If there is not one expression per row, or an expression names an unknown column, can't be
        evaluated or is not boolean.
    """
    if isinstance(where, pc.Expression):
        return _satisfied(where, items)
    if isinstance(where, str) or not isinstance(where, Iterable):
        raise _wrong_type(where)
    given = list(where)
    for each in given:
        if each is not None and not isinstance(each, pc.Expression):
            raise _wrong_type(where if not isinstance(where, list) else each)
    if len(given) != n_rows:
        raise ValueError(
            f"where has {len(given)} expressions, but X has {n_rows} rows; give one per row, or "
            "one expression for all rows"
        )
    distinct, mask_of_row = _distinct(given)
    masks = np.stack([_satisfied(each, items) for each in distinct])
    if len(masks) == 1:
        return masks[0]
    return Conditions(np.packbits(masks, axis=1), mask_of_row, items.n_items)


def _wrong_type(got: Any) -> TypeError:
    shown = repr(got) if isinstance(got, str) else type(got).__name__
    return TypeError(
        f"where must be a pyarrow expression, such as {EXAMPLE}, or a list with one per row, got "
        f"{shown}"
    )


def _distinct(given: list[Any]) -> tuple[list[Any], np.ndarray]:
    """Return the distinct expressions, and the number of each row's one."""
    found: dict[str, list[int]] = {}  # numbers of the expressions with the same text
    distinct: list[Any] = []
    number = np.empty(len(given), dtype=np.int64)
    for row, each in enumerate(given):
        alike = found.setdefault(str(each), [])
        for other in alike:
            if each is distinct[other] or (each is not None and each.equals(distinct[other])):
                number[row] = other
                break
        else:
            number[row] = len(distinct)
            alike.append(len(distinct))
            distinct.append(each)
    return distinct, number


def _satisfied(where: Any, items: Items) -> np.ndarray:
    """Return whether each item satisfies an expression, of shape (n_items,)."""
    if where is None:
        return np.ones(items.n_items, dtype=bool)
    import pyarrow.dataset as ds  # slow to import

    columns = {name: items.column(name) for name in items.roles}
    table = pa.table({items.id: items._ids, **columns})
    try:
        found = ds.dataset(table).to_table(columns={"holds": where}).column("holds")
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise _unusable(where, table, error) from error
    if pa.types.is_null(found.type):
        return np.zeros(items.n_items, dtype=bool)
    if not pa.types.is_boolean(found.type):
        raise ValueError(
            f"where must be true or false for each item, but {_shown(where)} is {found.type}; "
            f"compare it with a value{_types_in(where, table)}"
        )
    return pc.fill_null(found, False).to_numpy()


def _unusable(where: Any, table: pa.Table, error: Exception) -> ValueError:
    """Return an error that names what an expression can't read."""
    missing = re.match(r"No match for FieldRef\.(.*) in ", str(error))
    if missing is None:
        return ValueError(
            f"where can't be evaluated: {_shown(where)} raises {str(error)!r}"
            f"{_types_in(where, table)}"
        )
    name = re.sub(r"(FieldRef\.)?(Name|FieldPath|Nested)\(|\)", "", missing[1])
    return ValueError(
        f"where names the column {name!r}, which the catalogue lacks"
        f"{did_you_mean(name, table.column_names)}; its columns are "
        f"{preview(table.column_names, 20)}"
    )


def _shown(where: Any) -> str:
    text = str(where)
    return text if len(text) <= 200 else text[:200] + "..."


def _types_in(where: Any, table: pa.Table) -> str:
    """Return the types of the columns that an expression names."""
    words = set(re.findall(r"\w+", str(where)))
    types = [f"{field.name!r} is {field.type}" for field in table.schema if field.name in words]
    return f" (column {', '.join(types)})" if types else ""
