"""Readers of files with one JSON object per line: plain, compressed, or in a tar archive."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from skrec.datasets._files.files import OnRead, iterate_line_blocks, open_decompressed

# number of bytes that one thread parses at a time
PARSED_SIZE = 1 << 22


def iterate_json_lines(
    file: Path, types: Mapping[str, pa.DataType], on_read: OnRead | None = None
) -> Iterator[pa.Table]:
    """Read some fields of a file with one JSON object per line, in blocks of rows.

    The file can be compressed with gzip.

    Parameters
    ----------
    file : Path
    types : mapping of str to pyarrow.DataType
        Names and types of the fields to read. A field that an object lacks is null.
    on_read : callable, default=None
        Function that is called with each block of bytes.

    Yields
    ------
    pyarrow.Table
        Rows of a block. There is at least one block.

    Raises
    ------
    ValueError
        If a line is not JSON or a field has another type, with the file and the line in the
        message; if the file can't be decompressed; if the file is empty.
    """
    with open_decompressed(file, on_read) as stream:
        yield from _parse_blocks(iterate_line_blocks(stream), str(file), types)


def iterate_json_member(
    path: Path,
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    types: Mapping[str, pa.DataType],
) -> Iterator[pa.Table]:
    """Read some fields of a file in an archive, like `iterate_json_lines`.

    Parameters
    ----------
    path : Path
        Path of the archive, for error messages.
    archive : tarfile.TarFile
    member : tarfile.TarInfo
        A regular file in the archive.
    types : mapping of str to pyarrow.DataType

    Yields
    ------
    pyarrow.Table
    """
    with archive.extractfile(member) as stream:  # type: ignore[union-attr]
        yield from _parse_blocks(iterate_line_blocks(stream), f"{path}, {member.name}", types)


def _parse_blocks(
    blocks: Iterable[bytes], name: str, types: Mapping[str, pa.DataType]
) -> Iterator[pa.Table]:
    """Parse blocks of lines. `name` is how error messages call the file."""
    n_before, is_empty = 0, True
    try:
        for block in blocks:
            if block.strip():
                yield _parse_block(block, name, n_before, types)
                is_empty = False
            n_before += block.count(b"\n")
    except OSError as error:  # raised by the decompression
        raise ValueError(f"{name}: {error}") from error
    if is_empty:
        raise ValueError(f"{name} is empty")


def _parse_block(
    block: bytes, name: str, n_before: int, types: Mapping[str, pa.DataType]
) -> pa.Table:
    """Parse a block of lines, and name the line if that fails."""
    try:
        return _parse(block, types, PARSED_SIZE)
    except pa.ArrowInvalid:
        for number, line in enumerate(block.split(b"\n"), start=n_before + 1):
            try:
                if line.strip():
                    _parse(line, types, len(line))
            except pa.ArrowInvalid as error:
                fault = re.sub(r" in row \d+$", "", str(error))
                raise ValueError(f"{name}, line {number}: {fault}") from error
        return _parse(block, types, len(block))  # only a line longer than PARSED_SIZE failed


def _parse(text: bytes, types: Mapping[str, pa.DataType], block_size: int) -> pa.Table:
    """Parse lines of JSON, in parallel parts of `block_size` bytes."""
    from pyarrow import json

    schema = pa.schema(list(types.items()))
    return json.read_json(
        pa.BufferReader(text),
        json.ReadOptions(block_size=block_size),
        json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
