"""Catalogues of any form as a table with an id column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import did_you_mean, preview
from skrec._data.arrow import as_ids, to_arrow
from skrec._data.roles import ROLES, role_of
from skrec._data.table import Table, is_table


def catalogue_table(data: Any, id: str) -> Table:
    """Convert a catalogue of any form to a table with an id column; see `Items`."""
    if data is None or (isinstance(data, str) and not is_table(data)):
        raise TypeError(f"a catalogue is a DataFrame-like, mapping or list, got {data!r}")
    if isinstance(data, pd.DataFrame) and is_indexed_by(data, id):
        return Table(data.reset_index())
    if isinstance(data, pd.Series):
        return Table({id: data.index, _text_name(data.name, id): data})
    if isinstance(data, Mapping) and id not in data and not _holds_columns(data):
        return Table({id: list(data.keys()), "text": list(data.values())})
    if is_table(data):
        return Table(data)
    if not isinstance(data, Iterable):
        raise TypeError(
            f"a catalogue is a DataFrame-like, a mapping of id to text or a list of texts, "
            f"got {type(data).__name__}"
        )
    texts = to_arrow(data, "the texts of the catalogue")
    if len(texts) and role_of(texts.type, "text") != "text":
        raise TypeError(f"a list that is a catalogue must hold texts, got {texts.type}")
    return Table({id: range(len(texts)), "text": texts})


def is_indexed_by(data: Any, id: str) -> bool:
    """Whether `data` is a data frame, or a Series of texts, whose index has the name `id`."""
    if isinstance(data, pd.DataFrame):
        return data.index.name == id and id not in data
    return (
        isinstance(data, pd.Series)
        and data.index.name == id
        and pd.api.types.infer_dtype(data) == "string"
    )


def _text_name(name: Any, id: str) -> str:
    """Return the name of the column for a Series of texts: that of the Series, or "text"."""
    return name if isinstance(name, str) and name != id else "text"


def _holds_columns(data: Mapping) -> bool:
    """Whether the values of a mapping are columns rather than texts."""
    return any(not isinstance(value, str) and value is not None for value in data.values())


def read_ids(column: pa.ChunkedArray) -> pa.Array:
    """Return the ids of a catalogue, or raise a ValueError if they are empty or not distinct."""
    ids = as_ids(column, "the catalogue's ids").combine_chunks()
    if not len(ids):
        raise ValueError("the catalogue is empty; it must hold at least one item")
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = ids.value_counts()
        twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
        raise ValueError(
            f"{len(twice)} ids of the catalogue are duplicate: {preview(twice.to_pylist())}; "
            "keep one row each"
        )
    return ids


def check_roles(roles: Mapping[str, str] | None, names: list[str]) -> None:
    """Raise a ValueError if `roles` has a key that is not in `names`, or an invalid role."""
    if roles is not None and not isinstance(roles, Mapping):
        raise TypeError(
            f"roles must map names of columns to roles, such as {{'genre_id': 'category'}}, "
            f"got {roles!r}"
        )
    for name, role in (roles or {}).items():
        if name not in names:
            raise ValueError(
                f"roles names a column {name!r} that the catalogue lacks{did_you_mean(name, names)}"
            )
        if not isinstance(role, str) or role not in ROLES:
            raise ValueError(
                f"the role of column {name!r} must be one of {preview(ROLES)}, got {role!r}"
            )
