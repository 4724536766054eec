"""Data sets as text and as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skrec._common.html_view import fold, paragraph, preformatted, shorten, view
from skrec._data.items import Items
from skrec._data.view import items_table, shape_of, table_view

WIDTH = 100


def as_text(data: Mapping[str, Any]) -> str:
    """Return one line per entry of a data set."""
    lines = [f"  {name}: {describe(value)}" for name, value in dict(data).items()]
    shown = (line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines)
    return "\n".join(["DataBunch", *shown])


def as_html(data: Mapping[str, Any]) -> str:
    """Return the entries of a data set: previews of tables, and descriptions of others."""
    parts = []
    for name, value in dict(data).items():
        title = f"{name}: {describe(value)}"
        if isinstance(value, Items):
            parts.append(fold(title, items_table(value), is_open=True))
        elif shape_of(value) is not None:
            parts.append(fold(title, table_view(value), is_open=name == "train"))
        elif isinstance(value, str):
            parts.append(fold(title, preformatted(value)))
        else:
            parts.append(paragraph(title))
    return view("DataBunch", *parts)


def describe(value: Any) -> str:
    """Return an entry of a data set in a few words."""
    if isinstance(value, Items):
        return f"{value.n_items:,} items ({', '.join(value.roles) or 'no columns'})"
    shape = shape_of(value)
    if shape is not None:
        columns: Any = getattr(value, "columns", ())
        names = getattr(value, "column_names", columns)
        listed = ", ".join(str(name) for name in names)
        return f"{shape[0]:,} rows, {shape[1]} columns ({listed})"
    if isinstance(value, str):
        return f"text of {len(value):,} characters"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} of shape {shape}"
    if isinstance(value, list | tuple):
        return f"{len(value):,} values: {shorten(value)}"
    if isinstance(value, Mapping):
        return f"{type(value).__name__} of {len(value):,} entries"
    return shorten(value)
