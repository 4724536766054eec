"""New places of pretrained models that have moved since a recommender was saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_MOVED: ContextVar[Any] = ContextVar("moved", default=None)


@contextmanager
def base_at(base: Any) -> Iterator[None]:
    """Say where the language models of recommenders are now, while they are unpickled or loaded.

    A recommender knows the name or the path of its language model. Use this if the model has moved
    since, for example to another machine. A model other than the one that the recommender was
    trained with is refused.

    Parameters
    ----------
    base : str, Path, model, mapping or None
        Name or path of the language model, or the model. A mapping has the new name, path or model
        for each name or path that was saved. None changes nothing.

    Yields
    ------
    None

    Examples
    --------
    >>> import pickle
    >>> from skrec import content
    >>> with content.base_at("/models/MiniLM"), open("rec.pkl", "rb") as f:  # doctest: +SKIP
    ...     rec = pickle.load(f)
    """
    token = _MOVED.set(base)
    try:
        yield
    finally:
        _MOVED.reset(token)


def where_now(model: Any) -> Any:
    """Return the new place of a model that `base_at` names, or the model as it is."""
    moved = _MOVED.get()
    if moved is None or not isinstance(model, str | Path):
        return model
    if isinstance(moved, Mapping):
        return {str(old): new for old, new in moved.items()}.get(str(model), model)
    return moved
