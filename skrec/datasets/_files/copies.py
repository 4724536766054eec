"""Converted copies of data sets, which are read from the owner's files only once.

A copy is a folder below `data_home`. It contains one Arrow file per table, the catalogue as
parquet, and ``copy.json``, which lists the source files. Arrow files are mapped into memory, so
tables can be larger than memory. Parquet files would have to be loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from skrec._common.files import new_folder, sha256
from skrec._data.item_files import read_items, write_items
from skrec._data.items import Items
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter, map_table, write_table
from skrec.datasets._web.home import get_data_home

FORMAT = "skrec data set 1"
_ABOUT = "copy.json"


def read_cached(
    family: str,
    path: str | os.PathLike[str],
    settings: dict[str, Any],
    read: Callable[..., DataBunch],
    *,
    data_home: str | os.PathLike[str] | None,
    verbose: bool,
) -> DataBunch:
    """Return a data set from its converted copy. If there is none, read the data set and write one.

    A copy is outdated if a source file has changed: if its size is another one, or if its time and
    its SHA-256 are other ones. Nothing is cached if `settings` contain a generator or no seed.

    Parameters
    ----------
    family : str
        Name of the data set family.
    path : str or path-like
        Folder or file of the owner.
    settings : dict
        Parameters that the result depends on.
    read : callable
        Function that is called with `path`, a `Converter` and the settings, and returns the data.
        The paths of the files that were read are added to the data as `sources`.
    data_home : str, path-like or None
        Folder for the copies. See `get_data_home`.
    verbose : bool
        Whether to print progress.

    Returns
    -------
    DataBunch

    Raises
    ------
    OSError
        If a copy can't be written to the given `data_home`. With the default folder, this is a
        warning.
    """
    path = Path(path).expanduser().absolute()
    name = _copy_name(family, path, settings)
    if name is None:
        return _read_uncached(path, settings, read, verbose)
    with ExitStack() as stack:
        try:
            target = get_data_home(data_home) / name
            data = _open_copy(target)
            if data is not None:
                return data
            new = stack.enter_context(new_folder(target))
        except OSError as error:
            if data_home is not None:
                raise
            warnings.warn(f"no converted copy of {path} is kept: {error}", stacklevel=4)
            return _read_uncached(path, settings, read, verbose)
        converter = Converter(new, verbose)
        _write_copy(new, _read(path, settings, read, converter), converter.sources)
        data = _open_copy(new)
    assert data is not None
    return data


def _read(
    path: Path, settings: dict[str, Any], read: Callable[..., DataBunch], converter: Converter
) -> DataBunch:
    data = read(path, converter, **settings)
    data["sources"] = list(converter.sources)
    return data


def _read_uncached(
    path: Path, settings: dict[str, Any], read: Callable[..., DataBunch], verbose: bool
) -> DataBunch:
    """Read a data set without a copy. Its mapped tables stay readable when the files are gone."""
    with tempfile.TemporaryDirectory(prefix="skrec-", ignore_cleanup_errors=True) as folder:
        return _read(path, settings, read, Converter(Path(folder), verbose))


def _copy_name(family: str, path: Path, settings: dict[str, Any]) -> str | None:
    """Return the folder name of a copy, or None if the result is random and can't be cached."""
    if settings.get("random_state", 0) is None:
        return None
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    try:
        described = json.dumps([FORMAT, family, str(path), names, settings], sort_keys=True)
    except TypeError:  # a generator
        return None
    return f"{family}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def _write_copy(folder: Path, data: DataBunch, sources: dict[str, str | None]) -> None:
    """Write the tables, the catalogue and ``copy.json`` of a data set into a folder."""
    about: dict[str, Any] = {"tables": [], "values": {}, "sources": []}
    for name, value in dict(data).items():
        if isinstance(value, Items):
            write_items(value, folder / "items.parquet")
        elif isinstance(value, pa.Table):
            if not (folder / f"{name}.arrow").exists():
                write_table(folder / f"{name}.arrow", [value])
            about["tables"].append(name)
        else:
            about["values"][name] = value
    for file in folder.glob("*.arrow"):
        if file.stem not in about["tables"]:
            file.unlink()  # intermediate tables
    for source, digest in sources.items():
        state = os.stat(source)
        about["sources"].append(
            [source, state.st_size, state.st_mtime_ns, digest or sha256(source)]
        )
    (folder / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def _open_copy(folder: Path) -> DataBunch | None:
    """Open the copy in a folder. Return None if it is missing, outdated or damaged."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if not all(_is_unchanged(*source) for source in about["sources"]):
            return None
        tables = {name: map_table(folder / f"{name}.arrow") for name in about["tables"]}
        return DataBunch(items=read_items(folder / "items.parquet"), **tables, **about["values"])
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None


def _is_unchanged(source: str, size: int, mtime: int, digest: str) -> bool:
    """Compare size and time of a source file. If only its time differs, compare its SHA-256."""
    state = os.stat(source)
    if state.st_size != size:
        return False
    return state.st_mtime_ns == mtime or sha256(source) == digest
