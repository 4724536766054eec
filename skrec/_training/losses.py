"""Losses. Each function receives the logits (B, C) of a batch and returns one loss per row (B,)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from skrec._network import Batch


def softmax_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the cross-entropy of the first candidate, the click, among the candidates of its row.

    The log-probability with which a candidate is sampled is subtracted from its score [1]_ [2]_.
    Therefore, the learned scores do not depend on the distribution of sampled negatives.

    References
    ----------
    .. [1] Bengio and Senecal, "Quick Training of Probabilistic Neural Nets by Importance
       Sampling", AISTATS 2003.
    .. [2] Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
       Recommendations", RecSys 2019.
    """
    scores = (scores - batch.log_q).masked_fill(~batch.candidate_mask, -torch.inf)
    first = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return F.cross_entropy(scores, first, reduction="none")


def bpr_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean of ``-log sigmoid(first - other)`` over the other candidates of a row [1]_.

    References
    ----------
    .. [1] Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback",
       arXiv 1205.2618.
    """
    lead = scores[:, :1] - scores[:, 1:]  # (B, C - 1)
    return _masked_mean(-F.logsigmoid(lead), batch.candidate_mask[:, 1:])


def bce_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean binary cross-entropy of the candidates of a row."""
    labels = batch.labels.to(scores.dtype)
    each = F.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    return _masked_mean(each, batch.candidate_mask)


LOSSES: dict[str, Callable[[torch.Tensor, Batch], torch.Tensor]] = {
    "softmax": softmax_loss,
    "bpr": bpr_loss,
    "bce": bce_loss,
}


def batch_loss(name: str, scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the share of this process in the weighted mean loss of a step.

    The sum of the shares over all processes is the mean over all rows of the step.

    Parameters
    ----------
    name : str
        A key of ``LOSSES``.
    scores : tensor of shape (B, C)
        Logits of the rows of this process.
    batch : Batch
        The rows of this process.

    Returns
    -------
    tensor of shape ()
    """
    rows = LOSSES[name](scores, batch)
    return (rows * batch.weight.to(rows.dtype)).sum() / batch.n_rows


def _masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean (B,) of the values (B, C) that are true in a mask; 0 if a row has none."""
    n_values = mask.sum(dim=1)
    return values.masked_fill(~mask, 0.0).sum(dim=1) / n_values.clamp_min(1)
