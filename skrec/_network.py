"""The joint network, which combines content, behavior and predictor in one module.

::

    items (U,) --> content --> vectors (U, D) --gather--> history (H, L, D) --> behavior
                                              --gather--> candidates (B, C, D)     |
                                                              |             users (H, K, D)
                                   scores (B, C) <-- predictor <---gather by row---+

If the behavior operator reads more than item vectors, this input follows the vector in the same
row (U, R)::

    vector (D) | side columns (D), if any are read | tokens (T * (D + 1)), if they are read
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from skrec._batch import Batch, Outputs, Targets
from skrec._data.packed import Column, Packed
from skrec.behavior import BehaviorOperator
from skrec.content._side import split_side
from skrec.content._tokens import tokens_of
from skrec.nn import in_parts, join_tokens, masked_mean, split_tokens

# maximum number of items times tokens per micro-batch of the content module, to bound memory
TOKEN_BUDGET = 1 << 16
VECTORS_ONLY = BehaviorOperator()
# maximum number of scores of single clicks and items that are computed at a time
CLICK_CELLS = 1 << 22


class Network(nn.Module):
    """Modules of the three operators, and a learned vector that replaces empty histories.

    Parameters
    ----------
    content, behavior, predictor : torch.nn.Module
        Modules that the operators built.
    width : int
        Size of item and user vectors, D.
    reads : BehaviorOperator, default=VECTORS_ONLY
        Operator that built `behavior`. Its attributes say what `behavior` reads in addition to
        item vectors.
    side : torch.nn.Module, default=None
        Module that computes vectors (U, D) of the side columns that `behavior` reads. None if it
        reads no side columns.
    n_context : int, default=0
        Number of features of the context, F; 0 if there is no context.
    context_field : bool, default=False
        Whether `predictor` reads the context as a field of its own. User and item vectors then have
        ``2 * width`` entries when it reads them.
    """

    def __init__(
        self,
        content: nn.Module,
        behavior: nn.Module,
        predictor: nn.Module,
        width: int,
        reads: BehaviorOperator = VECTORS_ONLY,
        side: nn.Module | None = None,
        n_context: int = 0,
        context_field: bool = False,
    ) -> None:
        super().__init__()
        self.content = content
        self.behavior = behavior
        self.predictor = predictor
        self.side = side
        self.width = width
        # W, the size of the part of a row that represents a candidate
        self.item_width = width if side is None else 2 * width
        self.candidate_aware = reads.candidate_aware
        self.late_fusion = reads.late_fusion
        self.reads_tokens = reads.reads_tokens
        self.reads_users = reads.reads_users
        self.empty_history = nn.Parameter(torch.randn(width) * 0.1)
        # starts at zero, so that training starts as without context
        self.context = nn.Parameter(torch.zeros(width, n_context)) if n_context else None
        self.context_field = context_field
        # number of optimizer steps, part of the weights' version: fused steps keep tensor versions
        self.n_steps = 0

    def forward(self, batch: Batch, packed: Packed, token_budget: int) -> torch.Tensor:
        """Return the scores (B, C + S) of a batch; masked candidates have arbitrary scores."""
        return self.outputs(batch, packed, token_budget).scores

    def outputs(self, batch: Batch, packed: Packed, token_budget: int) -> Outputs:
        """Return the scores of the rows of a batch, and the user vectors of its targets."""
        items, penalty = self.items_and_penalty(packed, batch.items, token_budget)
        outputs = self._outputs(batch, items)
        return outputs if penalty is None else replace(outputs, penalty=outputs.penalty + penalty)

    def _outputs(self, batch: Batch, items: torch.Tensor) -> Outputs:
        """Return the outputs of a batch whose distinct items have the rows `items` (U, R)."""
        clicks = F.embedding(batch.history, items)  # (H, L, R)
        items = items[:, : self.item_width]
        clicks, mask = self.with_empty(clicks, batch.history_mask)
        if batch.targets is not None:
            return self._outputs_of_states(batch, batch.targets, items, clicks, mask)
        own = F.embedding(batch.candidates, items)  # (B, C, W)
        shared = F.embedding(batch.shared, items)  # (S, W)
        rows = batch.history_of_row
        if not (self.has_user_vectors and len(shared)):
            item = torch.cat([own, shared.expand(len(own), -1, -1)], dim=1)
            users = self.users_of_rows(clicks, mask, rows, item, batch.user)
            penalty = self._penalty(users, batch.candidate_mask if self.candidate_aware else None)
            users = self.in_context(users, batch.contexts, batch.context_of_row)
            scores = self.match(users, item, mask[rows] if self.late_fusion else None)
            return Outputs(scores, penalty, items)
        users = self.users(clicks, mask, batch.user)  # (H, K, D)
        penalty = self._penalty(users)
        if self.context is not None:
            users = users.index_select(0, rows)  # (B, K, D)
            users = self.in_context(users, batch.contexts, batch.context_of_row)
            rows = torch.arange(len(users), device=users.device)
        return Outputs(self._scores_of_rows(users, rows, own, shared), penalty, items)

    def _scores_of_rows(
        self, users: torch.Tensor, rows: torch.Tensor, own: torch.Tensor, shared: torch.Tensor
    ) -> torch.Tensor:
        """Return the scores (B, C + S) of candidates `own` (B, C, W), followed by `shared` (S, W).

        Row b has the vectors ``users[rows[b]]``.
        """
        scores = self.match(users.index_select(0, rows).unsqueeze(1), own)
        if not len(shared):
            return scores
        everyone = self.match_all(users, shared, len(users) * len(shared))
        return torch.cat([scores, everyone.index_select(0, rows)], dim=1)

    def _outputs_of_states(
        self,
        batch: Batch,
        targets: Targets,
        items: torch.Tensor,
        clicks: torch.Tensor,
        mask: torch.Tensor,
    ) -> Outputs:
        """Return the outputs of a batch with targets, from the states after each click."""
        arguments = [batch.user] if self.reads_users else []
        states = self.behavior.states(clicks, mask, *arguments)  # type: ignore[operator]  # (H, L, K, D)
        states, length = states.flatten(0, 1), mask.shape[1]
        last = batch.history_of_row * length + mask.sum(dim=1)[batch.history_of_row] - 1  # (B,)
        users = states.index_select(0, targets.history * length + targets.position)  # (T, K, D)
        own_users = states.index_select(0, last)  # (B, K, D)
        penalty = self._penalty(torch.cat([own_users, users]))
        users = self.in_context(users, batch.contexts, targets.context)
        if not len(last):
            return Outputs(states.new_zeros(batch.labels.shape), penalty, items, users)
        own_users = self.in_context(own_users, batch.contexts, batch.context_of_row)
        own, shared = F.embedding(batch.candidates, items), F.embedding(batch.shared, items)
        rows = torch.arange(len(own_users), device=states.device)
        scores = self._scores_of_rows(own_users, rows, own, shared)
        return Outputs(scores, penalty, items, users)

    def _penalty(self, users: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
        """Return the penalty of the behavior module for user vectors, or 0 if it has none.

        The mask `real` (B, C) says which user vectors (B, C, K, D) count.
        """
        penalty: Any = getattr(self.behavior, "penalty", None)
        if penalty is None:
            return users.new_zeros(())
        if real is not None:
            users = users.flatten(0, 1).index_select(0, real.flatten().nonzero().squeeze(1))
        return penalty(users)

    def items_and_penalty(
        self, packed: Packed, codes: torch.Tensor, token_budget: int
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the rows (U, R) of items, and the mean penalty of the content module, if any."""
        if not hasattr(self.content, "penalized"):
            return self.encode(packed, codes, token_budget), None
        rows = self.encode(packed, codes, token_budget, self._penalized_rows)
        return rows[:, 1:], rows[:, 0].mean()

    def _penalized_rows(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return the penalty of each item, followed by its row (U, 1 + R)."""
        own = columns if self.side is None else split_side(columns)[0]
        content: Any = self.content
        vectors, penalties = content.penalized(own)  # (U, D), (U,)
        rows = self.item_rows(columns, vectors)
        return torch.cat([penalties.unsqueeze(1).to(rows.dtype), rows], dim=1)

    def encode(
        self, packed: Packed, codes: torch.Tensor, token_budget: int, rows_of: Any = None
    ) -> torch.Tensor:
        """Return the rows (U, R) of items, encoded in micro-batches of similar length.

        Their codes (U,) are on the CPU.
        """
        encode = rows_of or self.item_rows
        lengths = packed.lengths_of(codes)
        return in_parts(lambda rows, _: encode(packed.take(codes[rows])), lengths, token_budget)

    def item_rows(
        self, columns: dict[str, Column], vectors: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the rows (U, R) of items: all that the behavior module reads of them.

        The item vectors are computed unless they are given as `vectors` (U, D).
        """
        if self.side is None:
            own, side_vectors = columns, None
        else:
            own, side = split_side(columns)
            side_vectors = self.side(side)  # (U, D)
        if self.reads_tokens:
            vectors, x, mask = tokens_of(self.content, own)
        elif vectors is None:
            vectors = self.content(own)  # (U, D)
        if side_vectors is not None:
            vectors = torch.cat([vectors, side_vectors], dim=1)  # (U, W)
        return join_tokens(vectors, x, mask) if self.reads_tokens else vectors

    def with_empty(
        self, clicks: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Replace empty histories in (H, L, R) with histories of one click, the learned vector."""
        empty = ~mask.any(dim=1)  # (H,)
        if empty.device.type == "cpu" and not empty.any():  # a GPU would have to be waited for
            return clicks, mask
        place = torch.zeros_like(mask)
        place[:, 0] = empty
        click = F.pad(self.empty_history, (0, self.item_width - self.width))
        if self.reads_tokens:  # the vector is its only token
            click = torch.cat([click, self.empty_history, click.new_ones(1)])
        click = F.pad(click, (0, clicks.shape[2] - len(click)))
        click = click.to(clicks.dtype)  # autocast may have changed the dtype
        return torch.where(place.unsqueeze(2), click, clicks), mask | place

    def trained_state(self) -> dict[str, torch.Tensor]:
        """Return weights and buffers, except the frozen weights that `build` loads again."""
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
        """Load the state that `trained_state` returned.

        Raises
        ------
        ValueError
            If the names in `state` differ from those of this network.
        """
        if state.keys() != self.trained_state().keys():
            wrong = sorted(state.keys() ^ self.trained_state().keys())
            raise ValueError(f"the weights do not fit this network; these differ: {wrong[:5]}")
        self.load_state_dict(state, strict=False)

    @property
    def has_user_vectors(self) -> bool:
        """Whether user vectors do not depend on candidates and can therefore be stored."""
        return not (self.candidate_aware or self.late_fusion)

    def users(
        self,
        clicks: torch.Tensor,
        mask: torch.Tensor,
        user: torch.Tensor | None = None,
        item: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return user vectors (H, K, D) of clicks (H, L, R), or (H, C, K, D) if candidate-aware.

        The user codes `user` (H,) and the candidates `item` (H, C, W) are passed to the behavior
        module if it reads them.
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
        """Return user vectors (B, C or 1, K, D); row b has history ``history_of_row[b]``."""
        # index_select instead of [...], whose gradient is summed by threads in no fixed order
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
        contexts: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Score candidates item (B, C, W) for the history ``history_of_row[b]`` of each row b.

        `user` (H,) and `contexts` (H, F) are the user and the context of each history.
        """
        users = self.users_of_rows(clicks, mask, history_of_row, item, user)
        users = self.in_context(users, contexts, history_of_row)
        return self.match(users, item, mask[history_of_row] if self.late_fusion else None)

    def in_context(
        self,
        users: torch.Tensor,
        contexts: torch.Tensor | None,
        context_of_user: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return user vectors (B, ..., D) in their contexts, as the predictor reads them.

        The projected context is added to each vector of a user. If it is a field of its own, it
        follows the vector instead, and the result is (B, ..., 2 D).

        The features of the contexts are (X, F), and user b has the context ``context_of_user[b]``,
        or b if this is None. If `contexts` is None, all contexts are unknown.
        """
        if self.context is None:
            return users
        if contexts is None:
            contexts, context_of_user = users.new_zeros((len(users), self.context.shape[1])), None
        context = F.linear(contexts.to(self.context.dtype), self.context)  # (X, D)
        if context_of_user is not None:
            context = context.index_select(0, context_of_user)  # (B, D)
        context = context.view(len(users), *[1] * (users.dim() - 2), self.width)
        if not self.context_field:
            return users + context
        return torch.cat([users, context.expand_as(users).to(users.dtype)], dim=-1)

    def match(
        self, users: torch.Tensor, item: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Score candidates item (B, C, W) for users (B, C or 1, K, D); return (B, C).

        Users are what `in_context` returns. If the context is a field, that of items is zero.

        The mask (B, K) is true for user vectors and false for padding. None means no padding.
        """
        item = self._as_read(item)
        if mask is None:
            mask = users.new_ones((users.shape[0], users.shape[2]), dtype=torch.bool)
        if not self.late_fusion:
            return self.predictor(users, mask, item)
        B, K = mask.shape
        each = users.transpose(1, 2).flatten(0, 1).unsqueeze(2)  # (B K, C or 1, 1, D)
        item = item.unsqueeze(1).expand(-1, K, -1, -1).flatten(0, 1)  # (B K, C, D)
        scores = self.predictor(each, mask.new_ones((B * K, 1)), item)
        return masked_mean(scores.unflatten(0, (B, K)), mask)

    def _as_read(self, items: torch.Tensor) -> torch.Tensor:
        """Return the part of item rows (..., W) that the predictor reads, (..., D or 2 D)."""
        if not (self.context is not None and self.context_field):
            return items[..., : self.width]
        return F.pad(items[..., : self.width], (0, self.width))

    def match_all(
        self,
        users: torch.Tensor,
        items: torch.Tensor,
        block: int,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Score all items (N, W) for users (H, K, D); return (H, N).

        Items are scored in blocks of about `block` pairs of a user and an item. If users have one
        vector and the predictor has a method ``score_all``, it scores all pairs at once.

        The mask (H, K) is true for user vectors and false for padding. It is used only with late
        fusion, which averages the scores over the vectors.
        """
        items = self._as_read(items)
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
        """Score all items (N, D) for each vector of users (H, K, D); return the means (H, N)."""
        # each clicked item is scored once, even if it occurs in many histories
        distinct, place = torch.unique(users[mask], dim=0, return_inverse=True)  # (U, D)
        n_clicks = mask.sum(dim=1)
        starts = n_clicks.cumsum(dim=0) - n_clicks  # (H,): start of each history in `place`
        means = [
            F.embedding_bag(
                place, self.match_all(distinct.unsqueeze(1), part, block), starts, mode="mean"
            )
            for part in items.split(max(1, CLICK_CELLS // len(distinct)))
        ]
        return torch.cat(means, dim=1)


def device_of(network: Network) -> torch.device:
    """Return the device of the network's weights."""
    return network.empty_history.device
