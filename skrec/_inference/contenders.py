"""The few items of each row that may be among its best ones.

::

    scores (b, C) --maxima of chunks--> a lower bound of the k-th highest score of each row
                                                |
    scores (b, C) ----- at least as high -------+----> contenders (b, P), of which lists are made

The k highest maxima of chunks belong to k items, so the k-th highest of them is such a bound. Only
chunks that reach it are read again. The same holds for parts of a row that have limits of their
own. Equal scores are all contenders, so the lists are exact, also where scores are tied.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

CHUNK = 32  # scores per chunk
FEW_CHUNKS = 4  # chunks per item that is looked for; with fewer, each score is a chunk
MANY = 4  # contenders per item of a list, above which most of them have equal scores


def contenders(
    scores: torch.Tensor,
    k: int,
    sizes: Sequence[int] | None = None,
    limits: Sequence[int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a superset of the best k items of each row.

    Parameters
    ----------
    scores : tensor of shape (b, C)
        Scores; -inf for items that may not be listed.
    k : int
        Length of the lists.
    sizes : sequence of int, default=None
        Numbers of neighboring columns that have a limit in common, with the sum C. None means
        that all have.
    limits : sequence of int, default=None
        Greatest number of items of each of these parts in a list.

    Returns
    -------
    values : tensor of shape (b, P)
        Scores of the contenders of each row, in the order of their columns, followed by -inf.
    columns : int64 tensor of shape (b, P)
        Their columns, followed by 0.
    """
    sizes = [scores.shape[1]] if sizes is None else sizes
    limits = [k] * len(sizes) if limits is None else [min(each, k) for each in limits]
    n_wanted = sum(min(pair) for pair in zip(sizes, limits, strict=True))
    width = CHUNK if scores.shape[1] >= FEW_CHUNKS * CHUNK * n_wanted else 1
    scores = scores.contiguous()
    maxima = [_maxima(part, width) for part in scores.split(list(sizes), dim=1)]
    bounds = _bounds(maxima, limits, k)
    reaches = [part >= bound for part, bound in zip(maxima, bounds.split(1, dim=1), strict=True)]
    row, chunk = torch.cat(reaches, dim=1).nonzero(as_tuple=True)
    if width == 1:
        return _padded(scores[row, chunk], row, chunk, len(scores))
    part_of_chunk, first, is_inside = (each.to(scores.device) for each in _chunks(sizes, width))
    # all windows of neighboring scores, without a copy
    cells = scores.as_strided((scores.numel() - width + 1, width), (1, 1))
    read = cells.index_select(0, row * scores.shape[1] + first[chunk])  # (n_read, width)
    bound = bounds.flatten().index_select(0, row * len(sizes) + part_of_chunk[chunk])
    is_contender = (read >= bound.unsqueeze(1)) & is_inside.index_select(0, chunk)
    found, place = is_contender.nonzero(as_tuple=True)
    return _padded(read[found, place], row[found], first[chunk[found]] + place, len(scores))


def highest(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the columns of the k highest scores of each row, and these scores.

    Equal scores are in the order of the columns, unlike those of `torch.topk`.

    Parameters
    ----------
    scores : tensor of shape (b, C)
        Scores; -inf for items that may not be listed.
    k : int
        Length of the lists, at most C.

    Returns
    -------
    at : int64 tensor of shape (b, k)
        Columns in the order of the list.
    found : tensor of shape (b, k)
        Scores in descending order; -inf where there is no item.
    """
    if scores.device.type != "cpu" and scores.dtype is torch.float32:
        return _highest_by_keys(scores, k)
    values, columns = contenders(scores, k)
    if values.shape[1] > MANY * k:  # a stable sort is slow, and only the first ties count
        last = values.topk(k, dim=1)[0][:, -1:]
        tie = values == last
        kept = (values > last) | (tie & (tie.cumsum(dim=1) <= k) & (values > -torch.inf))
        row, place = kept.nonzero(as_tuple=True)
        values, columns = _padded(values[row, place], row, columns[row, place], len(scores))
    found, order = values.sort(dim=1, descending=True, stable=True)
    return fitted_to(k, columns.gather(1, order), found)


def _highest_by_keys(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `highest` returns, without numbers that the CPU would have to wait for.

    Scores and columns are sorted together, as integers: 32 bits of the score, then 32 bits that are
    larger for earlier columns.
    """
    bits = (scores + 0.0).view(torch.int32)  # the sum is never -0.0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # in the order of the scores
    last = scores.shape[1] - 1
    keys = (ordered.long() << 32) | (last - torch.arange(last + 1, device=scores.device))
    at = last - (keys.topk(k, dim=1)[0] & 0xFFFFFFFF)
    return at, scores.gather(1, at)


def fitted_to(k: int, at: torch.Tensor, found: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return lists (b, m) that are cut after k items, or continued by 0 and -inf."""
    missing = (0, max(0, k - at.shape[1]))
    pad = torch.nn.functional.pad
    return pad(at[:, :k], missing), pad(found[:, :k], missing, value=-torch.inf)


def _maxima(scores: torch.Tensor, width: int) -> torch.Tensor:
    """Return the highest score of each chunk of neighboring columns (b, M)."""
    if width == 1:
        return scores
    n_whole = scores.shape[1] // width
    whole, rest = scores.split([n_whole * width, scores.shape[1] - n_whole * width], dim=1)
    maxima = whole.unflatten(1, (n_whole, width)).amax(dim=2)
    return torch.cat([maxima, rest.amax(dim=1, keepdim=True)], dim=1) if rest.numel() else maxima


def _bounds(maxima: list[torch.Tensor], limits: Sequence[int], k: int) -> torch.Tensor:
    """Return a lower bound of the scores that count, for each row and part (b, G).

    It is finite, so that a score of -inf is below it.
    """
    tops = [
        torch.topk(part, min(limit, part.shape[1]), dim=1)[0]
        for part, limit in zip(maxima, limits, strict=True)
    ]
    lowest = torch.finfo(maxima[0].dtype).min
    none = tops[0].new_full((len(tops[0]), 1), lowest)
    bounds = torch.cat(
        [
            top[:, -1:] if 0 < limit <= part.shape[1] else none
            for top, part, limit in zip(tops, maxima, limits, strict=True)
        ],
        dim=1,
    )
    if len(tops) > 1 and sum(top.shape[1] for top in tops) >= k:
        bounds = torch.maximum(bounds, torch.topk(torch.cat(tops, dim=1), k, dim=1)[0][:, -1:])
    return bounds.clamp(min=lowest)


def _chunks(sizes: Sequence[int], width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what there is to know about each of the M chunks.

    Returns
    -------
    part : int64 tensor of shape (M,)
        Number of the part of the chunk.
    first : int64 tensor of shape (M,)
        First column that is read for it.
    is_inside : bool tensor of shape (M, width)
        Which of the columns from there on belong to it.
    """
    counts = torch.tensor([-(-size // width) for size in sizes])
    part = torch.repeat_interleave(torch.arange(len(sizes)), counts)
    stops = torch.tensor(list(sizes)).cumsum(dim=0)
    begins = stops - torch.tensor(list(sizes))
    number = torch.arange(len(part)) - (counts.cumsum(dim=0) - counts)[part]
    start = begins[part] + number * width
    stop = torch.minimum(start + width, stops[part])
    first = start.clamp(max=int(stops[-1]) - width)
    column = first.unsqueeze(1) + torch.arange(width)
    return part, first, (column >= start.unsqueeze(1)) & (column < stop.unsqueeze(1))


def _padded(
    values: torch.Tensor, row: torch.Tensor, column: torch.Tensor, n_rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values and columns (T,) of ascending rows as arrays (b, P); see `contenders`."""
    counts = torch.bincount(row, minlength=n_rows)
    place = torch.arange(len(row), device=row.device) - (counts.cumsum(dim=0) - counts)[row]
    width = max(1, int(counts.max())) if n_rows else 1
    padded = values.new_full((n_rows, width), -torch.inf)
    padded[row, place] = values
    columns = column.new_zeros((n_rows, width))
    columns[row, place] = column
    return padded, columns
