"""The module that a language model makes: the trained part of it, pooled to an item vector."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skrec.content._lm.split import Top
from skrec.nn import AdditiveAttention, in_parts, join_tokens, last_real, masked_mean, split_tokens

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
        return self._in_parts(self._vectors, columns)

    def tokens(
        self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the item vectors (U, D), their tokens (U, L, D), and which are real (U, L)."""
        width = self.project.out_features
        vectors, tokens = self._in_parts(self._rows, columns).tensor_split([width], dim=1)
        return vectors, *split_tokens(tokens, width)

    def _in_parts(
        self,
        encode: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        columns: dict[str, tuple[torch.Tensor, torch.Tensor]],
    ) -> torch.Tensor:
        [(values, mask)] = columns.values()  # (U, L) or (U, L, H), and (U, L)
        lengths = mask.sum(dim=1)
        again = torch.is_grad_enabled() and int(lengths.sum()) > TOKEN_BUDGET

        def encode_part(rows: torch.Tensor, length: int) -> torch.Tensor:
            part = values[rows, :length], mask[rows, :length]
            if again and self.top is not None:
                return checkpoint(encode, *part, use_reentrant=False)
            return encode(*part)

        return in_parts(encode_part, lengths, part_size(mask.device))

    def _hidden(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = values if self.top is None else self.top(values, mask)  # (u, L, H)
        return hidden.to(self.project.weight.dtype)

    def _vectors(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.project(self.pool(self._hidden(values, mask), mask))

    def _rows(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return vectors and tokens as rows, which are put in order like vectors."""
        hidden = self._hidden(values, mask)
        vectors = self.project(self.pool(hidden, mask))
        return join_tokens(vectors, self.project(hidden), mask)
