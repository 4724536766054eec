"""Readers of the owners' files: folders and zip files, delimited text, CSV and parquet."""

from __future__ import annotations

import csv as text_csv
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO, RawIOBase
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

# number of bytes that are read from a file at a time
BLOCK_SIZE = 1 << 24

# a file or folder on disk or inside a zip file
AnyPath = Path | zipfile.Path
# is called with each block of bytes that was read from a file, in order
OnRead = Callable[[bytes], None]


@contextmanager
def open_folder_or_zip(path: Path) -> Iterator[AnyPath]:
    """Yield a folder, or the root folder inside a zip file.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If `path` is neither a folder nor a zip file.
    """
    path = path.expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    if path.is_dir():
        yield path
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield zipfile.Path(archive)
    else:
        raise ValueError(f"path must be a folder or a .zip file, got {path}")


def find_layout(
    root: AnyPath, layouts: Mapping[str, Sequence[str]], name: str
) -> tuple[AnyPath, str]:
    """Find the folder that contains all files of a layout: `root` or one of its subfolders.

    Parameters
    ----------
    root : Path or zipfile.Path
    layouts : mapping of str to sequence of str
        File names per layout. The first layout that fits is returned.
    name : str
        Name of the data set, for the error message.

    Returns
    -------
    folder : Path or zipfile.Path
    layout : str

    Raises
    ------
    FileNotFoundError
        If no folder contains all files of a layout.
    """
    inside: list[AnyPath] = sorted(root.iterdir(), key=str)
    folders: list[AnyPath] = [root, *(entry for entry in inside if entry.is_dir())]
    for folder in folders:
        names = {entry.name for entry in folder.iterdir()}
        for layout, files in layouts.items():
            if names.issuperset(files):
                return folder, layout
    wanted = "; ".join(f"{', '.join(files)} ({layout})" for layout, files in layouts.items())
    found = ", ".join(entry.name for entry in inside[:10]) or "nothing"
    raise FileNotFoundError(f"no {name} data in {root}: looked for {wanted}; found {found}")


def iterate_rows(
    file: AnyPath,
    types: dict[str, pa.DataType],
    separator: str = "\t",
    *,
    header: bool = False,
    quoted: bool = False,
    on_read: OnRead | None = None,
) -> Iterator[tuple[int, pa.Table]]:
    r"""Read a file of delimited text in blocks of rows.

    Text that is not UTF-8 is read as Latin-1.

    Parameters
    ----------
    file : Path or zipfile.Path
    types : dict of str to pyarrow.DataType
        Names and types of the fields of a line, in order.
    separator : str, default="\t"
        Text between fields, of one or more characters.
    header : bool, default=False
        Whether the first line contains the names of the fields.
    quoted : bool, default=False
        Whether fields can be in double quotes. Quoted fields must not contain line breaks.
    on_read : callable, default=None
        Function that is called with each block of bytes.

    Yields
    ------
    n_before : int
        Number of lines in the file before the block.
    table : pyarrow.Table
        Rows of the block. There is at least one block.

    Raises
    ------
    ValueError
        If a line can't be read. The message names the file and the line.
    """
    # Arrow needs a single character: the unit separator, which does not occur in text
    delimiter = "\x1f" if len(separator) > 1 else separator
    options = {
        "parse_options": csv.ParseOptions(
            delimiter=delimiter, quote_char='"' if quoted else False, ignore_empty_lines=False
        ),
        "convert_options": csv.ConvertOptions(column_types=types, null_values=[]),
    }
    n_before = 0
    with file.open("rb") as stream:
        blocks = iterate_line_blocks(stream, on_read)
        first = next(blocks, None)
        if first is None:
            raise ValueError(f"{file} is empty")
        for block in chain([first], blocks):
            data = _as_utf8(block)
            if header and not n_before:
                line, _, data = data.partition(b"\n")
                _check_header(line.decode(), list(types), separator, file)
                n_before = 1
            if data:
                rows = data.replace(separator.encode(), delimiter.encode())
                yield n_before, _read_block(rows, list(types), options, file, n_before, separator)
            elif n_before == 1:
                yield 1, pa.schema(list(types.items())).empty_table()  # a header without rows
            n_before += data.count(b"\n")


def iterate_line_blocks(stream: IO[bytes], on_read: OnRead | None = None) -> Iterator[bytes]:
    """Yield blocks of whole lines, of about `BLOCK_SIZE` bytes each.

    Empty lines at the end of the file are left out.

    Parameters
    ----------
    stream : binary file
    on_read : callable, default=None
        Function that is called with each block of bytes as it was read.
    """
    rest = b""
    while data := stream.read(BLOCK_SIZE):
        if on_read:
            on_read(data)
        data = rest + data
        # keep the last line back: only empty lines may follow it
        cut = data.rstrip(b"\r\n").rfind(b"\n") + 1
        if cut:
            yield data[:cut]
        rest = data[cut:]
    if rest := rest.rstrip(b"\r\n"):
        yield rest


def _read_block(
    data: bytes,
    names: list[str],
    options: dict[str, Any],
    file: AnyPath,
    n_before: int,
    separator: str,
) -> pa.Table:
    """Parse a block of lines, and name the line if that fails."""

    def read(use_threads: bool) -> pa.Table:
        settings = csv.ReadOptions(use_threads=use_threads, column_names=names)
        return csv.read_csv(BytesIO(data), settings, **options).combine_chunks()

    try:
        return read(use_threads=True)
    except pa.ArrowInvalid:
        try:  # Arrow reports line numbers only when it reads with one thread
            return read(use_threads=False)
        except pa.ArrowInvalid as error:
            text = str(error).replace("\x1f", separator)
            raise ValueError(f"{file}{_describe_fault(text, names, n_before)}") from error


def _check_header(line: str, names: list[str], separator: str, file: AnyPath) -> None:
    """Raise a ValueError unless a header line consists of these names."""
    found = next(text_csv.reader([line.strip("\r\ufeff")], delimiter=separator), [])
    if found != names:
        raise ValueError(
            f"{file}, line 1: expected the header {separator.join(names)}, "
            f"got {separator.join(found)}"
        )


def _as_utf8(data: bytes) -> bytes:
    """Convert Latin-1 to UTF-8. Accented letters of Latin-1 are not valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data


def _describe_fault(message: str, names: list[str], n_before: int = 0) -> str:
    """Rewrite an error message of Arrow so that it begins with the line and the field."""
    match = re.search(r"(?:In CSV column #(\d+): )?Row #(\d+): (.*)", message, re.DOTALL)
    if match is None:
        return f": {message}"
    column, line, text = match.groups()
    field = f"{names[int(column)]}: " if column and names else ""
    return f", line {int(line) + n_before}: {field}{text}"


def check_lines(
    file: AnyPath, n_before: int, lines: pa.Array, is_valid: np.ndarray, expected: str
) -> None:
    """Raise a ValueError that names the first invalid line.

    Parameters
    ----------
    file : Path or zipfile.Path
    n_before : int
        Number of lines in the file before `lines`.
    lines : pyarrow.Array of string, shape (n,)
    is_valid : ndarray of bool, shape (n,)
    expected : str
        Description of a valid line, for the message.
    """
    if not is_valid.all():
        at = int(is_valid.argmin())
        raise ValueError(
            f"{file}, line {n_before + at + 1}: expected {expected}, got {lines[at].as_py()[:80]!r}"
        )


@contextmanager
def open_decompressed(file: Path, on_read: OnRead | None) -> Iterator[pa.NativeFile]:
    """Open a file, and decompress it if its name ends in .gz.

    `on_read` is called with each block of bytes before decompression.
    """
    with open(file, "rb") as raw:
        compression = "gzip" if file.suffix == ".gz" else None
        with pa.input_stream(_ObservedFile(raw, on_read), compression) as stream:
            yield stream


class _ObservedFile(RawIOBase):
    """A readable file that passes each block of bytes to a callback."""

    def __init__(self, raw: IO[bytes], on_read: OnRead | None):
        self._raw, self._on_read = raw, on_read

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read bytes, and pass them to the callback."""
        data = self._raw.read(size)
        if self._on_read:
            self._on_read(data)
        return data


def find_file(folder: Path, *patterns: str, what: str) -> Path:
    """Return the only file of a folder that matches a pattern.

    Parameters
    ----------
    folder : Path
    *patterns : str
        Glob patterns. Only the first one with a match is used.
    what : str
        Description of the file, for error messages.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If no file matches, or if there is no such folder.
    ValueError
        If several files match.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found[:5])
            raise ValueError(f"several files in {folder} may be {what}: {names}")
    names = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
    raise FileNotFoundError(
        f"{what} are not in {folder}: looked for {' or '.join(patterns)}; found {names}"
    )


def read_csv_columns(
    file: Path, types: Mapping[str, pa.DataType], on_read: OnRead | None = None
) -> pa.Table:
    """Read some columns of a CSV file with a header. The file can be compressed with gzip.

    Parameters
    ----------
    file : Path
    types : mapping of str to pyarrow.DataType
        Names and types of the columns, in the order of the result. Empty fields become null.
    on_read : callable, default=None
        Function that is called with each block of bytes.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError
        If the file lacks a column or a line can't be read. The message names the file and the line.
    """

    def read(use_threads: bool) -> pa.Table:
        with open_decompressed(file, on_read) as stream:
            return csv.read_csv(
                stream,
                csv.ReadOptions(use_threads=use_threads, block_size=1 << 24),
                csv.ParseOptions(newlines_in_values=True),
                csv.ConvertOptions(
                    column_types=dict(types),
                    include_columns=list(types),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )

    try:
        return read(use_threads=True)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError):
        try:  # Arrow reports line numbers only when it reads with one thread
            return read(use_threads=False)
        except pa.ArrowKeyError as error:
            raise ValueError(f"{file}, line 1: {error.args[0]}") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"{file}{_describe_fault(str(error), [])}") from error


def iterate_parquet(file: Path, columns: list[str]) -> Iterator[pa.Table]:
    """Read some columns of a parquet file in blocks of rows.

    Parameters
    ----------
    file : Path
    columns : list of str

    Yields
    ------
    pyarrow.Table
        Rows of a block. There is at least one block, which can be empty.

    Raises
    ------
    ValueError
        If the file is not a parquet file or lacks a column.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, memory_map=True) as parquet:
            schema = parquet.schema_arrow
            missing = [name for name in columns if name not in schema.names]
            if missing:
                raise ValueError(f"it has no column {missing[0]!r}, only {', '.join(schema.names)}")
            yield pa.schema([schema.field(name) for name in columns]).empty_table()
            for batch in parquet.iter_batches(1 << 16, columns=columns):
                yield pa.table(batch).select(columns)
    except (ValueError, OSError) as error:
        raise ValueError(f"{file}: {error}") from error
