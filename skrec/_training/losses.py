"""Losses. Each function receives the logits (B, C) of some rows and returns one loss per row (B,).

Targets inside histories are scored against all shared items in blocks of rows. If there are several
blocks, the backward pass computes each block's scores again, so that the scores of all targets are
never in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from skrec._batch import Batch, Outputs, Targets
from skrec._network import Network
from skrec._training.blocked_softmax import BlockedSoftmax, blocks_of
from skrec.predictor import DotLikePredictor

# largest number of scores of targets and shared items that are in memory at once
TARGET_CELLS = 1 << 24
GBCE_CALIBRATION = 0.75  # t, the value that the paper recommends


class Candidates(Protocol):
    """Mask, labels and log-probabilities of candidates; see `skrec._batch.Batch`."""

    @property
    def candidate_mask(self) -> torch.Tensor: ...
    @property
    def labels(self) -> torch.Tensor: ...
    @property
    def log_q(self) -> torch.Tensor: ...
    @property
    def n_items(self) -> int: ...


@dataclass(frozen=True)
class TargetCandidates:
    """Candidates of a block of targets: the target, its hard negatives, then the shared items."""

    candidate_mask: torch.Tensor
    labels: torch.Tensor
    log_q: torch.Tensor
    n_items: int


def softmax_loss(scores: torch.Tensor, batch: Candidates) -> torch.Tensor:
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


def bpr_loss(scores: torch.Tensor, batch: Candidates) -> torch.Tensor:
    """Return the mean of ``-log sigmoid(first - other)`` over the other candidates of a row [1]_.

    References
    ----------
    .. [1] Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback",
       arXiv 1205.2618.
    """
    lead = scores[:, :1] - scores[:, 1:]  # (B, C - 1)
    return _masked_mean(-F.logsigmoid(lead), batch.candidate_mask[:, 1:])


def bce_loss(scores: torch.Tensor, batch: Candidates) -> torch.Tensor:
    """Return the mean binary cross-entropy of the candidates of a row."""
    labels = batch.labels.to(scores.dtype)
    each = F.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    return _masked_mean(each, batch.candidate_mask)


def gbce_loss(scores: torch.Tensor, batch: Candidates) -> torch.Tensor:
    """Return the generalized binary cross-entropy of a row, whose first candidate is the click.

    The click's term has the exponent ``beta = 1 - t * (1 - a)``, where a is the fraction of the
    other items of the catalogue that are negatives of the row. This corrects the overconfidence
    that sampled negatives cause [1]_; t is `GBCE_CALIBRATION`.

    References
    ----------
    .. [1] Petrov and Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation
       Trained with Negative Sampling", arXiv 2308.07192.
    """
    others = batch.candidate_mask[:, 1:]
    n_negatives = others.sum(dim=1)
    share = (n_negatives.to(scores.dtype) / max(1, batch.n_items - 1)).clamp(max=1.0)
    beta = 1 - GBCE_CALIBRATION * (1 - share)
    negative = F.logsigmoid(-scores[:, 1:]).masked_fill(~others, 0.0).sum(dim=1)
    return -(beta * F.logsigmoid(scores[:, 0]) + negative) / (1 + n_negatives)


LOSSES: dict[str, Callable[[torch.Tensor, Candidates], torch.Tensor]] = {
    "softmax": softmax_loss,
    "bpr": bpr_loss,
    "bce": bce_loss,
    "gbce": gbce_loss,
}


def batch_loss(name: str, network: Network, outputs: Outputs, batch: Batch) -> torch.Tensor:
    """Return the share of this process in the weighted mean loss of a step.

    The sum of the shares over all processes is the mean over all rows and targets of the step.

    Parameters
    ----------
    name : str
        A key of ``LOSSES``.
    network : Network
        Scores the targets.
    outputs : Outputs
        What the network computed of the batch.
    batch : Batch
        The rows and targets of this process.

    Returns
    -------
    tensor of shape ()
    """
    total = outputs.scores.new_zeros(())
    if len(batch.labels):
        rows = LOSSES[name](outputs.scores, batch)
        total = total + (rows * batch.weight.to(rows.dtype)).sum()
    if outputs.users is not None and batch.targets is not None:
        shared = F.embedding(batch.shared, outputs.items)
        total = total + target_loss(
            name, network, outputs.users, outputs.items, shared, batch.targets, batch.n_items
        )
    return total / batch.n_rows


def target_loss(
    name: str,
    network: Network,
    users: torch.Tensor,
    items: torch.Tensor,
    shared: torch.Tensor,
    targets: Targets,
    n_items: int,
    cells: int = TARGET_CELLS,
) -> torch.Tensor:
    """Return the weighted sum of the losses of targets, each against the shared items.

    Parameters
    ----------
    name : str
        A key of ``LOSSES``.
    network : Network
    users : tensor of shape (T, K, D)
        User vectors that predict the targets.
    items : tensor of shape (U, W)
        Vectors of the batch's items.
    shared : tensor of shape (S, W)
        Vectors of the shared items.
    targets : Targets
        The T targets.
    n_items : int
        N, the number of items in the catalogue.
    cells : int, default=TARGET_CELLS
        Largest number of scores that are in memory at once.

    Returns
    -------
    tensor of shape ()
    """
    if name == "softmax" and users.shape[1] == 1 and len(shared):
        if isinstance(network.predictor, DotLikePredictor):
            return _softmax_of_dots(network.predictor, users.squeeze(1), items, shared, targets)
    loss = LOSSES[name]

    def block_loss(
        users: torch.Tensor, items: torch.Tensor, shared: torch.Tensor, block: slice
    ) -> torch.Tensor:
        user = users[block]
        own_item = F.embedding(own_items(targets, block), items)  # (b, 1 + n_hard, W)
        own = network.match(user.unsqueeze(1), own_item)  # (b, 1 + n_hard)
        if len(shared):
            others = network.match_all(user, shared, len(user) * len(shared))  # (b, S)
            own = torch.cat([own, others], dim=1)
        rows = loss(own, candidates_of(targets, block, n_items))
        return (rows * targets.weight[block].to(rows.dtype)).sum()

    size = max(1, cells // (1 + len(shared)))
    if len(users) <= size:
        return block_loss(users, items, shared, slice(0, len(users)))
    parts = [
        checkpoint(block_loss, users, items, shared, block, use_reentrant=False)
        for block in blocks_of(len(users), size)
    ]
    return torch.stack(parts).sum()


def _softmax_of_dots(
    predictor: DotLikePredictor,
    users: torch.Tensor,
    items: torch.Tensor,
    shared: torch.Tensor,
    targets: Targets,
) -> torch.Tensor:
    """Return the softmax loss of `target_loss`, if scores are dot products of users (T, D)."""
    everything = slice(0, len(users))
    own_item = F.embedding(own_items(targets, everything), items)  # (T, 1 + n_hard, W)
    mask, log_q = mask_and_log_q(targets, everything)
    own = predictor.score(users.unsqueeze(1), own_item) - log_q
    own = own.masked_fill(~mask, -torch.inf)
    bias = predictor.bias_of(shared)
    bias = -targets.shared_log_q if bias is None else bias - targets.shared_log_q
    users, shared = predictor.of_users(users), predictor.of_items(shared)
    dtype = torch.promote_types(users.dtype, torch.float32)  # float64, if training is
    tensors = (each.to(dtype) for each in (users, shared, bias, own))
    weight = targets.weight.to(dtype)
    with torch.autocast(users.device.type, enabled=False):
        return BlockedSoftmax.apply(*tensors, targets.allowed_of, weight)


def own_items(targets: Targets, block: slice) -> torch.Tensor:
    """Return the places (b, 1 + n_hard) of the targets and their hard negatives in the items."""
    item = targets.item[block].unsqueeze(1)
    return item if targets.hard is None else torch.cat([item, targets.hard[block]], dim=1)


def mask_and_log_q(targets: Targets, block: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mask and the log-probabilities (b, 1 + n_hard) of `own_items`."""
    log_q = targets.log_q[block].unsqueeze(1)
    mask = torch.ones_like(log_q, dtype=torch.bool)
    if targets.hard_mask is None or targets.hard_log_q is None:
        return mask, log_q
    mask = torch.cat([mask, targets.hard_mask[block]], dim=1)
    return mask, torch.cat([log_q, targets.hard_log_q[block]], dim=1)


def candidates_of(targets: Targets, block: slice, n_items: int) -> TargetCandidates:
    """Return the candidates of a block of targets."""
    mask, own_log_q = mask_and_log_q(targets, block)
    mask = torch.cat([mask, targets.allowed_of(block)], dim=1)  # (b, 1 + n_hard + S)
    labels = torch.zeros((1, mask.shape[1]), device=mask.device)
    labels[:, 0] = 1.0
    shared = targets.shared_log_q.expand(len(mask), -1)
    log_q = torch.cat([own_log_q, shared], dim=1)
    return TargetCandidates(mask, labels.expand(mask.shape), log_q, n_items)


def _masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean (B,) of the values (B, C) that are true in a mask; 0 if a row has none."""
    n_values = mask.sum(dim=1)
    return values.masked_fill(~mask, 0.0).sum(dim=1) / n_values.clamp_min(1)
