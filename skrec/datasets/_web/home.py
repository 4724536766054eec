"""The folder where data sets are kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder where data sets are kept, and make it if it is not there.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. None takes the environment variable ``SKREC_DATA``, else ``~/skrec_data``.

    Returns
    -------
    Path

    Examples
    --------
    >>> from skrec.datasets import get_data_home
    >>> get_data_home()  # doctest: +SKIP
    PosixPath('/home/me/skrec_data')
    """
    if data_home is not None and not isinstance(data_home, str | os.PathLike):
        raise TypeError(f"data_home must be None or the path of a folder, got {data_home!r}")
    chosen = data_home or os.environ.get("SKREC_DATA") or Path.home() / "skrec_data"
    path = Path(chosen).expanduser().absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete the folder where data sets are kept, with all that was converted or fetched.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder, as `get_data_home` takes it.
    """
    shutil.rmtree(get_data_home(data_home))
