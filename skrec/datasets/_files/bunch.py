"""Return type of the data set functions."""

from __future__ import annotations

from typing import Any

from sklearn.utils import Bunch

from skrec.datasets._files.bunch_view import as_html, as_text


class DataBunch(Bunch):
    """A scikit-learn Bunch whose attribute ``items`` is the catalogue.

    All keys can be read as attributes. ``items`` therefore replaces the method of ``dict``: use
    ``dict(data).items()`` to iterate over keys and values.
    """

    @property
    def items(self) -> Any:
        """The catalogue."""
        return self["items"]

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        """Return a preview of each table, for notebooks."""
        return as_html(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # the default for subclasses of dict calls items()
        return _restore, (dict(self),)


def _restore(fields: dict[str, Any]) -> DataBunch:
    """Rebuild a pickled `DataBunch`."""
    return DataBunch(**fields)
