"""Catalogues as parquet files, with roles in the metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from skrec._data.items import Items

KEY = b"skrec"  # of the metadata


def write_items(items: Items, path: Path) -> None:
    """Write a catalogue to a parquet file."""
    import pyarrow.parquet as pq

    about = json.dumps({"id": items.id, "roles": items.roles}).encode()
    columns = {items.id: items._ids, **{name: items.column(name) for name in items.roles}}
    pq.write_table(pa.table(columns).replace_schema_metadata({KEY: about}), path)


def read_items(path: Path) -> Items:
    """Read a catalogue that `write_items` wrote.

    Parameters
    ----------
    path : Path
        The parquet file.

    Returns
    -------
    Items

    Raises
    ------
    ValueError
        If the file was not written by `write_items`.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    if set(about) != {"id", "roles"} or {about["id"], *about["roles"]} != set(table.column_names):
        raise ValueError(f"{path.name} is no catalogue of skrec")
    columns = {name: table.column(name).combine_chunks() for name in about["roles"]}
    return Items._make(
        about["id"], table.column(about["id"]).combine_chunks(), columns, about["roles"]
    )
