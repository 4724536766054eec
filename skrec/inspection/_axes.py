"""Axes to draw on."""

from __future__ import annotations

from typing import Any


def get_axes(ax: Any = None) -> Any:
    """Return the given axes, or new ones if they are None.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from error
    return plt.subplots(layout="constrained")[1]
