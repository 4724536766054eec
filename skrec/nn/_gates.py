"""Side blocks: a narrow network beside a frozen one, fed by its layers through gates."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

TEMPERATURE = 0.1  # makes a gate learn ten times as fast as a bare logit
START = 0.01  # spread of the weights at the start, when each block almost is the identity


class SideBlock(nn.Module):
    """A bottleneck with a residual: ``x + W gelu(V x + b) + c``.

    Parameters
    ----------
    hidden_size : int
        H, the size of a state.
    bottleneck : int
        Rows of V.
    """

    def __init__(self, hidden_size: int, bottleneck: int):
        super().__init__()
        self.down = nn.Linear(hidden_size, bottleneck)
        self.up = nn.Linear(bottleneck, hidden_size)
        for linear in (self.down, self.up):
            nn.init.normal_(linear.weight, std=START)
            nn.init.zeros_(linear.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states (U, H) to (U, H)."""
        return x + self.up(F.gelu(self.down(x)))


class SideBlocks(nn.Module):
    """A side network: each block reads the block below it and one layer of a frozen model.

    With the states h of m layers, the lowest first, and blocks f of one bottleneck each::

        s[1] = f[1](h[1])
        s[i] = f[i](g[i] h[i] + (1 - g[i]) s[i - 1]),   g[i] = sigmoid(w[i] / 0.1)

    and s[m] is returned. Each gate g is one learned number between 0 and 1; all start at 1/2.

    Parameters
    ----------
    n_states : int
        m, the number of layers whose states come in.
    hidden_size : int
        H, the size of a state.
    bottleneck : int
        Size of the inner layer of each block.

    References
    ----------
    .. [1] Fu et al., "IISAN: Efficiently Adapting Multimodal Representation for Sequential
       Recommendation with Decoupled PEFT", arXiv 2404.02059; here for one modality.
    .. [2] Sung et al., "LST: Ladder Side-Tuning for Parameter and Memory Efficient Transfer
       Learning", arXiv 2206.06522: the gates and their temperature.
    """

    def __init__(self, n_states: int, hidden_size: int, bottleneck: int):
        super().__init__()
        self.blocks = nn.ModuleList(SideBlock(hidden_size, bottleneck) for _ in range(n_states))
        # a lone state is mixed with nothing
        self.logits = nn.Parameter(torch.zeros(n_states - 1)) if n_states > 1 else None

    @property
    def gates(self) -> torch.Tensor:
        """Share of each layer's state beside the block below, of shape (m - 1,)."""
        return torch.zeros(0) if self.logits is None else torch.sigmoid(self.logits / TEMPERATURE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states x (U, m, H), the lowest layer first, to (U, H)."""
        states = x.unbind(1)  # m of (U, H)
        side = self.blocks[0](states[0])
        for block, state, gate in zip(self.blocks[1:], states[1:], self.gates, strict=True):
            side = block(gate * state + (1 - gate) * side)  # (U, H)
        return side
