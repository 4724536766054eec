"""Converted copies of data sets: read once from the owner's files, then mapped into memory.

A copy is a folder below `data_home`: an Arrow file a table, the catalogue as parquet, and
``copy.json``, which says what the copy was made of. Arrow files are mapped and never loaded whole,
so that the tables may be larger than memory; parquet would have to be unpacked.
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
from skrec.datasets._files.reading import Reading, map_table, write_table
from skrec.datasets._web.home import get_data_home

FORMAT = "skrec data set 1"
_ABOUT = "copy.json"


def kept_copy(
    family: str,
    path: str | os.PathLike[str],
    settings: dict[str, Any],
    read: Callable[..., DataBunch],
    *,
    data_home: str | os.PathLike[str] | None,
    verbose: bool,
) -> DataBunch:
    """Return a data set from its converted copy, which is made first where there is none.

    A copy counts while the files it was made of are as they were: of the same size and time, else
    of the same SHA-256.

    Parameters
    ----------
    family : str
        Of the data set.
    path : str or path-like
        Where the owner's files are.
    settings : dict
        All else that the result depends on.
    read : callable
        Called with `path`, a `Reading` and the settings; returns the data, to which the files
        that were read are added as `sources`.
    data_home : str, path-like or None
        As `get_data_home` takes it.
    verbose : bool
        Whether progress is printed.

    Returns
    -------
    DataBunch
    """
    path = Path(path).expanduser().absolute()
    key = _key(family, path, settings)
    if key is None:  # drawn anew in each call
        return _read_only(path, settings, read, verbose)
    with ExitStack() as stack:
        try:
            place = get_data_home(data_home) / key
            data = _opened(place)
            if data is not None:
                return data
            new = stack.enter_context(new_folder(place))
        except OSError as error:
            if data_home is not None:
                raise
            warnings.warn(f"no converted copy of {path} is kept: {error}", stacklevel=4)
            return _read_only(path, settings, read, verbose)
        reading = Reading(new, verbose)
        _write_copy(new, _read(path, settings, read, reading), reading.sources)
        data = _opened(new)
    assert data is not None
    return data


def _read(path: Path, settings: dict, read: Callable, reading: Reading) -> DataBunch:
    data = read(path, reading, **settings)
    data["sources"] = list(reading.sources)
    return data


def _read_only(path: Path, settings: dict, read: Callable, verbose: bool) -> DataBunch:
    # what is mapped stays readable when its file has no name any more
    with tempfile.TemporaryDirectory(prefix="skrec-", ignore_cleanup_errors=True) as folder:
        return _read(path, settings, read, Reading(Path(folder), verbose))


def _key(family: str, path: Path, settings: dict[str, Any]) -> str | None:
    """Return the name of a copy; None where settings hold a generator, or None as a seed."""
    if settings.get("random_state", 0) is None:
        return None
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    try:
        described = json.dumps([FORMAT, family, str(path), names, settings], sort_keys=True)
    except TypeError:
        return None
    return f"{family}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def _write_copy(folder: Path, data: DataBunch, sources: dict[str, str | None]) -> None:
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
            file.unlink()  # rows before they were split
    for source, digest in sources.items():
        state = os.stat(source)
        about["sources"].append(
            [source, state.st_size, state.st_mtime_ns, digest or sha256(source)]
        )
    (folder / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def _opened(folder: Path) -> DataBunch | None:
    """Return the copy in a folder; None where there is none, or its sources have changed."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if not all(_is_as_it_was(*source) for source in about["sources"]):
            return None
        tables = {name: map_table(folder / f"{name}.arrow") for name in about["tables"]}
        return DataBunch(items=read_items(folder / "items.parquet"), **tables, **about["values"])
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None  # damaged or cut off: made anew


def _is_as_it_was(source: str, size: int, mtime: int, digest: str) -> bool:
    state = os.stat(source)
    if state.st_size != size:
        return False
    return state.st_mtime_ns == mtime or sha256(source) == digest
