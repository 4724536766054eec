"""Softmax loss of many targets against many items, in blocks of targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

# number of scores per block: small enough for the caches of a processor
BLOCK_CELLS = 1 << 20


def blocks_of(n: int, size: int) -> Iterator[slice]:
    """Cut n consecutive places into slices of at most `size`."""
    return (slice(start, min(n, start + size)) for start in range(0, n, size))


class BlockedSoftmax(torch.autograd.Function):
    """Sum of the weighted cross-entropies of targets, each against the allowed shared items.

    The scores are ``users @ items.T + bias``. One block of them is in memory at a time. Its share
    of the gradients is computed along with its loss, so the backward pass computes no scores.
    """

    @staticmethod
    def forward(
        ctx: Any,
        users: torch.Tensor,
        items: torch.Tensor,
        bias: torch.Tensor,
        own: torch.Tensor,
        allowed: Callable[[slice], torch.Tensor],
        weight: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss.

        Parameters
        ----------
        ctx : context of the backward pass
        users : tensor of shape (T, D)
            User vectors.
        items : tensor of shape (S, D)
            Vectors of the shared items.
        bias : tensor of shape (S,)
            What is added to the scores of the shared items.
        own : tensor of shape (T, 1 + n)
            Scores of the targets, followed by those of negatives of their own; -inf for padding.
        allowed : callable
            Function that returns which shared items (b, S) are negatives of the targets of a slice.
        weight : tensor of shape (T,)
            Weight of each target.

        Returns
        -------
        tensor of shape ()
        """
        loss = own.new_zeros(())
        grads = [torch.zeros_like(each) for each in (users, items, bias, own)]
        for block in blocks_of(len(users), max(1, BLOCK_CELLS // max(1, len(items)))):
            scores = torch.addmm(bias, users[block], items.T)  # (b, S)
            scores.masked_fill_(~allowed(block), -torch.inf)
            own_score, share = own[block], weight[block]
            # finite, as the score of the target is
            largest = torch.maximum(scores.amax(dim=1), own_score.amax(dim=1)).unsqueeze(1)
            chance = scores.sub_(largest).exp_()
            own_chance = (own_score - largest).exp_()
            total = chance.sum(dim=1) + own_chance.sum(dim=1)
            loss += ((total.log() + largest.squeeze(1) - own_score[:, 0]) * share).sum()
            chance.mul_((share / total).unsqueeze(1))
            grads[0][block] = chance @ items
            grads[1].addmm_(chance.T, users[block])
            grads[2] += chance.sum(dim=0)
            own_chance.div_(total.unsqueeze(1))
            own_chance[:, 0] -= 1
            grads[3][block] = own_chance * share.unsqueeze(1)
        ctx.save_for_backward(*grads)
        return loss

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the inputs."""
        return *(each * grad[0] for each in ctx.saved_tensors), None, None
