"""Side blocks: a narrow network that reads the layers of a frozen model through gates."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

TEMPERATURE = 0.1  # gates learn ten times as fast as with a temperature of 1
START = 0.01  # standard deviation of initial weights: each block starts close to the identity


class SideBlock(nn.Module):
    """Bottleneck with a residual connection, ``x + W gelu(V x + b) + c``.

    Parameters
    ----------
    hidden_size : int
        Size of a state, H.
    bottleneck : int
        Number of rows of V.
    """

    def __init__(self, hidden_size: int, bottleneck: int) -> None:
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
    """Side network: each block reads the previous block and one layer of a frozen model.

    With the states h of m layers, the lowest first, and one bottleneck block f per layer::

        s[1] = f[1](h[1])
        s[i] = f[i](g[i] h[i] + (1 - g[i]) s[i - 1]),   g[i] = sigmoid(w[i] / 0.1)

    The output is s[m]. Each gate g is one learned number between 0 and 1 and starts at 1/2.

    Parameters
    ----------
    n_states : int
        Number of layers whose states are read, m.
    hidden_size : int
        Size of a state, H.
    bottleneck : int
        Size of the hidden layer of each block.

    References
    ----------
    .. [1] Fu et al., "IISAN: Efficiently Adapting Multimodal Representation for Sequential
       Recommendation with Decoupled PEFT", arXiv 2404.02059; here for one modality.
    .. [2] Sung et al., "LST: Ladder Side-Tuning for Parameter and Memory Efficient Transfer
       Learning", arXiv 2206.06522: the gates and their temperature.
    """

    def __init__(self, n_states: int, hidden_size: int, bottleneck: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SideBlock(hidden_size, bottleneck) for _ in range(n_states))
        # a single state has nothing to be mixed with
        self.logits = nn.Parameter(torch.zeros(n_states - 1)) if n_states > 1 else None

    @property
    def gates(self) -> torch.Tensor:
        """Share of the layer's state in the input of each block after the first, (m - 1,)."""
        return torch.zeros(0) if self.logits is None else torch.sigmoid(self.logits / TEMPERATURE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states x (U, m, H), the lowest layer first, to (U, H)."""
        states = x.unbind(1)  # m tensors (U, H)
        side = self.blocks[0](states[0])
        for block, state, gate in zip(self.blocks[1:], states[1:], self.gates, strict=True):
            side = block(gate * state + (1 - gate) * side)  # (U, H)
        return side
