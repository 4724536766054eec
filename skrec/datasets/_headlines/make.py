"""Generated news headlines, and impressions of simulated readers with known interests."""

from __future__ import annotations

from string import Formatter
from textwrap import fill, indent
from typing import Any

import numpy as np
import pandas as pd

from skrec._common.checks import check_count, check_real
from skrec._common.random import as_generator
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._headlines.words import SHARED, TOPICS

_TEST_FRACTION = 0.2
_NEW_USER_FRACTION = 0.2
# Number of impressions per established user before the first row of train. They are not returned,
# but their clicks are in the histories.
_N_EARLIER_IMPRESSIONS = 8
_MAX_HISTORY = 50
_QUALITY_SCALE = 0.3
_MILD_INTEREST = 0.02  # median; a strong interest is about 1
_START = np.datetime64("2024-01-01", "s")
_N_SECONDS = 28 * 24 * 3600
_DESCR = """\
Generated news headlines
------------------------
Headlines from hand-written templates, and clicks of simulated readers with known interests.

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

    Every reader likes one to three of twelve topics. A click depends on the reader's interest in
    the topic of the headline, on a quality of the headline that its text does not show, and on
    chance. The text therefore explains most clicks, and the best possible ranking is known.

    Parameters
    ----------
    n_users : int, default=500
        Number of readers. A fifth of them are new: they arrive during the four weeks that the data
        covers and start with an empty history.
    n_items : int, default=1000
        Number of headlines.
    n_impressions : int, default=3000
        Number of impressions. The last fifth by time becomes `test`, the rest becomes `train`.
    n_candidates : int, default=10
        Number of headlines per impression, at least 2.
    cold_fraction : float, default=0.1
        Fraction of the headlines, in [0, 1), that are candidates in `test` and occur nowhere else.
    noise : float, default=0.4
        Scale of the random part of a click. With 0, the clicked headlines are those with the
        highest utility.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of the generated data. The same int gives the same data.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : pandas.DataFrame of n_items rows
            `item_id` (int, in random order), `title` (text), `topic` (category).
        train, test : pandas.DataFrame
            One row per impression, in order of time: `user_id`, `time`, `impression_id`,
            `history` (list of the last 50 ids that the user clicked, oldest first), `candidates`
            (list of ids) and `clicked` (list of 0 and 1, at least one of each).
        interests : ndarray of shape (n_users, n_topics)
            Interest of each user in each topic. Each row sums to 1. Row numbers are user ids.
        topics : list of str
            Names of the columns of `interests`.
        cold_items : ndarray of int
            Ids of the headlines that are shown in `test` only, in ascending order.
        utilities : ndarray of shape (n_test, n_candidates)
            True utility of each candidate of `test` before noise is added. A ranking by these
            values is the best possible one.
        feature_names : list of str
            Columns of `items` that describe a headline.
        DESCR : str
            Description of the data.

    Raises
    ------
    TypeError
        If a count is not an int.
    ValueError
        If a parameter is out of its range, or if `cold_fraction` or `noise` is not a number.

    See Also
    --------
    read_movielens : Read films and real users' ratings.

    Notes
    -----
    A click on a cold headline does not enter the history. Readers are not shown headlines again
    that they have clicked, unless they have clicked a large part of the catalogue.

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
    check_real("cold_fraction", cold_fraction, 0, 1, closed="left")
    check_real("noise", noise)
    n_cold = _check_counts(n_users, n_items, n_impressions, n_candidates, cold_fraction)
    rng = as_generator(random_state)
    items = _make_items(n_items, rng)
    is_cold = np.zeros(n_items, dtype=bool)
    is_cold[rng.permutation(n_items)[:n_cold]] = True
    interests = _draw_interests(n_users, len(TOPICS), rng)
    n_test = max(1, round(_TEST_FRACTION * n_impressions))
    impressions, utilities = _make_impressions(
        items, is_cold, interests, n_impressions, n_test, n_candidates, noise, rng
    )
    return DataBunch(
        items=items,
        train=impressions[:-n_test].reset_index(drop=True),
        test=impressions[-n_test:].reset_index(drop=True),
        interests=interests,
        topics=list(TOPICS),
        cold_items=np.sort(items["item_id"].to_numpy()[is_cold]),
        utilities=utilities[-n_test:],
        feature_names=["title", "topic"],
        DESCR=_DESCR.format(
            n_items=n_items,
            n_topics=len(TOPICS),
            topics=indent(fill(", ".join(TOPICS), 80), " " * 13),
            n_users=n_users,
            n_train=n_impressions - n_test,
            n_test=n_test,
            n_candidates=n_candidates,
            noise=noise,
            n_cold=n_cold,
            n_new=_count_new_users(n_users),
        ),
    )


def _check_counts(
    n_users: Any, n_items: Any, n_impressions: Any, n_candidates: Any, cold_fraction: float
) -> int:
    """Check the counts, and return the number of cold items."""
    check_count("n_users", n_users, 1)
    check_count("n_items", n_items, 2)
    check_count("n_impressions", n_impressions, 2)
    check_count("n_candidates", n_candidates, 2)
    n_cold = round(cold_fraction * n_items)
    if n_candidates > n_items - n_cold:
        raise ValueError(
            f"n_candidates must be at most {n_items - n_cold}, the number of items that are not "
            f"cold, got {n_candidates}"
        )
    return n_cold


def _make_items(n_items: int, rng: np.random.Generator) -> pd.DataFrame:
    """Write about equally many headlines per topic, in random order and with random ids."""
    names = list(TOPICS)
    topics = [names[code] for code in rng.permutation(np.arange(n_items) % len(names))]
    titles: list[str] = []
    used: set[str] = set()
    for topic in topics:
        # five tries for a new title; a topic that has run out of them repeats one
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
    """Choose a template of a topic, and fill its slots."""
    words = {**SHARED, **TOPICS[topic]}
    # one call, because calls of the generator are slow; no title has more than seven slots
    draws = iter(rng.random(8).tolist())

    def pick(options: tuple[str, ...]) -> str:
        return options[int(next(draws) * len(options))]

    template = pick(words["templates"])
    slots = {slot for _, slot, _, _ in Formatter().parse(template) if slot}
    title = template.format(**{slot: pick(words[slot]) for slot in sorted(slots)})
    return title[0].upper() + title[1:]


def _draw_interests(n_users: int, n_topics: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one to three strong interests per user, and a mild interest in all other topics."""
    rank = rng.permuted(np.tile(np.arange(n_topics), (n_users, 1)), axis=1)
    n_strong = rng.integers(1, 4, size=(n_users, 1))
    interests = _MILD_INTEREST * rng.lognormal(size=rank.shape)
    interests += (rank < n_strong) * rng.uniform(0.5, 1.5, size=rank.shape)
    return interests / interests.sum(axis=1, keepdims=True)


def _count_new_users(n_users: int) -> int:
    return int(_NEW_USER_FRACTION * n_users)


def _make_impressions(
    items: pd.DataFrame,
    is_cold: np.ndarray,
    interests: np.ndarray,
    n_impressions: int,
    n_test: int,
    n_candidates: int,
    noise: float,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Simulate the visits of all users.

    Returns
    -------
    impressions : pandas.DataFrame of n_impressions rows
    utilities : ndarray of float64, shape (n_impressions, n_candidates)
        Utility of each candidate without noise.
    """
    ids, topic = items["item_id"].to_numpy(), items["topic"].cat.codes.to_numpy()
    users, seconds = _draw_visits(len(interests), n_impressions, rng)
    pools = _draw_pools(len(users), n_test, 2 * n_candidates, is_cold, rng)
    quality = rng.normal(scale=_QUALITY_SCALE, size=len(ids))
    utilities = np.log(interests)[users[:, None], topic[pools]] + quality[pools]
    scores = utilities + noise * rng.gumbel(size=pools.shape)
    n_clicks = rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1], size=len(users))
    shown, clicked, histories = _simulate_clicks(
        users,
        ids[pools],
        scores,
        set(ids[is_cold].tolist()),
        n_candidates,
        n_clicks.clip(max=n_candidates - 1),
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
    utilities = np.take_along_axis(utilities, shown, axis=1)
    return impressions[-n_impressions:], utilities[-n_impressions:]


def _draw_visits(
    n_users: int, n_impressions: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the user and the time in seconds of each impression, in order of time.

    The impressions before the first row of train come first. Their time is -1.
    """
    order = rng.permutation(n_users)
    new, established = np.split(order, [_count_new_users(n_users)])
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
    """Draw distinct items per row. Only the last `n_test` rows can contain cold items."""
    warm = np.flatnonzero(~is_cold)
    size = min(size, len(warm))
    choices = [warm] * (n_rows - n_test) + [np.arange(len(is_cold))] * n_test
    return np.stack([rng.choice(items, size, replace=False) for items in choices])


def _simulate_clicks(
    users: np.ndarray,
    pools: np.ndarray,
    scores: np.ndarray,
    cold_items: set[int],
    n_candidates: int,
    n_clicks: np.ndarray,
) -> tuple[np.ndarray, list[list[int]], list[list[int]]]:
    """Choose candidates and clicks of one impression after the other.

    Parameters
    ----------
    users : ndarray of int, shape (n,)
        User of each impression.
    pools : ndarray of int, shape (n, size)
        Item ids to choose candidates from.
    scores : ndarray of float, shape (n, size)
        Utility of each item in the pool, with noise.
    cold_items : set of int
        Ids that do not enter histories.
    n_candidates : int
    n_clicks : ndarray of int, shape (n,)

    Returns
    -------
    shown : ndarray of int, shape (n, n_candidates)
        Positions of the candidates in the pool.
    clicked : list of n lists of int
        Labels of the candidates.
    histories : list of n lists of int
        Item ids that the user clicked before the impression, oldest first.
    """
    old_items: list[set[int]] = [set() for _ in range(users.max() + 1)]
    clicks: list[list[int]] = [[] for _ in old_items]
    shown, clicked, histories = [], [], []
    rows = zip(users.tolist(), pools.tolist(), scores.tolist(), n_clicks.tolist(), strict=True)
    for user, pool, score, n in rows:
        # the pool is larger than needed, so items that the user has clicked can be left out
        is_old = [item in old_items[user] for item in pool]
        places = sorted(range(len(pool)), key=is_old.__getitem__)[:n_candidates]
        best = sorted(places, key=score.__getitem__, reverse=True)[:n]
        shown.append(places)
        clicked.append([int(place in best) for place in places])
        histories.append(clicks[user][-_MAX_HISTORY:])
        items = [pool[place] for place in best]
        old_items[user].update(items)
        clicks[user] += [item for item in items if item not in cold_items]
    return np.array(shown), clicked, histories
