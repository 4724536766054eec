"""Files as data sets' owners publish them: folders and archives, text with one row a line."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv


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


def read_rows(
    file: Any,
    types: dict[str, pa.DataType],
    separator: str = "\t",
    *,
    header: bool = False,
    quoted: bool = False,
) -> pa.Table:
    r"""Read a file whose fields, in order, have these names and types.

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
        Whether fields may be in double quotes.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError
        For a line that can't be read, with file and line.
    """
    delimiter = separator
    data = _as_utf8(file.read_bytes()).rstrip(b"\r\n")
    if len(separator) > 1:
        delimiter = "\x1f"  # Arrow wants one character; this one is in no text
        data = data.replace(separator.encode(), delimiter.encode())

    def read(use_threads: bool) -> pa.Table:
        return csv.read_csv(
            BytesIO(data),
            csv.ReadOptions(use_threads=use_threads, column_names=None if header else list(types)),
            csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if quoted else False, ignore_empty_lines=False
            ),
            csv.ConvertOptions(column_types=types, null_values=[]),
        )

    try:
        table = read(use_threads=True)
    except pa.ArrowInvalid:
        try:  # Arrow knows the numbers of the lines only where it reads with one thread
            table = read(use_threads=False)
        except pa.ArrowInvalid as error:
            text = str(error).replace(delimiter, separator)
            raise ValueError(f"{file}{_locate(text, list(types))}") from error
    if table.column_names != list(types):
        raise ValueError(
            f"{file}, line 1: expected the header {separator.join(types)}, "
            f"got {separator.join(table.column_names)}"
        )
    return table


def _as_utf8(data: bytes) -> bytes:
    # what is not UTF-8 is Latin-1, the accents of which are not UTF-8
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data


def _locate(message: str, names: list[str]) -> str:
    """Rewrite what Arrow says about a line to begin with the line and the field."""
    match = re.search(r"(?:In CSV column #(\d+): )?Row #(\d+): (.*)", message, re.DOTALL)
    if match is None:
        return f": {message}"
    column, line, text = match.groups()
    field = f"{names[int(column)]}: " if column and names else ""
    return f", line {line}: {field}{text}"


def read_json_lines(file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Read some fields of a file with a JSON object a line, gzipped or not.

    Parameters
    ----------
    file : Path
    types : mapping of str to pyarrow.DataType
        The fields to read; null where an object lacks one.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError
        For what is no JSON, or of another type, with the file and what Arrow says of the place.
    """
    from pyarrow import json

    schema = pa.schema(list(types.items()))
    try:
        with pa.input_stream(str(file)) as stream:  # unpacks what ends in .gz
            return json.read_json(
                stream,
                json.ReadOptions(block_size=1 << 24),
                json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
            )
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{file}: {error}") from error


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


def read_columns(file: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Read some columns of a CSV file whose first line names them, gzipped or not.

    Parameters
    ----------
    file : Path
    types : mapping of str to pyarrow.DataType
        The columns to read, in the order of the result. An empty text is null.

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
        with pa.input_stream(str(file)) as stream:
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
