"""Converted copies of data sets: read once from the owner's files, then mapped into memory.

A copy is a folder below `data_home`: an Arrow file a table, the catalogue as parquet, and
``copy.json``, which says what the copy was made of. Arrow files are mapped and never loaded whole,
so that the tables may be larger than memory; parquet would have to be unpacked.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._item_files import read_items, write_items
from skrec._items import Items
from skrec.datasets._bunch import DataBunch
from skrec.datasets._files import (
    iterate_parquet,
    iterate_rows,
    read_columns,
    read_json_lines,
)
from skrec.datasets._home import get_data_home

FORMAT = "skrec data set 1"
_ABOUT = "copy.json"
SECONDS = 5.0  # between two lines of progress


class Reading:
    """One conversion: what it read, where its tables go, and what it says on the way.

    Parameters
    ----------
    folder : Path
        For tables.
    verbose : bool
        Whether progress is printed.

    Attributes
    ----------
    sources : list of str
        The files that were read.
    """

    def __init__(self, folder: Path, verbose: bool):
        self.folder, self.verbose = folder, verbose
        self.sources: list[str] = []
        self._last_said = time.monotonic()

    def rows(
        self, file: Any, types: dict[str, pa.DataType], *args: Any, **options: Any
    ) -> Iterator:
        """Read a file block by block, as `iterate_rows` does."""
        self._begin(file)
        n_rows = 0
        for n_before, table in iterate_rows(file, types, *args, **options):
            yield n_before, table
            n_rows = n_before + table.num_rows
            self._say_sometimes(f"{file.name}: {n_rows:,} lines")
        self._end(file, n_rows)

    def table(
        self, file: Any, types: dict[str, pa.DataType], *args: Any, **options: Any
    ) -> pa.Table:
        """Read a file whole, as `iterate_rows` does in blocks."""
        tables = [table for _, table in self.rows(file, types, *args, **options)]
        return pa.concat_tables(tables or [pa.schema(list(types.items())).empty_table()])

    def json_lines(self, file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some fields of JSON objects, as `read_json_lines` does."""
        return self._whole(read_json_lines, file, types)

    def columns(self, file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some columns of a CSV file, as `read_columns` does."""
        return self._whole(read_columns, file, types)

    def parquet(self, file: Path, columns: list[str]) -> Iterator[pa.Table]:
        """Read some columns of a parquet file, block by block."""
        self._begin(file)
        n_rows = 0
        for table in iterate_parquet(file, columns):
            yield table
            n_rows += table.num_rows
            self._say_sometimes(f"{file.name}: {n_rows:,} rows")
        self._end(file, n_rows)

    def _whole(self, read: Callable, file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
        self._begin(file)
        size = file.stat().st_size

        def seen(n_bytes: int) -> None:
            self._say_sometimes(f"{file.name}: {n_bytes / size:.0%} of {size / 1e6:,.0f} MB")

        table = read(file, types, seen)
        self._end(file, table.num_rows)
        return table

    def _begin(self, file: Any) -> None:
        source = str(file.root.filename if isinstance(file, zipfile.Path) else file)
        if source not in self.sources:
            self.sources.append(source)

    def _end(self, file: Any, n_rows: int) -> None:
        self.say(f"{file.name}: all {n_rows:,} rows read")

    def say(self, text: str) -> None:
        """Print a line, if that is wanted."""
        if self.verbose:
            print(f"[skrec] {text}", file=sys.stderr, flush=True)

    def _say_sometimes(self, text: str) -> None:
        if time.monotonic() - self._last_said > SECONDS:
            self._last_said = time.monotonic()
            self.say(text)

    def write(self, name: str, tables: Iterable[pa.Table]) -> pa.Table:
        """Write tables of one schema into a file, and return them as one that is mapped."""
        return write_table(self.folder / f"{name}.arrow", tables)

    def split_days(self, table: pa.Table, n_days: int) -> tuple[pa.Table, pa.Table]:
        """Split the last days of a table with the column `time` off, as train and valid."""
        if not n_days or not table.num_rows:
            return table, table.slice(0, 0)
        day = table["time"].to_numpy().astype("datetime64[D]")
        late = day > day.max() - np.timedelta64(n_days, "D")
        return self.write("train", _filtered(table, ~late)), self.write(
            "valid", _filtered(table, late)
        )


def _filtered(table: pa.Table, kept: np.ndarray) -> Iterator[pa.Table]:
    yield table.slice(0, 0)
    first = 0
    for batch in table.to_batches():
        yield pa.table(batch.filter(pa.array(kept[first : first + len(batch)])))
        first += len(batch)


def write_table(path: Path, tables: Iterable[pa.Table]) -> pa.Table:
    """Write tables of one schema, at least one, into an Arrow file, and map it."""
    tables = iter(tables)
    first = next(tables)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
    return map_table(path)


def map_table(path: Path) -> pa.Table:
    """Return the table of an Arrow file, without loading it."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def kept_copy(
    family: str,
    path: str | os.PathLike[str],
    settings: dict[str, Any],
    read: Callable[..., DataBunch],
    *,
    data_home: str | os.PathLike[str] | None,
    verbose: bool,
) -> DataBunch:
    """Return a data set from its converted copy, which is made first where there is none.

    A copy counts while the files it was made of are as they were: of the same size and time, else
    of the same SHA-256.

    Parameters
    ----------
    family : str
        Of the data set.
    path : str or path-like
        Where the owner's files are.
    settings : dict
        All else that the result depends on.
    read : callable
        Called with `path`, a `Reading` and the settings; returns the data, to which the files
        that were read are added as `sources`.
    data_home : str, path-like or None
        As `get_data_home` takes it.
    verbose : bool
        Whether progress is printed.

    Returns
    -------
    DataBunch
    """
    path = Path(path).expanduser().absolute()
    key = _key(family, path, settings)
    if key is None:  # drawn anew in each call
        return _read_only(path, settings, read, verbose)
    try:
        place = get_data_home(data_home) / key
        new = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=place.parent))
    except OSError as error:
        if data_home is not None:
            raise
        warnings.warn(f"no converted copy of {path} is kept: {error}", stacklevel=4)
        return _read_only(path, settings, read, verbose)
    try:
        data = _opened(place)
        if data is None:
            _write_copy(new, _read(path, settings, read, Reading(new, verbose)))
            shutil.rmtree(place, ignore_errors=True)
            # another process may have put its copy there, which is as good
            if not place.exists():
                new.rename(place)
            data = _opened(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    assert data is not None
    return data


def _read(path: Path, settings: dict, read: Callable, reading: Reading) -> DataBunch:
    data = read(path, reading, **settings)
    data["sources"] = reading.sources
    return data


def _read_only(path: Path, settings: dict, read: Callable, verbose: bool) -> DataBunch:
    # what is mapped stays readable when its file has no name any more
    with tempfile.TemporaryDirectory(prefix="skrec-", ignore_cleanup_errors=True) as folder:
        return _read(path, settings, read, Reading(Path(folder), verbose))


def _key(family: str, path: Path, settings: dict[str, Any]) -> str | None:
    """Return the name of a copy; None where settings hold a generator, or None as a seed."""
    if settings.get("random_state", 0) is None:
        return None
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    try:
        described = json.dumps([FORMAT, family, str(path), names, settings], sort_keys=True)
    except TypeError:
        return None
    return f"{family}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def _write_copy(folder: Path, data: DataBunch) -> None:
    about: dict[str, Any] = {"tables": [], "values": {}, "sources": []}
    for name, value in dict(data).items():
        if isinstance(value, Items):
            write_items(value, folder / "items.parquet")
        elif isinstance(value, pa.Table):
            if not (folder / f"{name}.arrow").exists():
                write_table(folder / f"{name}.arrow", [value])
            about["tables"].append(name)
        else:
            about["values"][name] = value
    for file in folder.glob("*.arrow"):
        if file.stem not in about["tables"]:
            file.unlink()  # rows before they were split
    for source in data.sources:
        state = os.stat(source)
        about["sources"].append([source, state.st_size, state.st_mtime_ns, _digest(source)])
    (folder / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def _opened(folder: Path) -> DataBunch | None:
    """Return the copy in a folder; None where there is none, or its sources have changed."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if not all(_is_as_it_was(*source) for source in about["sources"]):
            return None
        tables = {name: map_table(folder / f"{name}.arrow") for name in about["tables"]}
        return DataBunch(items=read_items(folder / "items.parquet"), **tables, **about["values"])
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None  # damaged or cut off: made anew


def _is_as_it_was(source: str, size: int, mtime: int, digest: str) -> bool:
    state = os.stat(source)
    if state.st_size != size:
        return False
    return state.st_mtime_ns == mtime or _digest(source) == digest


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
