"""Conversion of a data set: reads the owner's files, writes Arrow tables, and reports progress."""

from __future__ import annotations

import hashlib
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.messages import say
from skrec.datasets._files.files import (
    AnyPath,
    OnRead,
    iterate_parquet,
    iterate_rows,
    read_csv_columns,
)
from skrec.datasets._files.json_lines import iterate_json_lines, iterate_json_member

REPORT_INTERVAL = 5.0  # seconds between two lines of progress


class Converter:
    """Read the files of a data set, and write its tables.

    Parameters
    ----------
    folder : Path
        Folder for the written tables.
    verbose : bool
        Whether to print progress.

    Attributes
    ----------
    sources : dict of str to str or None
        Paths of the files that were read, with their SHA-256. The SHA-256 is None if a file was
        not read from its first to its last byte, or if it is an archive.
    """

    def __init__(self, folder: Path, verbose: bool):
        self.folder, self.verbose = folder, verbose
        self.sources: dict[str, str | None] = {}
        self._last_report = time.monotonic()

    def read_rows(
        self, file: AnyPath, types: dict[str, pa.DataType], *args: Any, **options: Any
    ) -> Iterator[tuple[int, pa.Table]]:
        """Read delimited text in blocks. See `iterate_rows` for the parameters."""
        n_rows = 0
        with self._observe(file) as on_read:
            for n_before, table in iterate_rows(file, types, *args, on_read=on_read, **options):
                yield n_before, table
                n_rows += table.num_rows
        say(f"{file.name}: all {n_rows:,} rows read", self.verbose)

    def read_table(self, *args: Any, **options: Any) -> pa.Table:
        """Read delimited text as one table. See `iterate_rows` for the parameters."""
        return pa.concat_tables(table for _, table in self.read_rows(*args, **options))

    def read_json_lines(self, file: Path, types: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
        """Read some fields of JSON objects in blocks. See `iterate_json_lines`."""
        with self._observe(file) as on_read:
            yield from self._report_rows(file.name, iterate_json_lines(file, types, on_read))

    def read_json_member(
        self,
        path: Path,
        archive: tarfile.TarFile,
        member: tarfile.TarInfo,
        types: Mapping[str, pa.DataType],
    ) -> Iterator[pa.Table]:
        """Read some fields of JSON objects in an archive. See `iterate_json_member`."""
        self.sources.setdefault(str(path))
        return self._report_rows(member.name, iterate_json_member(path, archive, member, types))

    def read_csv_columns(self, file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some columns of a CSV file. See the function `read_csv_columns`."""
        with self._observe(file) as on_read:
            table = read_csv_columns(file, types, on_read)
        say(f"{file.name}: all {table.num_rows:,} rows read", self.verbose)
        return table

    def read_parquet(self, file: Path, columns: list[str]) -> Iterator[pa.Table]:
        """Read some columns of a parquet file in blocks."""
        self.sources.setdefault(str(file))
        return self._report_rows(file.name, iterate_parquet(file, columns))

    def write(self, name: str, tables: Iterable[pa.Table]) -> pa.Table:
        """Write tables with the same schema into one file, and return it as a mapped table."""
        return write_table(self.folder / f"{name}.arrow", tables)

    def write_train_valid(
        self, tables: Iterable[pa.Table], valid_days: int
    ) -> tuple[pa.Table, pa.Table]:
        """Split rows by the column `time` into train and valid, and write both.

        The last day is known only after the last table. Rows that are late so far therefore go to
        a temporary file, which is split again at the end.

        Parameters
        ----------
        tables : iterable of pyarrow.Table
        valid_days : int
            Number of days up to the last one whose rows become valid.

        Returns
        -------
        train, valid : pyarrow.Table
        """
        if not valid_days:
            train = self.write("train", tables)
            return train, train.slice(0, 0)
        last: Any = np.datetime64("0001-01-01", "D")
        late_file = self.folder / "late.arrow"

        def early_rows() -> Iterator[pa.Table]:
            nonlocal last
            with _open_writer(late_file) as write:
                for table in tables:
                    last = _days(table).max(initial=last)
                    early, late = _split_by_day(table, last, valid_days)
                    write(late)
                    yield early
            for part in _iterate_batches(map_table(late_file)):
                yield _split_by_day(part, last, valid_days)[0]

        train = self.write("train", early_rows())
        late_rows = _iterate_batches(map_table(late_file))
        valid = (_split_by_day(part, last, valid_days)[1] for part in late_rows)
        return train, self.write("valid", valid)

    @contextmanager
    def _observe(self, file: AnyPath) -> Iterator[OnRead]:
        """Yield a callback for the bytes of a file, which reports progress and hashes them."""
        if isinstance(file, zipfile.Path):
            self.sources.setdefault(str(file.root.filename))
            size = file.root.getinfo(file.at).file_size
        else:
            self.sources.setdefault(str(file))
            size = file.stat().st_size
        digest, n_read = hashlib.sha256(), 0

        def on_read(data: bytes) -> None:
            nonlocal n_read
            digest.update(data)
            n_read += len(data)
            self._report(f"{file.name}: {n_read / size:.0%} of {size / 1e6:,.0f} MB")

        yield on_read
        if n_read == size and not isinstance(file, zipfile.Path):
            self.sources[str(file)] = digest.hexdigest()

    def _report_rows(self, name: str, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield tables, and report the number of rows so far."""
        n_rows = 0
        for table in tables:
            yield table
            n_rows += table.num_rows
            self._report(f"{name}: {n_rows:,} rows")
        say(f"{name}: all {n_rows:,} rows read", self.verbose)

    def _report(self, text: str) -> None:
        """Print a line of progress, at most one per `REPORT_INTERVAL`."""
        if time.monotonic() - self._last_report > REPORT_INTERVAL:
            self._last_report = time.monotonic()
            say(text, self.verbose)


def _days(table: pa.Table) -> np.ndarray:
    """Return the day of each row, as datetime64[D]."""
    return table["time"].to_numpy().astype("datetime64[D]")


def _split_by_day(table: pa.Table, last: np.datetime64, n_days: int) -> tuple[pa.Table, pa.Table]:
    """Split a table into the rows before the `n_days` up to the day `last`, and all others."""
    is_late = _days(table) > last - np.timedelta64(n_days, "D")
    return table.filter(pa.array(~is_late)), table.filter(pa.array(is_late))


def _iterate_batches(table: pa.Table) -> Iterator[pa.Table]:
    """Yield an empty table, which carries the schema, and then the batches of a table."""
    yield table.slice(0, 0)
    for batch in table.to_batches():
        yield pa.table(batch)


def write_table(path: Path, tables: Iterable[pa.Table]) -> pa.Table:
    """Write one or more tables with the same schema into an Arrow file, and map the file."""
    with _open_writer(path) as write:
        for table in tables:
            write(table)
    return map_table(path)


@contextmanager
def _open_writer(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that appends a table to an Arrow file."""
    with ExitStack() as stack:
        sink = stack.enter_context(pa.OSFile(str(path), "wb"))
        writer: Any = None

        def write(table: pa.Table) -> None:
            nonlocal writer
            if writer is None:
                writer = stack.enter_context(pa.ipc.new_file(sink, table.schema))
            writer.write_table(table)

        yield write


def map_table(path: Path) -> pa.Table:
    """Map the table of an Arrow file into memory without loading it."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
