"""Lists of items as data frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit
from sklearn import get_config

from skrec._common.messages import did_you_mean, preview
from skrec._data.items import Items, ids_of

LIBRARIES = ("pandas", "polars")
OUTPUT_CONFIG = "_sklearn_output_config"  # where scikit-learn's `set_output` keeps its choice


@dataclass(frozen=True)
class FrameFormat:
    """Library and columns of the data frames that contain lists of items.

    Parameters
    ----------
    library : {"pandas", "polars"}
    items : Items
        The catalogue.
    key : str
        Name of the first column.
    columns : tuple of str
        Content columns of the catalogue that are added.
    """

    library: str
    items: Items
    key: str
    columns: tuple[str, ...] = ()

    def frame(
        self,
        keys: np.ndarray | pa.Array,
        codes: np.ndarray,
        scores: np.ndarray,
        logits: np.ndarray | None = None,
    ) -> Any:
        """Return lists as a data frame with one row per item of a list.

        Parameters
        ----------
        keys : array of shape (n,)
            Values of the first column, one per list.
        codes : ndarray of int, shape (n, k)
            Codes of the items in the order of the list. Lists end where the code is -1.
        scores : ndarray of float32, shape (n, k)
            Their scores.
        logits : ndarray of shape (n, k), default=None
            Log odds of a click. None means that the frame has no column of probabilities.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            Columns `key`, ``rank`` (from 1), the id, ``score``, ``probability`` if there are
            `logits`, and `columns`.
        """
        lists, places = np.nonzero(codes >= 0)
        found, score = codes[lists, places], scores[lists, places]
        made = {
            self.key: pa.array(keys).take(pa.array(lists)),
            "rank": places + 1,
            self.items.id: ids_of(self.items, found),
            "score": score,
        }
        if logits is not None:
            made["probability"] = expit(logits[lists, places])
        for name in self.columns:
            made[name] = self.items.column(name).take(pa.array(found))
        return to_library(pa.table(made), self.library)


def frame_format(
    recommender: Any, as_frame: Any, columns: Any, items: Items, key: str
) -> FrameFormat | None:
    """Return the format of data frames, or None if the answer is arrays.

    Parameters
    ----------
    recommender : estimator
        The estimator whose `set_output` counts if `as_frame` is True.
    as_frame : bool or {"pandas", "polars"}
        Argument of the user.
    columns : list of str or None
        Argument of the user.
    items : Items
        The catalogue.
    key : str
        Name of the first column of the frames.

    Returns
    -------
    FrameFormat or None

    Raises
    ------
    ValueError
        If `as_frame` is invalid, if a column is unknown or duplicate, if the frame has another
        column of this name, or if there are `columns` without `as_frame`.
    TypeError
        If `columns` is not a list of names.
    ImportError
        If the library is not installed.
    """
    library = _library(recommender, as_frame)
    if library is None:
        if columns is not None:
            raise ValueError(f"columns={columns!r} needs as_frame=True, because arrays have none")
        return None
    names = chosen_columns(columns, items, [key, "rank", items.id, "score", "probability"])
    if library == "polars":
        _import_polars()
    return FrameFormat(library, items, key, names)


def chosen_columns(columns: Any, items: Items, own: list[str]) -> tuple[str, ...]:
    """Return the content columns that a user asks for, to be added to a frame.

    Parameters
    ----------
    columns : list of str or None
        Argument of the user.
    items : Items
        The catalogue.
    own : list of str
        The other columns of the frame, of which one is the id.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If a column is unknown or duplicate, or if the frame has another column of this name.
    TypeError
        If `columns` is not a list of names.
    """
    names = _names(columns, items)
    for name in (items.id, *names):
        if own.count(name) > (name == items.id):
            raise ValueError(
                f"the catalogue's column {name!r} has the name of another column of the frame; "
                f"rename it in the catalogue{'' if name == items.id else ' or leave it out'}"
            )
    return names


def output_library(recommender: Any) -> str | None:
    """Return the library that `set_output`, or scikit-learn's configuration, asks for.

    Parameters
    ----------
    recommender : estimator

    Returns
    -------
    {"pandas", "polars"} or None
        None means arrays.
    """
    chosen = getattr(recommender, OUTPUT_CONFIG, {}).get("transform")
    library = get_config()["transform_output"] if chosen is None else chosen
    return library if library in LIBRARIES else None


def to_library(table: pa.Table, library: str) -> Any:
    """Return an Arrow table as a data frame of a library."""
    if library == "pandas":
        return table.to_pandas()
    return _import_polars().from_arrow(table)


def _library(recommender: Any, as_frame: Any) -> str | None:
    """Return the library that `as_frame` asks for; None if it is False."""
    if isinstance(as_frame, bool | np.bool_):
        return (output_library(recommender) or "pandas") if as_frame else None
    if not isinstance(as_frame, str) or as_frame not in LIBRARIES:
        raise ValueError(f"as_frame must be True, False, 'pandas' or 'polars', got {as_frame!r}")
    return as_frame


def _names(columns: Any, items: Items) -> tuple[str, ...]:
    """Return the content columns that a user asks for, without the id."""
    if columns is None:
        return ()
    if isinstance(columns, str):
        raise TypeError(f"columns must be a list of names: write [{columns!r}]")
    if not isinstance(columns, Iterable):
        raise TypeError(f"columns must be a list of names, got {columns!r}")
    names = list(columns)
    known = [items.id, *items.roles]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) if isinstance(name, str) else ""
            raise ValueError(
                f"columns names {name!r}, which the catalogue lacks{hint}; its columns are "
                f"{preview(known, 20)}"
            )
        if names.count(name) > 1:
            raise ValueError(f"columns names {name!r} twice")
    return tuple(name for name in names if name != items.id)


def _import_polars() -> Any:
    """Import polars, or raise an ImportError that says how to install it."""
    try:
        import polars
    except ImportError as error:
        raise ImportError(
            "frames of polars need the package polars: pip install polars; or choose "
            "as_frame='pandas'"
        ) from error
    return polars
