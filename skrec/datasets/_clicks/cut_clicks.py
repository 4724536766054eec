"""Split of each user's clicks into train, valid and test impressions with sampled negatives.

::

    columns of ids --> positions among ids --> clicks by user and time --> blocks of impressions
                       (int32)

Ids are looked up once and are positions from then on. The sampled candidates stay in memory. The
lists of ids take more memory, so they are made block by block, while they are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.random import as_generator
from skrec._data.arrow import lists
from skrec._data.click_events import Events
from skrec._data.ragged import gather_ranges, iterate_blocks, offsets_of
from skrec.datasets._clicks.unseen_items import UnseenItemSampler
from skrec.datasets._files.bunch import DataBunch

# number of impressions that are made at a time
BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class ImpressionParts:
    """Impressions of train, valid and test.

    Parameters
    ----------
    n_users : int
        Number of users with enough clicks.
    n_left_out : int
        Number of users who clicked, but not often enough.
    n_rows : dict of str to int
        Number of impressions per part.
    tables : dict of str to iterator of pyarrow.Table
        Blocks of impressions per part. They are made on demand and can be read once.
    report : dict of str to int
        Number of clicks, users and items that are kept, and of those that are left out.
    """

    n_users: int
    n_left_out: int
    n_rows: dict[str, int]
    tables: dict[str, Iterator[pa.Table]]
    report: dict[str, int]

    def bunch(self) -> DataBunch:
        """Return all impressions and `n_users`, as `impressions_from_clicks` does."""
        tables = {name: pa.concat_tables(blocks) for name, blocks in self.tables.items()}
        return DataBunch(**tables, n_users=self.n_users)


def cut_clicks(
    clicks: Events, seen: Events, user_ids: pa.Array, item_ids: pa.Array, settings: dict[str, Any]
) -> ImpressionParts:
    """Split clicks as described in `impressions_from_clicks`, and sample negatives.

    Parameters
    ----------
    clicks : Events
    seen : Events
        Pairs of a user and an item that must not be a negative of the user.
    user_ids, item_ids : pyarrow.Array
        Ids that `clicks` and `seen` contain positions of. Negatives are drawn from all items.
    settings : dict
        Complete settings, as returned by `check_settings`.

    Returns
    -------
    ImpressionParts
    """
    rng = as_generator(settings["random_state"])
    log = _ClickLog(clicks, user_ids, item_ids, settings)
    sampler = UnseenItemSampler(seen.user, seen.item, user_ids, item_ids)
    test = log.n_clicks - settings["n_test"]
    valid = test - settings["n_valid"]
    train = valid - np.minimum(settings["n_train"], valid // 2)
    # train is drawn last, so that its settings do not change valid and test
    drawn = {
        name: _Part(log, sampler, start, stop, n_negatives, rng)
        for name, start, stop, n_negatives in (
            ("test", test, log.n_clicks, settings["n_negatives_eval"]),
            ("valid", valid, test, settings["n_negatives_eval"]),
            ("train", train, valid, settings["n_negatives"]),
        )
    }
    parts = {name: drawn[name] for name in ("train", "valid", "test")}
    n_rows = {name: part.n_rows for name, part in parts.items()}
    first = offsets_of(np.array(list(n_rows.values()))).tolist()
    tables = (part.tables(first_id) for part, first_id in zip(parts.values(), first, strict=False))
    report = log.report() | {"n_repeated": len(clicks.user) - len(log.events.user)}
    blocks = dict(zip(parts, tables, strict=True))
    return ImpressionParts(len(log.user), log.n_left_out, n_rows, blocks, report)


class _ClickLog:
    """Clicks sorted by user and time, without repeats, and the users with enough clicks.

    Attributes
    ----------
    events : Events
        Clicks in order.
    user : ndarray of int, shape (n_users,)
        Positions of the users with enough clicks.
    first : ndarray of int, shape (n_users,)
        Position in `events` of the first click of each of these users.
    n_clicks : ndarray of int, shape (n_users,)
        Number of clicks of each of these users.
    n_left_out : int
        Number of users who clicked, but not often enough.
    """

    def __init__(
        self, clicks: Events, user_ids: pa.Array, item_ids: pa.Array, settings: dict[str, Any]
    ):
        self.events = clicks.in_order(settings["first_only"])
        n_clicks = np.bincount(self.events.user, minlength=len(user_ids))
        kept = np.flatnonzero(n_clicks >= settings["min_clicks"])
        if not len(kept):
            raise ValueError(
                f"no user has min_clicks={settings['min_clicks']} clicks; the most is "
                f"{n_clicks.max(initial=0)}"
            )
        self.user_ids, self.item_ids = user_ids, item_ids
        self.max_history: int = settings["max_history"]
        self.user = kept
        self.n_left_out = int(np.count_nonzero(n_clicks)) - len(kept)
        self.first = offsets_of(n_clicks)[kept]
        self.n_clicks = n_clicks[kept]

    def report(self) -> dict[str, int]:
        """Return the number of clicks, users and items that are kept, and of those left out."""
        at, _ = gather_ranges(self.first, self.first + self.n_clicks)
        return {
            "n_of_few": len(self.events.user) - len(at),
            "n_clicks": len(at),
            "n_users": len(self.user),
            "n_users_left_out": self.n_left_out,
            "n_items": len(np.unique(self.events.item[at])),
        }


class _Part:
    """Impressions of the clicks from `start` to `stop` of each user.

    Parameters
    ----------
    log : _ClickLog
    sampler : UnseenItemSampler
    start, stop : ndarray of int, shape (n_users,)
        Half-open range of clicks, counted from the user's first click.
    n_negatives : int
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        log: _ClickLog,
        sampler: UnseenItemSampler,
        start: np.ndarray,
        stop: np.ndarray,
        n_negatives: int,
        rng: np.random.Generator,
    ):
        self._log = log
        self._user = np.repeat(np.arange(len(start)), stop - start)
        self._click, _ = gather_ranges(log.first + start, log.first + stop)
        self._n_before = start
        self.n_rows = len(self._click)
        self._target = log.events.item[self._click][:, None]
        negatives = sampler.draw(log.user[self._user], n_negatives, rng)
        candidates = rng.permuted(np.hstack([self._target, negatives]), axis=1)
        self._candidates = candidates.astype(np.int32)

    def tables(self, first_id: int) -> Iterator[pa.Table]:
        """Yield blocks of impressions, at least one. Their ids count from `first_id`."""
        for rows in iterate_blocks(max(1, self.n_rows), BLOCK_ROWS):
            yield self._table(rows, first_id)

    def _table(self, rows: slice, first_id: int) -> pa.Table:
        """Return the impressions of a range of rows."""
        log = self._log
        user, click = self._user[rows], self._click[rows]
        n_before = self._n_before[user]
        end = log.first[user] + n_before
        n_kept = np.minimum(n_before, log.max_history)
        history, _ = gather_ranges(end - n_kept, end)
        candidates = self._candidates[rows]
        n_candidates = np.full(len(user), candidates.shape[1])
        clicked = (candidates == self._target[rows]).astype(np.int8)
        time, weight = log.events.time, log.events.weight
        weights = None if weight is None else clicked * weight[click][:, None]
        return pa.table(
            {
                "impression_id": np.arange(len(user)) + (first_id + rows.start),
                "user_id": log.user_ids.take(pa.array(log.user[user])),
                **({} if time is None else {"time": time.take(pa.array(click))}),
                "history": self._lists(log.events.item[history], n_kept),
                "candidates": self._lists(candidates.ravel(), n_candidates),
                "clicked": lists(clicked.ravel(), n_candidates),
                **({} if weights is None else {"weights": lists(weights.ravel(), n_candidates)}),
            }
        )

    def _lists(self, items: np.ndarray, lengths: np.ndarray) -> pa.Array:
        """Return lists of item ids."""
        return lists(self._log.item_ids.take(pa.array(items)), lengths)
