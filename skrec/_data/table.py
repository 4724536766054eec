"""Files and data sets that may be larger than memory, as columns that are read part by part."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from skrec._data.arrow import to_arrow, without_view

# rows read at a time
ROWS = 1 << 16


def is_parquet(data: Any) -> bool:
    """Whether `data` is a path: a str counts where it ends in .parquet or names a folder."""
    if isinstance(data, str):
        return data.endswith(".parquet") or os.path.isdir(os.path.expanduser(data))
    return isinstance(data, os.PathLike)


class ParquetColumns:
    """The columns of a parquet file, or of a folder of such files with the same columns.

    Parameters
    ----------
    path : str or path-like
        The files of a folder follow each other in the order of their names; folders within it
        are not looked into.

    Raises
    ------
    FileNotFoundError
        Where nothing is there.
    ValueError
        For a folder without parquet files, a file of another format, and files that differ in
        columns.
    """

    def __init__(self, path: str | os.PathLike):
        self._files = _files(Path(path).expanduser())
        self._schema = _schema(self._files)
        self.column_names = self._schema.names

    @property
    def n_rows(self) -> int:
        """Number of rows in all files."""
        import pyarrow.parquet

        return sum(pyarrow.parquet.read_metadata(file).num_rows for file in self._files)

    def type(self, name: str) -> pa.DataType:
        """Return the type of a column."""
        return self._schema.field(name).type

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Read a column part by part."""
        import pyarrow.parquet

        kind = self.type(name)
        for path in self._files:
            with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
                for batch in file.iter_batches(ROWS, columns=[name]):
                    yield batch.column(0).cast(kind)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array(self.chunks(name), self.type(name))


class DatasetColumns:
    """The columns of a `datasets.Dataset`, which its package maps into memory.

    Parameters
    ----------
    data : datasets.Dataset

    Raises
    ------
    TypeError
        For several data sets in one object, and for one that can only be read from the start.
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
        """Read a column part by part; parts that lie in a file are not copied."""
        data = self._data.select_columns([name]).with_format("arrow")
        for table in data.iter(ROWS):
            yield from table.column(0).chunks

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array(self.chunks(name), self.type(name))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.glob("*.parquet") if file.name[0] not in "._")
        if not files:
            raise ValueError(f"the folder '{path}' holds no parquet files")
        return files
    if not path.exists():
        raise FileNotFoundError(f"there is no parquet file or folder '{path}'")
    return [path]


def _schema(files: list[Path]) -> pa.Schema:
    import pyarrow.parquet

    schemas = []
    for file in files:
        try:
            schemas.append(pyarrow.parquet.read_schema(file))
        except pa.ArrowInvalid as error:
            raise ValueError(f"'{file}' is not a parquet file: {error}") from error
        if set(schemas[-1].names) != set(schemas[0].names):
            raise ValueError(
                f"'{file}' has the columns {schemas[-1].names}, but '{files[0]}' has "
                f"{schemas[0].names}; the files of a folder must have the same"
            )
    if len(schemas) == 1:
        return schemas[0]
    try:
        # a file whose lists are all empty does not know what they would hold; others are
        # "permissive" of int32 beside int64, and of strings as pandas and polars write them
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"the parquet files by '{files[0]}' differ in types: {error}") from error


def is_table(data: Any) -> bool:
    """Whether `data` has named columns: a data frame, Arrow table, mapping or parquet path."""
    return (
        isinstance(data, (pd.DataFrame, pa.Table, pa.RecordBatch, Mapping))
        or (hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns"))
        or _is_dataset(data)
        or is_parquet(data)
        or _is_lazy(data)
    )


def _is_lazy(data: Any) -> bool:
    """Whether `data` is a polars LazyFrame, without importing that package."""
    return hasattr(data, "collect_schema") and not hasattr(data, "__arrow_c_stream__")


def _is_dataset(data: Any) -> bool:
    """Whether `data` is a `datasets.Dataset`, without importing that package."""
    return hasattr(data, "with_format") and hasattr(data, "column_names")


class Table:
    """Named columns, each turned into Arrow when it is first asked for, and then kept.

    Parameters
    ----------
    data : pandas.DataFrame, pyarrow.Table, mapping, datasets.Dataset, parquet path, or any \
            Arrow exporter
        The columns; those of files are read from there.
    """

    def __init__(self, data: Any):
        if is_parquet(data):
            data = ParquetColumns(data)
        elif _is_dataset(data):
            data = DatasetColumns(data)
        elif _is_lazy(data):
            raise TypeError(
                "got a LazyFrame, which holds a query but no rows; call collect() on it"
            )
        elif not isinstance(data, (pd.DataFrame, pa.Table, Mapping)):
            data = pa.table(data)
        self._streams = isinstance(data, (ParquetColumns, DatasetColumns))
        self._arrow: dict[str, pa.ChunkedArray] = {}
        self._data = data
        names = list(data) if isinstance(data, (pd.DataFrame, Mapping)) else data.column_names
        self.names = [name for name in names if isinstance(name, str)]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def column(self, name: str) -> pa.ChunkedArray:
        """Return column `name`.

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
            For mixed types, a name that occurs twice, and a column that is longer or shorter
            than the first one that was asked for: a mapping may hold such.
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
        """Return the parts of column `name`: from a file one after another, none of them kept."""
        if not self._streams or name in self._arrow:
            return self.column(name).chunks
        self._check_unique(name)
        return map(without_view, self._data.chunks(name))

    def type(self, name: str) -> pa.DataType:
        """Return the type of column `name`."""
        return self._data.type(name) if self._streams else self.column(name).type

    def length(self, name: str) -> int:
        """Return the number of rows of column `name`."""
        return self._data.n_rows if self._streams else len(self.column(name))

    def _check_unique(self, name: str) -> None:
        if self.names.count(name) > 1:
            raise ValueError(f"there are several columns named {name!r}; keep one")
