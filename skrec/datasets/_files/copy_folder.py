"""Folder of a converted copy: its files, their checksums, and the state of the source files."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from skrec._common.files import sha256
from skrec._data.item_files import read_items, write_items
from skrec._data.items import Items
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter, map_table, state_of, write_table

FORMAT = "skrec data set 2"  # to be changed with the format, and when readers return other data
ABOUT = "copy.json"
_ITEMS = "items.parquet"
_CHUNK = 1 << 20  # number of bytes that are read at a time
# states of the files that this process found to be as they were written
_checked: set[tuple[int, ...]] = set()


class DamagedCopy(Exception):
    """Raised if a copy differs from what was written."""


def write_copy(folder: Path, name: str, data: DataBunch, converter: Converter) -> None:
    """Write the tables, the catalogue and ``copy.json`` of a data set into a folder.

    All files are flushed to the disk, so that the folder can be renamed.

    Parameters
    ----------
    folder : Path
        Folder that may contain tables of the converter already.
    name : str
        Name that the folder will have.
    data : DataBunch
    converter : Converter
        Converter that has read the source files.
    """
    about: dict[str, Any] = {"format": FORMAT, "name": name, "tables": [], "values": {}}
    for key, value in dict(data).items():
        if isinstance(value, Items):
            write_items(value, folder / _ITEMS)
        elif isinstance(value, pa.Table):
            if not (folder / f"{key}.arrow").exists():
                write_table(folder / f"{key}.arrow", [value])
            about["tables"].append(key)
        else:
            about["values"][key] = value
    for file in folder.glob("*.arrow"):
        if file.stem not in about["tables"]:
            file.unlink()  # intermediate tables
    about["sources"] = [
        [source, *converter.states[source][:2], digest]
        for source, digest in converter.sources.items()
    ]
    files = sorted(folder.iterdir())
    about["files"] = {file.name: _digest(file) for file in files}
    _checked.update(map(_key, files))
    about = json.loads(json.dumps(about))  # as it is read again
    text = json.dumps({**about, "checksum": _own_digest(about)}, indent=1)
    (folder / ABOUT).write_text(text, encoding="utf-8")
    for file in folder.iterdir():
        with open(file, "rb+") as opened:
            os.fsync(opened.fileno())
    flush_folder(folder)


def open_copy(folder: Path) -> DataBunch | None:
    """Open a copy, after a check of its files. Each file is checked once per process.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    DataBunch or None
        None if there is no copy, or if a source file has changed.

    Raises
    ------
    DamagedCopy
        If a file differs from what was written.
    """
    try:
        about = _read_about(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if about["name"] != folder.name:
        raise DamagedCopy(f"it is the copy {about['name']}")
    if not all(_is_unchanged(*source) for source in about["sources"]):
        return None
    for name, digest in about["files"].items():
        _check_file(folder / name, digest)
    return _open_files(folder, about)


def open_new(folder: Path) -> DataBunch:
    """Open a copy that was just written, and may not have its name yet."""
    return _open_files(folder, _read_about(folder))


def _open_files(folder: Path, about: dict[str, Any]) -> DataBunch:
    try:
        tables = {name: map_table(folder / f"{name}.arrow") for name in about["tables"]}
        return DataBunch(items=read_items(folder / _ITEMS), **tables, **about["values"])
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DamagedCopy(str(error)) from error


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the system can."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _read_about(folder: Path) -> dict[str, Any]:
    """Return the contents of ``copy.json``."""
    with _open_regular(folder / ABOUT) as file:
        text = file.read()
    try:
        about = json.loads(text)
        is_right = about.pop("checksum") == _own_digest(about) and about["format"] == FORMAT
        is_right &= isinstance(about["name"], str) and isinstance(about["values"], dict)
        is_right &= {f"{name}.arrow" for name in about["tables"]} | {_ITEMS} == set(about["files"])
        is_right &= all(len(source) == 4 for source in about["sources"])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        is_right = False
    if not is_right:
        raise DamagedCopy(f"{ABOUT} differs from what was written")
    return about


def _own_digest(about: dict[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(about, sort_keys=True).encode())


def _check_file(path: Path, digest: str) -> None:
    """Raise a DamagedCopy unless a file has this checksum."""
    try:
        key = _key(path)
        if key not in _checked:
            if _digest(path) != digest:
                raise DamagedCopy(f"{path.name} differs from what was written")
            _checked.add(key)
    except FileNotFoundError as error:
        raise DamagedCopy(f"{path.name} is missing") from error


def _key(path: Path) -> tuple[int, ...]:
    """Return numbers that change if another file is at a path, or if the file is written to."""
    state = os.stat(path)
    return state.st_dev, state.st_ino, *state_of(state)


def _digest(path: Path) -> str:
    """Return the checksum of a file."""
    digest = xxhash.xxh3_128()
    with _open_regular(path) as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def _open_regular(path: Path) -> Any:
    """Open a regular file. Opening a named pipe would wait for a writer."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise DamagedCopy(f"{path.name} is not a regular file")
    return open(path, "rb")


def _is_unchanged(source: str, size: int, mtime: int, digest: str) -> bool:
    """Compare size and time of a source file. If only its time differs, compare its SHA-256."""
    try:
        state = os.stat(source)
    except FileNotFoundError:
        return False
    if state.st_size != size:
        return False
    return state.st_mtime_ns == mtime or sha256(source) == digest
