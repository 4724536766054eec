"""The catalogue: items with ids and content columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import did_you_mean, preview
from skrec._data.arrow import as_ids, is_list, to_arrow
from skrec._data.hints import hint_for_catalogue, hint_for_index, warn_odd_columns
from skrec._data.ids import IdLookup
from skrec._data.roles import ROLES, cast_column, role_of
from skrec._data.table import Table, is_table
from skrec._data.view import items_view

MAX_PADDING = 2e8  # values with which lists longer than the catalogue are filled up


class Items:
    """Catalogue of the items that can be recommended, with their ids and content columns.

    An ``Items`` is immutable. It has `n_items` but no length or shape, so that scikit-learn does
    not slice it. In searches and cross-validation, pass ``items=Items(frame)``: scikit-learn would
    split a data frame that has as many rows as ``X`` into folds.

    The **role** of a column tells operators how to read it. The default role depends on the dtype:

    ================== ====================================================================
    role               dtype
    ================== ====================================================================
    ``text``           strings
    ``category``       categorical, dictionary, bool
    ``multi-category`` lists of strings or ints
    ``number``         ints and floats, which are standardized over the catalogue
    ``vector``         lists of floats of equal length, 2-D arrays, fixed-size lists of numbers
    ================== ====================================================================

    Nulls in ``text`` and ``multi-category`` columns are read as empty, and nulls in ``category``
    columns as a separate category. Nulls in ``number`` and ``vector`` columns raise an error.

    Parameters
    ----------
    data : DataFrame-like with the id column, mapping of id to text, Series or list of texts
        The items. The ids of a pandas Series are its index, and the ids of a list are positions.
        A DataFrame-like is a data frame of pandas or polars, an Arrow table, a
        ``datasets.Dataset``, a mapping of columns, or the path of a parquet file or folder.
    id : str, default="item_id"
        Name of the id column. Ids are distinct ints or strings, and not null.
    roles : dict of str to str, default=None
        Roles that replace the default roles of columns, for example ``{"genre_id": "category"}``.

    Attributes
    ----------
    n_items : int
        Number of items.
    ids : ndarray of shape (n_items,)
        Ids in catalogue order.
    roles : dict of str to str
        Role of each content column.

    Raises
    ------
    ValueError
        If the catalogue is empty or has no id column; if ids are null or duplicate; if numbers are
        null or not finite; if vectors are null or differ in length; if a column contains dates; if
        `roles` names an unknown column or role.
    TypeError
        If `data` has none of the types above, or ids are neither ints nor strings.

    See Also
    --------
    skrec.Interactions : Rows of X that scikit-learn can slice.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec import Items
    >>> Items(pd.DataFrame({"item_id": [7, 8], "title": ["Sun and sea", "Snow"]}))
    Items(n_items=2, id='item_id', roles={'title': 'text'})
    """

    def __init__(self, data: Any, *, id: str = "item_id", roles: Mapping[str, str] | None = None):
        if not isinstance(id, str):
            raise TypeError(f"id must be the name of a column, got {id!r}")
        table = _as_table(data, id)
        if id not in table:
            raise ValueError(
                f"the catalogue has no id column {id!r}{did_you_mean(id, table.names)}; "
                f"its columns are {preview(table.names, 20)}. Name the right one with "
                f"Items(..., id='...'){hint_for_catalogue(table.names) or hint_for_index(data)}"
            )
        names = [name for name in table.names if name != id]
        self._check_roles(roles, names)
        self.id = id
        self._ids = _read_ids(table.column(id))
        self._lookup: IdLookup | None = None
        columns = {name: table.column(name) for name in names}
        self.roles = {
            name: (roles or {}).get(name) or role_of(column.type, name)
            for name, column in columns.items()
        }
        self._columns = {
            name: cast_column(column, self.roles[name], name) for name, column in columns.items()
        }
        guessed = {name: column for name, column in columns.items() if name not in (roles or {})}
        warn_odd_columns(guessed, self.roles)

    @staticmethod
    def _check_roles(roles: Mapping[str, str] | None, names: list[str]) -> None:
        """Raise a ValueError if `roles` has a key that is not in `names`, or an invalid role."""
        if roles is not None and not isinstance(roles, Mapping):
            raise TypeError(
                f"roles must map names of columns to roles, such as {{'genre_id': 'category'}}, "
                f"got {roles!r}"
            )
        for name, role in (roles or {}).items():
            if name not in names:
                raise ValueError(
                    f"roles names a column {name!r} that the catalogue lacks"
                    f"{did_you_mean(name, names)}"
                )
            if not isinstance(role, str) or role not in ROLES:
                raise ValueError(
                    f"the role of column {name!r} must be one of {preview(ROLES)}, got {role!r}"
                )

    @classmethod
    def _make(
        cls, id: str, ids: pa.Array, columns: dict[str, pa.Array], roles: dict[str, str]
    ) -> Items:
        """Return a catalogue of valid ids and columns, without checks."""
        made = cls.__new__(cls)
        made.id, made._ids, made._columns, made.roles = id, ids, columns, roles
        made._lookup = None
        return made

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self._ids)

    @property
    def ids(self) -> np.ndarray:
        """Ids in catalogue order, of shape (n_items,)."""
        return self._ids.to_numpy(zero_copy_only=False)

    def column(self, name: str) -> pa.Array:
        """Return a content column in the Arrow type of its role.

        Parameters
        ----------
        name : str
            A key of `roles`.

        Returns
        -------
        pyarrow.Array of length n_items
            Type large_string for text and category, lists of large_string for multi-category,
            float64 for number, and fixed-size lists of float32 for vector.
        """
        return self._columns[name]

    def codes(self, ids: Any, what: str = "the ids") -> np.ndarray:
        """Return the positions of ids in the catalogue.

        Parameters
        ----------
        ids : array-like of shape (n,)
            Ids to look up.
        what : str, default="the ids"
            Description of the ids in error messages.

        Returns
        -------
        ndarray of int32, shape (n,)
            Positions; -1 for ids that are not in the catalogue.

        Raises
        ------
        ValueError
            If ids are null, have fractions or mixed types.
        TypeError
            If the ids are strings and those of the catalogue are ints, or the other way around; or
            if `ids` is a single id.
        """
        refuse_scalar(ids, what)
        if not isinstance(ids, pa.Array | pa.ChunkedArray):
            ids = to_arrow(ids, what)
        if self._lookup is None:
            self._lookup = IdLookup(self._ids)
        return self._lookup.codes(ids, what)

    def take(self, codes: Any) -> Items:
        """Return the items at given positions.

        Parameters
        ----------
        codes : array-like of int, shape (n,)
            Positions in the catalogue.

        Returns
        -------
        Items
            The items, in the order of `codes`.
        """
        index = pa.array(np.asarray(codes, dtype=np.int64))
        columns = {name: column.take(index) for name, column in self._columns.items()}
        return self._make(self.id, self._ids.take(index), columns, self.roles)

    def extend(self, data: Any) -> Items:
        """Return a catalogue with additional or changed items.

        Parameters
        ----------
        data : Items or DataFrame-like
            Items with the columns of this catalogue. Other columns are ignored. An item whose id
            is in this catalogue replaces the item with that id.

        Returns
        -------
        Items
            The items of this catalogue at their positions, followed by the new items.

        Raises
        ------
        ValueError
            If a column is missing or has another role or type.
        """
        other = self.conform(data)
        at = self.codes(other._ids, "the ids of the new items")
        new = np.flatnonzero(at < 0)
        index = np.arange(self.n_items + len(new))
        index[at[at >= 0]] = self.n_items + np.flatnonzero(at >= 0)
        index[self.n_items :] = self.n_items + new
        rows = pa.array(index)
        columns = {
            name: pa.chunked_array([column, other._columns[name]]).combine_chunks().take(rows)
            for name, column in self._columns.items()
        }
        ids = pa.concat_arrays([self._ids, other._ids]).take(rows)
        return self._make(self.id, ids, columns, self.roles)

    def conform(self, data: Any) -> Items:
        """Return other items as a catalogue with the id column and roles of this one.

        Parameters
        ----------
        data : Items or DataFrame-like
            Items with the columns of this catalogue.

        Returns
        -------
        Items
            The items of `data` only.

        Raises
        ------
        ValueError
            If a column is missing or has another role or type.
        """
        if isinstance(data, Items):
            frame = data
        else:
            table = _as_table(data, self.id)
            known = [name for name in (self.id, *self.roles) if name in table]
            roles = {name: role for name, role in self.roles.items() if name in table}
            columns = {name: table.column(name) for name in known}
            frame = Items(columns, id=self.id, roles=roles)
        missing = [name for name in self.roles if name not in frame.roles]
        if missing:
            raise ValueError(f"the new items lack the catalogue's columns {preview(missing)}")
        for name, role in self.roles.items():
            got = frame.column(name).type
            if frame.roles[name] != role or got != self.column(name).type:
                raise ValueError(
                    f"column {name!r} of the new items is {frame.roles[name]} ({got}) but {role} "
                    f"({self.column(name).type}) in the catalogue"
                )
        return frame

    def hashes(self) -> np.ndarray:
        """Return a hash of each item's content: the names, roles and values of its columns.

        Returns
        -------
        ndarray of uint64, shape (n_items,)
            Items with equal content have equal hashes, in all processes.
        """
        total = np.zeros(self.n_items, dtype=np.uint64)
        for name in sorted(self.roles):
            column = self._columns[name]
            if is_list(column.type):
                values = np.array([repr(row) for row in column.to_pylist()], dtype=object)
            else:
                values = column.to_numpy(zero_copy_only=False)
            salt = pd.util.hash_array(np.array([f"{name}:{self.roles[name]}"], dtype=object))
            part = pd.util.hash_array(values)
            total = (total ^ part ^ salt) * np.uint64(0x9E3779B97F4A7C15)
        return total

    def to_pandas(self) -> pd.DataFrame:
        """Return the catalogue as a data frame.

        Returns
        -------
        pandas.DataFrame
            The id column, followed by the content columns.
        """
        return pa.table({self.id: self._ids, **self._columns}).to_pandas()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_lookup": None}  # rebuilt when needed

    def __repr__(self) -> str:
        return f"Items(n_items={self.n_items}, id={self.id!r}, roles={self.roles})"

    def _repr_html_(self) -> str:
        """Return the columns and the first items, for notebooks."""
        return items_view(self)


def are_equal(one: Items, other: Items) -> bool:
    """Whether two catalogues have the same ids and contents in the same order."""
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.hashes(), other.hashes())


def codes_of(known: Items, ids: Any, name: str) -> np.ndarray:
    """Return the codes of ids that a user passed, all of which must be in the catalogue.

    Parameters
    ----------
    known : Items
        The catalogue.
    ids : array-like of shape (n,)
        Ids to look up.
    name : str
        Name of the parameter that received the ids, for error messages.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    ValueError
        If ids are missing from the catalogue.
    TypeError
        If `ids` is not flat, or its ids have another type than those of the catalogue.
    """
    refuse_scalar(ids, name)
    ids = to_arrow(ids, name).combine_chunks()
    if is_list(ids.type):
        raise TypeError(f"{name} must be a flat sequence of item ids, got {ids.type}")
    codes = known.codes(ids, name)
    refuse_missing(known, ids, codes, name)
    return codes.astype(np.int64)


def refuse_missing(known: Items, ids: pa.Array, codes: np.ndarray, name: str) -> None:
    """Raise a ValueError if ids that the parameter `name` received have no code."""
    if (codes < 0).any():
        missing = ids.filter(pa.array(codes < 0)).unique()
        raise ValueError(
            f"{len(missing)} ids in {name} are missing from the catalogue of {known.n_items} "
            f"items, among them {preview(missing.to_pylist(), 5)}; pass items=... with their "
            "columns"
        )


def refuse_scalar(ids: Any, name: str) -> None:
    """Raise a TypeError if `ids` is a single id, which would be read as a list of characters."""
    one = isinstance(ids, np.ndarray) and ids.ndim == 0
    if one or isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        shown = ids.item() if one or isinstance(ids, np.generic) else ids
        raise TypeError(f"{name} must be a flat sequence of item ids: write [{shown!r}]")


def ids_of(known: Items, codes: np.ndarray) -> np.ndarray:
    """Return the ids of codes (n, k). Code -1 becomes -1 if ids are ints, and None otherwise."""
    rows = pa.array(np.maximum(codes, 0).ravel())  # the ids of the whole catalogue are not read
    ids = known._ids.take(rows).to_numpy(zero_copy_only=False).reshape(codes.shape)
    ids = ids if ids.flags.writeable else ids.copy()
    ids[codes < 0] = -1 if ids.dtype.kind == "i" else None
    return ids


def padded_lists(
    known: Items, codes: np.ndarray, scores: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids and scores of lists, filled up to length k.

    Parameters
    ----------
    known : Items
        The catalogue.
    codes : ndarray of int, shape (n, m)
        Codes of the items; -1 where there is none.
    scores : ndarray of float32, shape (n, m)
        Their scores.
    k : int
        Length of the lists, at least m. It is greater than m if the catalogue is smaller than k.

    Returns
    -------
    ids, scores : ndarray of shape (n, k)
        See `ids_of`. The score is -inf where there is no item.

    Raises
    ------
    ValueError
        If the lists would mainly be filled with more than `MAX_PADDING` values.
    """
    found = ids_of(known, codes)
    n_rows, width = codes.shape
    if k == width:
        return found, scores
    if max(n_rows, 1) * (k - width) > MAX_PADDING:
        raise ValueError(
            f"k={k} is greater than the catalogue of {known.n_items} items, and lists of this "
            f"length for {n_rows} rows are too large to fill up; give k={known.n_items} or less"
        )
    ids = np.full((n_rows, k), -1 if found.dtype.kind == "i" else None, dtype=found.dtype)
    padded = np.full((n_rows, k), -np.inf, dtype=scores.dtype)
    ids[:, :width], padded[:, :width] = found, scores
    return ids, padded


def _as_table(data: Any, id: str) -> Table:
    """Convert a catalogue of any form to a table with an id column; see `Items`."""
    if data is None or (isinstance(data, str) and not is_table(data)):
        raise TypeError(f"a catalogue is a DataFrame-like, mapping or list, got {data!r}")
    if isinstance(data, pd.DataFrame) and is_indexed_by(data, id):
        return Table(data.reset_index())
    if isinstance(data, pd.Series):
        return Table({id: data.index, _text_name(data.name, id): data})
    if isinstance(data, Mapping) and id not in data and not _holds_columns(data):
        return Table({id: list(data.keys()), "text": list(data.values())})
    if is_table(data):
        return Table(data)
    if not isinstance(data, Iterable):
        raise TypeError(
            f"a catalogue is a DataFrame-like, a mapping of id to text or a list of texts, "
            f"got {type(data).__name__}"
        )
    texts = to_arrow(data, "the texts of the catalogue")
    if len(texts) and role_of(texts.type, "text") != "text":
        raise TypeError(f"a list that is a catalogue must hold texts, got {texts.type}")
    return Table({id: range(len(texts)), "text": texts})


def is_indexed_by(data: Any, id: str) -> bool:
    """Whether `data` is a data frame, or a Series of texts, whose index has the name `id`."""
    if isinstance(data, pd.DataFrame):
        return data.index.name == id and id not in data
    return (
        isinstance(data, pd.Series)
        and data.index.name == id
        and pd.api.types.infer_dtype(data) == "string"
    )


def _text_name(name: Any, id: str) -> str:
    """Return the name of the column for a Series of texts: that of the Series, or "text"."""
    return name if isinstance(name, str) and name != id else "text"


def _holds_columns(data: Mapping) -> bool:
    """Whether the values of a mapping are columns rather than texts."""
    return any(not isinstance(value, str) and value is not None for value in data.values())


def _read_ids(column: pa.ChunkedArray) -> pa.Array:
    """Return the ids of a catalogue, or raise a ValueError if they are empty or not distinct."""
    ids = as_ids(column, "the catalogue's ids").combine_chunks()
    if not len(ids):
        raise ValueError("the catalogue is empty; it must hold at least one item")
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = ids.value_counts()
        twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
        raise ValueError(
            f"{len(twice)} ids of the catalogue are duplicate: {preview(twice.to_pylist())}; "
            "keep one row each"
        )
    return ids
