"""Module of the operator `LanguageModel`: the trained part of the model, pooled to item vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skrec.content._lm.split import Top
from skrec.nn import (
    AdditiveAttention,
    in_parts,
    isometric,
    join_tokens,
    last_real,
    masked_mean,
    split_tokens,
    start_at_principal_directions,
)

# number of padded tokens per micro-batch; small on a CPU, so that activations stay in its cache
PART_ON_CPU, PART_ON_GPU = 1 << 10, 1 << 14
# scores start at this times the cosine; a softmax over cosines would hardly tell items apart
SCALE = 20.0
# batches with more tokens recompute activations in the backward pass
TOKEN_BUDGET = 1 << 14


def first_token(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the first vectors (B, D) of x (B, L, D). The mask is ignored."""
    return x[:, 0]


POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean": masked_mean,
    "cls": first_token,
    "last": last_real,
}


def finished(pooled: torch.Tensor, normalize: bool, truncate_dim: int | None) -> torch.Tensor:
    """Return pooled states (U, H) with length 1, if asked for, and then their first numbers."""
    if normalize:
        pooled = nn.functional.normalize(pooled, dim=-1)
    return pooled[..., :truncate_dim]


def part_size(device: torch.device) -> int:
    """Return the number of padded tokens per micro-batch that is fastest on a device."""
    return PART_ON_CPU if device.type == "cpu" else PART_ON_GPU


class LanguageModelNetwork(nn.Module):
    """Module that maps token ids or prefix states to item vectors.

    If a batch has more than `TOKEN_BUDGET` tokens, the activations of only one micro-batch are in
    memory at a time, and all activations are recomputed in the backward pass, as in [1]_.

    Parameters
    ----------
    top : Top or None
        Trained layers. None if the inputs are the last hidden states.
    pooling : {"attention", "mean", "cls", "last"}
        How hidden states are reduced to one vector.
    output_size : int
        Size H of the last hidden states.
    width : int
        Size D of item vectors.
    normalize : bool, default=False
        Whether vectors of pooled states have length 1.
    truncate_dim : int, default=None
        How many numbers of the states are read, after pooling. None reads all H.
    unit : bool, default=False
        Whether pooled states and tokens have length 1 when they are projected, because pretrained
        models are compared by cosines. Scores of a network that is not trained yet are then about
        `SCALE` times the cosine of user and item.

    Attributes
    ----------
    recompute : bool or None
        Whether the backward pass recomputes activations. None lets the number of tokens decide.

    References
    ----------
    .. [1] Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
       arXiv 2101.06983.
    """

    recompute: bool | None = None

    def __init__(
        self,
        top: Top | None,
        pooling: str,
        output_size: int,
        width: int,
        normalize: bool = False,
        truncate_dim: int | None = None,
        unit: bool = False,
    ) -> None:
        super().__init__()
        self.top = top
        self.pool = POOLINGS.get(pooling) or AdditiveAttention(output_size, width)
        if isinstance(self.pool, AdditiveAttention):
            nn.init.normal_(self.pool.query.weight, std=1e-3)  # starts almost as the mean
        self.normalize, self.truncate_dim, self.unit = normalize, truncate_dim, unit
        self.project = isometric(nn.Linear(truncate_dim or output_size, width))
        with torch.no_grad():
            self.project.weight.mul_(self._start_scale)

    def forward(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        return self._in_parts(self._vectors, columns)

    def tokens(
        self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), tokens (U, L, D) and the mask (U, L) of real tokens."""
        width = self.project.out_features
        vectors, tokens = self._in_parts(self._rows, columns).tensor_split([width], dim=1)
        return vectors, *split_tokens(tokens, width)

    def start_from(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Let a projection to fewer numbers start at the principal directions of some items.

        A projection that is large enough starts as an isometry, which keeps everything. Experts in
        place of the projection are left as they are.
        """
        if not isinstance(self.project, nn.Linear):
            return
        if self.project.out_features >= self.project.in_features:
            return
        with torch.no_grad():
            start_at_principal_directions(self.project, self._of_items(columns), self._start_scale)

    @property
    def _start_scale(self) -> float:
        """Length of item vectors before training, relative to that of the states."""
        return SCALE**0.5 if self.unit else 1.0

    def _of_items(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return one vector of hidden states (U, H) per item, which is projected."""
        return self._in_parts(self._pooled, columns)

    def _in_parts(
        self,
        encode: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        columns: dict[str, tuple[torch.Tensor, torch.Tensor]],
    ) -> torch.Tensor:
        """Apply `encode` to micro-batches of items with similar lengths, and join the results."""
        [(values, mask)] = columns.values()  # (U, L) or (U, L, H), and (U, L)
        lengths = mask.sum(dim=1).cpu()
        recompute = self.recompute
        if recompute is None:
            recompute = int(lengths.sum()) > TOKEN_BUDGET
        recompute = recompute and torch.is_grad_enabled()

        def encode_part(rows: torch.Tensor, length: int) -> torch.Tensor:
            rows = rows.to(mask.device)
            part = values[rows, :length], mask[rows, :length]
            if recompute and self.top is not None:
                return checkpoint(encode, *part, use_reentrant=False)
            return encode(*part)

        return in_parts(encode_part, lengths, part_size(mask.device))

    def _hidden(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return last hidden states (u, L, H) of ids (u, L) or states (u, L, H)."""
        hidden = values if self.top is None else self.top(values, mask)  # (u, L, H)
        return hidden.to(self.project.weight.dtype)

    def _pooled(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return one vector of hidden states (u, H) per item, which is projected."""
        return self._reduced(self._hidden(values, mask), mask)

    def _reduced(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return one vector (u, H) of hidden states (u, L, H) per item."""
        pooled = self.pool(hidden, mask)
        # one stored row is finished
        if self.top is not None or isinstance(self.pool, AdditiveAttention):
            pooled = finished(pooled, self.normalize, self.truncate_dim)
        return self._normalized(pooled)

    def _normalized(self, states: torch.Tensor) -> torch.Tensor:
        """Return states (..., H) with length 1, if asked for."""
        return nn.functional.normalize(states, dim=-1) if self.unit else states

    def _vectors(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return item vectors (u, D)."""
        return self.project(self._pooled(values, mask))

    def _rows(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return item vectors and tokens as one row per item, which `in_parts` can reorder."""
        hidden = self._hidden(values, mask)
        vectors = self.project(self._reduced(hidden, mask))
        return join_tokens(vectors, self._projected_tokens(hidden), mask)

    def _projected_tokens(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the vectors (u, L, D) of hidden states (u, L, H)."""
        return self.project(self._normalized(hidden[..., : self.truncate_dim]))
