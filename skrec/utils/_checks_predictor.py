"""Checks of predictors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skrec.predictor import Predictor
from skrec.utils._checks_common import (
    WIDTH,
    check_accepts_its_parameters,
    check_fit_changes_nothing,
    check_in_a_recommender,
    check_init_only_assigns,
    check_pickled_build,
    check_scikit_learn_conventions,
    nearly_equal,
    require,
    require_gradients,
    require_repeatable,
    require_shape,
    require_unchanged,
    seeded,
    to_float64_eval,
)

B, C, K = 3, 4, 3
COUNTS = (3, 1, 2)  # number of user vectors in each row that are not padding


def build(operator: Predictor) -> nn.Module:
    """Return the module of a clone in float64 and eval mode."""
    with seeded():
        return to_float64_eval(clone(operator).build(WIDTH), operator)


def inputs(n_vectors: int = K) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return user vectors (B, 1, K, D), their mask (B, K), and candidates (B, C, D)."""
    with seeded(1):
        user = torch.randn(B, 1, K, WIDTH, dtype=torch.float64)[:, :, :n_vectors]
        item = torch.randn(B, C, WIDTH, dtype=torch.float64)
    mask = torch.arange(n_vectors) < torch.tensor(COUNTS).unsqueeze(1)
    return user, mask, item


def check_shape_and_type(operator: Predictor) -> None:
    """Check that scores have shape (B, C), and the dtype of the weights."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        for n in (C, 1):
            require_shape(module(user, mask, item[:, :n]), (B, n), operator, "(B, C)")


def check_candidates_are_independent(operator: Predictor) -> None:
    """Check that the score of a candidate does not depend on the other candidates of its row."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        alone = [module(user, mask, item[:, c : c + 1]) for c in range(C)]
        require(
            nearly_equal(module(user, mask, item), torch.cat(alone, dim=1)),
            operator,
            "a score depends on the other candidates of its row; recommend scores the catalogue "
            "in blocks, so its results would depend on the size of the blocks",
        )


def check_batch_equals_one_by_one(operator: Predictor) -> None:
    """Check that the scores of a row do not depend on the other rows in the batch."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        alone = [module(user[b : b + 1], mask[b : b + 1], item[b : b + 1]) for b in range(B)]
        require(
            nearly_equal(module(user, mask, item), torch.cat(alone)),
            operator,
            "a score depends on the other rows in the batch; compute no statistics over the batch",
        )


def check_repeated_users_score_equally(operator: Predictor) -> None:
    """Check that user vectors (B, 1, K, D) give the same scores if repeated to (B, C, K, D)."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        require(
            nearly_equal(module(user.repeat(1, C, 1, 1), mask, item), module(user, mask, item)),
            operator,
            "user vectors (B, C, K, width), which candidate-aware operators return, must give the "
            "same scores as equal user vectors (B, 1, K, width)",
        )


def check_masked_user_vectors_are_ignored(operator: Predictor) -> None:
    """Check that scores do not depend on the values and the number of masked user vectors."""
    module, (user, mask, item) = build(operator), inputs()
    wanted = module(user, mask, item)
    garbage = torch.where(mask[:, None, :, None], user, torch.full_like(user, 1e6))
    alone = module(user[1:2, :, :1], mask[1:2, :1], item[1:2])  # Row 1 has one user vector.
    require(
        nearly_equal(module(garbage, mask, item), wanted) and nearly_equal(wanted[1:2], alone),
        operator,
        "masked user vectors affect a score; derive the module from OneVectorPredictor, or apply "
        "the mask where user vectors are combined",
    )


def check_zero_vectors_are_finite(operator: Predictor) -> None:
    """Check that zero vectors, such as that of an empty item, give finite scores and gradients."""
    module, (user, mask, item) = build(operator), inputs(1)
    user, item = torch.zeros_like(user).requires_grad_(), torch.zeros_like(item).requires_grad_()
    found = module(user, mask, item)
    found.sum().backward()
    good = found.isfinite().all() and all(
        x.grad is None or x.grad.isfinite().all() for x in (user, item)
    )
    require(
        good,
        operator,
        "zero vectors give a score or a gradient that is not finite; add an epsilon before "
        "dividing by a norm, or use skrec.nn.unit",
    )


def check_large_vectors_are_finite(operator: Predictor) -> None:
    """Check that vectors with entries of about 1,000 give finite scores and gradients."""
    module, (user, mask, item) = build(operator), inputs()
    user, item = (1e3 * user).requires_grad_(), (1e3 * item).requires_grad_()
    found = module(user, mask, item)
    found.sum().backward()
    good = found.isfinite().all() and all(
        x.grad is None or x.grad.isfinite().all() for x in (user, item)
    )
    require(
        good,
        operator,
        "large vectors give a score or a gradient that is not finite; exp overflows, so use "
        "skrec.nn.masked_softmax, logsumexp or logsigmoid instead",
    )


def check_score_all_equals_forward(operator: Predictor) -> None:
    """Check that the method `score_all`, if any, returns the same scores as `forward`."""
    module, (user, _, item) = build(operator), inputs(1)
    score_all = getattr(module, "score_all", None)
    if score_all is None:
        return
    items = item.flatten(0, 1)  # (N, D)
    wanted = module(user, user.new_ones((B, 1), dtype=torch.bool), items.expand(B, -1, -1))
    require(
        nearly_equal(score_all(user[:, 0, 0], items), wanted),
        operator,
        "score_all(user (H, width), items (N, width)) must return the scores of forward (H, N)",
    )


def check_every_parameter_gets_a_gradient(operator: Predictor) -> None:
    """Check that each trained weight gets a gradient, and all gradients are finite."""
    module, (user, mask, item) = build(operator), inputs()
    require_gradients(operator, module, lambda: module(user, mask, item.requires_grad_()))


def check_eval_is_deterministic(operator: Predictor) -> None:
    """Check that the output of the module in eval mode is not random."""
    module = build(operator)
    require_repeatable(operator, lambda: module(*inputs()))


def check_inputs_are_unchanged(operator: Predictor) -> None:
    """Check that `forward` does not modify its inputs in place, because they are cached."""
    given = inputs()
    with torch.no_grad():
        build(operator)(*given)
    require_unchanged(given, inputs(), operator)


def check_pickles(operator: Predictor) -> None:
    """Check that a pickled operator builds the same module."""
    check_pickled_build(operator)


def check_works_in_a_recommender(operator: Predictor) -> None:
    """Check that a recommender with the operator can be trained, reproduced and pickled."""
    check_in_a_recommender(operator, "predictor")


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn_conventions,
    check_accepts_its_parameters,
    check_fit_changes_nothing,
    check_shape_and_type,
    check_candidates_are_independent,
    check_batch_equals_one_by_one,
    check_repeated_users_score_equally,
    check_masked_user_vectors_are_ignored,
    check_zero_vectors_are_finite,
    check_large_vectors_are_finite,
    check_score_all_equals_forward,
    check_every_parameter_gets_a_gradient,
    check_eval_is_deterministic,
    check_inputs_are_unchanged,
    check_pickles,
    check_works_in_a_recommender,
]
