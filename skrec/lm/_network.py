"""The module that a language model makes: the trained part of it, pooled to an item vector."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skrec.lm._split import Top
from skrec.nn import AdditiveAttention, in_parts, last_real, masked_mean

# padded tokens that are encoded together; on a CPU few, so that lengths are alike
PART_ON_CPU, PART_ON_GPU = 1 << 11, 1 << 14
# tokens whose activations are kept for the backward pass; beyond, they are computed again
TOKEN_BUDGET = 1 << 14


def first_token(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the first vectors (B, D) of x (B, L, D)."""
    return x[:, 0]


POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean": masked_mean,
    "cls": first_token,
    "last": last_real,
}


def part_size(device: torch.device) -> int:
    """Return how many padded tokens a language model best reads at a time."""
    return PART_ON_CPU if device.type == "cpu" else PART_ON_GPU


class LanguageModelNetwork(nn.Module):
    """Token ids or prefix states, through the top of a language model, pooled to item vectors.

    A batch of more than `TOKEN_BUDGET` tokens never holds the activations of more than a part of
    them: the others are computed again in the backward pass, as in [1]_.

    Parameters
    ----------
    top : Top or None
        The trained layers; None where states are the last ones.
    pooling : {"attention", "mean", "cls", "last"}
        How hidden states become one vector.
    output_size : int
        H, the size of the last hidden states.
    width : int
        D, the size of item vectors.

    References
    ----------
    .. [1] Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
       arXiv 2101.06983.
    """

    def __init__(self, top: Top | None, pooling: str, output_size: int, width: int):
        super().__init__()
        self.top = top
        self.pool = POOLINGS.get(pooling) or AdditiveAttention(output_size, width)
        self.project = nn.Linear(output_size, width)

    def forward(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return the item vectors (U, D)."""
        [(values, mask)] = columns.values()  # (U, L) or (U, L, H), and (U, L)
        lengths = mask.sum(dim=1)
        again = torch.is_grad_enabled() and int(lengths.sum()) > TOKEN_BUDGET

        def encode(rows: torch.Tensor, length: int) -> torch.Tensor:
            part = values[rows, :length], mask[rows, :length]
            if again and self.top is not None:
                return checkpoint(self._encode, *part, use_reentrant=False)
            return self._encode(*part)

        return in_parts(encode, lengths, part_size(mask.device))

    def _encode(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = values if self.top is None else self.top(values, mask)  # (u, L, H)
        pooled = self.pool(hidden.to(self.project.weight.dtype), mask)  # (u, H)
        return self.project(pooled)
