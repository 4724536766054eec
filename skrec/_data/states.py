"""Cached states of a language model, gathered from memory-mapped pages."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class States:
    """A column of `Packed` whose rows are in memory-mapped pages, with several rows per item.

    Each row has an address. Addresses are numbered through all pages: ``bases[p]`` is the address
    of the first row of page p.

    Parameters
    ----------
    pages : tuple of tensor, each of shape (n_rows, width)
        The pages. Their files stay readable as long as this object exists, even after they are
        deleted.
    bases : int64 tensor of shape (P,)
        Address of the first row of each page.
    page : int64 tensor of shape (N,)
        Number of the page that contains an item.
    first : int64 tensor of shape (N,)
        Address of the first row of an item.
    lengths : int64 tensor of shape (N,)
        Number of rows of an item.
    width : int
        Size of a row.
    dtype : torch.dtype
        Type of the rows.
    device : torch.device, default=cpu
        Device of the tensors that `take` returns.
    """

    pages: tuple[torch.Tensor, ...]
    bases: torch.Tensor
    page: torch.Tensor
    first: torch.Tensor
    lengths: torch.Tensor
    width: int
    dtype: torch.dtype
    device: torch.device = torch.device("cpu")

    def lengths_of(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the number of rows (U,) of some items."""
        return self.lengths[codes]

    def take(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows (U, L, width) of some items, padded with 0, and their mask (U, L)."""
        lengths = self.lengths[codes]  # (U,)
        longest = max(1, int(lengths.max())) if len(codes) else 1
        place = torch.arange(longest)  # (L,)
        mask = place < lengths.unsqueeze(1)  # (U, L)
        # padding repeats the item's last row, so that no other row is read from the disk
        place = torch.minimum(place, (lengths - 1).clamp_(min=0).unsqueeze(1))
        at = self.first[codes].unsqueeze(1) + place  # (U, L)
        # pinned memory can be copied to a GPU asynchronously
        on_gpu = self.device.type == "cuda"
        rows = torch.empty((len(codes), longest, self.width), dtype=self.dtype, pin_memory=on_gpu)
        self._gather(rows, at, self.page[codes])
        flat = rows.view(-1, self.width)
        flat.index_fill_(0, (~mask).view(-1).nonzero().squeeze(1), 0)
        if self.device.type == "cpu":
            return rows, mask
        return rows.to(self.device, non_blocking=on_gpu), mask.to(self.device)

    def _gather(self, rows: torch.Tensor, at: torch.Tensor, page: torch.Tensor) -> None:
        """Copy the rows at the addresses `at` (U, L) to `rows` (U, L, width)."""
        used = page.unique().tolist()
        for number in used:
            source, base = self.pages[number], self.bases[number]
            if not len(source):
                continue  # all items of the page are empty
            items = (page == number).nonzero().squeeze(1)  # (u,)
            # the first row of an empty item may be past the end of the page
            place = (at[items] - base).view(-1).clamp_(max=len(source) - 1)  # (u * L,)
            if len(used) == 1:  # without an intermediate copy
                torch.index_select(source, 0, place, out=rows.view(-1, self.width))
            else:
                part = source.index_select(0, place)
                rows.index_copy_(0, items, part.view(len(items), *rows.shape[1:]))

    def to(self, device: torch.device | str) -> States:
        """Return a column whose `take` copies to a device; the pages are not moved."""
        return replace(self, device=torch.device(device))
