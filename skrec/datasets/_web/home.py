"""The folder of downloaded and converted data sets."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from skrec._common.files import make_folder


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of downloaded and converted data sets, and make it if it is missing.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Path of the folder. None means the environment variable ``SKREC_DATA`` or, if it is not
        set, ``~/skrec_data``.

    Returns
    -------
    Path
        Absolute path of the folder.

    Examples
    --------
    >>> from skrec.datasets import get_data_home
    >>> get_data_home()  # doctest: +SKIP
    PosixPath('/home/me/skrec_data')
    """
    if data_home is not None and not isinstance(data_home, str | os.PathLike):
        raise TypeError(f"data_home must be None or the path of a folder, got {data_home!r}")
    chosen = data_home or os.environ.get("SKREC_DATA") or "~/skrec_data"
    path = Path(chosen).expanduser().absolute()
    make_folder(path, path, "data_home")
    return path


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete the folder of downloaded and converted data sets.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Path of the folder. See :func:`get_data_home`.
    """
    shutil.rmtree(get_data_home(data_home))
