"""What a predictor must do."""

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
    check_in_a_recommender,
    check_init_only_assigns,
    check_joint_fit,
    check_pickled_build,
    check_scikit_learn,
    close,
    ready,
    require,
    require_gradients,
    require_repeatable,
    require_shape,
    require_untouched,
    seeded,
)

B, C, K = 3, 4, 3
COUNTS = (3, 1, 2)  # real user vectors of each row


def build(operator: Predictor) -> nn.Module:
    """Return the module in float64 and eval mode."""
    with seeded():
        return ready(clone(operator).build(WIDTH), operator)


def inputs(n_vectors: int = K) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return user vectors (B, 1, K, D), their mask (B, K), and candidates (B, C, D)."""
    with seeded(1):
        user = torch.randn(B, 1, K, WIDTH, dtype=torch.float64)[:, :, :n_vectors]
        item = torch.randn(B, C, WIDTH, dtype=torch.float64)
    mask = torch.arange(n_vectors) < torch.tensor(COUNTS).unsqueeze(1)
    return user, mask, item


def check_shape_and_type(operator: Predictor) -> None:
    """Check that one or several user vectors and C candidates make scores (B, C)."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        for n in (C, 1):
            require_shape(module(user, mask, item[:, :n]), (B, n), operator, "(B, C)")


def check_candidates_are_scored_alone(operator: Predictor) -> None:
    """Check that a candidate's score does not depend on the other candidates of its row."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        alone = [module(user, mask, item[:, c : c + 1]) for c in range(C)]
        require(
            close(module(user, mask, item), torch.cat(alone, dim=1)),
            operator,
            "a score changes with the other candidates; recommend scores the catalogue in blocks, "
            "and would depend on where they are cut",
        )


def check_batch_equals_one_by_one(operator: Predictor) -> None:
    """Check that a row's scores do not depend on the rows beside it."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        alone = [module(user[b : b + 1], mask[b : b + 1], item[b : b + 1]) for b in range(B)]
        require(
            close(module(user, mask, item), torch.cat(alone)),
            operator,
            "a score changes with the other rows of the batch; take no statistics over them",
        )


def check_one_user_equals_one_for_each_candidate(operator: Predictor) -> None:
    """Check that users (B, 1, K, D) score as when repeated for each candidate, (B, C, K, D)."""
    module = build(operator)
    for n_vectors in (1, K):
        user, mask, item = inputs(n_vectors)
        require(
            close(module(user.repeat(1, C, 1, 1), mask, item), module(user, mask, item)),
            operator,
            "users (B, C, K, width), as candidate-aware operators give them, must score like the "
            "same users (B, 1, K, width)",
        )


def check_masked_users_do_not_count(operator: Predictor) -> None:
    """Check that what stands in masked user vectors, and how many there are, does not matter."""
    module, (user, mask, item) = build(operator), inputs()
    wanted = module(user, mask, item)
    garbage = torch.where(mask[:, None, :, None], user, torch.full_like(user, 1e6))
    alone = module(user[1:2, :, :1], mask[1:2, :1], item[1:2])  # row 1 has one real vector
    require(
        close(module(garbage, mask, item), wanted) and close(wanted[1:2], alone),
        operator,
        "masked user vectors reach a score; derive the module from OneVectorPredictor, or mask "
        "what it does with several vectors",
    )


def check_zero_vectors_are_finite(operator: Predictor) -> None:
    """Check that vectors of zeros, such as an item with nothing to read has, score finitely."""
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
        "vectors of zeros give a score or a gradient that is not finite; add an epsilon where "
        "they are divided by their length",
    )


def check_large_vectors_are_finite(operator: Predictor) -> None:
    """Check that vectors with entries of about 1,000 score finitely, and so are the gradients."""
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
        "large vectors give a score or a gradient that is not finite; exp overflows: take the "
        "masked softmax of skrec.nn, logsumexp or logsigmoid",
    )


def check_score_all_equals_forward(operator: Predictor) -> None:
    """Check that the short cut `score_all`, where there is one, gives the scores of `forward`."""
    module, (user, _, item) = build(operator), inputs(1)
    score_all = getattr(module, "score_all", None)
    if score_all is None:
        return
    items = item.flatten(0, 1)  # (N, D)
    wanted = module(user, user.new_ones((B, 1), dtype=torch.bool), items.expand(B, -1, -1))
    require(
        close(score_all(user[:, 0, 0], items), wanted),
        operator,
        "score_all(user (H, width), items (N, width)) must give (H, N), the scores of forward",
    )


def check_every_parameter_gets_a_gradient(operator: Predictor) -> None:
    """Check that no weight is made and then not used; all gradients are finite."""
    module, (user, mask, item) = build(operator), inputs()
    require_gradients(operator, module, lambda: module(user, mask, item.requires_grad_()))


def check_eval_is_deterministic(operator: Predictor) -> None:
    """Check that in eval mode the module has one answer."""
    module = build(operator)
    require_repeatable(operator, lambda: module(*inputs()))


def check_inputs_are_left_alone(operator: Predictor) -> None:
    """Check that `forward` changes neither users nor candidates, which are cached."""
    given = inputs()
    with torch.no_grad():
        build(operator)(*given)
    require_untouched(given, inputs(), operator)


def check_pickles(operator: Predictor) -> None:
    """Check that a pickled operator builds the same module."""
    check_pickled_build(operator)


def check_works_in_a_recommender(operator: Predictor) -> None:
    """Check that it trains within a recommender, twice alike, and the fitted model pickles."""
    check_in_a_recommender(operator, "predictor")


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn,
    check_accepts_its_parameters,
    check_joint_fit,
    check_shape_and_type,
    check_candidates_are_scored_alone,
    check_batch_equals_one_by_one,
    check_one_user_equals_one_for_each_candidate,
    check_masked_users_do_not_count,
    check_zero_vectors_are_finite,
    check_large_vectors_are_finite,
    check_score_all_equals_forward,
    check_every_parameter_gets_a_gradient,
    check_eval_is_deterministic,
    check_inputs_are_left_alone,
    check_pickles,
    check_works_in_a_recommender,
]
