"""Helpers for the messages that users read."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import joblib
import sklearn

# files between a user's line and a warning of skrec
_INSIDE = (
    *(f"{Path(file).parent}{os.sep}" for file in (sklearn.__file__, joblib.__file__)),
    f"{Path(__file__).parents[1]}{os.sep}",
    contextlib.__file__,
)


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


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Show a warning at the user's line that called skrec, directly or through scikit-learn.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type, default=UserWarning
        Class of the warning.
    """
    # skip_file_prefixes of warnings.warn does this in Python 3.12
    frame, level = sys._getframe(1), 2
    while frame.f_code.co_filename.startswith(_INSIDE):
        if frame.f_back is None:
            level = 2  # a thread that runs nothing but skrec
            break
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def say(text: str, verbose: bool = True) -> None:
    """Print a line to stderr if `verbose` is true."""
    if verbose:
        print(f"[skrec] {text}", file=sys.stderr, flush=True)
