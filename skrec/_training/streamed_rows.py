"""Training rows that are read from files in each epoch, one buffer after another.

::

    files --> pieces of this process --random order--> buffer --encode--> CodedInteractions
                                                                              |
                                     the next buffer <-- all batches of it <--+

The rows are read once before training: their ids and clicks are checked, and the clicks on each
item are counted, which samplers need. Then each epoch visits the pieces in a new random order, and
trains on all rows of a buffer, in random order, before it reads the next one. A single buffer that
holds all rows is the training set that `fit` has in memory, and trains in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa

from skrec._data.co_clicks import count_clicks
from skrec._data.coded import CodedInteractions
from skrec._data.encode import encode
from skrec._data.items import Items
from skrec._data.shards import Piece, ShardedInteractions, cut, n_rows_of
from skrec._data.table import Table
from skrec._training.example_batch import EMPTY_HISTORIES, Examples
from skrec._training.examples import NO_CLICKS, refuse_equal_labels
from skrec._training.negatives import NegativeSampler, RowCounts
from skrec._training.processes import Processes
from skrec._training.same_everywhere import hash_of, hash_of_rows


@dataclass(frozen=True)
class Totals:
    """Numbers of some rows, which add up.

    Attributes
    ----------
    n_read : int
        Number of rows in the files.
    counts : RowCounts
        Rows without those of unknown candidates only, clicks in histories, and clicks on each item.
    clicks : ndarray of float64, shape (N,)
        Clicks on each item; see `skrec._data.co_clicks.count_clicks`. Histories that several rows
        share are counted once per buffer.
    n_filled : int
        Number of histories that are not empty.
    n_with_click : int
        Number of impressions with a click.
    n_candidates, n_clicked : int
        Number of candidates, and of those that were clicked.
    """

    n_read: int
    counts: RowCounts
    clicks: np.ndarray
    n_filled: int
    n_with_click: int
    n_candidates: int
    n_clicked: int

    @classmethod
    def of(cls, n_read: int, data: CodedInteractions, n_items: int) -> Totals:
        """Count rows that were read from files and encoded."""
        clicked = np.zeros(0, np.int8) if data.clicked is None else data.clicked
        with_click = np.unique(data.row_of_candidate(np.flatnonzero(clicked)))
        return cls(
            n_read,
            RowCounts.of(data, n_items),
            count_clicks(data, n_items),
            int((np.diff(data.history_offsets)[data.history_of_row] > 0).sum()),
            len(with_click),
            len(clicked),
            int((clicked > 0).sum()),
        )

    def plus(self, other: Totals, sign: int = 1) -> Totals:
        """Return the sum of two totals, or with ``sign=-1`` their difference."""
        names = [field.name for field in fields(self) if field.name != "counts"]
        added = {name: getattr(self, name) + sign * getattr(other, name) for name in names}
        return Totals(counts=self.counts.plus(other.counts, sign), **added)

    def n_examples(self, kind: str, loss: str) -> int:
        """Return the number of examples of the rows, which those with equal histories may share."""
        if kind == "histories":
            return self.n_filled
        return self.n_candidates if loss == "bce" else self.n_clicked

    def n_skipped(self, kind: str, loss: str) -> int:
        """Return the number of rows without a click to learn."""
        if kind == "histories":
            return self.counts.n_rows - self.n_filled
        return 0 if loss == "bce" else self.counts.n_rows - self.n_with_click


@dataclass(frozen=True)
class StreamedRows:
    """Rows of shards, as a part of which each process reads its own.

    It has the attributes of `CodedInteractions` that the choice of parameters reads.

    Attributes
    ----------
    shards : ShardedInteractions
    pieces : list of Piece
        The rows that this process reads.
    items : Items
        The catalogue.
    drop_unknown : str
        See `encode`.
    processes : Processes
    parts : list of Totals
        Numbers of the rows of each process.
    digest : str
        Hash of all rows, in the order in which the processes read them.
    """

    shards: ShardedInteractions
    pieces: list[Piece]
    items: Items
    drop_unknown: str
    processes: Processes
    parts: list[Totals]
    digest: str

    group_of_row = None
    weight = None

    @property
    def kind(self) -> str:
        """Kind of the rows."""
        return self.shards.kind

    @property
    def totals(self) -> Totals:
        """Numbers of the rows of all processes."""
        first, *others = self.parts
        for other in others:
            first = first.plus(other)
        return first

    @property
    def n_rows(self) -> int:
        """Number of rows of all processes."""
        return self.totals.counts.n_rows

    @property
    def n_buffers(self) -> int:
        """Number of buffers of an epoch, which is the same in all processes."""
        return max(-(-part.n_read // self.shards.buffer_size) for part in self.parts)

    def describe(self) -> str:
        """Return a text for the rows, which is equal in all processes."""
        shards, n = self.shards, self.processes.n
        files = "own" if shards.rank is not None else hash_of(shards.signature())
        return (
            f"{self.n_rows} {self.kind} ({self.digest}) of shards ({files}), with "
            f"buffer_size={shards.buffer_size} in {n} processes"
        )

    def sizes(self) -> list[int]:
        """Return the number of rows of each buffer of this process, nearly equal."""
        n, n_rows = self.n_buffers, n_rows_of(self.pieces)
        return np.diff([n_rows * number // n for number in range(n + 1)]).tolist()

    def encode(self, table: pa.Table) -> CodedInteractions:
        """Return rows as codes of the items."""
        return encode(
            Table(table), items=self.items, labels="required", drop_unknown=self.drop_unknown
        )

    def count(self, table: pa.Table, data: CodedInteractions) -> Totals:
        """Return the numbers of rows, which were encoded."""
        return Totals.of(len(table), data, self.items.n_items)

    def ordered(self, seed: int) -> list[Piece]:
        """Return the pieces in the order of one epoch; as in the files, if one buffer holds all."""
        if self.n_buffers == 1:
            return self.pieces
        order = np.random.default_rng([seed, self.processes.rank]).permutation(len(self.pieces))
        return [self.pieces[at] for at in order]

    def buffers(self, seed: int, n_skipped: int = 0) -> Iterator[CodedInteractions | None]:
        """Yield the buffers of one epoch, None for one without rows.

        Parameters
        ----------
        seed : int
            Seed of the order of the pieces, the same in all processes.
        n_skipped : int, default=0
            Number of buffers to leave out.
        """
        sizes = self.sizes()
        for table in self.shards.read(self.ordered(seed), sizes, n_skipped):
            yield self.encode(table) if len(table) else None

    def hold_out(
        self, fraction: float, rng: np.random.Generator
    ) -> tuple[StreamedRows, CodedInteractions | None]:
        """Split the rows into a training and a validation part.

        The validation part is the one that was passed with the shards. Otherwise, each process
        holds out rows that are next to each other, at random places: a fraction of its rows, but
        no more than a share of one buffer. Held-out histories are not trained.

        Parameters
        ----------
        fraction : float
            Fraction of the rows to hold out.
        rng : numpy.random.Generator
            In the same state in all processes.

        Returns
        -------
        training : StreamedRows
        validation : CodedInteractions or None
            All held-out rows, in all processes.
        """
        if self.shards.validation is not None:
            return self, self.encode(self.shards.validation)
        processes, seed = self.processes, int(rng.integers(2**63))
        own = np.random.default_rng([seed, processes.rank])
        order = [self.pieces[at] for at in own.permutation(len(self.pieces))]
        n_rows = n_rows_of(order)
        n_most = min(fraction * n_rows, self.shards.buffer_size / processes.n)
        n_held = min(max(1, round(n_most)), n_rows - 1)
        start = int(own.integers(n_rows - n_held + 1))
        stop = start + n_held

        def held() -> tuple[pa.Table, Totals] | None:
            if not n_held:
                return None
            table = next(self.shards.read(cut(order, start, stop), [n_held]))
            return table, self.count(table, self.encode(table))

        of_all = processes.gathered(held, "the held-out rows")
        tables = [each[0] for each in of_all if each is not None]
        if not tables:
            return self, None
        parts = [
            totals if each is None else totals.plus(each[1], sign=-1)
            for totals, each in zip(self.parts, of_all, strict=True)
        ]
        left = cut(order, 0, start) + cut(order, stop, n_rows)
        left.sort(key=lambda each: (each.file, each.group, each.start))
        return replace(self, pieces=left, parts=parts), self.encode(pa.concat_tables(tables))


class StreamedExamples:
    """Training set of streamed rows, which is made of one buffer at a time.

    Parameters
    ----------
    rows : StreamedRows
    make : callable
        Returns the examples of a buffer.
    sampler : NegativeSampler
    loss : str

    Attributes
    ----------
    n_skipped : int
        Number of rows without a click to learn.
    n_per_buffer : int
        Number of examples of a buffer, about.

    Raises
    ------
    ValueError
        If there is nothing to learn.
    """

    def __init__(
        self,
        rows: StreamedRows,
        make: Callable[[CodedInteractions], Examples],
        sampler: NegativeSampler,
        loss: str,
    ):
        self.rows, self._make, self.sampler = rows, make, sampler
        totals = rows.totals
        self.n_skipped = totals.n_skipped(rows.kind, loss)
        n_examples = [part.n_examples(rows.kind, loss) for part in rows.parts]
        if rows.kind == "histories":
            if not totals.n_filled:
                raise ValueError(EMPTY_HISTORIES)
        elif loss == "bce":
            refuse_equal_labels(totals.n_candidates, totals.n_clicked)
        elif not totals.n_clicked:
            raise ValueError(NO_CLICKS.format(totals.n_candidates))
        self.n_per_buffer = -(-max(n_examples) // rows.n_buffers)
        self._is_bce = loss == "bce"

    def __len__(self) -> int:
        return self.n_per_buffer * self.rows.n_buffers * self.rows.processes.n

    def buffers(self, seed: int, n_skipped: int = 0) -> Iterator[Examples | None]:
        """Yield the examples of each buffer of an epoch, None if one has nothing to learn."""
        for data in self.rows.buffers(seed, n_skipped):
            yield None if data is None or not self._teaches(data) else self._make(data)

    def _teaches(self, data: CodedInteractions) -> bool:
        """Return whether rows have anything to learn."""
        if data.clicked is None:
            return bool(np.diff(data.history_offsets)[data.history_of_row].any())
        return bool(len(data.clicked) if self._is_bce else data.clicked.any())


def survey(
    shards: ShardedInteractions, items: Items, drop_unknown: str, processes: Processes
) -> StreamedRows:
    """Read all rows once, check them, and count their clicks.

    Parameters
    ----------
    shards : ShardedInteractions
    items : Items
        The catalogue.
    drop_unknown : str
        See `encode`.
    processes : Processes
        Each reads its own rows.

    Returns
    -------
    StreamedRows

    Raises
    ------
    ValueError, TypeError
        If the rows are invalid.
    """
    rank, n = processes.rank, processes.n
    if shards.rank is not None and shards.world is not None:
        rank, n = shards.rank, shards.world
    pieces = shards.share(rank, n)
    rows = StreamedRows(shards, pieces, items, drop_unknown, processes, [], "")

    def count() -> tuple[Totals, str]:
        if not pieces:
            raise ValueError(
                f"process {rank} of {n} has no rows: the shards hold {shards.n_rows}; start fewer "
                "processes"
            )
        total, texts = None, []
        size, n_rows = shards.buffer_size, n_rows_of(pieces)
        sizes = [min(size, n_rows - start) for start in range(0, n_rows, size)]
        for table in shards.read(pieces, sizes):
            data = rows.encode(table)
            found = rows.count(table, data)
            total = found if total is None else total.plus(found)
            texts.append(hash_of_rows(data))
        assert total is not None
        return total, " ".join(texts)

    parts, texts = zip(*processes.gathered(count, "the rows"), strict=True)
    return replace(rows, parts=list(parts), digest=hash_of(*texts))
