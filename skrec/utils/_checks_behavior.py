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

B, L, T, C = 3, 4, 3, 5
LENGTHS = (4, 1, 2)  # real clicks of each row; an empty history comes as one learned click
N_TOKENS = ((3, 1, 2, 3), (1, 0, 0, 0), (2, 3, 0, 0))  # of each click; the learned one has one
N_USERS = 96  # so that a table of users, and of the unknown one, is known by its 97 rows
USERS = (2, 0, N_USERS)


class Users(nn.Module):
    """The operator's module behind one signature, whatever it reads.

    Late fusion's vectors in masked places count nowhere, so they are set to zero.
    """

    def __init__(self, operator: BehaviorOperator):
        super().__init__()
        with seeded():
            self.module = ready(build(operator), operator)
        self.operator = operator

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor,
        candidates: torch.Tensor,
        user: torch.Tensor,
    ) -> torch.Tensor:
        """Return user vectors (B, K, D), or (B, C, K, D) where candidates are read."""
        users = self.module(*_read(self.operator, x, mask, candidates, user))
        if not self.operator.late_fusion:
            return users
        real = mask.any(dim=2) if self.operator.reads_tokens else mask  # (B, L)
        if self.operator.candidate_aware:
            real = real.unsqueeze(1)
        return users * real.unsqueeze(-1)


def _read(
    operator: BehaviorOperator,
    x: torch.Tensor,
    mask: torch.Tensor,
    candidates: torch.Tensor,
    user: torch.Tensor,
) -> list[torch.Tensor]:
    """Return those arguments that the operator's module takes."""
    arguments = [x, mask]
    if operator.candidate_aware:
        arguments.append(candidates)
    if operator.reads_users:
        arguments.append(user)
    return arguments


def build(operator: BehaviorOperator) -> Any:
    """Build a clone's module, told of the users where it reads them."""
    return clone(operator).build(WIDTH, *sizes(operator))


def sizes(operator: BehaviorOperator) -> tuple[int, ...]:
    """Return what `build` takes after the width."""
    return (N_USERS,) if operator.reads_users else ()


def inputs(operator: BehaviorOperator) -> tuple[torch.Tensor, ...]:
    """Return what `Users` reads.

    These are clicks (B, L, D), or (B, L, T, D) where tokens are read, their mask, candidates
    (B, C, D), and the codes of users (B,). With side columns, clicks and candidates have D more
    entries; those of row 1's only click are zeros, as the learned one's are.
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
    """Check that what the operator says of what it reads has the right types."""
    for name in ("candidate_aware", "late_fusion", "reads_tokens", "reads_users"):
        value = getattr(operator, name)
        require(isinstance(value, bool), operator, f"{name} must be True or False, got {value!r}")
    columns = operator.side_columns
    require(
        columns is None
        or (isinstance(columns, list) and columns and all(isinstance(c, str) for c in columns)),
        operator,
        f"side_columns must be None or a list of names of columns, got {columns!r}",
    )


def check_shape_and_type(operator: BehaviorOperator) -> None:
    """Check that clicks (B, L, width) become user vectors (B, K, width), in the weights' type."""
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    axes = 4 if operator.candidate_aware else 3
    letters = "(B, C, K, width)" if operator.candidate_aware else "(B, K, width)"
    head = (B, C) if operator.candidate_aware else (B,)
    given = [(x, mask)]
    if operator.reads_tokens:  # items without tokens have one, their vector
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
    """Check that vectors with entries of about 10,000 give finite users and gradients."""
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    x, candidates = (1e4 * x).requires_grad_(), 1e4 * candidates
    found = users(x, mask, candidates, user)
    found.sum().backward()
    require(
        found.isfinite().all() and (x.grad is None or x.grad.isfinite().all()),
        operator,
        "large vectors give a user or a gradient that is not finite; exp overflows: take the "
        "masked softmax of skrec.nn, logsumexp or logsigmoid",
    )


def check_padding_changes_nothing(operator: BehaviorOperator) -> None:
    """Check that what stands in masked places, and how many there are, does not matter."""
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    wanted = users(x, mask, candidates, user)
    longer = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    longer_mask = mask
    for axis in range(1, mask.ndim):  # more clicks, and more tokens of each
        longer = torch.cat([longer, torch.full_like(longer, -1e6)], dim=axis)
        longer_mask = torch.cat([longer_mask, torch.zeros_like(longer_mask)], dim=axis)
    found = users(longer, longer_mask, candidates, user)
    if operator.late_fusion:
        found = found[..., :L, :]
    require(
        close(found, wanted),
        operator,
        "padding reaches a user vector; what stands where the mask is False must not count "
        "(the layers of skrec.nn take a mask and see to it)",
    )


def check_batch_equals_one_by_one(operator: BehaviorOperator) -> None:
    """Check that a user's vectors do not depend on the users beside them."""
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
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
            close(found, alone),
            operator,
            "a user vector changes with the other users of the batch; take no statistics over "
            "them, and mask padding in every mean and softmax",
        )


def check_candidates_are_read_alone(operator: BehaviorOperator) -> None:
    """Check that where candidates are read, each meets a user vector of its own.

    Training gives a row all its candidates at once, prediction a row to each.
    """
    if not operator.candidate_aware:
        return
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    together = users(x, mask, candidates, user)  # (B, C, K, D)
    rows = torch.arange(B).repeat_interleave(C)
    alone = users(x[rows], mask[rows], candidates.flatten(0, 1).unsqueeze(1), user[rows])
    require(
        close(together.flatten(0, 1), alone.squeeze(1)),
        operator,
        "the user vector for a candidate changes with the other candidates",
    )


def check_side_columns_are_read(operator: BehaviorOperator) -> None:
    """Check that columns that the operator asks for have a say."""
    if operator.side_columns is None:
        return
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    wanted = users(x, mask, candidates, user)
    if not operator.reads_tokens:
        x = torch.cat([x[..., :WIDTH], x[..., WIDTH:].flip(1)], dim=-1)
    candidates = torch.cat([candidates[..., :WIDTH], candidates[..., WIDTH:].flip(1)], dim=-1)
    require(
        not close(users(x, mask, candidates, user), wanted),
        operator,
        "side_columns names columns, but user vectors do not depend on them; read "
        "x[..., width:], or leave side_columns None",
    )


def check_users_are_told_apart(operator: BehaviorOperator) -> None:
    """Check that known users differ where they are read, and code 0, the unknown, stays zero."""
    if not operator.reads_users:
        return
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    answers = [users(x, mask, candidates, torch.full_like(user, code)) for code in (1, N_USERS)]
    require(
        not close(*answers),
        operator,
        "reads_users is True, but two users with the same clicks get the same vectors",
    )
    users(x, mask, candidates, torch.zeros_like(user)).square().sum().backward()
    taught = [
        name
        for name, weight in users.module.named_parameters()
        if len(weight.shape) == 2 and len(weight) == N_USERS + 1
        if weight[0].any() or (weight.grad is not None and weight.grad[0].any())
    ]
    require(
        not taught,
        operator,
        f"row 0 of {', '.join(taught)} is for all unknown users and must stay zero; make it with "
        "nn.Embedding(n_users + 1, size, padding_idx=0)",
    )
    try:
        nobody = ready(clone(operator).build(WIDTH, 0), operator)
        found = nobody(*_read(operator, x, mask, candidates, torch.zeros_like(user)))
    except Exception as error:
        message = "build(width, 0) must work: a training set may name no user; it raised"
        raise AssertionError(f"{operator!r}: {message} {error!r}") from error
    require(found.isfinite().all(), operator, "without any known user, vectors are not finite")


def check_penalty(operator: BehaviorOperator) -> None:
    """Check that the module's `penalty`, if it has one, is a finite number with a gradient."""
    users = Users(operator)
    penalty: Any = getattr(users.module, "penalty", None)
    if penalty is None:
        return
    users.module.train()
    found = users(*inputs(operator)).detach()
    # all a user's vectors may be equal, or zeros
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
            "penalty(users) must be computed of the users that it is given, so that they learn "
            "from it; don't detach them",
        )
        value.backward()
        require(
            value.isfinite() and (vectors.grad is None or vectors.grad.isfinite().all()),
            operator,
            "penalty(users) or its gradient is not finite where user vectors are equal, or zeros; "
            "take skrec.nn.unit to divide by lengths",
        )


def check_padding_gets_no_gradient(operator: BehaviorOperator) -> None:
    """Check that masked places have a gradient of zero, and no gradient is NaN."""
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    x.requires_grad_()
    users(x, mask, candidates, user).square().sum().backward()
    grad = torch.zeros_like(x) if x.grad is None else x.grad
    require(grad.isfinite().all(), operator, "the gradient of the clicks is not finite")
    require(grad.any(), operator, "no gradient reaches the clicks; don't detach them")
    require(not grad[~mask].any(), operator, "padding gets a gradient; mask it out")


def check_every_parameter_gets_a_gradient(operator: BehaviorOperator) -> None:
    """Check that no weight is made and then not used; all gradients are finite."""
    users, (x, mask, candidates, user) = Users(operator), inputs(operator)
    require_gradients(
        operator, users.module, lambda: users(x.requires_grad_(), mask, candidates, user)
    )


def check_eval_is_deterministic(operator: BehaviorOperator) -> None:
    """Check that in eval mode the module has one answer."""
    users = Users(operator)
    require_repeatable(operator, lambda: users(*inputs(operator)))


def check_inputs_are_left_alone(operator: BehaviorOperator) -> None:
    """Check that `forward` changes neither the clicks, which are cached, nor the mask."""
    given = inputs(operator)
    with torch.no_grad():
        Users(operator)(*given)
    require_untouched(given, inputs(operator), operator)


def check_pickles(operator: BehaviorOperator) -> None:
    """Check that a pickled operator builds the same module."""
    check_pickled_build(operator, *sizes(operator))


def check_works_in_a_recommender(operator: BehaviorOperator) -> None:
    """Check that it trains within a recommender, twice alike, and the fitted model pickles."""
    check_in_a_recommender(operator, "behavior")


CHECKS: list[Callable[[Any], None]] = [
    check_init_only_assigns,
    check_scikit_learn,
    check_accepts_its_parameters,
    check_joint_fit,
    check_attributes,
    check_shape_and_type,
    check_large_vectors_are_finite,
    check_padding_changes_nothing,
    check_batch_equals_one_by_one,
    check_candidates_are_read_alone,
    check_side_columns_are_read,
    check_users_are_told_apart,
    check_penalty,
    check_padding_gets_no_gradient,
    check_every_parameter_gets_a_gradient,
    check_eval_is_deterministic,
    check_inputs_are_left_alone,
    check_pickles,
    check_works_in_a_recommender,
]
