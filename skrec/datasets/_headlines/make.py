"""Generated news headlines and the clicks of readers whose interests are known."""

from __future__ import annotations

import math
import numbers
from string import Formatter
from textwrap import fill, indent
from typing import Any

import numpy as np
import pandas as pd

from skrec._common.checks import check_count
from skrec._common.random import as_generator
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._headlines.words import SHARED, TOPICS

_TEST_FRACTION = 0.2
_NEW_USER_FRACTION = 0.2
_N_EARLIER_IMPRESSIONS = 8  # of each established user, before the first row of train
_MAX_HISTORY = 50
_QUALITY_SCALE = 0.3
_MILD_INTEREST = 0.02  # median; a strong one is about 1
_START = np.datetime64("2024-01-01", "s")
_N_SECONDS = 28 * 24 * 3600
_DESCR = """\
Generated news headlines
------------------------
Headlines from hand-written templates, and the clicks of readers whose interests are known.

Items        {n_items} headlines on {n_topics} topics:
{topics}
Users        {n_users} with one to three strong interests each; {n_new} of them arrive during the
             four weeks with an empty history
Rows         {n_train} impressions to train on and the {n_test} after them to test on
Clicks       of {n_candidates} headlines shown, the one to three with the highest
             log(interest in the topic) + quality of the headline + {noise:g} * Gumbel noise
Cold items   {n_cold} headlines are shown in test only and are in no history
Licence      free of rights; the clubs, bands and teams are invented
"""


def make_headlines(
    n_users: int = 500,
    n_items: int = 1000,
    n_impressions: int = 3000,
    *,
    n_candidates: int = 10,
    cold_fraction: float = 0.1,
    noise: float = 0.4,
    random_state: Any = None,
) -> DataBunch:
    """Generate news headlines and impressions that follow the readers' interests.

    Every reader likes one to three of twelve topics. What is clicked follows the reader's interest
    in the topic of the headline, a quality of the headline that its text does not tell, and chance;
    so the text says most of what is to be known, and the best possible ranking is known too.

    Parameters
    ----------
    n_users : int, default=500
        Number of readers. A fifth of them are new: they arrive during the four weeks that the data
        covers and start with an empty history.
    n_items : int, default=1000
        Number of headlines.
    n_impressions : int, default=3000
        Number of impressions; the last fifth by time makes `test`, the others make `train`.
    n_candidates : int, default=10
        Number of headlines shown in an impression, at least 2.
    cold_fraction : float, default=0.1
        Share of the headlines, in [0, 1), that are candidates in `test` and occur nowhere else.
    noise : float, default=0.4
        Scale of the chance in clicks. With 0 the clicked headlines are those of the highest
        utility.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed. The same int gives the same data.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : pandas.DataFrame of n_items rows
            `item_id` (int, in no order), `title` (text), `topic` (category).
        train, test : pandas.DataFrame
            One row an impression, in order of time: `user_id`, `time`, `impression_id`,
            `history` (list of the last 50 ids that the user clicked, oldest first), `candidates`
            (list of ids) and `clicked` (list of 0 and 1, at least one of each).
        interests : ndarray of shape (n_users, n_topics)
            Interest of each user in each topic; rows add up to 1. `user_id` is the row.
        topics : list of str
            Names of the columns of `interests`.
        cold_items : ndarray of int
            Ids of the headlines that are shown in `test` only, in ascending order.
        utilities : ndarray of shape (n_test, n_candidates)
            The true utility of each candidate of `test` before chance: scores of an oracle.
        feature_names : list of str
            Columns of `items` that describe a headline.
        DESCR : str
            What the data is.

    Raises
    ------
    TypeError, ValueError
        Where a parameter is of the wrong type or out of its range.

    See Also
    --------
    read_movielens : Films, ratings and users that exist.

    Notes
    -----
    A click on a cold headline does not enter the history. Readers are not shown again what they
    clicked, until that is a large part of the catalogue.

    Examples
    --------
    >>> from skrec.datasets import make_headlines
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> print(news.items.title[0])
    Ten tricks that make the battery of a folding phone last longer
    >>> news.train.shape, news.test.shape, news.interests.shape
    ((240, 6), (60, 6), (50, 12))
    >>> news.test.columns.tolist()
    ['user_id', 'time', 'impression_id', 'history', 'candidates', 'clicked']
    """
    check_count("n_users", n_users, 1)
    check_count("n_items", n_items, 2)
    check_count("n_impressions", n_impressions, 2)
    check_count("n_candidates", n_candidates, 2)
    check_real("cold_fraction", cold_fraction, 0, 1)
    check_real("noise", noise, 0, math.inf)
    n_cold = round(cold_fraction * n_items)
    if n_candidates > n_items - n_cold:
        raise ValueError(
            f"n_candidates must be at most {n_items - n_cold}, the number of items that are not "
            f"cold, got {n_candidates}"
        )

    rng = as_generator(random_state)
    items = _make_items(n_items, rng)
    ids, topic = items["item_id"].to_numpy(), items["topic"].cat.codes.to_numpy()
    topics = list(TOPICS)
    is_cold = np.zeros(n_items, dtype=bool)
    is_cold[rng.permutation(n_items)[:n_cold]] = True
    interests = _draw_interests(n_users, len(topics), rng)

    n_test = max(1, round(_TEST_FRACTION * n_impressions))
    users, seconds = _draw_visits(n_users, n_impressions, rng)
    pools = _draw_pools(len(users), n_test, 2 * n_candidates, is_cold, rng)
    quality = rng.normal(scale=_QUALITY_SCALE, size=n_items)
    utilities = np.log(interests)[users[:, None], topic[pools]] + quality[pools]
    shown, clicked, histories = _browse(
        users,
        ids[pools],
        utilities + noise * rng.gumbel(size=pools.shape),
        set(ids[is_cold].tolist()),
        n_candidates,
        rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1], size=len(users)).clip(max=n_candidates - 1),
    )
    impressions = pd.DataFrame(
        {
            "user_id": users,
            "time": _START + seconds,
            "impression_id": np.arange(len(users)) - (len(users) - n_impressions),
            "history": histories,
            "candidates": np.take_along_axis(ids[pools], shown, axis=1).tolist(),
            "clicked": clicked,
        }
    )
    train, test = impressions[-n_impressions:-n_test], impressions[-n_test:]
    return DataBunch(
        items=items,
        train=train.reset_index(drop=True),
        test=test.reset_index(drop=True),
        interests=interests,
        topics=topics,
        cold_items=np.sort(ids[is_cold]),
        utilities=np.take_along_axis(utilities, shown, axis=1)[-n_test:],
        feature_names=["title", "topic"],
        DESCR=_DESCR.format(
            n_items=n_items,
            n_topics=len(topics),
            topics=indent(fill(", ".join(topics), 80), " " * 13),
            n_users=n_users,
            n_train=len(train),
            n_test=n_test,
            n_candidates=n_candidates,
            noise=noise,
            n_cold=n_cold,
            n_new=_n_new(n_users),
        ),
    )


def _make_items(n_items: int, rng: np.random.Generator) -> pd.DataFrame:
    """Write as many headlines on each topic, in random order and with random ids."""
    names = list(TOPICS)
    topics = [names[code] for code in rng.permutation(np.arange(n_items) % len(names))]
    titles: list[str] = []
    used: set[str] = set()
    for topic in topics:
        # A title already used gets new tries, in vain where the topic is exhausted.
        tries = (_write_title(topic, rng) for _ in range(5))
        title = next((title for title in tries if title not in used), None)
        titles.append(title or _write_title(topic, rng))
        used.add(titles[-1])
    return pd.DataFrame(
        {
            "item_id": 1000 + rng.permutation(n_items),
            "title": titles,
            "topic": pd.Categorical(topics, categories=names),
        }
    )


def _write_title(topic: str, rng: np.random.Generator) -> str:
    words = {**SHARED, **TOPICS[topic]}
    chances = iter(rng.random(8).tolist())  # at once: calls of the generator are slow

    def pick(options: tuple[str, ...]) -> str:
        return options[int(next(chances) * len(options))]

    template = pick(words["templates"])
    slots = {slot for _, slot, _, _ in Formatter().parse(template) if slot}
    title = template.format(**{slot: pick(words[slot]) for slot in sorted(slots)})
    return title[0].upper() + title[1:]


def _draw_interests(n_users: int, n_topics: int, rng: np.random.Generator) -> np.ndarray:
    """One to three strong topics a user over a mild interest in everything."""
    rank = rng.permuted(np.tile(np.arange(n_topics), (n_users, 1)), axis=1)
    n_strong = rng.integers(1, 4, size=(n_users, 1))
    interests = _MILD_INTEREST * rng.lognormal(size=rank.shape)
    interests += (rank < n_strong) * rng.uniform(0.5, 1.5, size=rank.shape)
    return interests / interests.sum(axis=1, keepdims=True)


def _n_new(n_users: int) -> int:
    return int(_NEW_USER_FRACTION * n_users)


def _draw_visits(
    n_users: int, n_impressions: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """User and second of each impression in order of time, the unreported earlier ones first."""
    order = rng.permutation(n_users)
    new, established = np.split(order, [_n_new(n_users)])
    earlier = rng.choice(established, size=_N_EARLIER_IMPRESSIONS * len(established))
    arrival = np.zeros(n_users)
    arrival[new] = rng.uniform(0, _N_SECONDS, size=len(new))

    activity = rng.lognormal(sigma=0.5, size=n_users)
    users = rng.choice(n_users, p=activity / activity.sum(), size=n_impressions)
    seconds = np.sort(rng.integers(_N_SECONDS, size=n_impressions))
    absent = arrival[users] > seconds
    users[absent] = rng.choice(established, size=absent.sum())
    return (
        np.concatenate([earlier, users]),
        np.concatenate([np.full(len(earlier), -1), seconds]),
    )


def _draw_pools(
    n_rows: int, n_test: int, size: int, is_cold: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Distinct items for each row, cold ones in the last n_test rows only."""
    warm = np.flatnonzero(~is_cold)
    size = min(size, len(warm))
    choices = [warm] * (n_rows - n_test) + [np.arange(len(is_cold))] * n_test
    return np.stack([rng.choice(items, size, replace=False) for items in choices])


def _browse(
    users: np.ndarray,
    pools: np.ndarray,
    scores: np.ndarray,
    cold_items: set[int],
    n_candidates: int,
    n_clicks: np.ndarray,
) -> tuple[np.ndarray, list[list[int]], list[list[int]]]:
    """Walk through the impressions: what each shows, what is clicked, and the history so far."""
    seen: list[set[int]] = [set() for _ in range(users.max() + 1)]
    clicks: list[list[int]] = [[] for _ in seen]
    shown, clicked, histories = [], [], []
    rows = zip(users.tolist(), pools.tolist(), scores.tolist(), n_clicks.tolist(), strict=True)
    for user, pool, score, n in rows:
        # Twice as many are drawn as are shown, so what the user has clicked can stand last.
        stale = [item in seen[user] for item in pool]
        places = sorted(range(len(pool)), key=stale.__getitem__)[:n_candidates]
        best = sorted(places, key=score.__getitem__, reverse=True)[:n]
        shown.append(places)
        clicked.append([int(place in best) for place in places])
        histories.append(clicks[user][-_MAX_HISTORY:])
        items = [pool[place] for place in best]
        seen[user].update(items)
        clicks[user] += [item for item in items if item not in cold_items]
    return np.array(shown), clicked, histories


def check_real(name: str, value: Any, low: float, high: float) -> None:
    """Raise unless value is a number in [low, high)."""
    message = f"{name} must be in [{low:g}, {high:g}), got {value!r}"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(message)
    if not low <= float(value) < high:
        raise ValueError(message)
