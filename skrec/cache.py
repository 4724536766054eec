"""What frozen layers of language models gave, kept on disk: `info` lists it, `clear` drops it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skrec.content._lm import store_folders as folders
from skrec.content._lm.pages import DamagedPage, read_header

__all__ = ["clear", "info"]
_TOLD = ["model", "layer", "kind", "dtype", "max_length"]
_COUNTED = ["n_items", "n_tokens", "bytes"]


def info(memory: str | Path) -> pd.DataFrame:
    """Tell what is kept below a folder.

    Parameters
    ----------
    memory : str or Path
        What a recommender got as `memory`.

    Returns
    -------
    DataFrame
        A row for each set of states, the oldest first, with the columns model, layer, kind,
        dtype, max_length, n_items, n_tokens (rows that are kept of all items), bytes,
        created (UTC) and folder. It has no row where nothing is kept.

    Raises
    ------
    TypeError, ValueError
        For a `memory` that is no path, or is the path of a file.

    See Also
    --------
    clear : Delete it.

    Examples
    --------
    >>> import tempfile
    >>> from skrec import cache
    >>> with tempfile.TemporaryDirectory() as memory:
    ...     kept = cache.info(memory)
    >>> len(kept)
    0
    >>> list(kept)
    ['model', 'layer', 'kind', 'dtype', 'max_length', 'n_items', 'n_tokens', 'bytes', 'created',
     'folder']
    """
    rows = [row for folder in folders.stores(memory) if (row := _describe(folder)) is not None]
    table = pd.DataFrame(rows, columns=[*_TOLD, *_COUNTED, "created", "folder"])
    table["created"] = pd.to_datetime(table["created"], utc=True)
    table[_COUNTED] = table[_COUNTED].astype(np.int64)
    return table.sort_values(["created", "folder"], ignore_index=True)


def clear(memory: str | Path) -> int:
    """Delete what is kept below a folder; other files stay.

    It waits for a process that is computing. States that are in use stay readable: the disk has
    their room back once they are let go.

    Parameters
    ----------
    memory : str or Path
        What a recommender got as `memory`.

    Returns
    -------
    int
        Bytes that were deleted.

    Raises
    ------
    TypeError, ValueError
        For a `memory` that is no path, or is the path of a file.

    See Also
    --------
    info : Tell what is there.

    Examples
    --------
    >>> import tempfile
    >>> from skrec import cache
    >>> with tempfile.TemporaryDirectory() as memory:
    ...     cache.clear(memory)
    0
    """
    freed = 0
    for folder in folders.stores(memory):
        with folders.locked(folder):
            for path in folders.files_in(folder):
                freed += path.stat().st_size
                path.unlink()
            folders.remove_empty(folder)
            folders.remove_lock(folder)
    folders.remove_empty(folders.prefixes(memory))
    return freed


def _describe(folder: Path) -> dict[str, Any] | None:
    """Return a row of `info`; None where nothing is kept."""
    described = folders.read_description(folder)
    if described is None:
        return None
    row = {name: described["spec"].get(name) for name in _TOLD}
    row |= {"dtype": described["dtype"], "created": described["created"], "folder": str(folder)}
    row |= dict.fromkeys(_COUNTED, 0)
    for path in folders.files_in(folder):
        with contextlib.suppress(FileNotFoundError):  # cleared meanwhile
            row["bytes"] += path.stat().st_size
    for path in folders.pages_in(folder):
        with contextlib.suppress(FileNotFoundError, DamagedPage):
            tensors = read_header(path)[0]
            row["n_items"] += tensors["keys"]["shape"][0]
            row["n_tokens"] += tensors["rows"]["shape"][0]
    return row
