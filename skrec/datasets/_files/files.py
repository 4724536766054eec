"""Files as data sets' owners publish them: folders and archives, text with one row a line."""

from __future__ import annotations

import csv as text_csv
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO, RawIOBase
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

# bytes of a file that are read at a time
BLOCK = 1 << 24


@contextmanager
def opened(path: Any) -> Iterator[Any]:
    """Yield a folder or the inside of a zip file, both with the methods of a Path."""
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    if path.is_dir():
        yield path
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield zipfile.Path(archive)
    else:
        raise ValueError(f"path must be a folder or a .zip file, got {path}")


def find_folder(root: Any, layouts: Mapping[str, Sequence[str]], name: str) -> tuple[Any, str]:
    """Find the folder with the files of a layout: root or, as in a zip file, one inside it.

    Parameters
    ----------
    root : Path or zipfile.Path
    layouts : dict of str to sequence of str
        Names of files by the name of their layout.
    name : str
        Of the data set, for the message.

    Returns
    -------
    folder : Path or zipfile.Path
    layout : str
    """
    inside = sorted(root.iterdir(), key=str)
    for folder in [root, *(entry for entry in inside if entry.is_dir())]:
        names = {entry.name for entry in folder.iterdir()}
        for layout, files in layouts.items():
            if names.issuperset(files):
                return folder, layout
    wanted = "; ".join(f"{', '.join(files)} ({layout})" for layout, files in layouts.items())
    found = ", ".join(entry.name for entry in inside[:10]) or "nothing"
    raise FileNotFoundError(f"no {name} data in {root}: looked for {wanted}; found {found}")


def iterate_rows(
    file: Any,
    types: dict[str, pa.DataType],
    separator: str = "\t",
    *,
    header: bool = False,
    quoted: bool = False,
    seen: Callable[[bytes], None] | None = None,
) -> Iterator[tuple[int, pa.Table]]:
    r"""Read a file whose fields, in order, have these names and types, block by block.

    Parameters
    ----------
    file : Path or zipfile.Path
        In UTF-8, else read as Latin-1.
    types : dict of str to pyarrow.DataType
        Fields of each line.
    separator : str, default="\t"
        Between fields, of one or more characters.
    header : bool, default=False
        Whether the first line names the fields.
    quoted : bool, default=False
        Whether fields may be in double quotes; none holds the end of a line.
    seen : callable, default=None
        Told what was read of the file, in order.

    Yields
    ------
    n_before : int
        Lines of the file before the block; there is one block at least.
    table : pyarrow.Table
        The rows of a block.

    Raises
    ------
    ValueError
        For a line that can't be read, with file and line.
    """
    delimiter = "\x1f" if len(separator) > 1 else separator  # Arrow wants one; it is in no text
    options = {
        "parse_options": csv.ParseOptions(
            delimiter=delimiter, quote_char='"' if quoted else False, ignore_empty_lines=False
        ),
        "convert_options": csv.ConvertOptions(column_types=types, null_values=[]),
    }
    n_before = 0
    blocks = iterate_lines(file, seen)
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
            yield 1, pa.schema(list(types.items())).empty_table()  # a header and no rows
        n_before += data.count(b"\n")


def iterate_lines(file: Any, seen: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
    """Yield whole lines of a file, about BLOCK bytes at a time; empty ones at its end are left out.

    Parameters
    ----------
    file : Path or zipfile.Path
    seen : callable, default=None
        Told what was read of the file, in order.
    """
    with file.open("rb") as stream:
        yield from whole_lines(stream, seen)


def whole_lines(stream: Any, seen: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
    """Yield whole lines of an open file, as `iterate_lines` does."""
    rest = b""
    while data := stream.read(BLOCK):
        if seen:
            seen(data)
        data = rest + data
        # the last line is held back, for what follows it may be the end of the file
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
    file: Any,
    n_before: int,
    separator: str,
) -> pa.Table:
    def read(use_threads: bool) -> pa.Table:
        settings = csv.ReadOptions(use_threads=use_threads, column_names=names)
        return csv.read_csv(BytesIO(data), settings, **options).combine_chunks()

    try:
        return read(use_threads=True)
    except pa.ArrowInvalid:
        try:  # Arrow knows the numbers of the lines only where it reads with one thread
            return read(use_threads=False)
        except pa.ArrowInvalid as error:
            text = str(error).replace("\x1f", separator)
            raise ValueError(f"{file}{_locate(text, names, n_before)}") from error


def _check_header(line: str, names: list[str], separator: str, file: Any) -> None:
    found = next(text_csv.reader([line.strip("\r\ufeff")], delimiter=separator), [])
    if found != names:
        raise ValueError(
            f"{file}, line 1: expected the header {separator.join(names)}, "
            f"got {separator.join(found)}"
        )


def _as_utf8(data: bytes) -> bytes:
    # what is not UTF-8 is Latin-1, the accents of which are not UTF-8
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data


def _locate(message: str, names: list[str], n_before: int = 0) -> str:
    """Rewrite what Arrow says about a line to begin with the line and the field."""
    match = re.search(r"(?:In CSV column #(\d+): )?Row #(\d+): (.*)", message, re.DOTALL)
    if match is None:
        return f": {message}"
    column, line, text = match.groups()
    field = f"{names[int(column)]}: " if column and names else ""
    return f", line {int(line) + n_before}: {field}{text}"


def check_lines(file: Any, n_before: int, lines: pa.Array, good: Any, wanted: str) -> None:
    """Raise for the first of some lines, behind `n_before` others, that is not good."""
    if not good.all():
        at = int(good.argmin())
        raise ValueError(
            f"{file}, line {n_before + at + 1}: expected {wanted}, got {lines[at].as_py()[:80]!r}"
        )


@contextmanager
def open_stream(file: Path, seen: Callable[[bytes], None] | None) -> Iterator[pa.NativeFile]:
    """Open a file, and unpack it where its name ends in .gz."""
    with open(file, "rb") as raw:
        packed = "gzip" if file.suffix == ".gz" else None
        with pa.input_stream(_Watched(raw, seen), packed) as stream:
            yield stream


class _Watched(RawIOBase):
    """A file that tells what was read of it."""

    def __init__(self, raw: Any, seen: Callable[[bytes], None] | None):
        self._raw, self._seen = raw, seen

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        if self._seen:
            self._seen(data)
        return data


def find_file(folder: Path, *patterns: str, what: str) -> Path:
    """Return the one file of a folder that fits a pattern; the first pattern that any fits counts.

    Raises
    ------
    FileNotFoundError
        Where none fits.
    ValueError
        Where several do.
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


def read_columns(
    file: Path, types: Mapping[str, pa.DataType], seen: Callable[[bytes], None] | None = None
) -> pa.Table:
    """Read some columns of a CSV file whose first line names them, gzipped or not.

    Parameters
    ----------
    file : Path
    types : mapping of str to pyarrow.DataType
        The columns to read, in the order of the result. An empty text is null.
    seen : callable, default=None
        Told what was read of the file, in order.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError
        For a file without one of the columns, and for a line that can't be read, with file and
        line.
    """

    def read(use_threads: bool) -> pa.Table:
        with open_stream(file, seen) as stream:
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
        try:  # Arrow knows the numbers of the lines only where it reads with one thread
            return read(use_threads=False)
        except pa.ArrowKeyError as error:
            raise ValueError(f"{file}, line 1: {error.args[0]}") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"{file}{_locate(str(error), [])}") from error


def iterate_parquet(file: Path, columns: list[str]) -> Iterator[pa.Table]:
    """Read some columns of a parquet file, block by block.

    Parameters
    ----------
    file : Path
    columns : list of str

    Yields
    ------
    pyarrow.Table
        There is one at least.

    Raises
    ------
    ValueError
        For a file that is no parquet, or lacks a column.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, memory_map=True) as opened_file:
            schema = opened_file.schema_arrow
            missing = [name for name in columns if name not in schema.names]
            if missing:
                raise ValueError(f"it has no column {missing[0]!r}, only {', '.join(schema.names)}")
            yield pa.schema([schema.field(name) for name in columns]).empty_table()
            for batch in opened_file.iter_batches(1 << 16, columns=columns):
                yield pa.table(batch).select(columns)
    except (ValueError, OSError) as error:
        raise ValueError(f"{file}: {error}") from error
