"""Checks of content operators."""

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
    check_scikit_learn_conventions,
    nearly_equal,
    require,
    require_gradients,
    require_repeatable,
    require_shape,
    require_unchanged,
    same_weights,
    seeded,
    to_float64_eval,
)

EMPTY = 39  # position of the item whose columns are all empty


def fitted(operator: ContentOperator) -> ContentOperator:
    """Return a clone of the operator, fitted to the catalogue."""
    copy = clone(operator)
    copy.fit(catalogue())
    return copy


def build(operator: ContentOperator) -> nn.Module:
    """Return the module of a fitted operator in float64 and eval mode."""
    with seeded():
        return to_float64_eval(operator.build(operator.schema_, WIDTH), operator)


def encode(module: nn.Module, packed: Packed, codes: Any) -> torch.Tensor:
    """Return the vectors of the items at some positions."""
    return module(packed.take(torch.as_tensor(list(codes))))


def encode_penalized(module: nn.Module, packed: Packed) -> torch.Tensor:
    """Return the vectors of all items, followed by their penalties, if there are any."""
    taken = packed.take(torch.arange(len(packed)))
    penalized: Any = getattr(module, "penalized", None)
    if penalized is None:
        return module(taken)
    vectors, penalties = penalized(taken)
    return torch.cat([vectors, penalties.unsqueeze(1)], dim=1)


def check_fit(operator: ContentOperator) -> None:
    """Check that `fit` returns self, sets `schema_`, and does not change parameters."""
    copy = clone(operator)
    before = copy.get_params(deep=False)
    require(copy.fit(catalogue()) is copy, operator, "fit must return self")
    require(
        hasattr(copy, "schema_"),
        operator,
        "fit must set schema_, which contains all that build needs to know about the catalogue",
    )
    changed = [name for name, value in before.items() if getattr(copy, name) is not value]
    require(
        not changed,
        operator,
        f"fit must not change its parameters, but changed {', '.join(changed)}; store learned "
        "values in attributes whose names end with an underscore",
    )


def check_builds_from_schema(operator: ContentOperator) -> None:
    """Check that `build` depends on the schema and the parameters only, not on other attributes."""
    copy = fitted(operator)
    advice = "build must depend on schema_ and the parameters only, and work in an unfitted clone"
    try:
        twin = clone(operator).build(copy.schema_, WIDTH)
    except Exception as error:
        raise AssertionError(f"{operator!r}: {advice}, but raised {error!r}") from error
    require(same_weights(build(copy), to_float64_eval(twin, operator)), operator, advice)


def check_shape_and_type(operator: ContentOperator) -> None:
    """Check that the vectors of U items have shape (U, width), and the dtype of the weights."""
    copy = fitted(operator)
    packed = copy.prepare(catalogue())
    require(
        len(packed) == catalogue().n_items,
        operator,
        f"prepare must return all {catalogue().n_items} items in their order, got {len(packed)}",
    )
    for codes in ([0, 3, 3], [2]):
        found = encode(build(copy), packed, codes)
        require_shape(found, (len(codes), WIDTH), operator, "(U, width)")


def check_batch_equals_one_by_one(operator: ContentOperator) -> None:
    """Check that an item's vector does not depend on the other items in the batch."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    codes = [EMPTY, 2, 0, 7, 3]
    alone = torch.cat([encode(module, packed, [code]) for code in codes])
    require(
        nearly_equal(encode(module, packed, codes), alone),
        operator,
        "an item's vector depends on the other items in the batch; compute no statistics over the "
        "batch, and mask padding in every mean and softmax",
    )


def check_padding_changes_nothing(operator: ContentOperator) -> None:
    """Check that an item's vector stays the same if a much longer item is in the batch."""
    copy = fitted(operator)
    rows = catalogue().to_pandas().iloc[[0, 1]]
    longer: dict[str, Any] = {"title": ["sea", "sea " * 90], "tags": [["a"], ["b"] * 60]}
    rows = rows.assign(**longer)
    packed = copy.prepare(catalogue().conform(rows))
    module = build(copy)
    require(
        nearly_equal(encode(module, packed, [0, 1])[:1], encode(module, packed, [0])),
        operator,
        "padding affects an item's vector; values at positions where the mask is False must be "
        "ignored",
    )


def check_tokens(operator: ContentOperator) -> None:
    """Check that the method `tokens` of the module, if any, returns valid tokens and vectors.

    The vectors must equal those of `forward`. The tokens must be finite, precede padding, and not
    depend on the other items in the batch.
    """
    copy = fitted(operator)
    packed, module = copy.prepare(catalogue()), build(copy)
    tokens: Any = getattr(module, "tokens", None)
    if tokens is None:
        return

    def encode_tokens(codes: list[int]) -> Any:
        found = tokens(packed.take(torch.as_tensor(codes)))
        if isinstance(found, tuple) and len(found) == 3:
            return found
        raise AssertionError(
            f"{operator!r}: tokens(columns) must return vectors (U, width), tokens (U, T, width) "
            f"and their mask (U, T), got {type(found).__name__}"
        )

    codes = [EMPTY, 2, 0, 7, 3]
    vectors, x, mask = encode_tokens(codes)
    U, T = len(codes), x.shape[1] if x.ndim > 1 else 0
    require(
        nearly_equal(vectors, encode(module, packed, codes)),
        operator,
        "the vectors returned by tokens(columns) must equal those of forward",
    )
    require(
        x.shape == (U, T, WIDTH) and mask.shape == (U, T) and mask.dtype == torch.bool,
        operator,
        f"tokens(columns) must return tokens (U, T, width) and their bool mask (U, T), got "
        f"{tuple(x.shape)} and {tuple(mask.shape)} of {mask.dtype}",
    )
    require(finite(x), operator, "tokens must be finite, also in padding and for empty items")
    require(
        not (mask[:, 1:] & ~mask[:, :-1]).any(),
        operator,
        "the real tokens of an item must come before padding; skrec.nn.real_first sorts them",
    )
    for row, code in enumerate(codes):
        _, alone, real = encode_tokens([code])
        require(
            nearly_equal(alone[0, real[0]], x[row, mask[row]]),
            operator,
            "an item's tokens depend on the other items in the batch; mask padding in every "
            "operation that combines tokens",
        )


def check_penalties(operator: ContentOperator) -> None:
    """Check that the method `penalized` of the module, if any, returns vectors and penalties.

    The vectors must equal those of `forward`. The penalties must be finite and differentiable, and
    not depend on the other items in the batch.
    """
    copy = fitted(operator)
    packed, module = copy.prepare(catalogue()), build(copy)
    penalized: Any = getattr(module, "penalized", None)
    if penalized is None:
        return
    codes = [EMPTY, 2, 0, 7, 3]
    found = penalized(packed.take(torch.as_tensor(codes)))
    require(
        isinstance(found, tuple) and len(found) == 2,
        operator,
        "penalized(columns) must return vectors (U, width) and penalties (U,), got "
        f"{type(found).__name__}",
    )
    vectors, penalties = found
    require(
        nearly_equal(vectors, encode(module, packed, codes)),
        operator,
        "the vectors returned by penalized(columns) must equal those of forward",
    )
    require(
        penalties.shape == (len(codes),) and finite(penalties) and penalties.requires_grad,
        operator,
        "penalized(columns) must return one finite and differentiable penalty per item (U,), got "
        f"shape {tuple(penalties.shape)}",
    )
    alone = [penalized(packed.take(torch.as_tensor([code])))[1] for code in codes]
    require(
        nearly_equal(penalties, torch.cat(alone)),
        operator,
        "an item's penalty depends on the other items in the batch",
    )


def check_empty_items_are_finite(operator: ContentOperator) -> None:
    """Check that an item with empty columns has a finite vector and finite gradients."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    found = encode(module, packed, [EMPTY])
    require(
        found.isfinite().all(),
        operator,
        "the vector of an item with empty columns is not finite; clamp the number of tokens to at "
        "least 1 before dividing by it, and use skrec.nn.masked_softmax",
    )
    if found.requires_grad:
        found.square().sum().backward()
    bad = [n for n, w in module.named_parameters() if w.grad is not None and not finite(w.grad)]
    require(
        not bad,
        operator,
        f"an item with empty columns gives gradients that are not finite, of {', '.join(bad)}",
    )


def finite(x: torch.Tensor) -> bool:
    """Return whether all numbers are finite."""
    return bool(x.isfinite().all())


def check_new_items(operator: ContentOperator) -> None:
    """Check that items with unknown ids, words and categories get finite vectors."""
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
        "new items must get finite vectors (U, width); reserve a code for unknown words, "
        "categories and ids"
    )
    try:
        found = encode(build(copy), copy.prepare(catalogue().conform(new)), [0, 1])
    except Exception as error:
        raise AssertionError(f"{operator!r}: {advice}; preparing them raised {error!r}") from error
    require(tuple(found.shape) == (2, WIDTH) and finite(found), operator, advice)


def check_position_does_not_matter(operator: ContentOperator) -> None:
    """Check that an item's vector does not depend on its position in the catalogue."""
    copy = fitted(operator)
    module = build(copy)
    whole = encode(module, copy.prepare(catalogue()), [7, EMPTY, 3])
    part = encode(module, copy.prepare(catalogue().take([7, EMPTY, 3])), range(3))
    require(
        nearly_equal(whole, part),
        operator,
        "an item's vector depends on its position in the catalogue; prepare must look up ids and "
        "values that fit has learned, and learn nothing itself",
    )


def check_every_parameter_gets_a_gradient(operator: ContentOperator) -> None:
    """Check that each trained weight gets a gradient, and all gradients are finite."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    require_gradients(operator, module, lambda: encode_penalized(module, packed))


def check_eval_is_deterministic(operator: ContentOperator) -> None:
    """Check that the output of the module in eval mode is not random."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    require_repeatable(operator, lambda: encode(module, packed, range(5)))


def check_inputs_are_unchanged(operator: ContentOperator) -> None:
    """Check that `forward` does not modify columns or masks in place."""
    copy = fitted(operator)
    module, packed = build(copy), copy.prepare(catalogue())
    taken = packed.take(torch.arange(len(packed)))
    before = pickle.loads(pickle.dumps(taken))
    module(taken)
    for name, column in before.items():
        require_unchanged(taken[name], column, operator, f"column {name!r}")


def check_pickles(operator: ContentOperator) -> None:
    """Check that a pickled operator and a second fit prepare and build the same."""
    copy = fitted(operator)
    module = build(copy)
    wanted = encode(module, copy.prepare(catalogue()), range(5))
    again = pickle.loads(pickle.dumps(copy))
    for what, twin in (("a pickled operator", again), ("a second fit", fitted(operator))):
        require(
            same_weights(build(twin), module)
            and nearly_equal(encode(module, twin.prepare(catalogue()), range(5)), wanted),
            operator,
            f"{what} prepares items differently; store everything that fit learns in attributes "
            "of the operator, and nothing at module level",
        )


def check_works_in_a_recommender(operator: ContentOperator) -> None:
    """Check that a recommender with the operator can be trained, reproduced and pickled."""
    check_in_a_recommender(operator, "content")


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn_conventions,
    check_accepts_its_parameters,
    check_fit,
    check_builds_from_schema,
    check_shape_and_type,
    check_batch_equals_one_by_one,
    check_padding_changes_nothing,
    check_tokens,
    check_penalties,
    check_empty_items_are_finite,
    check_new_items,
    check_position_does_not_matter,
    check_every_parameter_gets_a_gradient,
    check_eval_is_deterministic,
    check_inputs_are_unchanged,
    check_pickles,
    check_works_in_a_recommender,
]
