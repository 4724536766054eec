"""Losses, each of the logits (B, C) of a batch: one number a row, of shape (B,)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from skrec._network import Batch


def softmax_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the first candidate against the others of its row.

    The chances of sampled candidates to be drawn are taken off, so that what is learned does
    not depend on them.

    References
    ----------
    .. [1] Bengio and Senecal, "Quick Training of Probabilistic Neural Nets by Importance
       Sampling", AISTATS 2003; in recommenders: Yi et al., "Sampling-Bias-Corrected Neural
       Modeling for Large Corpus Item Recommendations", RecSys 2019.
    """
    scores = (scores - batch.log_q).masked_fill(~batch.candidate_mask, -torch.inf)
    first = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return F.cross_entropy(scores, first, reduction="none")


def bpr_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean of ``-log sigmoid(first - other)`` over the other candidates of a row.

    References
    ----------
    .. [1] Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback",
       arXiv 1205.2618.
    """
    lead = scores[:, :1] - scores[:, 1:]  # (B, C - 1)
    return _masked_mean(-F.logsigmoid(lead), batch.candidate_mask[:, 1:])


def bce_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean binary cross-entropy of a row's candidates."""
    labels = batch.labels.to(scores.dtype)
    each = F.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    return _masked_mean(each, batch.candidate_mask)


LOSSES: dict[str, Callable[[torch.Tensor, Batch], torch.Tensor]] = {
    "softmax": softmax_loss,
    "bpr": bpr_loss,
    "bce": bce_loss,
}


def batch_loss(name: str, scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the weighted mean of a loss over the rows of a step, in all processes.

    Parameters
    ----------
    name : str
        A key of ``LOSSES``.
    scores : tensor of shape (B, C)
        Logits of this process's rows.
    batch : Batch
        These rows.

    Returns
    -------
    tensor of shape ()
        This process's share of the mean.
    """
    rows = LOSSES[name](scores, batch)
    return (rows * batch.weight.to(rows.dtype)).sum() / batch.n_rows


def _masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean (B,) of the values (B, C) that count; 0 where none does."""
    n_values = mask.sum(dim=1)
    return values.masked_fill(~mask, 0.0).sum(dim=1) / n_values.clamp_min(1)
