"""What data set functions return."""

from __future__ import annotations

from typing import Any

from sklearn.utils import Bunch


class DataBunch(Bunch):
    """A scikit-learn Bunch whose ``items`` is the catalogue, not the method of dict.

    Its keys can be read as attributes. To walk over keys and values, take ``dict(data).items()``.
    """

    @property
    def items(self) -> Any:
        """The catalogue."""
        return self["items"]

    def __reduce__(self) -> tuple:
        # pickle would call items() on a subclass of dict
        return _restore, (dict(self),)


def _restore(fields: dict[str, Any]) -> DataBunch:
    return DataBunch(**fields)
