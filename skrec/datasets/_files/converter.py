"""Conversion of a data set: reads the owner's files, writes Arrow tables, and reports progress."""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.files import sha256
from skrec._common.messages import say, warn
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
    states : dict of str to tuple of int
        Paths of the files, with their states before they were read; see `state_of`.
    """

    def __init__(self, folder: Path, verbose: bool):
        self.folder, self.verbose = folder, verbose
        self.sources: dict[str, str | None] = {}
        self.states: dict[str, tuple[int, ...]] = {}
        self._last_report = time.monotonic()

    def add_source(self, file: Path, state: tuple[int, ...] | None = None) -> None:
        """Note the state of a file. Call it before the file is opened, or pass its state."""
        self.sources.setdefault(str(file))
        self.states.setdefault(str(file), state or state_of(os.stat(file)))

    def changed_sources(self) -> list[str]:
        """Return the files that were changed, replaced or deleted while they were read."""

        def has_state(file: str, state: tuple[int, ...]) -> bool:
            try:
                return state_of(os.stat(file)) == state
            except FileNotFoundError:
                return False

        return [file for file, state in self.states.items() if not has_state(file, state)]

    def hash_sources(self) -> None:
        """Compute the SHA-256 of those files that have none yet."""
        for file, digest in self.sources.items():
            self.sources[file] = digest or sha256(file)

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
        """Read some fields of JSON objects in an archive. See `iterate_json_member`.

        Call `add_source` before the archive is opened.
        """
        return self._report_rows(member.name, iterate_json_member(path, archive, member, types))

    def read_csv_columns(self, file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some columns of a CSV file. See the function `read_csv_columns`."""
        with self._observe(file) as on_read:
            table = read_csv_columns(file, types, on_read)
        say(f"{file.name}: all {table.num_rows:,} rows read", self.verbose)
        return table

    def read_parquet(self, file: Path, columns: list[str]) -> Iterator[pa.Table]:
        """Read some columns of a parquet file in blocks."""
        self.add_source(file)
        return self._report_rows(file.name, iterate_parquet(file, columns))

    def write(self, name: str, tables: Iterable[pa.Table]) -> pa.Table:
        """Write tables with the same schema into one file, and return it as a mapped table."""
        return write_table(self.folder / f"{name}.arrow", tables)

    def write_train_valid(
        self, tables: Iterable[pa.Table], valid_days: int, *, whole_dates: bool = True
    ) -> tuple[pa.Table, pa.Table]:
        """Split rows by the column `time` into train and valid, and write both.

        The last time is known only after the last table. Rows that are late so far therefore go to
        a temporary file, which is split again at the end.

        Parameters
        ----------
        tables : iterable of pyarrow.Table
        valid_days : int
            Number of days up to the last one whose rows become valid.
        whole_dates : bool, default=True
            Whether a day is a date. Otherwise, it is 24 hours, counted back from the last row.

        Returns
        -------
        train, valid : pyarrow.Table
        """
        if not valid_days:
            train = self.write("train", tables)
            return train, train.slice(0, 0)
        last: Any = np.datetime64("0001-01-01T00:00:00", "us")
        late_file = self.folder / "late.arrow"

        def split(table: pa.Table) -> tuple[pa.Table, pa.Table]:
            return _split_by_time(table, last, valid_days, whole_dates)

        def early_rows() -> Iterator[pa.Table]:
            nonlocal last
            with _open_writer(late_file) as write:
                for table in tables:
                    last = _times(table).max(initial=last)
                    early, late = split(table)
                    write(late)
                    yield early
            for part in _iterate_batches(map_table(late_file)):
                yield split(part)[0]

        train = self.write("train", early_rows())
        late_rows = _iterate_batches(map_table(late_file))
        valid = self.write("valid", (split(part)[1] for part in late_rows))
        if valid.num_rows and not train.num_rows:
            warn(
                f"valid_days={valid_days} leaves train empty: all impressions are in these days",
            )
        return train, valid

    @contextmanager
    def _observe(self, file: AnyPath) -> Iterator[OnRead]:
        """Yield a callback for the bytes of a file, which reports progress and hashes them."""
        if isinstance(file, zipfile.Path):
            archive: Any = file.root
            # the archive is open, and another file can have its name by now
            self.add_source(archive.filename, state_of(os.fstat(archive.fp.fileno())))
            size = archive.getinfo(file.at).file_size
        else:
            self.add_source(file)
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


def state_of(state: os.stat_result) -> tuple[int, ...]:
    """Return numbers that differ if a file was changed, or if it is another one with its name."""
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _times(table: pa.Table) -> np.ndarray:
    """Return the time of each row, as datetime64[us]."""
    return table["time"].to_numpy().astype("datetime64[us]")


def _split_by_time(
    table: pa.Table, last: np.datetime64, n_days: int, whole_dates: bool
) -> tuple[pa.Table, pa.Table]:
    """Split a table into the rows before the `n_days` up to the time `last`, and all others."""
    times = _times(table)
    if whole_dates:
        is_late = times.astype("datetime64[D]") > last.astype("datetime64[D]") - n_days
    else:
        is_late = times > last - np.timedelta64(24 * n_days, "h")
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
