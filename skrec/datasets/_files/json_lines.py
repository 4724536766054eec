"""Files with a JSON object a line, gzipped or not, or in an archive."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from skrec.datasets._files.files import open_stream, whole_lines

# bytes that one thread parses at a time
PART = 1 << 22


def iterate_json_lines(
    file: Path, types: Mapping[str, pa.DataType], seen: Callable[[bytes], None] | None = None
) -> Iterator[pa.Table]:
    """Read some fields of a file with a JSON object a line, gzipped or not, block by block.

    Parameters
    ----------
    file : Path
    types : mapping of str to pyarrow.DataType
        The fields to read; null where an object lacks one.
    seen : callable, default=None
        Told what was read of the file, in order.

    Yields
    ------
    pyarrow.Table
        There is one at least.

    Raises
    ------
    ValueError
        For what is no JSON, or of another type, with file and line, for what can't be unpacked,
        and for an empty file.
    """
    with open_stream(file, seen) as stream:
        yield from _tables(whole_lines(stream), file, types)


def iterate_json_member(
    path: Path,
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    types: Mapping[str, pa.DataType],
) -> Iterator[pa.Table]:
    """Read some fields of a file in an archive, as `iterate_json_lines` does of one outside."""
    with archive.extractfile(member) as stream:  # type: ignore[union-attr]
        yield from _tables(whole_lines(stream), f"{path}, {member.name}", types)


def _tables(
    blocks: Iterable[bytes], what: Any, types: Mapping[str, pa.DataType]
) -> Iterator[pa.Table]:
    n_before, is_empty = 0, True
    try:
        for block in blocks:
            if block.strip():
                yield _parse_block(block, what, n_before, types)
                is_empty = False
            n_before += block.count(b"\n")
    except OSError as error:  # of what unpacks
        raise ValueError(f"{what}: {error}") from error
    if is_empty:
        raise ValueError(f"{what} is empty")


def _parse_block(
    block: bytes, what: Any, n_before: int, types: Mapping[str, pa.DataType]
) -> pa.Table:
    try:
        return _parse(block, types, PART)
    except pa.ArrowInvalid:
        for number, line in enumerate(block.split(b"\n"), start=n_before + 1):
            try:
                if line.strip():
                    _parse(line, types, len(line))
            except pa.ArrowInvalid as error:
                fault = re.sub(r" in row \d+$", "", str(error))
                raise ValueError(f"{what}, line {number}: {fault}") from error
        return _parse(block, types, len(block))  # a line that is longer than PART


def _parse(text: bytes, types: Mapping[str, pa.DataType], part: int) -> pa.Table:
    from pyarrow import json

    schema = pa.schema(list(types.items()))
    return json.read_json(
        pa.BufferReader(text),
        json.ReadOptions(block_size=part),
        json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
