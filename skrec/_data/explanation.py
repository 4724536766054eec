"""Why an item has its score: the result of `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

RED, BLUE = "214, 39, 40", "31, 119, 180"
STRONGEST = 0.7  # opacity of the color of the largest share


@dataclass(frozen=True, repr=False)
class Explanation:
    """Shares of clicks, and of the words of an item, in the score of the item.

    ``explain`` of a fitted recommender computes it.

    Parameters
    ----------
    item : int or str
        Id of the item.
    score : float
        Score of the item for the whole history, as `decision_function` returns it.
    clicks : DataFrame of n_clicks rows
        One row per click, oldest first: its `position` in the history, from 0, the id under the
        name of the catalogue's id column, its `share`, and the columns that were asked for. A
        share is the score for the whole history minus the score without the click.
    words : DataFrame of n_words rows, or None
        One row per word: the `column` of the catalogue, the `word` and its `share`. The shares of
        all words and `score_without_words` add up to the score. None if the content operator reads
        no tokens.
    score_without_words : float, default=None
        Score of the item if its words said nothing. None if `words` is None.
    """

    item: Any
    score: float
    clicks: pd.DataFrame
    words: pd.DataFrame | None = None
    score_without_words: float | None = None

    def __repr__(self) -> str:
        lines = [f"Explanation(item={self.item!r}, score={self.score:.4g})"]
        lines.append(self.clicks.to_string(index=False) if len(self.clicks) else "no clicks")
        if self.words is not None:
            shown = " ".join(
                f"{word} ({share:+.2g})"
                for word, share in zip(self.words["word"], self.words["share"], strict=True)
            )
            lines.append(f"without words {self.score_without_words:.4g}, words: {shown or 'none'}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the clicks as a table, and the words in the colors of their shares."""
        parts = [f"<p>item {escape(str(self.item))}, score {self.score:.4g}</p>"]
        parts.append(self.clicks.to_html(index=False))
        if self.words is not None:
            parts.append(self._words_as_html(self.words))
        return f"<div>{''.join(parts)}</div>"

    @staticmethod
    def _words_as_html(words: pd.DataFrame) -> str:
        """Return one paragraph per column: words that raise the score are red, others blue."""
        largest = float(np.abs(words["share"]).max()) if len(words) else 0.0
        paragraphs = []
        for column, part in words.groupby("column", sort=False):
            spans = []
            for word, share in zip(part["word"], part["share"], strict=True):
                opacity = STRONGEST * abs(share) / largest if largest else 0.0
                style = f"background-color: rgba({RED if share > 0 else BLUE}, {opacity:.2f})"
                spans.append(
                    f'<span style="{style}" title="{share:+.3g}">{escape(str(word))}</span>'
                )
            paragraphs.append(f"<p>{escape(str(column))}: {' '.join(spans)}</p>")
        return "".join(paragraphs)
