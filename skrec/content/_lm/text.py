"""The text of an item: a template filled in from its columns, and the token ids of the text."""

from __future__ import annotations

import string
from collections.abc import Mapping
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow.compute as pc

from skrec._common.messages import did_you_mean, preview
from skrec._data.arrow import is_list
from skrec._data.items import Items

READABLE = ("text", "category", "multi-category", "number")
# number of texts that are passed to a tokenizer at a time
BATCH = 1 << 14
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


def render(items: Items, template: str | None) -> list[str]:
    """Return the text of each item.

    Parameters
    ----------
    items : Items
        A catalogue.
    template : str or None
        Text with names of columns in braces. None uses all columns except vectors, as
        ``"name: value"`` separated by commas, without empty values. A single column is used without
        its name.

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


def _values(items: Items, name: str) -> list[str]:
    """Return a column as texts. Nulls are empty."""
    column, role = items.column(name), items.roles[name]
    if role == "number":
        return [format(value, ".15g") for value in column.to_pylist()]
    if is_list(column.type):
        return [", ".join(v for v in row if v is not None) for row in column.to_pylist()]
    return pc.fill_null(column, "").to_pylist()


def token_ids(tokenizer: Any, texts: list[str], max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Convert texts to token ids, including the special tokens that the tokenizer adds.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        The tokenizer. It encodes each distinct text once.
    texts : list of str of length n
        Texts to encode.
    max_length : int
        Maximum number of tokens kept from each text, including special tokens.

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
        Text i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``. Each text has at least one.
    ids : ndarray of int64
        Token ids of all texts, concatenated.

    Raises
    ------
    ValueError
        If `max_length` leaves no room for text in addition to the special tokens.
    """
    n_special = tokenizer.num_special_tokens_to_add()
    if max_length <= n_special:
        raise ValueError(
            f"max_length must be at least {n_special + 1}, as {n_special} special tokens are added "
            f"to each text, got {max_length}"
        )
    codes: dict[str, int] = {}
    which = [codes.setdefault(text, len(codes)) for text in texts]
    distinct = list(codes)
    fallback = [_fallback_id(tokenizer)]
    rows: list[np.ndarray] = []
    for start in range(0, len(distinct), BATCH):
        encoded = tokenizer(
            distinct[start : start + BATCH],
            truncation=True,
            max_length=max_length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        rows.extend(np.array(row or fallback, dtype=np.int64) for row in encoded)
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(rows[code]) for code in which], out=offsets[1:])
    packed = [rows[code] for code in which]
    return offsets, np.concatenate(packed) if packed else np.empty(0, dtype=np.int64)


def _fallback_id(tokenizer: Any) -> int:
    """Return the id of an empty text if the tokenizer adds no special tokens."""
    for name in FALLBACK_TOKENS:
        found = getattr(tokenizer, f"{name}_token_id", None)
        if found is not None:
            return int(found)
    return 0
