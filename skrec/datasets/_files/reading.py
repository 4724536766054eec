"""How a data set is converted: files are read, tables are written, and progress is told."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skrec.datasets._files.files import iterate_parquet, iterate_rows, read_columns
from skrec.datasets._files.json_lines import iterate_json_lines, iterate_json_member

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
    sources : dict of str to str or None
        The files that were read, and their SHA-256 where all of a file passed by.
    """

    def __init__(self, folder: Path, verbose: bool):
        self.folder, self.verbose = folder, verbose
        self.sources: dict[str, str | None] = {}
        self._last_said = time.monotonic()

    def rows(
        self, file: Any, types: dict[str, pa.DataType], *args: Any, **options: Any
    ) -> Iterator:
        """Read a file block by block, as `iterate_rows` does."""
        n_rows = 0
        with self._watched(file) as seen:
            for n_before, table in iterate_rows(file, types, *args, seen=seen, **options):
                yield n_before, table
                n_rows += table.num_rows
        self.say(f"{file.name}: all {n_rows:,} rows read")

    def table(self, *args: Any, **options: Any) -> pa.Table:
        """Read a file whole, as `iterate_rows` does in blocks."""
        return pa.concat_tables(table for _, table in self.rows(*args, **options))

    def json_lines(self, file: Path, types: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
        """Read some fields of JSON objects, as `iterate_json_lines` does."""
        with self._watched(file) as seen:
            yield from self._counted(file.name, iterate_json_lines(file, types, seen))

    def json_member(
        self,
        path: Path,
        archive: tarfile.TarFile,
        member: tarfile.TarInfo,
        types: Mapping[str, pa.DataType],
    ) -> Iterator[pa.Table]:
        """Read some fields of JSON objects in a file of an archive."""
        self.sources.setdefault(str(path))
        return self._counted(member.name, iterate_json_member(path, archive, member, types))

    def columns(self, file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some columns of a CSV file, as `read_columns` does."""
        with self._watched(file) as seen:
            table = read_columns(file, types, seen)
        self.say(f"{file.name}: all {table.num_rows:,} rows read")
        return table

    def parquet(self, file: Path, columns: list[str]) -> Iterator[pa.Table]:
        """Read some columns of a parquet file, block by block."""
        self.sources.setdefault(str(file))
        return self._counted(file.name, iterate_parquet(file, columns))

    def _counted(self, name: str, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        n_rows = 0
        for table in tables:
            yield table
            n_rows += table.num_rows
            self._say_sometimes(f"{name}: {n_rows:,} rows")
        self.say(f"{name}: all {n_rows:,} rows read")

    @contextmanager
    def _watched(self, file: Any) -> Iterator[Callable[[bytes], None]]:
        """Yield what is to be told all bytes of a file, in their order."""
        if isinstance(file, zipfile.Path):
            self.sources.setdefault(str(file.root.filename))
            size = file.root.getinfo(file.at).file_size
        else:
            self.sources.setdefault(str(file))
            size = file.stat().st_size
        digest, n_seen = hashlib.sha256(), 0

        def see(data: bytes) -> None:
            nonlocal n_seen
            digest.update(data)
            n_seen += len(data)
            self._say_sometimes(f"{file.name}: {n_seen / size:.0%} of {size / 1e6:,.0f} MB")

        yield see
        if n_seen == size and not isinstance(file, zipfile.Path):
            self.sources[str(file)] = digest.hexdigest()

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

    def write_days(self, tables: Iterable[pa.Table], n_days: int) -> tuple[pa.Table, pa.Table]:
        """Write the rows before the last days, and those of the last days, by the column `time`.

        Rows go to the late ones as long as no later day was seen; what turned out to be early
        follows behind the other early rows.
        """
        if not n_days:
            train = self.write("train", tables)
            return train, train.slice(0, 0)
        last: Any = np.datetime64("0001-01-01", "D")

        def early_rows() -> Iterator[pa.Table]:
            nonlocal last
            with _writer(self.folder / "late.arrow") as write:
                for table in tables:
                    last = _days(table).max(initial=last)
                    early, late = _split(table, last, n_days)
                    write(late)
                    yield early
            yield from (_split(part, last, n_days)[0] for part in _parts(late_rows()))

        def late_rows() -> pa.Table:
            return map_table(self.folder / "late.arrow")

        train = self.write("train", early_rows())
        return train, self.write(
            "valid", (_split(part, last, n_days)[1] for part in _parts(late_rows()))
        )


def _days(table: pa.Table) -> np.ndarray:
    return table["time"].to_numpy().astype("datetime64[D]")


def _split(table: pa.Table, last: np.datetime64, n_days: int) -> tuple[pa.Table, pa.Table]:
    """Split the rows of the `n_days` up to the last one off."""
    late = _days(table) > last - np.timedelta64(n_days, "D")
    return table.filter(pa.array(~late)), table.filter(pa.array(late))


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    yield table.slice(0, 0)
    for batch in table.to_batches():
        yield pa.table(batch)


def write_table(path: Path, tables: Iterable[pa.Table]) -> pa.Table:
    """Write tables of one schema, at least one, into an Arrow file, and map it."""
    with _writer(path) as write:
        for table in tables:
            write(table)
    return map_table(path)


@contextmanager
def _writer(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what writes tables of one schema into an Arrow file."""
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
    """Return the table of an Arrow file, without loading it."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
