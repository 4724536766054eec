"""The catalogue: items with ids and content columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._common.messages import did_you_mean, preview
from skrec._data.arrow import is_list, to_arrow
from skrec._data.hints import hint_for_catalogue, hint_for_index, warn_odd_columns
from skrec._data.item_parts import Part, Parts, content_hashes
from skrec._data.item_source import (
    Reference,
    Source,
    Stamps,
    open_arrow,
    stamps_of,
    write_arrow,
)
from skrec._data.item_table import catalogue_table, check_roles, read_ids
from skrec._data.roles import cast_column, role_of
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
    memory : str or Path, default=None
        Folder to which the catalogue is written once, as an Arrow file that all processes of this
        machine map into their memory. None keeps the catalogue in the memory of the process.

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
    OSError
        If `memory` cannot be written to.

    See Also
    --------
    skrec.Interactions : Rows of X that scikit-learn can slice.

    Notes
    -----
    A catalogue from parquet files or with a `memory` is pickled as the paths and a hash of its
    files, which must be unchanged when it is unpickled. A search with several workers therefore
    sends a few bytes. A fitted recommender is pickled with its items.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec import Items
    >>> Items(pd.DataFrame({"item_id": [7, 8], "title": ["Sun and sea", "Snow"]}))
    Items(n_items=2, id='item_id', roles={'title': 'text'})
    """

    _hashes: np.ndarray | None = None  # computed when first needed

    _source: Source | None = None

    def __init__(
        self,
        data: Any,
        *,
        id: str = "item_id",
        roles: Mapping[str, str] | None = None,
        memory: Any = None,
    ):
        if not isinstance(id, str):
            raise TypeError(f"id must be the name of a column, got {id!r}")
        table = catalogue_table(data, id)
        if id not in table:
            raise ValueError(
                f"the catalogue has no id column {id!r}{did_you_mean(id, table.names)}; "
                f"its columns are {preview(table.names, 20)}. Name the right one with "
                f"Items(..., id='...'){hint_for_catalogue(table.names) or hint_for_index(data)}"
            )
        names = [name for name in table.names if name != id]
        check_roles(roles, names)
        paths = tuple(table.files)
        stamps = stamps_of(paths)  # before they are read
        self.id = id
        ids = read_ids(table.column(id))
        columns = {name: table.column(name) for name in names}
        self.roles = {
            name: (roles or {}).get(name) or role_of(column.type, name)
            for name, column in columns.items()
        }
        cast = {
            name: cast_column(column, self.roles[name], name) for name, column in columns.items()
        }
        self._parts = Parts([Part(ids, cast)])
        if memory is not None:
            paths = (write_arrow(memory, id, self._parts.whole, self.roles),)
            stamps, self._parts = stamps_of(paths), Parts([open_arrow(paths[0])[1]])
        if paths:
            self._source = Source(paths, id, tuple(self.roles.items()), stamps)
        guessed = {name: column for name, column in columns.items() if name not in (roles or {})}
        warn_odd_columns(guessed, self.roles)

    @classmethod
    def _make(
        cls, id: str, ids: pa.Array, columns: dict[str, pa.Array], roles: dict[str, str]
    ) -> Items:
        """Return a catalogue of valid ids and columns, without checks."""
        return cls._of(id, Parts([Part(ids, columns)]), roles)

    @classmethod
    def _of(cls, id: str, parts: Parts, roles: dict[str, str]) -> Items:
        """Return a catalogue of valid parts."""
        made = cls.__new__(cls)
        made.id, made._parts, made.roles = id, parts, roles
        return made

    @property
    def _ids(self) -> pa.Array:
        """Ids of all items."""
        return self._parts.whole.ids

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self._parts)

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
        return self._parts.whole.columns[name]

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
        return self._parts.codes(ids, what)

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
        return self._of(self.id, Parts([self._parts.take(codes)]), self.roles)

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
            The items of this catalogue at their positions, followed by the new items. The same
            object if there are neither new nor changed items.

        Raises
        ------
        ValueError
            If a column is missing or has another role or type.
        """
        other = self.conform(data)
        return self._extended(other, *self._changes(other))

    def _extended(
        self, other: Items, at: np.ndarray, new: np.ndarray, changed: np.ndarray
    ) -> Items:
        """Return the catalogue with other items, which differ as `_changes` says."""
        if not len(new) + len(changed):
            return self
        parts = self._parts.extended(other._parts.whole, at, new, changed)
        return self._of(self.id, parts, self.roles)

    def _changes(self, other: Items) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return how other items, which `conform` returned, differ from those of this catalogue.

        Returns
        -------
        at : ndarray of int32, shape (n,)
            Positions of the other items in this catalogue; -1 for new ones.
        new, changed : ndarray of int64
            Positions in `other` of items that are new, and of items with another content.
        """
        at = self.codes(other._ids, "the ids of the new items")
        known = np.flatnonzero(at >= 0)
        is_other = other.hashes()[known] != self.take(at[known]).hashes()
        return at, np.flatnonzero(at < 0), known[is_other]

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
            table = catalogue_table(data, self.id)
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
        if len(frame.roles) > len(self.roles):
            columns = {name: frame.column(name) for name in self.roles}
            return self._make(self.id, frame._ids, columns, self.roles)
        return frame

    def hashes(self) -> np.ndarray:
        """Return a hash of each item's content: the names, roles and values of its columns.

        Returns
        -------
        ndarray of uint64, shape (n_items,)
            Items with equal content have equal hashes, in all processes.
        """
        if self._hashes is None:
            self._hashes = content_hashes(self._parts.whole, self.roles)
        return self._hashes

    def to_pandas(self) -> pd.DataFrame:
        """Return the catalogue as a data frame.

        Returns
        -------
        pandas.DataFrame
            The id column, followed by the content columns.
        """
        return pa.table({self.id: self._ids, **self._parts.whole.columns}).to_pandas()

    def _in_memory(self) -> Items:
        """Return the same catalogue, whose pickle does not depend on files."""
        return self if self._source is None else self._of(self.id, self._parts, self.roles)

    def __reduce__(self) -> tuple[Any, ...]:
        reference = None if self._source is None else self._source.reference()
        if reference is not None:
            return _open, (reference,)
        whole = self._parts.whole
        return Items._make, (self.id, whole.ids, whole.columns, self.roles)

    def __deepcopy__(self, memo: Any = None) -> Items:
        return self  # it is immutable

    __copy__ = __deepcopy__

    def __repr__(self) -> str:
        return f"Items(n_items={self.n_items}, id={self.id!r}, roles={self.roles})"

    def _repr_html_(self) -> str:
        """Return the columns and the first items, for notebooks."""
        return items_view(self)


def _open(reference: Reference) -> Items:
    """Return a catalogue that is pickled as a reference to files; see `Items`."""
    return _opened(reference, reference.stamps())


@lru_cache(maxsize=1)  # a worker gets the same catalogue with each of its tasks
def _opened(reference: Reference, stamps: Stamps) -> Items:
    """Read the files of a catalogue, which last changed at `stamps`."""
    source = reference.source(stamps)
    if source.is_arrow:
        id, part, roles = open_arrow(source.paths[0])
        items = Items._of(id, Parts([part]), roles)
    else:
        items = Items(list(map(Path, source.paths)), id=source.id, roles=dict(source.roles))
    items._source = source
    return items


def are_equal(one: Items, other: Items) -> bool:
    """Whether two catalogues have the same ids and contents in the same order."""
    if one is other:
        return True
    return one._ids.equals(other._ids) and np.array_equal(one.hashes(), other.hashes())


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
    taken = known._parts.ids_at(np.maximum(codes, 0).ravel())
    ids = taken.to_numpy(zero_copy_only=False).reshape(codes.shape)
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
