"""Whether a recommender repeats what is popular."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.utils.validation import check_is_fitted

from skrec.inspection._axes import axes

MAX_USERS = 1000  # histories that are scored: their mean hardly moves with more


class PopularityDisplay:
    """Mean score of each item against its clicks.

    A rank correlation near 1 says that users get what everybody gets; new items, without a click,
    stand at the left edge.

    Parameters
    ----------
    n_clicks : ndarray of int, shape (n_items,)
        Clicks on each item.
    mean_scores : ndarray of float, shape (n_items,)
        Its mean score over users.

    Attributes
    ----------
    correlation_ : float
        Spearman's rank correlation; NaN where all items have the same clicks.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : matplotlib PathCollection
    """

    def __init__(self, n_clicks: np.ndarray, mean_scores: np.ndarray):
        self.n_clicks, self.mean_scores = np.asarray(n_clicks), np.asarray(mean_scores)
        if self.n_clicks.shape != self.mean_scores.shape:
            raise ValueError(
                f"n_clicks and mean_scores must have one entry an item, got shapes "
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
        """Draw popularity in some rows against the scores that a fitted recommender gives.

        Parameters
        ----------
        estimator : ContentRecommender
            A fitted one.
        X : table or list of id lists, of n_samples rows
            Where clicks are counted: in distinct histories, and clicked candidates. The first
            1,000 distinct histories are the users whose scores are averaged.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, where X has no `clicked` column.
        items : Items or DataFrame-like, default=None
            New or changed items.
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the points, as ``Axes.scatter`` takes them.

        Returns
        -------
        PopularityDisplay
        """
        check_is_fitted(estimator, "network_")
        data, scorer = estimator._read(X, items, y, labels="required")
        n_items = scorer.catalogue.items.n_items
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
        """Draw a point for each item.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the points, as ``Axes.scatter`` takes them.

        Returns
        -------
        PopularityDisplay
        """
        ax = axes(ax)
        style = {"s": 12, "alpha": 0.5, "linewidths": 0, **kwargs}
        label = f"{len(self.n_clicks):,} items, rank correlation {self.correlation_:.2f}"
        self.points_ = ax.scatter(self.n_clicks, self.mean_scores, label=label, **style)
        ax.set_xscale("symlog")  # 0 is a value, too
        ax.set(xlabel="clicks on the item", ylabel="mean score over users", xlim=(-0.3, None))
        ax.legend(loc="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self
