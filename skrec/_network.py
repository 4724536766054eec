"""The joint network: content, behavior and predictor as one module.

::

    items (U,) --> content --> vectors (U, D) --gather--> history (H, L, D) --> behavior
                                              --gather--> candidates (B, C, D)     |
                                                              |             users (H, K, D)
                                   scores (B, C) <-- predictor <---gather by row---+

What a behavior operator reads beside items' vectors stands behind them, in the same row (U, R)::

    vector (D) | side columns (D), if it has any | tokens (T * (D + 1)), if it reads them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from skrec._data.packed import Column, Packed
from skrec.behavior import BehaviorOperator
from skrec.content._side import split_side
from skrec.content._tokens import tokens_of
from skrec.nn import in_parts, join_tokens, masked_mean, split_tokens

# items times tokens that are encoded together, which bounds memory
TOKEN_BUDGET = 1 << 16
VECTORS_ONLY = BehaviorOperator()
CLICK_CELLS = 1 << 22  # scores of single clicks against the catalogue at a time


class Network(nn.Module):
    """Three operators' modules, and the learned click that stands for an empty history.

    Parameters
    ----------
    content, behavior, predictor : torch.nn.Module
        What the operators built.
    width : int
        D.
    reads : BehaviorOperator, default=VECTORS_ONLY
        What built `behavior`: its attributes say what that reads beside the clicks' vectors.
    side : torch.nn.Module, default=None
        Makes vectors (U, D) of the side columns that `behavior` reads.
    """

    def __init__(
        self,
        content: nn.Module,
        behavior: nn.Module,
        predictor: nn.Module,
        width: int,
        reads: BehaviorOperator = VECTORS_ONLY,
        side: nn.Module | None = None,
    ):
        super().__init__()
        self.content = content
        self.behavior = behavior
        self.predictor = predictor
        self.side = side
        self.width = width
        # W: the part of a row that stands for a candidate
        self.item_width = width if side is None else 2 * width
        self.candidate_aware = reads.candidate_aware
        self.late_fusion = reads.late_fusion
        self.reads_tokens = reads.reads_tokens
        self.reads_users = reads.reads_users
        self.empty_history = nn.Parameter(torch.randn(width) * 0.1)
        self.n_steps = 0  # counts optimiser steps: fused ones leave tensor versions as they were

    def forward(self, batch: Batch, packed: Packed, token_budget: int) -> torch.Tensor:
        """Return the scores (B, C + S) of a batch; what `candidate_mask` hides is arbitrary."""
        return self.scores_and_penalty(batch, packed, token_budget)[0]

    def scores_and_penalty(
        self, batch: Batch, packed: Packed, token_budget: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores (B, C + S) of a batch, and the penalty of the behavior module."""
        items = self.encode(packed, batch.items, token_budget)  # (U, R)
        clicks = F.embedding(batch.history, items)  # (H, L, R)
        items = items[:, : self.item_width]
        own = F.embedding(batch.candidates, items)  # (B, C, W)
        shared = F.embedding(batch.shared, items)  # (S, W)
        clicks, mask = self.with_empty(clicks, batch.history_mask)
        rows = batch.history_of_row
        if not (self.has_user_vectors and len(shared)):
            item = torch.cat([own, shared.expand(len(own), -1, -1)], dim=1)
            users = self.users_of_rows(clicks, mask, rows, item, batch.user)
            scores = self.match(users, item, mask[rows] if self.late_fusion else None)
            real = users[batch.candidate_mask] if self.candidate_aware else users
            return scores, self._penalty(real)
        users = self.users(clicks, mask, batch.user)  # (H, K, D)
        everyone = self.match_all(users, shared, len(users) * len(shared))  # (H, S)
        own_scores = self.match(users.index_select(0, rows).unsqueeze(1), own)
        scores = torch.cat([own_scores, everyone.index_select(0, rows)], dim=1)
        return scores, self._penalty(users)

    def _penalty(self, users: torch.Tensor) -> torch.Tensor:
        penalty: Any = getattr(self.behavior, "penalty", None)
        return users.new_zeros(()) if penalty is None else penalty(users)

    def encode(self, packed: Packed, codes: torch.Tensor, token_budget: int) -> torch.Tensor:
        """Return the rows (U, R) of some items, in micro-batches of like lengths."""
        lengths = torch.from_numpy(packed.lengths).to(codes.device)[codes]
        return in_parts(
            lambda rows, _: self._item_rows(packed.take(codes[rows])), lengths, token_budget
        )

    def _item_rows(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return the vectors of items, and behind them what else the behavior module reads."""
        if self.side is None:
            own, beside = columns, None
        else:
            own, side = split_side(columns)
            beside = self.side(side)  # (U, D)
        if self.reads_tokens:
            vectors, x, mask = tokens_of(self.content, own)
        else:
            vectors = self.content(own)  # (U, D)
        if beside is not None:
            vectors = torch.cat([vectors, beside], dim=1)  # (U, W)
        return join_tokens(vectors, x, mask) if self.reads_tokens else vectors

    def with_empty(
        self, clicks: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give each empty history of (H, L, R) the learned click in its first place."""
        empty = ~mask.any(dim=1)  # (H,)
        if not empty.any():
            return clicks, mask
        rows = empty.nonzero().squeeze(1)
        place = rows, torch.zeros_like(rows)
        click = F.pad(self.empty_history, (0, self.item_width - self.width))
        if self.reads_tokens:  # its one token is itself
            click = torch.cat([click, self.empty_history, click.new_ones(1)])
        click = F.pad(click, (0, clicks.shape[2] - len(click)))
        click = click.to(clicks.dtype)  # autocast may have shortened the clicks
        return clicks.index_put(place, click), mask.index_put(place, mask.new_ones(()))

    def trained_state(self) -> dict[str, torch.Tensor]:
        """Return weights and buffers, but for frozen weights that building loads again."""
        reloaded = {
            id(parameter)
            for module in self.modules()
            if getattr(module, "reloads_frozen", False)
            for parameter in module.parameters()
            if not parameter.requires_grad
        }
        state = self.state_dict(keep_vars=True)
        return {name: value.detach() for name, value in state.items() if id(value) not in reloaded}

    def load_trained_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `trained_state` returned."""
        if state.keys() != self.trained_state().keys():
            wrong = sorted(state.keys() ^ self.trained_state().keys())
            raise ValueError(f"the weights do not fit this network; these differ: {wrong[:5]}")
        self.load_state_dict(state, strict=False)

    @property
    def has_user_vectors(self) -> bool:
        """Whether a user is K vectors that serve all candidates, so that they can be stored."""
        return not (self.candidate_aware or self.late_fusion)

    def users(
        self,
        clicks: torch.Tensor,
        mask: torch.Tensor,
        user: torch.Tensor | None = None,
        item: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return user vectors (H, K, D) of clicks (H, L, R), or (H, C, K, D) for candidates.

        The codes `user` (H,) and the candidates `item` (H, C, W) are passed on where the behavior
        module reads them.
        """
        if self.reads_tokens:
            x, real = split_tokens(clicks[..., self.item_width :], self.width)  # (H, L, T, D)
            arguments = [x, real & mask.unsqueeze(2)]
        else:
            arguments = [clicks, mask]
        if self.candidate_aware:
            assert item is not None
            arguments.append(item)
        if self.reads_users:
            unknown = torch.zeros(len(clicks), dtype=torch.long, device=clicks.device)
            arguments.append(unknown if user is None else user)
        return self.behavior(*arguments)

    def users_of_rows(
        self,
        clicks: torch.Tensor,
        mask: torch.Tensor,
        history_of_row: torch.Tensor,
        item: torch.Tensor,
        user: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return user vectors (B, C or 1, K, D), row b that of history ``history_of_row[b]``."""
        # index_select, not [...]: the gradient of the latter is summed by threads in any order
        if not self.candidate_aware:
            return self.users(clicks, mask, user).index_select(0, history_of_row).unsqueeze(1)
        clicks = clicks.index_select(0, history_of_row)
        user = None if user is None else user[history_of_row]
        return self.users(clicks, mask[history_of_row], user, item)

    def score(
        self,
        clicks: torch.Tensor,
        mask: torch.Tensor,
        history_of_row: torch.Tensor,
        item: torch.Tensor,
        user: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Score candidates item (B, C, W), row b against history ``history_of_row[b]``."""
        users = self.users_of_rows(clicks, mask, history_of_row, item, user)
        return self.match(users, item, mask[history_of_row] if self.late_fusion else None)

    def match(
        self, users: torch.Tensor, item: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Score candidates item (B, C, W) against users (B, C or 1, K, D), to (B, C).

        The mask (B, K) says which of the vectors are real; None: all.
        """
        item = item[..., : self.width]
        if mask is None:
            mask = users.new_ones((users.shape[0], users.shape[2]), dtype=torch.bool)
        if not self.late_fusion:
            return self.predictor(users, mask, item)
        B, K = mask.shape
        each = users.transpose(1, 2).flatten(0, 1).unsqueeze(2)  # (B K, C or 1, 1, D)
        item = item.unsqueeze(1).expand(-1, K, -1, -1).flatten(0, 1)  # (B K, C, D)
        scores = self.predictor(each, mask.new_ones((B * K, 1)), item)
        return masked_mean(scores.unflatten(0, (B, K)), mask)

    def match_all(
        self,
        users: torch.Tensor,
        items: torch.Tensor,
        block: int,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Score all items (N, W) for users (H, K, D), to (H, N), in blocks of about `block` pairs.

        The mask (H, K) says which vectors are real where late fusion averages over them. Where
        the predictor has a method ``score_all``, that does it for one vector a user.
        """
        items = items[:, : self.width]
        if self.late_fusion and mask is not None:
            return self._mean_over_clicks(users, mask, items, block)
        score_all: Any = getattr(self.predictor, "score_all", None)
        if users.shape[1] == 1 and score_all is not None:
            return score_all(users.squeeze(1), items)
        rows = []
        for user in users.split(max(1, block // len(items))):
            parts = [
                self.match(user.unsqueeze(1), part.expand(len(user), -1, -1))
                for part in items.split(block)
            ]
            rows.append(torch.cat(parts, dim=1))
        return torch.cat(rows)

    def _mean_over_clicks(
        self, users: torch.Tensor, mask: torch.Tensor, items: torch.Tensor, block: int
    ) -> torch.Tensor:
        """Score all items (N, D) by the mean over the real vectors of users (H, K, D)."""
        # an item that stands in many histories is scored once
        distinct, place = torch.unique(users[mask], dim=0, return_inverse=True)  # (U, D)
        n_clicks = mask.sum(dim=1)
        starts = n_clicks.cumsum(dim=0) - n_clicks  # (H,): where each history begins in `place`
        means = [
            F.embedding_bag(
                place, self.match_all(distinct.unsqueeze(1), part, block), starts, mode="mean"
            )
            for part in items.split(max(1, CLICK_CELLS // len(distinct)))
        ]
        return torch.cat(means, dim=1)


def device_of(network: Network) -> torch.device:
    """Return the device that holds the network's weights."""
    return network.empty_history.device


@dataclass(frozen=True)
class Batch:
    """What one step reads; indices point into `items`, the batch's U distinct items.

    Attributes
    ----------
    items : int64 tensor of shape (U,)
        Catalogue codes.
    history : int64 tensor of shape (H, L)
        The batch's distinct histories, padded with 0; once for each user.
    history_mask : bool tensor of shape (H, L)
    user : int64 tensor of shape (H,)
        Who reads each of them: 0 for unknown users.
    history_of_row : int64 tensor of shape (B,)
    candidates : int64 tensor of shape (B, C)
        Those of each row by itself.
    shared : int64 tensor of shape (S,)
        Sampled candidates of all rows; scores have C + S columns.
    candidate_mask : bool tensor of shape (B, C + S)
    labels : float tensor of shape (B, C + S)
    log_q : float tensor of shape (B, C + S)
        What a softmax over sampled candidates takes off the scores: the log of their chances to
        be drawn, and 0 in rows that have none.
    weight : float tensor of shape (B,)
        What each row counts in the loss.
    n_rows : int
        Rows of the step in all processes: B, but where the batch is one process's share.
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
    n_rows: int

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        moved: dict[str, Any] = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }
        return Batch(**moved)
