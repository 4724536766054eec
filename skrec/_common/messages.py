"""Helpers for the messages that users read."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import Any


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest known name, or "" if none is close.

    Parameters
    ----------
    name : str
        Name that the user wrote.
    known : iterable of str
        Valid names.
    cutoff : float, default=0.6
        Similarity from 0 to 1 that a name must reach to be suggested.

    Returns
    -------
    str
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""


def preview(values: Iterable[Any], n: int = 5) -> str:
    """Return the first `n` values as text, with an ellipsis if there are more."""
    values = list(values)
    shown = ", ".join(repr(value) for value in values[:n])
    return shown + (", ..." if len(values) > n else "")


def say(text: str, verbose: bool = True) -> None:
    """Print a line to stderr if `verbose` is true."""
    if verbose:
        print(f"[skrec] {text}", file=sys.stderr, flush=True)
