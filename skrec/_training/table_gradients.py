"""Exchange of the gradients of large tables: each process sends the rows that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from skrec.nn import rows_of_gradient

Rows = tuple[torch.Tensor, torch.Tensor]
Gather = Callable[[torch.Tensor], list[torch.Tensor]]


def sum_table_gradients(tables: Sequence[torch.Tensor], gather: Gather) -> None:
    """Replace the sparse gradient of each table by its sum over all processes.

    The processes exchange two messages: their numbers of rows, and their rows with the gradients,
    which are filled up to the longest message. The gradients of a row are added in the order of the
    processes, so that all have the same sum.

    Parameters
    ----------
    tables : sequence of Parameter
        The tables. A gradient may be None.
    gather : callable
        Function that sends a tensor, and returns those of all processes, which have its shape.
    """
    own = [_rows_of(table) for table in tables]
    device = tables[0].device
    counts = torch.tensor([len(rows) for rows, _ in own], device=device)
    everywhere = torch.stack(gather(counts)).tolist()
    sizes = [sum(map(_n_bytes, counts, tables)) for counts in everywhere]
    if not max(sizes):
        return
    message = torch.zeros(max(sizes), dtype=torch.uint8, device=device)
    parts = [_as_bytes(each) for rows, values in own for each in (rows.int(), values)]
    torch.cat(parts, out=message[: sum(map(len, parts))])
    found = [
        _unpacked(received, counts, tables)
        for received, counts in zip(gather(message), everywhere, strict=True)
    ]
    for table, *parts_of_table in zip(tables, *found, strict=True):
        if any(len(rows) for rows, _ in parts_of_table):
            table.grad = _sum(table, parts_of_table)


def _rows_of(table: torch.Tensor) -> Rows:
    """Return the rows of the gradient of a table in this process."""
    if table.grad is None:
        return torch.zeros(0, dtype=torch.int64, device=table.device), table.detach()[:0]
    return rows_of_gradient(table.grad)


def _n_bytes(n_rows: int, table: torch.Tensor) -> int:
    """Return the size of rows in a message."""
    return n_rows * (4 + table.shape[1] * table.element_size())


def _as_bytes(values: torch.Tensor) -> torch.Tensor:
    return values.contiguous().view(-1).view(torch.uint8)


def _unpacked(
    message: torch.Tensor, counts: Sequence[int], tables: Sequence[torch.Tensor]
) -> list[Rows]:
    """Return the rows of each table in the message of one process."""
    found, start = [], 0
    for n_rows, table in zip(counts, tables, strict=True):
        middle, stop = start + 4 * n_rows, start + _n_bytes(n_rows, table)
        # copies, because numbers must start at a multiple of their size
        rows = message[start:middle].clone().view(torch.int32).long()
        values = message[middle:stop].clone().view(table.dtype)
        found.append((rows, values.view(n_rows, table.shape[1])))
        start = stop
    return found


def _sum(table: torch.Tensor, parts: Sequence[Rows]) -> torch.Tensor:
    """Return the sum of the rows of all processes as a sparse tensor."""
    rows, place = torch.cat([rows for rows, _ in parts]).unique(return_inverse=True)
    total = table.detach().new_zeros(len(rows), table.shape[1])
    for at, (_, values) in zip(place.split([len(r) for r, _ in parts]), parts, strict=True):
        total.index_add_(0, at, values)
    at = rows.unsqueeze(0)
    return torch.sparse_coo_tensor(
        at, total, table.shape, is_coalesced=True, check_invariants=False
    )
