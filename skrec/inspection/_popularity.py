"""Relation between the popularity of items and their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.utils.validation import check_is_fitted

from skrec.inspection._axes import get_axes

MAX_USERS = 1000  # The mean score hardly changes with more users.


class PopularityDisplay:
    """Mean score of each item, plotted against its number of clicks.

    A rank correlation close to 1 means that all users get the same popular items. Items without
    clicks are at the left edge.

    Parameters
    ----------
    n_clicks : ndarray of int, shape (n_items,)
        Number of clicks on each item.
    mean_scores : ndarray of float, shape (n_items,)
        Mean score of each item over users.

    Attributes
    ----------
    correlation_ : float
        Spearman's rank correlation of clicks and scores. NaN if all items have equally many
        clicks, or equal scores.
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : matplotlib PathCollection
        One point per item.
    """

    def __init__(self, n_clicks: np.ndarray, mean_scores: np.ndarray) -> None:
        self.n_clicks, self.mean_scores = np.asarray(n_clicks), np.asarray(mean_scores)
        if self.n_clicks.shape != self.mean_scores.shape:
            raise ValueError(
                f"n_clicks and mean_scores must have one entry per item, got shapes "
                f"{self.n_clicks.shape} and {self.mean_scores.shape}"
            )
        constant = not (np.ptp(self.n_clicks) and np.ptp(self.mean_scores))
        found = np.nan if constant else spearmanr(self.n_clicks, self.mean_scores).statistic
        self.correlation_ = float(found)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        items: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Count clicks in some rows, score all items with a fitted recommender, and draw both.

        Parameters
        ----------
        estimator : ContentRecommender
            Fitted recommender.
        X : table or list of id lists, of n_samples rows
            Rows in which clicks are counted: the items of distinct histories, and the clicked
            candidates. Scores are averaged over the first 1,000 distinct histories.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, if X has no column `clicked`.
        items : Items or DataFrame-like, default=None
            Items that extend or replace those of the fitted catalogue.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the points, passed to ``Axes.scatter``.

        Returns
        -------
        PopularityDisplay
            Display with the drawn points.
        """
        check_is_fitted(estimator, "items_")
        data, scorer = estimator._read(X, items, y, labels="required")
        n_items = scorer.items.n_items
        n_clicks = np.bincount(data.history_codes, minlength=n_items)
        if data.clicked is not None:
            clicked = data.candidate_codes[data.clicked == 1]
            n_clicks += np.bincount(clicked, minlength=n_items)
        _, first = np.unique(data.history_of_row, return_index=True)
        total = np.zeros(n_items)
        users = data.take(np.sort(first)[:MAX_USERS])
        for _, scores in scorer.blocks(users):
            total += scores.double().sum(dim=0).cpu().numpy()
        return cls(n_clicks, total / users.n_rows).plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw one point per item.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the points, passed to ``Axes.scatter``.

        Returns
        -------
        PopularityDisplay
            Display with the drawn points.
        """
        ax = get_axes(ax)
        style = {"s": 12, "alpha": 0.5, "linewidths": 0, **kwargs}
        label = f"{len(self.n_clicks):,} items, rank correlation {self.correlation_:.2f}"
        self.points_ = ax.scatter(self.n_clicks, self.mean_scores, label=label, **style)
        ax.set_xscale("symlog")  # in contrast to "log", it can show 0 clicks
        ax.set(xlabel="clicks on the item", ylabel="mean score over users", xlim=(-0.3, None))
        ax.legend(loc="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self
