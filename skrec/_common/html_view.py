"""HTML for notebooks, in light and dark themes. All texts are escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

LONGEST_TEXT = 60
LONGEST_LIST = 4
# colors are those of the notebook, so that both light and dark themes are readable
STYLE = """<style>
.skrec-view {color: inherit; margin: 0.3em 0;}
.skrec-view table.skrec-table {border-collapse: collapse; border: none; margin: 0.3em 0;}
.skrec-view table.skrec-table :is(tr, th, td) {
  background: transparent; color: inherit; text-align: left; vertical-align: top;}
.skrec-view table.skrec-table :is(th, td) {
  padding: 0.2em 1em 0.2em 0; max-width: 28em; overflow-wrap: break-word; border: none;
  border-bottom: 1px solid rgba(128, 128, 128, 0.35); white-space: normal;}
.skrec-view small {opacity: 0.75; font-weight: normal;}
.skrec-view summary {cursor: pointer;}
.skrec-view details {margin: 0.2em 0;}
.skrec-view details > :not(summary) {margin-left: 1.1em;}
.skrec-view pre {white-space: pre-wrap; background: transparent; color: inherit;}
</style>"""


def view(title: str, *parts: str) -> str:
    """Return a block with a title, and parts that are HTML."""
    return f'{STYLE}<div class="skrec-view"><b>{html.escape(title)}</b>{"".join(parts)}</div>'


def table(
    names: Sequence[str], notes: Sequence[str], rows: Iterable[Sequence[Any]], n_more: int = 0
) -> str:
    """Return a table.

    Parameters
    ----------
    names, notes : list of str
        Names of the columns, and what is written under them.
    rows : iterable of lists
        Values of the rows; see `shorten`.
    n_more : int, default=0
        Number of rows that are not shown.

    Returns
    -------
    str
    """
    head = "".join(
        f"<th>{html.escape(name)}<br><small>{html.escape(note)}</small></th>"
        for name, note in zip(names, notes, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(shorten(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    more = f"<small>and {n_more:,} more</small>" if n_more > 0 else ""
    return (
        f'<table class="skrec-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{more}"
    )


def fold(title: str, body: str, *, is_open: bool = False) -> str:
    """Return a part that can be opened and closed. The body is HTML."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{html.escape(title)}</summary><div>{body}</div></details>"


def paragraph(text: str) -> str:
    """Return a line of text."""
    return f"<div>{html.escape(text)}</div>"


def preformatted(text: str) -> str:
    """Return a text with its line breaks."""
    return f"<pre>{html.escape(text)}</pre>"


def shorten(value: Any) -> str:
    """Return a value as a short text: the beginning of long texts and lists."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        shown = ", ".join(shorten(each) for each in value[:LONGEST_LIST])
        return shown + (f", … ({len(value)})" if len(value) > LONGEST_LIST else "")
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
