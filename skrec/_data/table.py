"""Tables of any type as named Arrow columns.

`Table` reads data frames, Arrow tables and mappings, which are in memory. It also reads parquet
files and `datasets.Dataset`, which may be larger than memory: `ParquetColumns` and `DatasetColumns`
read their columns in chunks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from skrec._data.arrow import refuse_invalid_text, to_arrow, without_view

ROWS = 1 << 16  # rows per chunk that is read from a file


def is_table(data: Any) -> bool:
    """Whether `data` has named columns: a data frame, Arrow table, mapping or parquet path."""
    return (
        isinstance(data, (pd.DataFrame, pa.Table, pa.RecordBatch, Mapping))
        or (hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns"))
        or _is_dataset(data)
        or _is_parquet_path(data)
        or _is_lazy(data)
    )


def _is_parquet_path(data: Any) -> bool:
    """Whether `data` is a path object, a str that ends in .parquet or names a folder, or a list.

    The entries of a list are path objects, or end in .parquet.
    """
    if isinstance(data, (list, tuple)) and data:
        return all(
            isinstance(path, os.PathLike) or (isinstance(path, str) and path.endswith(".parquet"))
            for path in data
        )
    if isinstance(data, str):
        return data.endswith(".parquet") or os.path.isdir(os.path.expanduser(data))
    return isinstance(data, os.PathLike)


def _is_dataset(data: Any) -> bool:
    """Whether `data` is a `datasets.Dataset`, without importing that package."""
    return hasattr(data, "with_format") and hasattr(data, "column_names")


def _is_lazy(data: Any) -> bool:
    """Whether `data` is a polars LazyFrame, without importing that package."""
    return hasattr(data, "collect_schema") and not hasattr(data, "__arrow_c_stream__")


class Table:
    """Named columns that are converted to Arrow when first requested, and then kept.

    Parameters
    ----------
    data : pandas.DataFrame, pyarrow.Table, mapping, datasets.Dataset, parquet path or list of \
            them, or any Arrow exporter
        The columns. Those of files and data sets are read when requested.

    Attributes
    ----------
    names : list of str
        Names of the columns, except names that are not strings.

    Raises
    ------
    TypeError
        If `data` is no table, a polars LazyFrame, or a data set of several splits or without a
        length.
    """

    def __init__(self, data: Any):
        if _is_parquet_path(data):
            data = ParquetColumns(data)
        elif _is_dataset(data):
            data = DatasetColumns(data)
        elif _is_lazy(data):
            raise TypeError(
                "got a LazyFrame, which holds a query but no rows; call collect() on it"
            )
        elif not isinstance(data, (pd.DataFrame, pa.Table, Mapping)):
            if not hasattr(data, "__arrow_c_stream__"):
                raise TypeError(
                    "a table is a data frame of pandas or polars, an Arrow table, a mapping of "
                    f"columns or the path of a parquet file, got {type(data).__name__}"
                )
            data = _exported(data)
        self._streams = isinstance(data, (ParquetColumns, DatasetColumns))
        self._arrow: dict[str, pa.ChunkedArray] = {}
        self._data = data
        names = list(data) if isinstance(data, (pd.DataFrame, Mapping)) else data.column_names
        self.names = [name for name in names if isinstance(name, str)]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @property
    def files(self) -> list[str]:
        """Absolute paths of the parquet files with the columns; empty for other tables."""
        is_file = isinstance(self._data, ParquetColumns)
        return [str(path.absolute()) for path in self._data.files] if is_file else []

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column.

        Parameters
        ----------
        name : str
            One of `names`.

        Returns
        -------
        pyarrow.ChunkedArray

        Raises
        ------
        ValueError
            If values have mixed types, if several columns have this name, or if the column differs
            in length from the columns that were requested before, which can happen in a mapping.
        """
        if name not in self._arrow:
            self._check_unique(name)
            column = to_arrow(self._data[name], f"column {name!r}")
            for other, first in self._arrow.items():
                if len(column) != len(first):
                    raise ValueError(
                        f"column {name!r} has {len(column)} rows but column {other!r} has "
                        f"{len(first)}"
                    )
            self._arrow[name] = column
        return self._arrow[name]

    def chunks(self, name: str) -> Iterable[pa.Array]:
        """Return the chunks of a column; those of a file are read one by one and not kept."""
        if not self._streams or name in self._arrow:
            return self.column(name).chunks
        self._check_unique(name)
        return self._chunks_of_file(name)

    def _chunks_of_file(self, name: str) -> Iterator[pa.Array]:
        """Yield the chunks of a column of a file."""
        for chunk in self._data.chunks(name):
            refuse_invalid_text([chunk], f"column {name!r}")
            yield without_view(chunk)

    def batches(self, names: list[str], size: int) -> Iterator[pa.Table]:
        """Read several columns together, at most `size` rows at a time.

        Parameters
        ----------
        names : list of str
            Distinct entries of `names`.
        size : int
            Number of rows.

        Yields
        ------
        pyarrow.Table
            The next rows. Those of a file are not kept.
        """
        if not self._streams:
            table = pa.table({name: self.column(name) for name in names})
            yield from (table.slice(at, size) for at in range(0, table.num_rows, size))
            return
        for name in names:
            self._check_unique(name)
        for batch in self._data.batches(names, size):
            # to_arrow refuses invalid text, and replaces views
            yield pa.table({name: to_arrow(batch[name], f"column {name!r}") for name in names})

    def type(self, name: str) -> pa.DataType:
        """Return the type of a column."""
        return self._data.type(name) if self._streams else self.column(name).type

    def length(self, name: str) -> int:
        """Return the number of rows of a column."""
        return self._data.n_rows if self._streams else len(self.column(name))

    def _check_unique(self, name: str) -> None:
        if self.names.count(name) > 1:
            raise ValueError(f"there are several columns named {name!r}; keep one")


def _exported(data: Any) -> pa.Table:
    """Return the table of an object that exports Arrow data, or raise a TypeError for a column."""
    try:
        return pa.table(data)
    except pa.ArrowInvalid as error:
        raise TypeError(
            f"a table with named columns is needed, got a single column, a {type(data).__name__}"
        ) from error


class ParquetColumns:
    """Columns of a parquet file, or of several parquet files with the same columns.

    Parameters
    ----------
    path : str, path-like, or list of these
        A file, or a folder whose files are read in the order of their names. Subfolders are not
        read. The entries of a list are read in its order.

    Attributes
    ----------
    files : list of Path
        The files.
    column_names : list of str
        Names of the columns.

    Raises
    ------
    FileNotFoundError
        If the path does not exist.
    ValueError
        If the folder has no parquet files, if a file has another format, or if files differ in
        their columns.
    """

    def __init__(self, path: Any):
        paths = path if isinstance(path, (list, tuple)) else [path]
        self.files = [file for each in paths for file in _files(Path(each).expanduser())]
        self._schema = _schema(self.files)
        self.column_names: list[str] = self._schema.names

    @property
    def n_rows(self) -> int:
        """Number of rows in all files."""
        import pyarrow.parquet

        return sum(pyarrow.parquet.read_metadata(file).num_rows for file in self.files)

    def type(self, name: str) -> pa.DataType:
        """Return the type of a column."""
        return self._schema.field(name).type

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Read a column in chunks."""
        import pyarrow.parquet

        kind = self.type(name)
        for path in self.files:
            with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
                for batch in file.iter_batches(ROWS, columns=[name]):
                    yield batch.column(0).cast(kind)

    def batches(self, names: list[str], size: int) -> Iterator[pa.Table]:
        """Read several columns together, at most `size` rows at a time."""
        import pyarrow.parquet

        schema = pa.schema([(name, self.type(name)) for name in names])
        for path in self.files:
            with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
                for batch in file.iter_batches(size, columns=names):
                    yield pa.table(batch).select(names).cast(schema)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array(self.chunks(name), self.type(name))


def _files(path: Path) -> list[Path]:
    """Return a parquet file, or the parquet files of a folder, sorted by name."""
    if path.is_dir():
        files = sorted(file for file in path.glob("*.parquet") if file.name[0] not in "._")
        if not files:
            raise ValueError(f"the folder '{path}' holds no parquet files")
        return files
    if not path.exists():
        raise FileNotFoundError(f"there is no parquet file or folder '{path}'")
    return [path]


def _schema(files: list[Path]) -> pa.Schema:
    """Return one schema for all files, or raise if their columns differ."""
    import pyarrow.parquet

    schemas = []
    for file in files:
        try:
            schemas.append(pyarrow.parquet.read_schema(file))
        except pa.ArrowInvalid as error:
            raise ValueError(f"'{file}' is not a parquet file: {error}") from error
    return joined_schema(schemas, files)


def joined_schema(schemas: Sequence[pa.Schema], files: Sequence[Any]) -> pa.Schema:
    """Return one schema for the schemas of files, or raise if their columns differ.

    Parameters
    ----------
    schemas : sequence of pyarrow.Schema
        The schema of each file.
    files : sequence of str or Path
        Paths of the files, for error messages.

    Returns
    -------
    pyarrow.Schema

    Raises
    ------
    ValueError
        If the files have other columns, or types that no type can hold.
    """
    for schema, file in zip(schemas, files, strict=True):
        if set(schema.names) != set(schemas[0].names):
            raise ValueError(
                f"'{file}' has the columns {schema.names}, but '{files[0]}' has "
                f"{schemas[0].names}; the files of a folder must have the same"
            )
    if len(schemas) == 1:
        return schemas[0]
    try:
        # "permissive" joins int32 with int64, and the strings of pandas with those of polars; it
        # also joins any list with lists of null, which a file contains if all its lists are empty
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"the files by '{files[0]}' differ in types: {error}") from error


class DatasetColumns:
    """Columns of a `datasets.Dataset`, which are mapped into memory.

    Parameters
    ----------
    data : datasets.Dataset
        The data set.

    Attributes
    ----------
    column_names : list of str
        Names of the columns.

    Raises
    ------
    TypeError
        If `data` is a DatasetDict of several splits, or streams its rows.
    """

    def __init__(self, data: Any):
        if isinstance(data, Mapping):
            names = ", ".join(repr(name) for name in data)
            raise TypeError(f"got a DatasetDict of the splits {names}; take one of them")
        if not hasattr(data, "__len__"):
            raise TypeError(
                f"got an {type(data).__name__}, which streams; load it with streaming=False"
            )
        self._data = data
        self.column_names: list[str] = data.column_names

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._data)

    def type(self, name: str) -> pa.DataType:
        """Return the type of a column."""
        return self._data.features.arrow_schema.field(name).type

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Read a column in chunks; chunks that are mapped from a file are not copied."""
        data = self._data.select_columns([name]).with_format("arrow")
        for table in data.iter(ROWS):
            yield from table.column(0).chunks

    def batches(self, names: list[str], size: int) -> Iterator[pa.Table]:
        """Read several columns together, at most `size` rows at a time."""
        yield from self._data.select_columns(names).with_format("arrow").iter(size)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array(self.chunks(name), self.type(name))
