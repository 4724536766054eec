"""Bars of an explanation."""

from __future__ import annotations

from typing import Any

import numpy as np

from skrec._common.checks import check_choice, check_int
from skrec._data.explanation import Explanation
from skrec.inspection._axes import get_axes

RAISES, LOWERS = "tab:red", "tab:blue"  # the colors of the words in a notebook
LONGEST = 40  # characters of a label


class ExplanationDisplay:
    """Shares of clicks, or of words, in the score of an item.

    Parameters
    ----------
    explanation : Explanation
        Result of ``explain`` of a fitted recommender.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure of the axes.
    bars_ : matplotlib BarContainer
        One bar per click or word.

    Examples
    --------
    >>> from skrec import ContentRecommender
    >>> from skrec.datasets import make_headlines
    >>> from skrec.inspection import ExplanationDisplay
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> rec = ContentRecommender(max_epochs=1, random_state=0).fit(news.train, news.items)
    >>> item = news.items["item_id"].iloc[0]
    >>> display = ExplanationDisplay(rec.explain(news.test["history"].iloc[0], item))
    >>> list(display.explanation.words.columns)
    ['column', 'word', 'share']
    """

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        history: Any,
        item: Any,
        *,
        kind: str = "clicks",
        label: str | None = None,
        max_bars: int = 20,
        items: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Explain the score of an item with a fitted recommender, and draw the shares.

        Parameters
        ----------
        estimator : ContentRecommender or baseline
            Fitted recommender.
        history : list of ids, or table of one row
            The clicked items, oldest first.
        item : int or str
            Id of the item.
        kind : {"clicks", "words"}, default="clicks"
            Which shares to draw.
        label : str, default=None
            Column of the catalogue, such as "title", that names the clicks. None uses the ids.
        max_bars : int, default=20
            Number of bars; shares with the largest absolute values are drawn.
        items : Items or DataFrame-like, default=None
            Items that extend or replace those of the fitted catalogue.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the bars, passed to ``Axes.barh``.

        Returns
        -------
        ExplanationDisplay
            Display with the drawn bars.
        """
        columns = None if label is None else [label]
        found = estimator.explain(history, item, items=items, columns=columns)
        return cls(found).plot(ax, kind=kind, label=label, max_bars=max_bars, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "clicks",
        label: str | None = None,
        max_bars: int = 20,
        **kwargs: Any,
    ) -> Any:
        """Draw one bar per click or word, in their order from top to bottom.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        kind : {"clicks", "words"}, default="clicks"
            Which shares to draw.
        label : str, default=None
            Column of ``explanation.clicks`` that names the clicks. None uses the ids.
        max_bars : int, default=20
            Number of bars; shares with the largest absolute values are drawn.
        **kwargs : dict
            Keyword arguments for the bars, passed to ``Axes.barh``.

        Returns
        -------
        ExplanationDisplay
            Display with the drawn bars.

        Raises
        ------
        ValueError
            If there are no words, or no column `label`.
        """
        check_choice("kind", kind, ("clicks", "words"))
        check_int("max_bars", max_bars)
        frame = getattr(self.explanation, kind)
        if frame is None:
            raise ValueError(
                "there are no shares of words, because the content operator reads no tokens; take "
                "kind='clicks'"
            )
        name = frame.columns[1] if label is None or kind == "words" else label
        if name not in frame:
            raise ValueError(
                f"label={name!r} is no column of the clicks; ask for it: explain(history, item, "
                f"columns=[{name!r}])"
            )
        ax = get_axes(ax)
        shares = frame["share"].to_numpy()
        shown = np.sort(np.argsort(-np.abs(shares), kind="stable")[:max_bars])
        labels = [_shortened(str(text)) for text in frame[name].iloc[shown]]
        colors = [RAISES if share > 0 else LOWERS for share in shares[shown]]
        self.bars_ = ax.barh(np.arange(len(shown)), shares[shown], **{"color": colors, **kwargs})
        ax.set_yticks(np.arange(len(shown)), labels)
        ax.invert_yaxis()
        ax.axvline(0, color="gray", lw=1)
        item, score = self.explanation.item, self.explanation.score
        ax.set(xlabel=f"share of the score {score:.3g} of item {item}", ylabel=kind)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.explanation!r})"

    def _repr_html_(self) -> str:
        """Return the explanation as HTML, for notebooks."""
        return self.explanation._repr_html_()


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
