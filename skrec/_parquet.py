"""Parquet files, as columns that are read when they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa


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
        import pyarrow.dataset
        from pyarrow.fs import LocalFileSystem

        files = _files(Path(path).expanduser())
        schema = _schema(files)
        self.column_names = schema.names
        self._files = pyarrow.dataset.dataset(
            [str(file.absolute()) for file in files],
            schema=schema,
            format="parquet",
            filesystem=LocalFileSystem(use_mmap=True),
        )

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self._files.to_table(columns=[name]).column(0)


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
