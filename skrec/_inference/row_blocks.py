"""How many rows are scored for all items at a time."""

from __future__ import annotations

from collections.abc import Iterator

from skrec._data.ragged import iterate_blocks

CELL_BLOCK = 1 << 22  # scores that are computed at a time
ROW_BLOCK = 16  # rows at least, because each block reads the vectors of all items


def row_blocks(n_rows: int, n_items: int) -> Iterator[slice]:
    """Yield slices of rows, whose scores of `n_items` items are computed together."""
    return iterate_blocks(n_rows, max(ROW_BLOCK, CELL_BLOCK // max(1, n_items)))
