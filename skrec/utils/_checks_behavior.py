"""What a behavior operator must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skrec.behavior import BehaviorOperator
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

B, L, C = 3, 4, 5
LENGTHS = (4, 1, 2)  # real clicks of each row; an empty history comes as one learned click


class Users(nn.Module):
    """The operator's module behind one signature, be it candidate-aware or not.

    Late fusion's vectors in masked places count nowhere, so they are set to zero.
    """

    def __init__(self, operator: BehaviorOperator):
        super().__init__()
        with seeded():
            self.module = ready(clone(operator).build(WIDTH), operator)
        self.candidate_aware = operator.candidate_aware
        self.late_fusion = operator.late_fusion

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Return user vectors (B, K, D), or (B, C, K, D) where candidates are read."""
        if self.candidate_aware:
            return self.module(x, mask, candidates)
        users = self.module(x, mask)
        return users * mask.unsqueeze(-1) if self.late_fusion else users


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return clicks (B, L, D), their mask (B, L) and candidates (B, C, D)."""
    with seeded(1):
        x = torch.randn(B, L, WIDTH, dtype=torch.float64)
        candidates = torch.randn(B, C, WIDTH, dtype=torch.float64)
    return x, torch.arange(L) < torch.tensor(LENGTHS).unsqueeze(1), candidates


def check_shape_and_type(operator: BehaviorOperator) -> None:
    """Check that clicks (B, L, width) become user vectors (B, K, width), in the weights' type."""
    found: Any = Users(operator)(*inputs())
    axes = 4 if operator.candidate_aware else 3
    letters = "(B, C, K, width)" if operator.candidate_aware else "(B, K, width)"
    shape: Any = getattr(found, "shape", ())
    n_vectors = shape[-2] if len(shape) == axes else 1
    if operator.late_fusion:
        n_vectors = L
    head = (B, C) if operator.candidate_aware else (B,)
    require_shape(found, (*head, n_vectors, WIDTH), operator, letters)
    require(found.isfinite().all(), operator, "user vectors must be finite")


def check_padding_changes_nothing(operator: BehaviorOperator) -> None:
    """Check that what stands in masked places, and how many there are, does not matter."""
    users, (x, mask, candidates) = Users(operator), inputs()
    wanted = users(x, mask, candidates)
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    longer = torch.cat([garbage, torch.full_like(x, -1e6)], dim=1)
    found = users(longer, torch.cat([mask, torch.zeros_like(mask)], dim=1), candidates)
    if operator.late_fusion:
        found = found[:, :L]
    require(
        close(found, wanted),
        operator,
        "padding reaches a user vector; what stands where the mask is False must not count "
        "(the layers of skrec.nn take a mask and see to it)",
    )


def check_batch_equals_one_by_one(operator: BehaviorOperator) -> None:
    """Check that a user's vectors do not depend on the users beside them."""
    users, (x, mask, candidates) = Users(operator), inputs()
    together = users(x, mask, candidates)
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = users(x[only, :length], mask[only, :length], candidates[only])
        found = together[only, :length] if operator.late_fusion else together[only]
        require(
            close(found, alone),
            operator,
            "a user vector changes with the other users of the batch; take no statistics over "
            "them, and mask padding in every mean and softmax",
        )


def check_candidates_are_read_alone(operator: BehaviorOperator) -> None:
    """Check that where candidates are read, each meets a user vector of its own."""
    if not operator.candidate_aware:
        return
    users, (x, mask, candidates) = Users(operator), inputs()
    together = users(x, mask, candidates)
    for c in range(C):
        require(
            close(together[:, c : c + 1], users(x, mask, candidates[:, c : c + 1])),
            operator,
            "the user vector for a candidate changes with the other candidates",
        )


def check_padding_gets_no_gradient(operator: BehaviorOperator) -> None:
    """Check that masked places have a gradient of zero, and no gradient is NaN."""
    users, (x, mask, candidates) = Users(operator), inputs()
    x.requires_grad_()
    users(x, mask, candidates).square().sum().backward()
    grad = torch.zeros_like(x) if x.grad is None else x.grad
    require(grad.isfinite().all(), operator, "the gradient of the clicks is not finite")
    require(grad.any(), operator, "no gradient reaches the clicks; don't detach them")
    require(not grad[~mask].any(), operator, "padding gets a gradient; mask it out")


def check_every_parameter_gets_a_gradient(operator: BehaviorOperator) -> None:
    """Check that no weight is made and then not used; all gradients are finite."""
    users, (x, mask, candidates) = Users(operator), inputs()
    require_gradients(operator, users.module, lambda: users(x.requires_grad_(), mask, candidates))


def check_eval_is_deterministic(operator: BehaviorOperator) -> None:
    """Check that in eval mode the module has one answer."""
    users = Users(operator)
    require_repeatable(operator, lambda: users(*inputs()))


def check_inputs_are_left_alone(operator: BehaviorOperator) -> None:
    """Check that `forward` changes neither the clicks, which are cached, nor the mask."""
    given = inputs()
    with torch.no_grad():
        Users(operator)(*given)
    require_untouched(given, inputs(), operator)


def check_pickles(operator: BehaviorOperator) -> None:
    """Check that a pickled operator builds the same module."""
    check_pickled_build(operator)


def check_works_in_a_recommender(operator: BehaviorOperator) -> None:
    """Check that it trains within a recommender, twice alike, and the fitted model pickles."""
    check_in_a_recommender(operator, "behavior")


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn,
    check_accepts_its_parameters,
    check_joint_fit,
    check_shape_and_type,
    check_padding_changes_nothing,
    check_batch_equals_one_by_one,
    check_candidates_are_read_alone,
    check_padding_gets_no_gradient,
    check_every_parameter_gets_a_gradient,
    check_eval_is_deterministic,
    check_inputs_are_left_alone,
    check_pickles,
    check_works_in_a_recommender,
]
