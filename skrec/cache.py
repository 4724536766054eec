"""Stored states and texts of language models, which are listed, verified and deleted here."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skrec._common.checks import check_choice
from skrec.content._lm import store_folders as folders
from skrec.content._lm.gguf_copies import delete_copies
from skrec.content._lm.pages import DamagedPage, check_page, read_header
from skrec.text import _folders as texts

__all__ = ["clear", "info", "verify"]
_DESCRIPTION_COLUMNS = ["model", "layer", "kind", "dtype", "max_length"]
_TOTAL_COLUMNS = ["n_items", "n_tokens", "bytes"]


def info(memory: str | Path) -> pd.DataFrame:
    """List the states and the written texts that are stored below a folder.

    Parameters
    ----------
    memory : str or Path
        Folder that was passed to a recommender, or to a transformer of `skrec.text`, as `memory`.

    Returns
    -------
    DataFrame
        One row per set of states, and per model that wrote texts, oldest first. The columns are
        model, layer, kind, dtype, max_length, n_items, n_tokens (number of stored rows of all
        items), bytes, created (UTC) and folder. For texts, kind is "texts", model is what
        identifies the model and its options, n_items is the number of texts, n_tokens is 0, and
        other columns are missing. The table is empty if nothing is stored.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file.

    See Also
    --------
    verify : Look for damaged files.
    clear : Delete stored states or texts.

    Examples
    --------
    >>> import tempfile
    >>> from skrec import cache
    >>> with tempfile.TemporaryDirectory() as memory:
    ...     stored = cache.info(memory)
    >>> len(stored)
    0
    >>> list(stored)
    ['model', 'layer', 'kind', 'dtype', 'max_length', 'n_items', 'n_tokens', 'bytes', 'created',
     'folder']
    """
    rows = [row for folder in folders.stores(memory) if (row := _describe(folder)) is not None]
    rows += [row for folder in texts.text_folders(memory) if (row := _describe_texts(folder))]
    columns = [*_DESCRIPTION_COLUMNS, *_TOTAL_COLUMNS, "created", "folder"]
    table = pd.DataFrame(rows, columns=columns)
    table["created"] = pd.to_datetime(table["created"], utc=True)
    table[_TOTAL_COLUMNS] = table[_TOTAL_COLUMNS].astype(np.int64)
    return table.sort_values(["created", "folder"], ignore_index=True)


def verify(memory: str | Path) -> pd.DataFrame:
    """Read all states that are stored below a folder, and delete files that are damaged.

    Files are verified when they are written. Later, ``fit`` verifies the names of the items in
    them, but not their states, because that would read all of them. Use this function if a disk
    or a copy may be at fault. The items of a deleted file are computed again when they are needed.

    Parameters
    ----------
    memory : str or Path
        Folder that was passed to a recommender as `memory`.

    Returns
    -------
    DataFrame
        One row per damaged file, with the columns file and problem.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file.

    See Also
    --------
    info : List stored states.
    clear : Delete stored states.

    Examples
    --------
    >>> import tempfile
    >>> from skrec import cache
    >>> with tempfile.TemporaryDirectory() as memory:
    ...     damaged = cache.verify(memory)
    >>> len(damaged)
    0
    """
    rows = []
    for folder in folders.stores(memory):
        for path in folders.page_files(folder):
            try:
                check_page(path)
            except FileNotFoundError:  # deleted by another process
                continue
            except DamagedPage as error:
                rows.append({"file": str(path), "problem": str(error)})
                path.unlink(missing_ok=True)
    return pd.DataFrame(rows, columns=["file", "problem"])


def clear(memory: str | Path, *, which: str = "states") -> int:
    """Delete the states or the texts that are stored below a folder. Other files are not deleted.

    If another process is computing states or writing texts, the function waits for it. A
    recommender that uses stored states can still read them; their disk space becomes free once it
    releases them.

    Parameters
    ----------
    memory : str or Path
        Folder that was passed to a recommender, or to a transformer of `skrec.text`, as `memory`.
    which : {"states", "texts", "all"}, default="states"
        What is deleted. "all" also deletes plain copies of GGUF files. Texts are kept by default
        because a language model may need hours, or an endpoint money, to write them again. A
        fitted transformer still knows the texts that it has read.

    Returns
    -------
    int
        Number of bytes deleted.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file, or if `which` is unknown.

    See Also
    --------
    info : List what is stored.

    Examples
    --------
    >>> import tempfile
    >>> from skrec import cache
    >>> with tempfile.TemporaryDirectory() as memory:
    ...     cache.clear(memory)
    0
    """
    check_choice("which", which, ("states", "texts", "all"))
    freed = 0
    if which != "texts":
        for folder in folders.stores(memory):
            with folders.locked(folder):
                for path in folders.store_files(folder):
                    freed += path.stat().st_size
                    path.unlink()
                folders.remove_empty(folder)
                folders.remove_lock(folder)
        folders.remove_empty(folders.prefix_folder(memory))
    if which != "states":
        freed += sum(map(texts.delete, texts.text_folders(memory)))
    if which == "all":
        freed += delete_copies(memory)
    return freed


def _describe_texts(folder: Path) -> dict[str, Any] | None:
    """Return the row of a folder of texts in `info`, or None if it was deleted meanwhile."""
    row = texts.describe(folder)
    if not row:
        return None
    return {"kind": "texts", "n_tokens": 0, "folder": str(folder)} | row


def _describe(folder: Path) -> dict[str, Any] | None:
    """Return the row of a store in `info`, or None if the folder is not a store."""
    described = folders.read_description(folder)
    if described is None:
        return None
    row = {name: described["spec"].get(name) for name in _DESCRIPTION_COLUMNS}
    row |= {"dtype": described["dtype"], "created": described["created"], "folder": str(folder)}
    row |= dict.fromkeys(_TOTAL_COLUMNS, 0)
    for path in folders.store_files(folder):
        with contextlib.suppress(FileNotFoundError):  # deleted by another process
            row["bytes"] += path.stat().st_size
    for path in folders.page_files(folder):
        with contextlib.suppress(FileNotFoundError, DamagedPage):
            tensors = read_header(path)[0]
            row["n_items"] += tensors["keys"]["shape"][0]
            row["n_tokens"] += tensors["rows"]["shape"][0]
    return row
