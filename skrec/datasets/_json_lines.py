"""Files with a JSON object a line, gzipped or not, or in an archive."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa

from skrec.datasets._files import open_stream

# bytes of a file that are read at a time
BLOCK = 1 << 24


def read_json_lines(
    file: Path, types: Mapping[str, pa.DataType], seen: Callable[[bytes], None] | None = None
) -> pa.Table:
    """Read some fields of a file with a JSON object a line, gzipped or not.

    Parameters
    ----------
    file : Path
    types : mapping of str to pyarrow.DataType
        The fields to read; null where an object lacks one.
    seen : callable, default=None
        Told what was read of the file, in order.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError
        For what is no JSON, or of another type, with file and line, and for what can't be unpacked.
    """

    @contextmanager
    def opened_again() -> Iterator[Any]:
        with open_stream(file, None) as stream:
            yield BufferedReader(stream)

    try:
        with open_stream(file, seen) as stream:
            return _read_json(stream, types)
    except (pa.ArrowInvalid, OSError) as error:
        raise _json_error(error, file, opened_again, types) from error


def read_json_member(
    path: Path,
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    types: Mapping[str, pa.DataType],
) -> pa.Table:
    """Read some fields of a file in an archive, as `read_json_lines` does of one outside."""

    def opened() -> Any:
        return archive.extractfile(member)

    try:
        with opened() as stream:
            return _read_json(stream, types)
    except (pa.ArrowInvalid, OSError) as error:
        raise _json_error(error, f"{path}, {member.name}", opened, types) from error


def _json_error(
    error: Exception, what: Any, opened: Callable[[], Any], types: Mapping[str, pa.DataType]
) -> ValueError:
    """Return the error that names the first line of a file that can't be read.

    Arrow counts within the part that it reads, so the file is read again, in parts, of which the
    bad one is read line by line.
    """
    n_before = 0
    with suppress(OSError, EOFError), opened() as stream:
        while lines := stream.readlines(BLOCK):
            if _json_fault(b"".join(lines), types):
                for number, line in enumerate(lines, start=n_before + 1):
                    if line.strip() and (fault := _json_fault(line, types)):
                        return ValueError(f"{what}, line {number}: {fault}")
            n_before += len(lines)
    return ValueError(f"{what}: {error}")


def _json_fault(text: bytes, types: Mapping[str, pa.DataType]) -> str | None:
    try:
        _read_json(BytesIO(text), types)
    except pa.ArrowInvalid as error:
        return re.sub(r" in row \d+$", "", str(error))
    return None


def _read_json(stream: Any, types: Mapping[str, pa.DataType]) -> pa.Table:
    from pyarrow import json

    schema = pa.schema(list(types.items()))
    return json.read_json(
        stream,
        json.ReadOptions(block_size=1 << 24),
        json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
