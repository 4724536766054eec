"""Rows of X in files that are larger than memory, of which `fit` reads one part after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from skrec._common.checks import check_int
from skrec._common.messages import preview
from skrec._data.rows import NO_ROWS, as_table, kind_of
from skrec._data.table import Table, joined_schema

READ = "history", "candidates", "clicked", "weights"  # columns that training reads
ARROW = ".arrow", ".feather", ".ipc"
SUFFIXES = ".parquet", *ARROW
N_FIRST = 1000  # rows that show the form of all
N_PER_READ = 1 << 16  # rows that are read from a file at a time


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of one row group of a file.

    Attributes
    ----------
    file : int
        Number of the file.
    group : int
        Number of the row group of a parquet file, or of the record batch of an Arrow file.
    start, stop : int
        Range of the rows in the group.
    """

    file: int
    group: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class ShardedInteractions:
    """Rows of X in files, which `fit` reads in parts; see `Interactions.from_shards`.

    Rows have no order over all files, and can be neither indexed nor counted by ``len``, so that
    scikit-learn does not cut them.

    Attributes
    ----------
    kind : {"impressions", "histories"}
        Kind of the rows.
    columns : list of str
        Names of the columns.
    n_rows : int
        Number of rows in all files.
    """

    def __init__(
        self,
        paths: Any,
        buffer_size: int,
        validation: pa.Table | None,
        rank: int | None,
        world: int | None,
    ):
        check_int("buffer_size", buffer_size)
        _check_rank(rank, world)
        self.buffer_size, self.validation = int(buffer_size), validation
        self.rank, self.world = rank, world
        self._files = [str(file.absolute()) for file in _files_of(paths)]
        opened = [_open(path) for path in self._files]
        self._schema = joined_schema([file.schema for file in opened], self._files)
        self.pieces = [
            Piece(number, group, 0, n_rows)
            for number, file in enumerate(opened)
            for group, n_rows in enumerate(file.group_sizes())
            if n_rows
        ]
        self.columns: list[str] = self._schema.names
        self.n_rows = n_rows_of(self.pieces)
        if not self.n_rows:
            raise ValueError(NO_ROWS)
        self.kind = kind_of(self.first_rows())
        if self.kind == "pairs":
            raise ValueError(
                "sharded rows are impressions or bare histories, and these have a column "
                "'candidate'; write them as impressions, with lists in 'candidates' and 'clicked'"
            )
        if validation is not None and kind_of(as_table(validation)) != self.kind:
            raise ValueError(
                f"validation holds {kind_of(as_table(validation))}, and the shards hold {self.kind}"
            )

    def first_rows(self) -> Table:
        """Return the first rows, with all columns."""
        first = self.pieces[0]
        rows = replace(first, stop=min(first.stop, N_FIRST))
        return Table(next(self.read([rows], [len(rows)], columns=self.columns)))

    def share(self, rank: int, n: int) -> list[Piece]:
        """Return the rows of one of several processes, whose numbers differ by 1 at most.

        A process reads whole row groups, except the first and the last one.
        """
        start, stop = self.n_rows * rank // n, self.n_rows * (rank + 1) // n
        return cut(self.pieces, start, stop)

    def signature(self) -> str:
        """Return a text that is equal if the files have equal names and row groups."""
        names = [Path(path).name for path in self._files]
        return repr((names, self.pieces, self.columns))

    def read(
        self,
        pieces: Sequence[Piece],
        sizes: Sequence[int],
        n_skipped: int = 0,
        columns: Sequence[str] = READ,
    ) -> Iterator[pa.Table]:
        """Read pieces one after another, in tables of given sizes.

        Parameters
        ----------
        pieces : sequence of Piece
            Pieces, in the order in which they are read.
        sizes : sequence of int
            Number of rows of each table. The sum is the number of rows of the pieces.
        n_skipped : int, default=0
            Number of tables to leave out. Row groups that only these contain are not read.
        columns : sequence of str
            Names of the columns to read, if they exist.

        Yields
        ------
        pyarrow.Table
        """
        schema = pa.schema([each for each in self._schema if each.name in columns])
        left = cut(pieces, sum(sizes[:n_skipped]), sum(sizes))
        batches = (batch for piece in left for batch in self._batches(piece, schema))
        rest = schema.empty_table()
        for size in sizes[n_skipped:]:
            parts = [rest]
            while sum(map(len, parts)) < size:
                parts.append(next(batches))
            table = pa.concat_tables(parts)
            del parts
            rest = table.slice(size)
            yield table.slice(0, size)

    def _batches(self, piece: Piece, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read the rows of a piece, a part at a time."""
        position = 0
        for batch in _open(self._files[piece.file]).batches(piece.group, schema.names):
            start, position = position, position + batch.num_rows
            if position <= piece.start:
                continue
            first, last = max(piece.start - start, 0), min(piece.stop - start, batch.num_rows)
            part = pa.Table.from_batches([batch.slice(first, last - first)])
            yield part.select(schema.names).cast(schema)
            if position >= piece.stop:
                return

    def __repr__(self) -> str:
        return (
            f"ShardedInteractions(n_rows={self.n_rows}, kind={self.kind!r}, "
            f"columns={self.columns}, n_files={len(self._files)})"
        )


def n_rows_of(pieces: Sequence[Piece]) -> int:
    """Return the number of rows of some pieces."""
    return sum(map(len, pieces))


def cut(pieces: Sequence[Piece], start: int, stop: int) -> list[Piece]:
    """Return the rows from `start` to `stop` of some pieces, as pieces."""
    found, position = [], 0
    for piece in pieces:
        first = piece.start + max(start - position, 0)
        last = min(piece.stop, piece.start + stop - position)
        if first < last:
            found.append(replace(piece, start=first, stop=last))
        position += len(piece)
    return found


def _check_rank(rank: int | None, world: int | None) -> None:
    """Raise a ValueError unless both or none are given, and the rank is less than the world."""
    if (rank is None) != (world is None):
        raise ValueError(
            f"rank and world belong together, got rank={rank} and world={world}; leave both out to "
            "take those of the processes that train together"
        )
    if rank is not None and world is not None:
        check_int("rank", rank, minimum=0)
        check_int("world", world)
        if rank >= world:
            raise ValueError(f"rank must be less than world={world}, got {rank}")


def _files_of(paths: Any) -> list[Path]:
    """Return the files of a path, a folder, or a list of them, in their order."""
    paths = list(paths) if isinstance(paths, (list, tuple)) else [paths]
    found: list[Path] = []
    for each in paths:
        if not isinstance(each, (str, Path)):
            raise TypeError(
                f"paths must be a file, a folder, or a list of them, got {type(each).__name__}"
            )
        path = Path(each).expanduser()
        if path.is_dir():
            files = [file for file in path.iterdir() if file.suffix in SUFFIXES]
            inside = sorted(file for file in files if file.name[0] not in "._")
            if not inside:
                raise ValueError(f"the folder '{path}' holds no parquet or Arrow files")
            found += inside
        elif not path.exists():
            raise FileNotFoundError(f"there is no file or folder '{path}'")
        else:
            found.append(path)
    if not found:
        raise ValueError("paths is empty; give at least one file")
    twice = {path for path in found if found.count(path) > 1}
    if twice:
        raise ValueError(f"paths holds {preview(sorted(map(str, twice)), 3)} more than once")
    return found


def _open(path: str) -> Any:
    """Return the reader of a file."""
    return ArrowShard(path) if path.endswith(ARROW) else ParquetShard(path)


class ParquetShard:
    """Row groups of a parquet file, which are decoded a part at a time."""

    def __init__(self, path: str):
        import pyarrow.parquet

        try:
            self._file = pyarrow.parquet.ParquetFile(path, memory_map=True)
        except pa.ArrowInvalid as error:
            raise ValueError(f"'{path}' is not a parquet file: {error}") from error
        self.schema = self._file.schema_arrow.remove_metadata()

    def group_sizes(self) -> list[int]:
        """Return the number of rows of each row group."""
        about = self._file.metadata
        return [about.row_group(number).num_rows for number in range(about.num_row_groups)]

    def batches(self, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Read a row group."""
        yield from self._file.iter_batches(N_PER_READ, row_groups=[group], columns=columns)


class ArrowShard:
    """Record batches of an Arrow file, which are mapped into memory."""

    def __init__(self, path: str):
        try:
            self._file = pa.ipc.open_file(pa.memory_map(path))
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"'{path}' is not an Arrow file: {error}. A stream, such as the files of datasets, "
                "can't be read in parts; write it with pyarrow.ipc.new_file"
            ) from error
        self.schema = self._file.schema.remove_metadata()

    def group_sizes(self) -> list[int]:
        """Return the number of rows of each record batch."""
        numbers = range(self._file.num_record_batches)
        return [self._file.get_batch(number).num_rows for number in numbers]

    def batches(self, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Read a record batch."""
        yield self._file.get_batch(group).select(columns)
