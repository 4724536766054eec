"""Fit of the terms that clicks add to the scores of a network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from skrec._data.co_clicks import count_clicks, ordered_similarities
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._inference.prior import Prior
from skrec._inference.scorer import Scorer
from skrec._inference.scores import score_catalogue
from skrec._inference.top_k import rank_last_click
from skrec._training.processes import ONE_PROCESS, Processes
from skrec.metrics import get_metric
from skrec.metrics._ranking import rank_groups
from skrec.metrics._registry import values_by_group

Weights = tuple[float, float, float]

Way = tuple[Weights, float]  # weights and decay

MAX_CELLS = 4e7  # largest number of scores by which each choice of weights is compared
MAX_HISTORIES = 1000  # histories from which the co-clicks of new items are estimated
SMALLEST_VARIANCE = 1e-8  # of scores that say something of co-clicks
# weights and decay that did well on all data sets of benchmarks/README.md, for bare histories
USUAL: Way = (0.5, 0.0, 1.5), 0.7
# other weights to try
GRID: list[Way] = [
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
# Candidates of impressions were chosen by someone, so co-clicks may say little of them. The network
# learns their popularity by itself.
WITHOUT_CO_CLICKS: Way = (1.0, 0.0, 0.0), 0.7
GRID_OF_IMPRESSIONS: list[Way] = [
    ((1.0, 0.0, similar), decay) for similar in (0.5, 1.0, 1.5, 2.0) for decay in (0.7, 0.9)
]


def starting_prior(data: CodedInteractions, n_items: int) -> Prior:
    """Return the prior with which training on bare histories starts: the popularity of the items.

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


def choose_prior(
    scorer: Scorer,
    data: CodedInteractions,
    valid: CodedInteractions | None,
    processes: Processes = ONE_PROCESS,
) -> Prior | None:
    """Choose the weights of the terms on held-out clicks, and fit the terms to the training rows.

    The weights with the highest nDCG@10 of the held-out clicks are chosen. The usual weights are
    kept unless others are better by more than one standard error, because the held-out part may be
    small. For bare histories, the usual weights are `USUAL`, and for other rows, the network alone.
    The terms do not contain the held-out clicks, and would otherwise seem too good.

    Parameters
    ----------
    scorer : Scorer
        Scorer of the trained network. For bare histories, it has the prior of `starting_prior`.
    data : CodedInteractions
        The training rows.
    valid : CodedInteractions or None
        Held-out rows. If there are none, the usual weights are taken.
    processes : Processes, default=Processes()
        Processes that train together. All take the weights that process 0 chooses.

    Returns
    -------
    Prior or None
        None if the score is that of the network alone.
    """
    if data.kind != "histories" and valid is None:
        return None
    prior = _with_terms(USUAL, data, scorer.items)
    way = USUAL
    if valid is not None:
        way = processes.first(partial(_choose, scorer, prior, valid), "weights of co-clicks")
    if way == WITHOUT_CO_CLICKS:
        return None
    weights, decay = way
    similarities = prior.similarities if weights[2] else None
    prior = replace(prior, weights=weights, decay=decay, similarities=similarities)
    expect = partial(_expectations, scorer, prior, data)
    return replace(prior, **processes.first(expect, "co-clicks of new items"))


def fit_terms(prior: Prior, data: CodedInteractions, items: Items) -> Prior:
    """Return a prior with the same weights and expectations, whose terms are fitted to some rows.

    Parameters
    ----------
    prior : Prior
    data : CodedInteractions
        The rows.
    items : Items
        The catalogue.

    Returns
    -------
    Prior
    """
    terms = _with_terms((prior.weights, prior.decay), data, items)
    return replace(prior, log_popularity=terms.log_popularity, similarities=terms.similarities)


def _with_terms(way: Way, data: CodedInteractions, items: Items) -> Prior:
    """Return a prior whose terms are fitted to some rows."""
    (weights, decay), n_items = way, items.n_items
    if data.kind == "histories":
        log_popularity = starting_prior(data, n_items).log_popularity
    else:  # the network has learned the popularity of candidates
        log_popularity = np.zeros(n_items, dtype=np.float32)
    similarities = ordered_similarities(data, n_items) if weights[2] else None
    return Prior(weights, log_popularity, similarities, decay)


def _expectations(scorer: Scorer, prior: Prior, data: CodedInteractions) -> dict[str, Any]:
    """Return the regression of log co-clicks on the scores of the network, for some histories.

    The values are attributes of the prior.
    """
    if prior.similarities is None:
        return {}
    part = _some(data, min(MAX_HISTORIES, max(1, int(MAX_CELLS / scorer.items.n_items))))
    n, sums, products = 0, torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    network, item_rows = scorer.network, scorer.encoded_items.encoding(scorer.network).rows
    # without the cache of user vectors, which would keep those of training
    for rows, scores in score_catalogue(network, item_rows, part, scorer.max_history):
        block = part.take(np.arange(rows.start, rows.stop))
        co_clicks = prior.log_co_clicks(scores, block, scorer.items)
        assert co_clicks is not None
        both = torch.stack([scores.flatten(), co_clicks.flatten()]).double()  # (2, b * N)
        n += both.shape[1]
        sums += both.sum(dim=1).cpu()
        products += (both @ both[0]).cpu()
    if not n:
        return {}
    mean = sums / n
    variance, covariance = (products / n - mean * mean[0]).tolist()
    slope = covariance / variance if variance > SMALLEST_VARIANCE else 0.0
    mean_score, mean_log_co_clicks = mean.tolist()
    return {"mean_score": mean_score, "mean_log_co_clicks": mean_log_co_clicks, "slope": slope}


def _some(data: CodedInteractions, n_rows: int) -> CodedInteractions:
    """Return at most n_rows rows, at equal distances."""
    if data.n_rows <= n_rows:
        return data
    return data.take(np.linspace(0, data.n_rows - 1, n_rows).astype(np.int64))


def _choose(scorer: Scorer, prior: Prior, valid: CodedInteractions) -> Way:
    """Return the weights and the decay that rank held-out clicks best."""
    if valid.kind == "histories":
        usual = USUAL
        valid = _some(valid, max(1, int(MAX_CELLS / scorer.items.n_items)))
        found = _gains_of_lists(scorer, prior, valid)
    else:
        usual = WITHOUT_CO_CLICKS
        found = _gains_of_impressions(scorer, prior, valid)
    if not len(found[usual]):
        return usual
    best = max(found, key=lambda each: found[each].mean())
    lead = found[best] - found[usual]
    error = lead.std() / np.sqrt(len(lead))
    return best if lead.mean() > error else usual


def _gains_of_lists(
    scorer: Scorer, prior: Prior, valid: CodedInteractions
) -> dict[Way, np.ndarray]:
    """Return the nDCG@10 (n,) of the last click of bare histories, by weights and decay.

    The network and the co-clicks are scored once, and then added with all weights.
    """
    shorter, target = valid.without_last_click()
    parts: dict[Way, list[np.ndarray]] = {way: [] for way in [USUAL, *GRID]}
    decays = sorted({decay for _, decay in parts})
    for rows, scores in replace(scorer, prior=None).blocks(shorter):
        part = shorter.take(np.arange(rows.start, rows.stop))
        co_clicks = {
            decay: replace(prior, decay=decay).log_co_clicks(scores, part, scorer.items)
            for decay in decays
        }
        for (weights, decay), gains in parts.items():
            total = replace(prior, weights=weights).total(scores, co_clicks[decay])
            everything = slice(0, part.n_rows)
            ranking = rank_last_click(iter([(everything, total)]), part, target[rows])
            rank = ranking.before + (ranking.length + 1) / 2  # ties share the middle rank
            gains.append(np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0))
    return {way: np.concatenate(gains) for way, gains in parts.items()}


def _gains_of_impressions(
    scorer: Scorer, prior: Prior, valid: CodedInteractions
) -> dict[Way, np.ndarray]:
    """Return the nDCG@10 (G,) of groups of candidates with a click, by weights and decay."""
    assert valid.clicked is not None and valid.group_of_row is not None
    clicked = valid.clicked > 0
    groups = valid.group_of_row[valid.row_of_candidate()]
    network = replace(scorer, prior=None).score_candidates(valid)
    metric = get_metric("ndcg@10")
    found = {}
    decays = sorted({decay for _, decay in GRID_OF_IMPRESSIONS})
    co_clicks = {
        decay: replace(prior, decay=decay).log_co_clicks_of_candidates(network, valid, scorer.items)
        for decay in decays
    }
    for weights, decay in [WITHOUT_CO_CLICKS, *GRID_OF_IMPRESSIONS]:
        term = co_clicks[decay]
        assert term is not None
        total = weights[0] * network + weights[2] * term
        gain, usable = values_by_group(metric, rank_groups(clicked, total, groups))
        found[weights, decay] = gain[usable]
    return found
