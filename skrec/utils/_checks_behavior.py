"""Checks of behavior operators."""

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

B, L, T, C = 3, 4, 3, 5
LENGTHS = (4, 1, 2)  # number of clicks in each row; row 1 may be an empty history
# Number of tokens of each click. The learned click that replaces an empty history has one.
N_TOKENS = ((3, 1, 2, 3), (1, 0, 0, 0), (2, 3, 0, 0))
N_USERS = 96  # an unusual number, by which the embedding table of users is recognized
USERS = (2, 0, N_USERS)  # code of the user in each row; 0 is an unknown user


class UserVectors(nn.Module):
    """Module of an operator with a uniform signature, which includes all possible inputs.

    With late fusion, user vectors of masked clicks are ignored later, so they are set to zero.
    """

    def __init__(self, operator: BehaviorOperator) -> None:
        super().__init__()
        with seeded():
            self.module = to_float64_eval(build(operator), operator)
        self.operator = operator

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor,
        candidates: torch.Tensor,
        user: torch.Tensor,
    ) -> torch.Tensor:
        """Return user vectors (B, K, D), or (B, C, K, D) if the operator is candidate-aware."""
        users = self.module(*_select_inputs(self.operator, x, mask, candidates, user))
        if not self.operator.late_fusion:
            return users
        real = mask.any(dim=2) if self.operator.reads_tokens else mask  # (B, L)
        if self.operator.candidate_aware:
            real = real.unsqueeze(1)
        return users * real.unsqueeze(-1)


def _select_inputs(
    operator: BehaviorOperator,
    x: torch.Tensor,
    mask: torch.Tensor,
    candidates: torch.Tensor,
    user: torch.Tensor,
) -> list[torch.Tensor]:
    """Return the inputs that the module of the operator accepts."""
    arguments = [x, mask]
    if operator.candidate_aware:
        arguments.append(candidates)
    if operator.reads_users:
        arguments.append(user)
    return arguments


def build(operator: BehaviorOperator) -> Any:
    """Build the module of a clone."""
    return clone(operator).build(WIDTH, *extra_sizes(operator))


def extra_sizes(operator: BehaviorOperator) -> tuple[int, ...]:
    """Return the arguments of `build` that follow the width."""
    return (N_USERS,) if operator.reads_users else ()


def inputs(operator: BehaviorOperator) -> tuple[torch.Tensor, ...]:
    """Return the inputs of `UserVectors`.

    The inputs are clicks (B, L, D), or their tokens (B, L, T, D) if the operator reads tokens,
    the mask of the clicks or tokens, candidates (B, C, D), and user codes (B,). With side columns,
    clicks and candidates have D more entries. In row 1 these are zeros, as in the learned click
    that replaces an empty history.
    """
    wide = WIDTH if operator.side_columns is None else 2 * WIDTH
    with seeded(1):
        if operator.reads_tokens:
            x = torch.randn(B, L, T, WIDTH, dtype=torch.float64)
            mask = torch.arange(T) < torch.tensor(N_TOKENS).unsqueeze(2)
        else:
            x = torch.randn(B, L, wide, dtype=torch.float64)
            x[1, 0, WIDTH:] = 0.0
            mask = torch.arange(L) < torch.tensor(LENGTHS).unsqueeze(1)
        candidates = torch.randn(B, C, wide, dtype=torch.float64)
    return x, mask, candidates, torch.tensor(USERS)


def check_attributes(operator: BehaviorOperator) -> None:
    """Check that the class attributes that describe the inputs have the right types."""
    for name in ("candidate_aware", "late_fusion", "reads_tokens", "reads_users"):
        value = getattr(operator, name)
        require(isinstance(value, bool), operator, f"{name} must be True or False, got {value!r}")
    columns = operator.side_columns
    require(
        columns is None
        or (isinstance(columns, list) and columns and all(isinstance(c, str) for c in columns)),
        operator,
        f"side_columns must be None or a list of column names, got {columns!r}",
    )


def check_shape_and_type(operator: BehaviorOperator) -> None:
    """Check that user vectors have shape (B, K, width), and the dtype of the weights."""
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    axes = 4 if operator.candidate_aware else 3
    letters = "(B, C, K, width)" if operator.candidate_aware else "(B, K, width)"
    head = (B, C) if operator.candidate_aware else (B,)
    given = [(x, mask)]
    if operator.reads_tokens:  # An item without tokens has its vector as its only token.
        given.append((x[:, :, :1], mask[:, :, :1]))
    for x, mask in given:
        found: Any = users(x, mask, candidates, user)
        shape: Any = getattr(found, "shape", ())
        n_vectors = max(1, shape[-2]) if len(shape) == axes else 1
        if operator.late_fusion:
            n_vectors = L
        require_shape(found, (*head, n_vectors, WIDTH), operator, letters)
        require(found.isfinite().all(), operator, "user vectors must be finite")


def check_large_vectors_are_finite(operator: BehaviorOperator) -> None:
    """Check that inputs with entries of about 10,000 give finite user vectors and gradients."""
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    x, candidates = (1e4 * x).requires_grad_(), 1e4 * candidates
    found = users(x, mask, candidates, user)
    found.sum().backward()
    require(
        found.isfinite().all() and (x.grad is None or x.grad.isfinite().all()),
        operator,
        "large inputs give a user vector or a gradient that is not finite; exp overflows, so use "
        "skrec.nn.masked_softmax, logsumexp or logsigmoid instead",
    )


def check_padding_changes_nothing(operator: BehaviorOperator) -> None:
    """Check that user vectors do not depend on the values and the amount of padding."""
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    wanted = users(x, mask, candidates, user)
    longer = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    longer_mask = mask
    for axis in range(1, mask.ndim):  # more clicks, and more tokens per click
        longer = torch.cat([longer, torch.full_like(longer, -1e6)], dim=axis)
        longer_mask = torch.cat([longer_mask, torch.zeros_like(longer_mask)], dim=axis)
    found = users(longer, longer_mask, candidates, user)
    if operator.late_fusion:
        found = found[..., :L, :]
    require(
        nearly_equal(found, wanted),
        operator,
        "padding affects a user vector; values at positions where the mask is False must be "
        "ignored, as the layers of skrec.nn do if they are given the mask",
    )


def check_batch_equals_one_by_one(operator: BehaviorOperator) -> None:
    """Check that the vectors of a user do not depend on the other users in the batch."""
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    together = users(x, mask, candidates, user)
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        clicks, real = x[only, :length], mask[only, :length]
        if operator.reads_tokens:
            longest = max(N_TOKENS[row])
            clicks, real = clicks[:, :, :longest], real[:, :, :longest]
        alone = users(clicks, real, candidates[only], user[only])
        found = together[only, ..., :length, :] if operator.late_fusion else together[only]
        require(
            nearly_equal(found, alone),
            operator,
            "a user vector depends on the other users in the batch; compute no statistics over "
            "the batch, and mask padding in every mean and softmax",
        )


def check_candidates_are_independent(operator: BehaviorOperator) -> None:
    """Check that the user vector for a candidate does not depend on the other candidates.

    In training, a row contains all candidates of an impression. In prediction, it may contain one.
    """
    if not operator.candidate_aware:
        return
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    together = users(x, mask, candidates, user)  # (B, C, K, D)
    rows = torch.arange(B).repeat_interleave(C)
    alone = users(x[rows], mask[rows], candidates.flatten(0, 1).unsqueeze(1), user[rows])
    require(
        nearly_equal(together.flatten(0, 1), alone.squeeze(1)),
        operator,
        "the user vector for a candidate depends on the other candidates",
    )


def check_side_columns_are_read(operator: BehaviorOperator) -> None:
    """Check that user vectors depend on the side columns, if the operator has any."""
    if operator.side_columns is None:
        return
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    wanted = users(x, mask, candidates, user)
    if not operator.reads_tokens:
        x = torch.cat([x[..., :WIDTH], x[..., WIDTH:].flip(1)], dim=-1)
    candidates = torch.cat([candidates[..., :WIDTH], candidates[..., WIDTH:].flip(1)], dim=-1)
    require(
        not nearly_equal(users(x, mask, candidates, user), wanted),
        operator,
        "side_columns is set, but user vectors do not depend on these columns; use "
        "x[..., width:], or set side_columns to None",
    )


def check_users_are_distinguished(operator: BehaviorOperator) -> None:
    """Check that known users get different vectors, and the embedding of unknown users stays 0."""
    if not operator.reads_users:
        return
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    found = [users(x, mask, candidates, torch.full_like(user, code)) for code in (1, N_USERS)]
    require(
        not nearly_equal(*found),
        operator,
        "reads_users is True, but two users with the same clicks get the same vectors",
    )
    users(x, mask, candidates, torch.zeros_like(user)).square().sum().backward()
    nonzero = [
        name
        for name, weight in users.module.named_parameters()
        if len(weight.shape) == 2 and len(weight) == N_USERS + 1
        if weight[0].any() or (weight.grad is not None and weight.grad[0].any())
    ]
    require(
        not nonzero,
        operator,
        f"row 0 of {', '.join(nonzero)} represents all unknown users and must stay zero; create "
        "the table with nn.Embedding(n_users + 1, size, padding_idx=0)",
    )
    try:
        module = to_float64_eval(clone(operator).build(WIDTH, 0), operator)
        output = module(*_select_inputs(operator, x, mask, candidates, torch.zeros_like(user)))
    except Exception as error:
        message = "build(width, 0) must work, because training data may have no users; it raised"
        raise AssertionError(f"{operator!r}: {message} {error!r}") from error
    require(
        output.isfinite().all(), operator, "user vectors are not finite if there are no known users"
    )


def check_penalty(operator: BehaviorOperator) -> None:
    """Check that the method `penalty` of the module, if any, returns a differentiable number."""
    users = UserVectors(operator)
    penalty: Any = getattr(users.module, "penalty", None)
    if penalty is None:
        return
    users.module.train()
    found = users(*inputs(operator)).detach()
    # The vectors of a user may be equal to each other, or zero.
    for vectors in (found, found[..., :1, :].expand_as(found), torch.zeros_like(found)):
        vectors = vectors.clone().requires_grad_()
        value = penalty(vectors)
        shape = tuple(getattr(value, "shape", ("none",)))
        require(
            shape == (),
            operator,
            "penalty(users) must return a scalar tensor, already weighted, got "
            + (type(value).__name__ if shape == ("none",) else f"shape {shape}"),
        )
        require(
            value.requires_grad,
            operator,
            "penalty(users) must be differentiable with respect to users; do not detach them",
        )
        value.backward()
        require(
            value.isfinite() and (vectors.grad is None or vectors.grad.isfinite().all()),
            operator,
            "penalty(users) or its gradient is not finite if user vectors are equal or zero; use "
            "skrec.nn.unit to normalize vectors",
        )


def check_padding_gets_no_gradient(operator: BehaviorOperator) -> None:
    """Check that the gradient of padding is zero, and the gradient of clicks is finite."""
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    x.requires_grad_()
    users(x, mask, candidates, user).square().sum().backward()
    grad = torch.zeros_like(x) if x.grad is None else x.grad
    require(grad.isfinite().all(), operator, "the gradient of the clicks is not finite")
    require(grad.any(), operator, "no gradient reaches the clicks; do not detach them")
    require(not grad[~mask].any(), operator, "padding gets a gradient; mask it out")


def check_every_parameter_gets_a_gradient(operator: BehaviorOperator) -> None:
    """Check that each trained weight gets a gradient, and all gradients are finite."""
    users, (x, mask, candidates, user) = UserVectors(operator), inputs(operator)
    require_gradients(
        operator, users.module, lambda: users(x.requires_grad_(), mask, candidates, user)
    )


def check_eval_is_deterministic(operator: BehaviorOperator) -> None:
    """Check that the output of the module in eval mode is not random."""
    users = UserVectors(operator)
    require_repeatable(operator, lambda: users(*inputs(operator)))


def check_inputs_are_unchanged(operator: BehaviorOperator) -> None:
    """Check that `forward` does not modify its inputs in place, because they are cached."""
    given = inputs(operator)
    with torch.no_grad():
        UserVectors(operator)(*given)
    require_unchanged(given, inputs(operator), operator)


def check_pickles(operator: BehaviorOperator) -> None:
    """Check that a pickled operator builds the same module."""
    check_pickled_build(operator, *extra_sizes(operator))


def check_works_in_a_recommender(operator: BehaviorOperator) -> None:
    """Check that a recommender with the operator can be trained, reproduced and pickled."""
    check_in_a_recommender(operator, "behavior")


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn_conventions,
    check_accepts_its_parameters,
    check_fit_changes_nothing,
    check_attributes,
    check_shape_and_type,
    check_large_vectors_are_finite,
    check_padding_changes_nothing,
    check_batch_equals_one_by_one,
    check_candidates_are_independent,
    check_side_columns_are_read,
    check_users_are_distinguished,
    check_penalty,
    check_padding_gets_no_gradient,
    check_every_parameter_gets_a_gradient,
    check_eval_is_deterministic,
    check_inputs_are_unchanged,
    check_pickles,
    check_works_in_a_recommender,
]
