"""What a content operator must do."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skrec.content import ContentOperator, Packed
from skrec.utils._checks_common import (
    WIDTH,
    catalogue,
    check_accepts_its_parameters,
    check_in_a_recommender,
    check_init_only_assigns,
    check_scikit_learn,
    close,
    ready,
    require,
    require_gradients,
    require_repeatable,
    require_shape,
    require_untouched,
    same_weights,
    seeded,
)

EMPTY = 39  # the item of the catalogue with nothing to read


def fitted(operator: ContentOperator) -> ContentOperator:
    """Return a clone that is fitted to the catalogue."""
    copy = clone(operator)
    copy.fit(catalogue())
    return copy


def build(operator: ContentOperator) -> nn.Module:
    """Return the module of a fitted operator in float64 and eval mode."""
    with seeded():
        return ready(operator.build(operator.schema_, WIDTH), operator)


def encode(module: nn.Module, packed: Packed, codes: Any) -> torch.Tensor:
    """Return the vectors of some prepared items."""
    return module(packed.take(torch.as_tensor(list(codes))))


def check_fit(operator: ContentOperator) -> None:
    """Check that `fit` returns self, sets `schema_`, and leaves the parameters alone."""
    copy = clone(operator)
    before = copy.get_params(deep=False)
    require(copy.fit(catalogue()) is copy, operator, "fit must return self")
    require(
        hasattr(copy, "schema_"),
        operator,
        "fit must set schema_: all that build needs to know of the catalogue",
    )
    changed = [name for name, value in before.items() if getattr(copy, name) is not value]
    require(
        not changed,
        operator,
        f"fit must not change its parameters, but changed {', '.join(changed)}; store what was "
        "learned in attributes that end in an underscore",
    )


def check_builds_from_schema(operator: ContentOperator) -> None:
    """Check that `build` needs the schema alone, not what else `fit` has set."""
    copy = fitted(operator)
    advice = "build must follow from schema_ alone, also in an unfitted clone"
    try:
        twin = clone(operator).build(copy.schema_, WIDTH)
    except Exception as error:
        raise AssertionError(f"{operator!r}: {advice}, but raised {error!r}") from error
    require(same_weights(build(copy), ready(twin, operator)), operator, advice)


def check_shape_and_type(operator: ContentOperator) -> None:
    """Check that U items become float64 vectors (U, width) where the weights are float64."""
    copy = fitted(operator)
    packed = copy.prepare(catalogue())
    require(
        len(packed) == catalogue().n_items,
        operator,
        f"prepare must keep all items in their order: {catalogue().n_items}, got {len(packed)}",
    )
    for codes in ([0, 3, 3], [2]):
        found = encode(build(copy), packed, codes)
        require_shape(found, (len(codes), WIDTH), operator, "(U, width)")


def check_batch_equals_one_by_one(operator: ContentOperator) -> None:
    """Check that an item's vector does not depend on the items beside it."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    codes = [EMPTY, 2, 0, 7, 3]
    alone = torch.cat([encode(module, packed, [code]) for code in codes])
    require(
        close(encode(module, packed, codes), alone),
        operator,
        "an item's vector changes with the other items of the batch; take no statistics over "
        "them, and mask padding in every mean and softmax",
    )


def check_padding_changes_nothing(operator: ContentOperator) -> None:
    """Check that an item has the same vector beside a much longer one."""
    copy = fitted(operator)
    rows = catalogue().to_pandas().iloc[[0, 1]]
    longer: dict[str, Any] = {"title": ["sea", "sea " * 90], "tags": [["a"], ["b"] * 60]}
    rows = rows.assign(**longer)
    packed = copy.prepare(catalogue().conform(rows))
    module = build(copy)
    require(
        close(encode(module, packed, [0, 1])[:1], encode(module, packed, [0])),
        operator,
        "padding reaches an item's vector; what stands where the mask is False must not count",
    )


def check_tokens(operator: ContentOperator) -> None:
    """Check that the module's `tokens`, if it has it, gives the vectors of `forward`, and tokens.

    Those are finite, the real ones come first, and they are the same beside a longer item.
    """
    copy = fitted(operator)
    packed, module = copy.prepare(catalogue()), build(copy)
    tokens: Any = getattr(module, "tokens", None)
    if tokens is None:
        return

    def of(codes: list[int]) -> Any:
        found = tokens(packed.take(torch.as_tensor(codes)))
        if isinstance(found, tuple) and len(found) == 3:
            return found
        raise AssertionError(
            f"{operator!r}: tokens(columns) must return vectors (U, width), tokens (U, T, width) "
            f"and their mask (U, T), got {type(found).__name__}"
        )

    codes = [EMPTY, 2, 0, 7, 3]
    vectors, x, mask = of(codes)
    U, T = len(codes), x.shape[1] if x.ndim > 1 else 0
    require(
        close(vectors, encode(module, packed, codes)),
        operator,
        "the vectors of tokens(columns) must be those of forward",
    )
    require(
        x.shape == (U, T, WIDTH) and mask.shape == (U, T) and mask.dtype == torch.bool,
        operator,
        f"tokens(columns) must return tokens (U, T, width) and their bool mask (U, T), got "
        f"{tuple(x.shape)} and {tuple(mask.shape)} of {mask.dtype}",
    )
    require(finite(x), operator, "tokens must be finite, also in padding and of empty items")
    require(
        not (mask[:, 1:] & ~mask[:, :-1]).any(),
        operator,
        "real tokens must come first in their item; skrec.nn.real_first moves them there",
    )
    for row, code in enumerate(codes):
        _, alone, real = of([code])
        require(
            close(alone[0, real[0]], x[row, mask[row]]),
            operator,
            "an item's tokens change with the other items of the batch; mask padding where "
            "tokens are mixed",
        )


def check_empty_items_are_finite(operator: ContentOperator) -> None:
    """Check that an item without text and category has a finite vector and finite gradients."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    found = encode(module, packed, [EMPTY])
    require(
        found.isfinite().all(),
        operator,
        "an item with nothing to read has a vector that is not finite; divide by the number of "
        "tokens clamped to 1, and take the masked softmax of skrec.nn",
    )
    if found.requires_grad:
        found.square().sum().backward()
    bad = [n for n, w in module.named_parameters() if w.grad is not None and not finite(w.grad)]
    require(
        not bad, operator, f"an item with nothing to read gives NaN gradients of {', '.join(bad)}"
    )


def finite(x: torch.Tensor) -> bool:
    """Whether all numbers are finite."""
    return bool(x.isfinite().all())


def check_new_items(operator: ContentOperator) -> None:
    """Check that items with unseen ids, words and categories can be prepared."""
    copy = fitted(operator)
    new = catalogue().to_pandas().iloc[[0, 1]]
    unseen: dict[str, Any] = {
        "item_id": [-7, -8],
        "title": ["žluťoučký 猫", "QQQ"],
        "topic": "unseen",
        "tags": [["?"], ["a", "?"]],
    }
    new = new.assign(**unseen)
    advice = (
        "new items must get finite vectors (U, width); give unseen words, categories and ids a "
        "code of their own"
    )
    try:
        found = encode(build(copy), copy.prepare(catalogue().conform(new)), [0, 1])
    except Exception as error:
        raise AssertionError(f"{operator!r}: {advice}; they raised {error!r}") from error
    require(tuple(found.shape) == (2, WIDTH) and finite(found), operator, advice)


def check_place_does_not_matter(operator: ContentOperator) -> None:
    """Check that items are the same wherever they stand in the catalogue that is prepared."""
    copy = fitted(operator)
    module = build(copy)
    whole = encode(module, copy.prepare(catalogue()), [7, EMPTY, 3])
    part = encode(module, copy.prepare(catalogue().take([7, EMPTY, 3])), range(3))
    require(
        close(whole, part),
        operator,
        "an item's vector depends on its place in the catalogue; prepare must look ids and "
        "values up, and learn nothing new (that is for fit)",
    )


def check_every_parameter_gets_a_gradient(operator: ContentOperator) -> None:
    """Check that no weight is made and then not used; all gradients are finite."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    require_gradients(operator, module, lambda: encode(module, packed, range(len(packed))))


def check_eval_is_deterministic(operator: ContentOperator) -> None:
    """Check that in eval mode the module has one answer."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    require_repeatable(operator, lambda: encode(module, packed, range(5)))


def check_inputs_are_left_alone(operator: ContentOperator) -> None:
    """Check that `forward` changes neither the columns nor the masks that it is given."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    taken = packed.take(torch.arange(len(packed)))
    before = pickle.loads(pickle.dumps(taken))
    module(taken)
    for name, column in before.items():
        require_untouched(taken[name], column, operator, f"column {name!r}")


def check_pickles(operator: ContentOperator) -> None:
    """Check that a pickled fitted operator prepares and builds the same; so does a second fit."""
    copy = fitted(operator)
    module = build(copy)
    wanted = encode(module, copy.prepare(catalogue()), range(5))
    again = pickle.loads(pickle.dumps(copy))
    for what, twin in (("a pickled operator", again), ("a second fit", fitted(operator))):
        require(
            same_weights(build(twin), module)
            and close(encode(module, twin.prepare(catalogue()), range(5)), wanted),
            operator,
            f"{what} prepares items otherwise; keep all that was learned in attributes, and "
            "nothing at module level",
        )


def check_works_in_a_recommender(operator: ContentOperator) -> None:
    """Check that it trains within a recommender, twice alike, and the fitted model pickles."""
    check_in_a_recommender(operator, "content")


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn,
    check_accepts_its_parameters,
    check_fit,
    check_builds_from_schema,
    check_shape_and_type,
    check_batch_equals_one_by_one,
    check_padding_changes_nothing,
    check_tokens,
    check_empty_items_are_finite,
    check_new_items,
    check_place_does_not_matter,
    check_every_parameter_gets_a_gradient,
    check_eval_is_deterministic,
    check_inputs_are_left_alone,
    check_pickles,
    check_works_in_a_recommender,
]
