"""The text of an item: a template filled in from its columns, and the token ids of the text."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow.compute as pc

from skrec._common.messages import did_you_mean, preview
from skrec._data.arrow import is_list
from skrec._data.items import Items
from skrec._data.ragged import gather_segments
from skrec.content._texts import SPARE_CHARACTERS, first_tokens

READABLE = ("text", "category", "multi-category", "number")
WHOLE = 1 << 30  # maximum length of whole texts; without a maximum, tokenizers warn of long ones
# tokens that replace an empty text if the tokenizer adds no special tokens; the first one is used
FALLBACK_TOKENS = ("bos", "eos", "cls", "sep", "unk", "pad")


def check_template(template: str | None, roles: Mapping[str, str]) -> None:
    """Raise a ValueError unless a template can be filled in from the columns of a catalogue.

    Parameters
    ----------
    template : str or None
        Text with names of columns in braces. None requires at least one readable column.
    roles : mapping of str to str
        Roles of the columns of the catalogue.

    Raises
    ------
    ValueError
        If a column is unknown or a vector, or if braces contain more than the name of a column.
    """
    readable = [name for name, role in roles.items() if role in READABLE]
    if template is None:
        if not readable:
            raise ValueError(
                f"a language model needs a column to read, of role {preview(READABLE)}; the "
                f"catalogue has {dict(roles)}"
            )
        return
    if not isinstance(template, str):
        raise ValueError(f"template must be a str or None, got {template!r}")
    columns = [column for _, column in _parse(template, readable) if column is not None]
    if not columns:
        raise ValueError(
            f"template must name a column in braces, or all items read alike; got {template!r}, "
            f"and the catalogue has {preview(readable, 20)}"
        )
    for column in columns:
        if column in roles and column not in readable:
            raise ValueError(
                f"template names column {column!r}, whose role is {roles[column]}; it can't be "
                f"read as text, unlike {preview(readable, 20)}"
            )
        if column not in roles:
            raise ValueError(
                f"template names a column {column!r} that the catalogue lacks"
                f"{did_you_mean(column, readable)}; it has {preview(readable, 20)}"
            )


def _parse(template: str, known: list[str]) -> list[tuple[str, str | None]]:
    """Split a template into pairs of plain text and the column that follows it, or None."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(
            f"template {template!r} can't be read: {error}; write {{{{ and }}}} for plain braces"
        ) from None
    for _, column, form, conversion in parts:
        if column is None:
            continue
        if form or conversion:
            raise ValueError(
                f"template takes names of columns alone, without conversions or formats, got "
                f"{template!r}; write {{{column}}}"
            )
        if column not in known and (not column or column.isdigit() or set(column) & set(".[")):
            raise ValueError(
                f"template takes names of columns alone, such as {{title}}; got {{{column}}} in "
                f"{template!r}"
            )
    return [(text, column) for text, column, _, _ in parts]


def render(
    items: Items, template: str | None, cut: Callable[[list[str]], list[str]] | None = None
) -> list[str]:
    """Return the text of each item.

    Parameters
    ----------
    items : Items
        A catalogue.
    template : str or None
        Text with names of columns in braces. None uses all columns except vectors, as
        ``"name: value"`` separated by commas, without empty values. A single column is used without
        its name.
    cut : callable, default=None
        Function that shortens the values of a column.

    Returns
    -------
    list of str of length n_items

    Raises
    ------
    ValueError
        If the template cannot be filled in, see `check_template`.
    """
    check_template(template, items.roles)
    readable = [name for name, role in items.roles.items() if role in READABLE]
    if template is not None:
        parts = _parse(template, readable)
        values = {column: _values(items, column) for _, column in parts if column is not None}
        if cut is not None:
            values = {column: cut(texts) for column, texts in values.items()}
        # constant text is repeated; a column has one value per item
        pieces = [
            piece
            for text, column in parts
            for piece in (repeat(text), values.get(column) if column is not None else repeat(""))
        ]
        return ["".join(row) for row in zip(*pieces, strict=False)]
    if len(readable) == 1:
        return _values(items, readable[0])
    columns = [_values(items, name) for name in readable]
    return [
        ", ".join(f"{name}: {value}" for name, value in zip(readable, row, strict=True) if value)
        for row in zip(*columns, strict=True)
    ]


def placeholders(template: str, known: list[str]) -> list[str]:
    """Return the names in braces of a template, without a check of whether they exist.

    Parameters
    ----------
    template : str
        Text with names of columns in braces.
    known : list of str
        Names that may contain any characters.

    Returns
    -------
    list of str
    """
    return list(dict.fromkeys(name for _, name in _parse(template, known) if name is not None))


def text_columns(roles: Mapping[str, str], template: str | None) -> list[str]:
    """Return the names of the columns that texts are made of.

    Parameters
    ----------
    roles : mapping of str to str
        Roles of the columns of the catalogue.
    template : str or None
        As in `render`.

    Returns
    -------
    list of str
    """
    columns = [name for name, role in roles.items() if role in READABLE]
    if template is None:
        return columns
    parts = _parse(template, columns)
    return list(dict.fromkeys(name for _, name in parts if name is not None))


def describe_texts(roles: Mapping[str, str], template: str | None) -> str:
    """Return the columns that texts are made of, for error messages.

    Parameters
    ----------
    roles : mapping of str to str
        Roles of the columns of the catalogue.
    template : str or None
        As in `render`.

    Returns
    -------
    str
    """
    columns = text_columns(roles, template)
    return f"column{'s' * (len(columns) > 1)} {preview(columns, 20)}"


def _values(items: Items, name: str) -> list[str]:
    """Return a column as texts. Nulls are empty."""
    column, role = items.column(name), items.roles[name]
    if role == "number":
        return [format(value, ".15g") for value in column.to_pylist()]
    if is_list(column.type):
        return [", ".join(v for v in row if v is not None) for row in column.to_pylist()]
    return pc.fill_null(column, "").to_pylist()


def token_ids(
    tokenizer: Any, texts: list[str], max_length: int | None, what: str = "texts of items"
) -> tuple[np.ndarray, np.ndarray]:
    """Convert texts to token ids, including the special tokens that the tokenizer adds.

    Long texts are read as far as necessary.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        The tokenizer. It encodes each distinct text once.
    texts : list of str of length n
        Texts to encode.
    max_length : int or None
        Maximum number of tokens kept from each text, including special tokens. None keeps all.
    what : str, default="texts of items"
        Description of the texts in error messages.

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
        Text i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``. Each text has at least one.
    ids : ndarray of int64
        Token ids of all texts, concatenated.

    Raises
    ------
    ValueError
        If `max_length` leaves no room for text in addition to the special tokens, or if the
        tokenizer fails. The message names the row.
    """
    n_special = tokenizer.num_special_tokens_to_add()
    if max_length is None:
        max_length = WHOLE
    if max_length <= n_special:
        raise ValueError(
            f"max_length must be at least {n_special + 1}, as {n_special} special tokens are added "
            f"to each text, got {max_length}"
        )
    codes: dict[str, int] = {}
    which = np.fromiter((codes.setdefault(text, len(codes)) for text in texts), np.int64)
    _, firsts = np.unique(which, return_index=True)
    options: dict[str, Any] = {
        "truncation": True,
        "max_length": max_length,
        "padding": False,
        "return_attention_mask": False,
        "return_token_type_ids": False,
    }
    fallback = [_fallback_id(tokenizer)]

    def encode(texts: list[str], cut: bool) -> list[np.ndarray | None]:
        encoded = tokenizer(texts, **options, return_offsets_mapping=cut)
        ids = encoded["input_ids"]
        rows = [np.array(row or fallback, dtype=np.int64) for row in ids]
        if not cut:
            return list(rows)
        # special tokens have the place (0, 0)
        stops = [max((stop for _, stop in row), default=0) for row in encoded["offset_mapping"]]
        certain = [
            len(row) == max_length and stop + SPARE_CHARACTERS <= len(text)
            for row, stop, text in zip(ids, stops, texts, strict=True)
        ]
        return [row if sure else None for row, sure in zip(rows, certain, strict=True)]

    # only fast tokenizers return the places of tokens, which show how much of a text was read
    can_cut = getattr(tokenizer, "is_fast", False) and tokenizer.truncation_side == "right"
    can_cut = can_cut and max_length < WHOLE
    offsets, ids = first_tokens(codes, encode, max_length if can_cut else None, what, firsts)
    positions, offsets = gather_segments(offsets, which)
    return offsets, ids[positions]


def _fallback_id(tokenizer: Any) -> int:
    """Return the id of an empty text if the tokenizer adds no special tokens."""
    for name in FALLBACK_TOKENS:
        found = getattr(tokenizer, f"{name}_token_id", None)
        if found is not None:
            return int(found)
    return 0
