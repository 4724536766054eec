"""Parts of messages to users."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import Any


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``" (did you mean 'x'?)"``, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""


def preview(values: Iterable[Any], n: int = 5) -> str:
    """Show the first few values for a message, with an ellipsis where there are more."""
    values = list(values)
    shown = ", ".join(repr(value) for value in values[:n])
    return shown + (", ..." if len(values) > n else "")


def say(text: str, verbose: bool = True) -> None:
    """Print a line, if that is wanted."""
    if verbose:
        print(f"[skrec] {text}", file=sys.stderr, flush=True)
