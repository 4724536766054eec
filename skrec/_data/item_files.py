"""Catalogues as parquet files, which keep roles beside the columns."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from skrec._data.items import Items

KEY = b"skrec"


def write_items(items: Items, path: Path) -> None:
    """Write a catalogue."""
    import pyarrow.parquet as pq

    about = json.dumps({"id": items.id, "roles": items.roles}).encode()
    columns = {items.id: items._ids, **{name: items.column(name) for name in items.roles}}
    pq.write_table(pa.table(columns).replace_schema_metadata({KEY: about}), path)


def read_items(path: Path) -> Items:
    """Read a catalogue as `write_items` wrote it."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    if set(about) != {"id", "roles"} or {about["id"], *about["roles"]} != set(table.column_names):
        raise ValueError(f"{path.name} is no catalogue of skrec")
    columns = {name: table.column(name).combine_chunks() for name in about["roles"]}
    return Items._make(
        about["id"], table.column(about["id"]).combine_chunks(), columns, about["roles"]
    )
