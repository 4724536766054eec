"""Kept states of many items, read from memory-mapped pages by gather."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class States:
    """States of N items in memory-mapped pages, a column of `Packed` as `Ragged` and `Dense` are.

    Rows have addresses that count through all pages: the first row of page p has ``bases[p]``.

    Parameters
    ----------
    pages : tuple of tensor, each of shape (rows, width)
        The rows. Files stay open while a `States` holds them, even where they are deleted.
    bases : int64 tensor of shape (P,)
        Address of the first row of each page.
    page : int64 tensor of shape (N,)
        The page that holds an item.
    first : int64 tensor of shape (N,)
        Address of an item's first row.
    lengths : int64 tensor of shape (N,)
        Rows of each item.
    width : int
        Size of a row.
    dtype : torch.dtype
        Of the rows.
    device : torch.device
        Where `take` puts what it read.
    """

    pages: tuple[torch.Tensor, ...]
    bases: torch.Tensor
    page: torch.Tensor
    first: torch.Tensor
    lengths: torch.Tensor
    width: int
    dtype: torch.dtype
    device: torch.device = torch.device("cpu")

    def take(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows (U, L, width) of some items, padded with zeros, and their mask (U, L)."""
        codes = codes.to("cpu")
        lengths = self.lengths[codes]  # (U,)
        longest = max(1, int(lengths.max())) if len(codes) else 1
        place = torch.arange(longest)  # (L,)
        mask = place < lengths.unsqueeze(1)  # (U, L)
        # padding reads the item's last row again, so that nothing else comes from the disk
        place = torch.minimum(place, (lengths - 1).clamp_(min=0).unsqueeze(1))
        at = self.first[codes].unsqueeze(1) + place  # (U, L)
        # the copy to a GPU needn't be waited for where the memory is pinned
        on_gpu = self.device.type == "cuda"
        rows = torch.empty((len(codes), longest, self.width), dtype=self.dtype, pin_memory=on_gpu)
        self._gather(rows, at, self.page[codes])
        flat = rows.view(-1, self.width)
        flat.index_fill_(0, (~mask).view(-1).nonzero().squeeze(1), 0)
        if self.device.type == "cpu":
            return rows, mask
        return rows.to(self.device, non_blocking=on_gpu), mask.to(self.device)

    def _gather(self, rows: torch.Tensor, at: torch.Tensor, page: torch.Tensor) -> None:
        """Write the rows at addresses (U, L) into `rows` (U, L, width)."""
        used = page.unique().tolist()
        for number in used:
            source, base = self.pages[number], self.bases[number]
            if not len(source):
                continue  # a page of items without rows
            items = (page == number).nonzero().squeeze(1)  # (u,)
            # an item of no rows may begin behind the last one
            place = (at[items] - base).view(-1).clamp_(max=len(source) - 1)  # (u * L,)
            if len(used) == 1:  # straight into place, with no copy between
                torch.index_select(source, 0, place, out=rows.view(-1, self.width))
            else:
                part = source.index_select(0, place)
                rows.index_copy_(0, items, part.view(len(items), *rows.shape[1:]))

    def to(self, device: torch.device | str) -> States:
        """Return the states for a device: files stay where they are, `take` moves what it read."""
        return replace(self, device=torch.device(device))
