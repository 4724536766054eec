"""Base class of content operators around another one."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import clone
from torch import nn

from skrec._common.messages import did_you_mean
from skrec._data.items import Items
from skrec._data.packed import Column
from skrec.content._base import ALIASES, ContentOperator, Resources, refuse_nested
from skrec.content._words import ReadWords

# prefix of the inner operator's columns, so that no column can collide with those of the outer one
PREFIX = "content."


class OperatorAround(ContentOperator):
    """Base class of operators that change the vectors of another content operator.

    A subclass has the parameter `operator` and defines `_resolve`. Its `fit` calls `_fit_inner`.

    Attributes
    ----------
    operator_ : content operator
        Fitted clone of the inner operator.
    """

    operator: Any
    operator_: ContentOperator
    _example = "content.CNN(...)"

    def set_params(self, **params: Any) -> Self:
        refuse_nested(self, "operator", params, f"the operator, such as {self._example}")
        return super().set_params(**params)

    def use(self, resources: Resources) -> None:
        super().use(resources)
        if hasattr(self, "operator_"):
            self.operator_.use(resources)

    @property
    def keeps_states(self) -> bool:
        """Whether `prepare` computes and stores states, which takes a while the first time."""
        return self._resolve().keeps_states

    @property
    def is_fast(self) -> bool:  # type: ignore[override]
        """Whether the inner operator is fast."""
        return bool(self._resolve().is_fast)

    def _resolve(self) -> ContentOperator:
        """Return a clone of the inner operator, or a new operator for an alias."""
        raise NotImplementedError

    def _fit_inner(self, inner: ContentOperator, items: Items) -> None:
        """Fit the inner operator with the resources of this one."""
        inner.use(self._resources)
        self.operator_ = inner.fit(items)

    def read_words(self, items: Items, module: Any) -> ReadWords | None:
        found = self.operator_.read_words(items, module.content)
        return None if found is None else found.with_prefix(PREFIX)

    def _inner(self) -> ContentOperator:
        """Return the fitted inner operator, or an unfitted one."""
        return getattr(self, "operator_", None) or self._resolve()


def start_from(module: nn.Module, columns: dict[str, Column]) -> None:
    """Let a content module start from the content of some items, if it can.

    Parameters
    ----------
    module : torch.nn.Module
        A module that a content operator built.
    columns : dict of str to (tensor, tensor)
        Columns of some items, as returned by `Packed.take`.
    """
    start = getattr(module, "start_from", None)
    if start is not None:
        start(columns)


def resolve_inner(value: Any, outer: type[OperatorAround]) -> ContentOperator:
    """Return a clone of an operator, or a new operator for an alias.

    Parameters
    ----------
    value : content operator or str
        Value of the parameter `operator`.
    outer : type
        Class that the operator must not have.

    Returns
    -------
    content operator

    Raises
    ------
    ValueError, TypeError
        If `value` is no such operator.
    """
    known: dict[str, Any] = {
        name: kind for name, kind in ALIASES.items() if not issubclass(kind, outer)
    }
    if isinstance(value, str) and value in known:
        return known[value]()
    refuse_class(value)
    if isinstance(value, ContentOperator) and not isinstance(value, outer):
        return clone(value)
    names = ", ".join(repr(alias) for alias in sorted(known))
    hint = did_you_mean(value, known) if isinstance(value, str) else ""
    raise ValueError(
        f"operator must be a content operator other than {outer.__name__}, or one of {names}, "
        f"got {value!r}{hint}"
    )


def refuse_class(value: Any) -> None:
    """Raise a TypeError if a class is given in place of an instance."""
    if isinstance(value, type):
        raise TypeError(f"operator must be an instance, write {value.__name__}() with parentheses")
