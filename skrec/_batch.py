"""The tensors of one training step: what a network reads and what it computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch


@dataclass(frozen=True)
class Targets:
    """Clicks inside the histories of a batch, each predicted from the clicks before it.

    Attributes
    ----------
    history : int64 tensor of shape (T,)
        Index of the history of each target in `Batch.history`.
    position : int64 tensor of shape (T,)
        Position in that history of the click before the target. The state after this click
        predicts the target. 0 for empty histories.
    item : int64 tensor of shape (T,)
        The target, as an index into `Batch.items`.
    window : int64 tensor of shape (T,)
        Row of `allowed` that belongs to each target.
    allowed : bool tensor of shape (M, S)
        Which of the shared items may be negatives.
    log_q : float tensor of shape (T,)
        Log-probability with which each target is sampled; 0 if all items are equally likely.
    shared_log_q : float tensor of shape (S,)
        Log-probability with which each shared item is sampled.
    weight : float tensor of shape (T,)
        Weight of each target in the loss.
    context : int64 tensor of shape (T,)
        Index of the context of each target in `Batch.contexts`.
    hard : int64 tensor of shape (T, n_hard), or None
        Hard negatives of each target, as indices into `Batch.items`.
    hard_mask : bool tensor of shape (T, n_hard), or None
        False for padding of `hard`.
    hard_log_q : float tensor of shape (T, n_hard), or None
        What the softmax loss subtracts from the scores of hard negatives.
    not_allowed : int64 tensor of shape (2, m) on the CPU, or None
        Targets, ascending, and shared items that are hard negatives of the target, and therefore
        no shared ones.
    """

    history: torch.Tensor
    position: torch.Tensor
    item: torch.Tensor
    window: torch.Tensor
    allowed: torch.Tensor
    log_q: torch.Tensor
    shared_log_q: torch.Tensor
    weight: torch.Tensor
    context: torch.Tensor
    hard: torch.Tensor | None = None
    hard_mask: torch.Tensor | None = None
    hard_log_q: torch.Tensor | None = None
    not_allowed: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.item)

    def to(self, device: torch.device) -> Targets:
        """Return the targets on a device, except `not_allowed`."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if value is not None and name != "not_allowed"
        }
        return replace(self, **moved)

    def allowed_of(self, block: slice) -> torch.Tensor:
        """Return which shared items (b, S) are negatives of a block of targets."""
        allowed = self.allowed[self.window[block]]
        if self.not_allowed is not None:
            edges = torch.tensor([block.start, block.stop])
            start, stop = torch.searchsorted(self.not_allowed[0], edges).tolist()
            target, column = self.not_allowed[:, start:stop].to(allowed.device)
            allowed[target - block.start, column] = False
        return allowed


@dataclass(frozen=True)
class Batch:
    """Input of one training step, with items as indices into its U distinct items.

    Attributes
    ----------
    items : int64 tensor of shape (U,), on the CPU
        Catalogue codes of the distinct items. `history`, `candidates` and `shared` are indices
        into this tensor.
    history : int64 tensor of shape (H, L)
        Distinct histories of the batch, padded with 0. A history that several users share occurs
        once per user.
    history_mask : bool tensor of shape (H, L)
        True for clicks and False for padding.
    user : int64 tensor of shape (H,)
        Code of the user of each history; 0 for unknown users.
    history_of_row : int64 tensor of shape (B,)
        Index of the history of each row.
    candidates : int64 tensor of shape (B, C)
        Candidates of each row.
    shared : int64 tensor of shape (S,)
        Sampled candidates that all rows share. Scores have C + S columns.
    candidate_mask : bool tensor of shape (B, C + S)
        True for candidates that count in the row.
    labels : float tensor of shape (B, C + S)
        1 for clicks, 0 otherwise.
    log_q : float tensor of shape (B, C + S)
        Log-probability with which each candidate is sampled. The softmax loss subtracts it from
        the score. 0 for negatives that were shown, and if all items are equally likely. That of a
        click is 0 unless all negatives of its row are sampled.
    weight : float tensor of shape (B,)
        Weight of each row in the loss.
    n_rows : float
        Number of rows and targets of the step in all processes. It equals B + T unless the batch
        is the share of one of several processes. Estimated if each process has rows of its own.
    targets : Targets or None
        Clicks inside the histories, which are learned in addition to the rows.
    n_items : int
        N, the number of items in the catalogue.
    contexts : float tensor of shape (X, F), or None
        Features of the distinct contexts. None if the recommender has no context.
    context_of_row : int64 tensor of shape (B,), or None
        Index of the context of each row.
    """

    items: torch.Tensor
    history: torch.Tensor
    history_mask: torch.Tensor
    user: torch.Tensor
    history_of_row: torch.Tensor
    candidates: torch.Tensor
    shared: torch.Tensor
    candidate_mask: torch.Tensor
    labels: torch.Tensor
    log_q: torch.Tensor
    weight: torch.Tensor
    n_rows: float
    targets: Targets | None = None
    n_items: int = 1
    contexts: torch.Tensor | None = None
    context_of_row: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels) + (0 if self.targets is None else len(self.targets))

    def has_negatives(self) -> bool:
        """Return whether any row or target has a candidate that was not clicked."""
        targets = self.targets
        if targets is not None and len(targets):
            if targets.allowed.any() or (targets.hard_mask is not None and targets.hard_mask.any()):
                return True
        return bool((self.candidate_mask & (self.labels == 0)).any())

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, except `items`."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor | Targets) and name != "items"
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Outputs:
    """What a network computes of a batch.

    Attributes
    ----------
    scores : tensor of shape (B, C + S)
        Scores of the rows' candidates. Those of masked candidates are arbitrary.
    penalty : tensor of shape ()
        Sum of the penalties of the behavior and the content module; 0 if they have none.
    items : tensor of shape (U, W)
        The part of the rows of the batch's items that represents candidates.
    users : tensor of shape (T, K, D) or None
        User vectors that predict the targets of the batch, if it has any.
    """

    scores: torch.Tensor
    penalty: torch.Tensor
    items: torch.Tensor
    users: torch.Tensor | None = None
