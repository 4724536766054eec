"""Files that a catalogue came from, so that its pickle is their path and hash."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from skrec._common.files import add_to_digest, check_space, folder_below, make_folder
from skrec._data.item_parts import Part

KEY = b"skrec"  # of the metadata

# size and time of the last change of each file
Stamps = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Source:
    """Files with a catalogue.

    Attributes
    ----------
    paths : tuple of str
        Absolute paths of parquet files, or of one Arrow file that `write_arrow` wrote.
    id : str
        Name of the id column.
    roles : tuple of (str, str)
        Name and role of each content column.
    stamps : tuple of (int, int), compared with those of the files
        Size and time of the last change of each file when the catalogue was read.
    """

    paths: tuple[str, ...]
    id: str
    roles: tuple[tuple[str, str], ...]
    stamps: Stamps

    @property
    def is_arrow(self) -> bool:
        """Whether `write_arrow` wrote the file."""
        return self.paths[0].endswith(".arrow")

    def reference(self) -> Reference | None:
        """Return what a pickle contains; None if a file has changed since it was read."""
        try:
            if stamps_of(self.paths) != self.stamps:
                return None
            return Reference(self.paths, self.id, self.roles, hash_of(self.paths))
        except OSError:  # deleted
            return None


@dataclass(frozen=True)
class Reference:
    """Paths of a catalogue's files, and a hash of their bytes; see `Source`."""

    paths: tuple[str, ...]
    id: str
    roles: tuple[tuple[str, str], ...]
    digest: str

    def source(self, stamps: Stamps) -> Source:
        """Return the files, if their bytes have the hash.

        Raises
        ------
        ValueError
            If they have another.
        """
        if hash_of(self.paths) != self.digest:
            raise ValueError(
                f"the catalogue of this pickle is in {self._shown()}, which has changed since; "
                "restore the file, or pickle the catalogue again"
            )
        return Source(self.paths, self.id, self.roles, stamps)

    def stamps(self) -> Stamps:
        """Return the current size and time of change of each file.

        Raises
        ------
        FileNotFoundError
            If a file is gone.
        """
        try:
            return stamps_of(self.paths)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"the catalogue of this pickle is in {self._shown()}, which does not exist here; "
                "copy it there, or pickle a catalogue that is in memory: "
                "Items(items.to_pandas())"
            ) from error

    def _shown(self) -> str:
        others = len(self.paths) - 1
        return f"'{self.paths[0]}'" + (f" and {others} other files" if others else "")


def stamps_of(paths: Iterable[str]) -> Stamps:
    """Return the size and the time of the last change of files."""
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in map(_stat, paths))


def _stat(path: str) -> Any:
    return Path(path).stat()


def hash_of(paths: Iterable[str]) -> str:
    """Return a hash of the bytes of files."""
    digest = xxhash.xxh3_128()
    for path in paths:
        with open(path, "rb") as file:
            add_to_digest(digest, file)
        digest.update(b"end of file")
    return digest.hexdigest()


def write_arrow(memory: Any, id: str, part: Part, roles: Mapping[str, str]) -> str:
    """Write a catalogue below `memory`, unless it is there, and return the path of its file.

    The name of the file is a hash of its bytes, so that equal catalogues share a file.

    Parameters
    ----------
    memory : str or Path
        Folder.
    id : str
        Name of the id column.
    part : Part
        The items.
    roles : dict of str to str
        Role of each content column.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file.
    OSError
        If the folder cannot be written to, or has no room.
    """
    folder = folder_below(memory, "items")
    make_folder(folder, folder.parent, "memory")
    about = json.dumps({"id": id, "roles": dict(roles)}).encode()
    table = pa.table({id: part.ids, **part.columns}).replace_schema_metadata({KEY: about})
    check_space(folder, table.nbytes, f"a catalogue of {len(part)} items", "memory")
    unfinished = folder / f"{uuid.uuid4().hex}.tmp"
    try:
        with pa.OSFile(str(unfinished), "wb") as file:
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
        path = folder / f"{hash_of([str(unfinished)])}.arrow"
        if not path.exists():
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return str(path)


def open_arrow(path: str) -> tuple[str, Part, dict[str, str]]:
    """Return the id column, the memory-mapped items and the roles that `write_arrow` wrote."""
    table = pa.ipc.open_file(pa.memory_map(path)).read_all()
    about = json.loads(table.schema.metadata[KEY])
    columns = {name: _in_one(table.column(name)) for name in about["roles"]}
    return about["id"], Part(_in_one(table.column(about["id"])), columns), about["roles"]


def _in_one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, which is not copied if it has one chunk."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
