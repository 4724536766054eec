"""Axes to draw on."""

from __future__ import annotations

from typing import Any


def axes(ax: Any = None) -> Any:
    """Return the axes that were given, or new ones.

    Raises
    ------
    ImportError
        Where matplotlib is missing.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from error
    return plt.subplots(layout="constrained")[1]
