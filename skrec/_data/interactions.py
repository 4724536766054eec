"""X of any form as rows that scikit-learn can slice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.messages import preview
from skrec._data.clicks import read_clicks
from skrec._data.rows import as_table, kind_of, warn_misspelled_columns
from skrec._data.shards import ShardedInteractions
from skrec._data.view import interactions_view


class Interactions:
    """Rows of X in a form that searches and cross-validation can slice.

    Use it for a ``datasets.Dataset``, a parquet path or a mapping of columns, which scikit-learn
    can't slice. Data frames of pandas and polars, Arrow tables and lists don't need it.

    X is read once, into memory. Indexing with a slice, a mask or row numbers returns another
    ``Interactions``. It shares memory with this one if its rows are consecutive. Otherwise, its
    rows are copied.

    Parameters
    ----------
    X : table, parquet path, list of id lists, or Interactions
        Impressions, pairs or bare histories.
    y : array-like of shape (n_samples,), default=None
        Labels 0/1 of pairs, which become the column `clicked`.

    Attributes
    ----------
    kind : {"impressions", "pairs", "histories"}
        Kind of the rows.
    columns : list of str
        Names of the columns.
    shape : tuple of (int, int)
        Number of rows and number of columns.

    Raises
    ------
    ValueError
        If X has no column `history`, no rows, or both `candidate` and `candidates`; if y is given
        for impressions or bare histories, has another length, or contains values other than 0/1.
    TypeError
        If X is neither a table nor a list of lists, or a column has an invalid type.

    See Also
    --------
    skrec.explode : Convert impressions to pairs.
    skrec.Items : Catalogue, which scikit-learn never slices.

    Examples
    --------
    >>> from skrec import Interactions
    >>> X = Interactions({"history": [[3, 8], [5], []], "candidates": [[5], [3, 8], [3]]})
    >>> X
    Interactions(n_rows=3, kind='impressions', columns=['history', 'candidates'])
    >>> X[[0, 2]].column("history").to_pylist()
    [[3, 8], []]
    """

    kind: str
    _table: pa.Table

    def __init__(self, X: Any, y: Any = None):
        if isinstance(X, Interactions):
            self._table = X._table
        else:
            read = as_table(X)
            kind_of(read)
            warn_misspelled_columns(read)
            names = list(dict.fromkeys(read.names))
            self._table = pa.table({name: read.column(name) for name in names})
        self.kind = kind_of(as_table(self._table))
        if y is not None:
            clicked = read_clicks(as_table(self._table), y, self.kind, len(self))
            if "clicked" not in self.columns:
                self._table = self._table.append_column("clicked", pa.array(clicked))

    @classmethod
    def _of(cls, table: pa.Table, kind: str) -> Interactions:
        """Return rows of a known kind, without checks."""
        made = cls.__new__(cls)
        made._table, made.kind = table, kind
        return made

    @staticmethod
    def from_shards(
        paths: Any,
        *,
        buffer_size: int = 250_000,
        validation: Any = None,
        rank: int | None = None,
        world: int | None = None,
    ) -> ShardedInteractions:
        """Return the rows of files that are larger than memory, for `fit` only.

        `fit` reads the rows once to check and count them, and once per epoch. In each epoch, it
        visits the row groups of the files in a new random order. It reads up to `buffer_size` rows
        into memory, trains on them in random order, and goes on with the next ones. Rows that are
        next to each other in a file are therefore trained in the same buffer: write them in random
        order, or in row groups that are small compared with `buffer_size`. If the buffer holds all
        rows, training is that of rows in memory.

        Of several processes that train together, each reads its own part of the rows. In a step,
        each takes `batch_size` clicks of its buffer. All take the same number of steps.

        Parameters
        ----------
        paths : str, Path, or list of these
            Parquet files (``.parquet``), Arrow files (``.arrow``, ``.feather`` or ``.ipc``), or
            folders of them. The rows are impressions (columns `history`, `candidates` and
            `clicked`, and `weights` if there are any), or bare histories (column `history`). Other
            columns are not read.
        buffer_size : int, default=250_000
            Number of rows that each process holds in memory at a time.
        validation : X, default=None
            Rows that are held out if `early_stopping` is True, in any form that `Interactions`
            takes. None holds out `validation_fraction` of the rows, but at most `buffer_size` of
            them. They are next to each other, at random places of the files.
        rank, world : int, default=None
            Which of `world` equal parts of the rows this process reads. None reads all rows if one
            process trains, and the part of this process if several do. If each process has files of
            its own, pass ``rank=0, world=1``.

        Returns
        -------
        ShardedInteractions
            Rows that have no length and can't be sliced. Their attributes are `kind`, `columns` and
            `n_rows`.

        Raises
        ------
        ValueError
            If files are empty, not readable, or differ in their columns; if the rows are pairs, or
            `validation` has another kind; if `buffer_size`, `rank` or `world` is invalid.
        TypeError
            If `paths` or a column has an invalid type.
        FileNotFoundError
            If a file does not exist.

        Notes
        -----
        Sharded rows have no `y`, `sample_weight`, co-clicks, context, hard negatives or user
        vectors, which need all rows in memory. The column `impression_id` is not read: each row is
        an impression. Histories that repeat or continue in each other are found within a buffer.
        """
        held = None if validation is None else Interactions(validation).to_arrow()
        return ShardedInteractions(paths, buffer_size, held, rank, world)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._table.column_names

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and number of columns."""
        return self._table.shape

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column, for example the groups of a ``GroupKFold``.

        Parameters
        ----------
        name : str
            One of `columns`.

        Returns
        -------
        pyarrow.ChunkedArray of length n_rows

        Raises
        ------
        KeyError
            If there is no such column.
        """
        if name not in self.columns:
            raise KeyError(f"there is no column {name!r}; there are {preview(self.columns, 20)}")
        return self._table.column(name)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table, without a copy.

        Returns
        -------
        pyarrow.Table
        """
        return self._table

    def __len__(self) -> int:
        return self._table.num_rows

    def __getitem__(self, key: Any) -> Interactions:
        # scikit-learn indexes objects with a shape by (rows, ...)
        rows = key[0] if isinstance(key, tuple) and key else key
        return self._of(_take(self._table, rows), self.kind)

    # prevents loops over rows, and conversions to a numpy array, which would iterate over rows
    __iter__ = None

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)

    def __getstate__(self) -> dict[str, Any]:
        # The IPC format contains the rows of a slice only, not the table that it shares memory
        # with. As a numpy array, joblib maps it into the memory of workers instead of copying it.
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._table.schema) as stream:
            stream.write_table(self._table)
        return {"kind": self.kind, "table": np.frombuffer(sink.getvalue(), dtype=np.uint8)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.kind = state["kind"]
        self._table = pa.ipc.open_stream(pa.py_buffer(state["table"])).read_all()

    def __repr__(self) -> str:
        return f"Interactions(n_rows={len(self)}, kind={self.kind!r}, columns={self.columns})"

    def _repr_html_(self) -> str:
        """Return counts and the first rows, for notebooks."""
        return interactions_view(self)


def _take(table: pa.Table, rows: Any) -> pa.Table:
    """Return the rows of a table at a slice, a mask, row numbers or one row number."""
    n_rows = table.num_rows
    if isinstance(rows, slice):
        start, stop, step = rows.indices(n_rows)
        if step == 1:
            return table.slice(start, max(stop - start, 0))
        at = np.arange(start, stop, step)
    else:
        at = _positions(rows, n_rows)
    if len(at) and (np.diff(at) == 1).all():  # for example, test rows of unshuffled folds
        return table.slice(int(at[0]), len(at))
    return table.take(pa.array(at))


def _positions(rows: Any, n_rows: int) -> np.ndarray:
    """Return row numbers from 0 to n_rows - 1 for a mask, or for numbers that may be negative."""
    try:
        at = np.asarray(rows)
    except ValueError:  # nested sequences of different lengths
        at = np.empty((0, 0))
    if at.ndim == 0:
        at = at[None]
    if at.ndim == 1 and at.dtype.kind == "b":
        if len(at) != n_rows:
            raise IndexError(f"a mask of {len(at)} was given for {n_rows} rows")
        return np.flatnonzero(at)
    if at.ndim != 1 or (len(at) and at.dtype.kind not in "iu"):
        raise TypeError(
            "Interactions are indexed by a slice, a mask or row numbers, got "
            f"{preview([rows])}; a column is X.column('history')"
        )
    at = at.astype(np.int64)
    outside = (at < -n_rows) | (at >= n_rows)
    if outside.any():
        raise IndexError(f"row {at[outside][0]} is out of bounds for {n_rows} rows")
    return np.where(at < 0, at + n_rows, at)
