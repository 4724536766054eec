"""What is computed from scores alike, whatever computes them: lists, log odds and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._data.ragged import offsets_of
from skrec._inference.choice import own_blocks
from skrec._inference.limited import LimitedTop
from skrec._inference.lists import evaluate_lists, mean_of_lists
from skrec._inference.rules import Rules, read_rules
from skrec._inference.selection import Selection
from skrec._inference.top_k import Blocks, best, listed, lists_of, rank_last_click
from skrec.metrics import Metric, Ranking, compute, compute_ranked, get_metric
from skrec.metrics._registry import get_scoring

MAX_CELLS = 2e8  # largest number of scores that is returned for bare histories


class Ranker(ABC):
    """Base class of what scores items for rows of item codes.

    A subclass is immutable, so any number of threads may use it.

    Attributes
    ----------
    calibration : tuple of (float, float)
        a and b of the click probability ``sigmoid(a * score + b)``.
    n_clicks : ndarray of float, shape (N,), or None
        Number of training clicks on each item, if it is known.
    removed : ndarray of int64 or None
        Codes of items that are in no list.
    """

    calibration: tuple[float, float]
    n_clicks: np.ndarray | None
    removed: np.ndarray | None = None

    @property
    @abstractmethod
    def items(self) -> Items:
        """Items that the codes refer to."""

    @abstractmethod
    def score_candidates(self, data: CodedInteractions) -> np.ndarray:
        """Return the scores (P,) of the candidates of impressions or pairs."""

    @abstractmethod
    def blocks(self, data: CodedInteractions, among: np.ndarray | None = None) -> Blocks:
        """Yield blocks of rows with their scores of items.

        Parameters
        ----------
        data : CodedInteractions
            Rows whose histories are read.
        among : ndarray of int64, shape (C,), default=None
            Codes of the items to score, in any order. None means all items.

        Yields
        ------
        rows : slice
            The rows of the block.
        scores : tensor of shape (b, N), or (b, C) with `among`
            Scores of the items, which the caller may change.
        """

    def word_shares(self, data: CodedInteractions, code: int) -> Any:
        """Return the shares of an item's words in its score for one row, or None."""
        return None

    def scores(self, data: CodedInteractions) -> np.ndarray:
        """Return the scores of all candidates (P,); for bare histories, of all items (n, N).

        Parameters
        ----------
        data : CodedInteractions
            Rows with P candidates in total.

        Returns
        -------
        ndarray of shape (P,) or (n, N)

        Raises
        ------
        ValueError
            If there would be more than `MAX_CELLS` scores of bare histories.
        """
        if data.kind != "histories":
            return self.score_candidates(data)
        shape = (data.n_rows, self.items.n_items)
        if shape[0] * shape[1] > MAX_CELLS:
            raise ValueError(
                f"scores of {shape[0]} histories for each of {shape[1]} items are more than "
                f"{MAX_CELLS:g} cells; recommend(X, k) gives the best k, or score fewer rows"
            )
        everything = np.empty(shape, dtype=np.float32)
        for rows, scores in self.blocks(data):
            everything[rows] = scores.cpu().numpy()
        return everything

    def logits(self, data: CodedInteractions) -> np.ndarray:
        """Return the log odds of a click, in the shape of `scores`."""
        a, b = self.calibration
        return a * self.scores(data) + b

    @property
    def has_vectors(self) -> bool:
        """Whether items have vectors."""
        return False

    def unit_vectors(self) -> Any:
        """Return item vectors of length 1 (N, D), a tensor or csr_array; None if there are none."""
        return None

    def logits_of(
        self, data: CodedInteractions, codes: np.ndarray, scores: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the log odds of clicks on the items of lists.

        Parameters
        ----------
        data : CodedInteractions
            The rows.
        codes : ndarray of int64, shape (n, k)
            Codes of the items; -1 where there is none.
        scores : ndarray of shape (n, k), default=None
            Their scores, if they are known.

        Returns
        -------
        ndarray of shape (n, k)
        """
        if scores is None:
            is_there = codes >= 0
            listed = replace(
                data,
                kind="impressions",
                candidate_offsets=offsets_of(is_there.sum(axis=1)),
                candidate_codes=codes[is_there].astype(np.int32),
                clicked=None,
            )
            scores = np.full(codes.shape, -np.inf, dtype=np.float32)
            scores[is_there] = self.score_candidates(listed)
        a, b = self.calibration
        return a * scores + b

    def recommend(
        self, data: CodedInteractions, k: int, exclude_seen: bool, rules: Rules | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the best items of each row.

        Parameters
        ----------
        data : CodedInteractions
            Rows whose histories are read.
        k : int
            Length of the lists.
        exclude_seen : bool
            Whether to leave out the items of a row's history.
        rules : Rules, default=None
            Rules by which items are listed. None lists the items with the highest scores.

        Returns
        -------
        codes : ndarray of int64, shape (n, k)
            Codes of the items. Lists with fewer than k items end with -1.
        scores : ndarray of float32, shape (n, k)
            Their scores; -inf where the code is -1.
        """
        rules = rules or Rules()
        choice = rules.choice
        if choice.is_empty:
            return lists_of(iter(()), data.n_rows, k)
        if choice.own is None:
            exclude = choice.exclude(data if exclude_seen else None)
            among = choice.among if rules.quotas is None else rules.quotas.arranged(choice.among)
            blocks = listed(self.blocks(data, among), among, exclude, choice.holds)
        else:
            data = choice.own_candidates(data, exclude_seen)
            blocks = own_blocks(data, self.score_candidates(data), choice.n_items)
        choose: Any = best
        if rules.diversity:
            choose = Selection(rules.quotas, rules.diversity, self.unit_vectors())
        elif rules.quotas is not None:
            choose = LimitedTop(rules.quotas)
        return lists_of(rules.boosted(blocks), data.n_rows, k, choose)

    def evaluate(self, names: str | list[str], data: CodedInteractions) -> dict[str, Any]:
        """Compute metrics.

        For bare histories, the last click is removed from the history and ranked among all items.

        Parameters
        ----------
        names : str or list of str
            Names of metrics.
        data : CodedInteractions
            Rows with clicks, or bare histories.

        Returns
        -------
        dict of str to float
            Values by the name of the metric, and ``"n_groups_used"``; see `skrec.metrics.compute`.

        Raises
        ------
        ValueError
            If a metric is unknown or all histories are empty.
        """
        names = [names] if isinstance(names, str) else list(names)
        metrics = [get_metric(name) for name in names]  # raises before rows are scored
        of_lists = self.evaluate_lists([m for m in metrics if m.of_lists], data)
        ranked = [metric.name for metric in metrics if not metric.of_lists]
        values = self._evaluate_scores(ranked, data) if ranked or not names else {}
        for name, value in of_lists.items():
            values[name] = mean_of_lists(value, name) if isinstance(value, np.ndarray) else value
        return {name: values[name] for name in names} | values

    def _evaluate_scores(self, names: list[str], data: CodedInteractions) -> dict[str, Any]:
        """Compute metrics of labels and scores; see `evaluate`."""
        if data.kind == "histories":
            return compute_ranked(names, self.rank_last_clicks(data))
        assert data.clicked is not None
        scores = self.scores(data)
        a, b = self.calibration
        groups = None
        if data.group_of_row is not None:
            groups = data.group_of_row[data.row_of_candidate()]
        return compute(names, data.gains(), scores, groups, expit(a * scores + b))

    def evaluate_lists(self, metrics: list[Metric], data: CodedInteractions) -> dict[str, Any]:
        """Compute metrics of the lists of items that are recommended for some rows.

        Parameters
        ----------
        metrics : list of Metric
            Metrics of lists.
        data : CodedInteractions
            Rows with clicks, or bare histories.

        Returns
        -------
        dict of str to ndarray or float
            The values of the lists, or one value of all lists; see `lists.evaluate_lists`.
        """
        if not metrics:
            return {}

        def recommend(rows: CodedInteractions, k: int) -> np.ndarray:
            rules = read_rules(self.items, rows, removed=self.removed)
            return self.recommend(rows, k, exclude_seen=True, rules=rules)[0]

        return evaluate_lists(
            metrics, data, self.items, recommend, self.n_clicks, self.unit_vectors, self.removed
        )

    def rank_last_clicks(self, data: CodedInteractions) -> Ranking:
        """Rank the last click of each history that is not empty among all other items.

        Raises
        ------
        ValueError
            If all histories are empty.
        """
        shorter, target = data.without_last_click()
        if not len(target):
            raise ValueError("all histories are empty, so there is no last click to predict")
        return self._ranking(shorter, target)

    def _ranking(self, data: CodedInteractions, target: np.ndarray) -> Ranking:
        """Rank the target of each row; see `rank_last_click`."""
        return rank_last_click(self.blocks(data), data, target)

    def monitor(self, scoring: str, data: CodedInteractions) -> float:
        """Return the value that `score` returns and early stopping monitors; higher is better.

        Parameters
        ----------
        scoring : str
            Name of a metric; see `monitored`.
        data : CodedInteractions
            Rows with clicks, or bare histories.

        Returns
        -------
        float
            The metric, negated if lower is better.
        """
        metric = monitored(scoring, data)
        value = self.evaluate(metric.name, data)[metric.name]
        return value if metric.greater_is_better else -value


def monitored(scoring: str, data: CodedInteractions) -> Metric:
    """Return the metric that `score` and early stopping compute for some rows.

    Parameters
    ----------
    scoring : str
        Name of a metric.
    data : CodedInteractions
        Rows with clicks, or bare histories.

    Returns
    -------
    Metric
        The metric `scoring`. A metric that needs groups is replaced by AUC for pairs without
        groups.

    Raises
    ------
    ValueError
        If the rows are bare histories and the metric needs labeled candidates.
    """
    metric = get_scoring(scoring)
    if data.kind == "histories" and metric.kind == "pointwise":
        raise ValueError(
            f"scoring={scoring!r} needs labelled candidates, which bare histories do not have; "
            "use a metric of rankings, such as 'gauc' or 'ndcg@10'"
        )
    if data.kind == "pairs" and data.group_of_row is None and metric.kind == "grouped":
        return get_metric("auc")
    return metric


def in_rows(values: np.ndarray, data: CodedInteractions) -> np.ndarray:
    """Return the values of candidates (P, ...) in the form that `decision_function` returns.

    Parameters
    ----------
    values : ndarray of shape (P, ...), or of shape (n, N) for bare histories
        Values of all candidates.
    data : CodedInteractions
        The rows.

    Returns
    -------
    ndarray
        For impressions, an object array of shape (n,), with one array per row. Values of pairs and
        bare histories are returned unchanged.
    """
    if data.kind != "impressions":
        return values
    rows = np.empty(data.n_rows, dtype=object)
    for row, part in enumerate(np.split(values, data.candidate_offsets[1:-1])):
        rows[row] = part
    return rows
