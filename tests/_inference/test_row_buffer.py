"""Rows that are added to a buffer, by one caller or by several that begin with the same rows."""

import torch

from skrec._inference.row_buffer import RowBuffer


def test_rows_are_appended_without_a_copy():
    rows, new = torch.randn(40, 3), torch.randn(5, 3)
    buffer = RowBuffer(rows, 41)
    found = buffer.append(40, new[:1])
    longer = buffer.append(41, new[1:])
    assert torch.equal(longer, torch.cat([rows, new]))
    assert torch.equal(found, longer[:41])
    assert found.data_ptr() == longer.data_ptr()


def test_rows_in_use_are_not_overwritten():
    rows, new = torch.randn(40, 3), torch.randn(1, 3)
    buffer = RowBuffer(rows, 41)
    found = buffer.append(40, new)
    assert buffer.append(40, new + 1) is None
    assert torch.equal(found[40:], new)


def test_a_full_buffer_takes_no_rows():
    buffer = RowBuffer(torch.randn(8, 2), 8)
    assert buffer.append(8, torch.randn(3, 2)) is None
    assert buffer.append(8, torch.randn(2, 2)) is not None
