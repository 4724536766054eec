"""Fit of the terms that clicks add to the scores of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skrec._data.co_clicks import count_clicks, ordered_similarities
from skrec._data.coded import CodedInteractions
from skrec._inference.prior import Prior
from skrec._inference.scorer import Scorer
from skrec._inference.top_k import rank_last_click

Weights = tuple[float, float, float]

MAX_CELLS = 4e7  # largest number of scores by which each choice of weights is compared
# weights and decay that did well on all data sets of benchmarks/README.md
USUAL: tuple[Weights, float] = (0.5, 0.0, 1.5), 0.7
# other weights to try
GRID: list[tuple[Weights, float]] = [
    ((1.0, 1.0, 0.0), 0.7),  # no co-clicks
    ((0.0, 0.0, 1.0), 0.7),  # nothing else
    *(
        ((network, popularity, similar), decay)
        for network in (0.5, 1.0)
        for popularity in (0.0, 0.5)
        for similar in (1.0, 2.0)
        for decay in (0.5, 0.7, 0.9)
    ),
]


def starting_prior(data: CodedInteractions, n_items: int) -> Prior:
    """Return the prior with which training starts: the popularity of the items.

    Parameters
    ----------
    data : CodedInteractions
        The training rows.
    n_items : int
        N, the number of items in the catalogue.

    Returns
    -------
    Prior
    """
    log_popularity = np.log1p(count_clicks(data, n_items)).astype(np.float32)
    return Prior((1.0, 1.0, 0.0), log_popularity)


def fit_prior(
    scorer: Scorer,
    data: CodedInteractions,
    valid: CodedInteractions | None,
    everything: CodedInteractions,
) -> Prior:
    """Choose the weights of the terms on held-out clicks, and fit the terms to all clicks.

    The weights with the highest nDCG@10 of the held-out clicks are chosen, among those of `GRID`.
    The usual weights are kept unless others are better by more than one standard error, because the
    held-out part may be small. The similarities that are used for this choice do not contain the
    held-out clicks, and would otherwise seem too good.

    Parameters
    ----------
    scorer : Scorer
        Scorer of the trained network, with the prior of `starting_prior`.
    data : CodedInteractions
        The training rows.
    valid : CodedInteractions or None
        Held-out bare histories, whose last clicks are predicted. If there are none, the usual
        weights are taken.
    everything : CodedInteractions
        All rows, to which the terms are fitted in the end.

    Returns
    -------
    Prior
    """
    assert scorer.prior is not None
    n_items = scorer.items.n_items
    weights, decay = USUAL
    if valid is not None:
        weights, decay = _choose(scorer, scorer.prior, ordered_similarities(data, n_items), valid)
    similarities = ordered_similarities(everything, n_items) if weights[2] else None
    return replace(
        starting_prior(everything, n_items),
        weights=weights,
        similarities=similarities,
        decay=decay,
    )


def _choose(
    scorer: Scorer, prior: Prior, similarities: Any, valid: CodedInteractions
) -> tuple[Weights, float]:
    """Return the weights and the decay that rank held-out clicks best."""
    n_used = max(1, int(MAX_CELLS / scorer.items.n_items))
    if valid.n_rows > n_used:
        valid = valid.take(np.linspace(0, valid.n_rows - 1, n_used).astype(np.int64))
    found = _gains(scorer, replace(prior, similarities=similarities), valid)
    best = max(found, key=lambda each: found[each].mean())
    lead = found[best] - found[USUAL]
    error = lead.std() / np.sqrt(len(lead))
    return best if lead.mean() > error else USUAL


def _gains(
    scorer: Scorer, prior: Prior, valid: CodedInteractions
) -> dict[tuple[Weights, float], np.ndarray]:
    """Return the nDCG@10 (n,) of each held-out click, by weights and decay.

    The network and the co-clicks are scored once, and then added with all weights.
    """
    shorter, target = valid.without_last_click()
    parts: dict[tuple[Weights, float], list[np.ndarray]] = {way: [] for way in [USUAL, *GRID]}
    decays = sorted({decay for _, decay in parts})
    for rows, scores in replace(scorer, prior=None).blocks(shorter):
        part = shorter.take(np.arange(rows.start, rows.stop))
        co_clicks = {
            decay: replace(prior, decay=decay).log_co_clicks(part, scorer.items) for decay in decays
        }
        for (weights, decay), gains in parts.items():
            total = replace(prior, weights=weights).total(scores, co_clicks[decay])
            everything = slice(0, part.n_rows)
            ranking = rank_last_click(iter([(everything, total)]), part, target[rows])
            rank = ranking.before + (ranking.length + 1) / 2  # ties share the middle rank
            gains.append(np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0))
    return {way: np.concatenate(gains) for way, gains in parts.items()}
