"""Rows per block."""

from skrec._inference.row_blocks import CELL_BLOCK, ROW_BLOCK, row_blocks


def sizes(n_rows, n_items):
    return [rows.stop - rows.start for rows in row_blocks(n_rows, n_items)]


def test_blocks_have_few_cells_and_not_too_few_rows():
    # with one row per block, each list of a large catalogue would read the vectors of all items
    assert sizes(10, 0) == [10]
    assert sizes(9, CELL_BLOCK // 4) == [9]
    assert sizes(100, CELL_BLOCK // 40) == [40, 40, 20]
    assert sizes(40, 5_000_000) == [ROW_BLOCK, ROW_BLOCK, 40 - 2 * ROW_BLOCK]
