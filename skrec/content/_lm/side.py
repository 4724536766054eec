"""What stands beside a frozen language model: pooled states of its layers, and blocks on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from skrec.content._lm.network import POOLINGS
from skrec.content._lm.prefix import Prefix
from skrec.content._lm.split import _hidden, layer_list
from skrec.nn import SideBlocks


class PooledLayers:
    """Chosen layers of a language model, each pooled to one vector, from one run of it.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Changed in place: the layers above the highest chosen one are dropped.
    layers : sequence of int
        Which, in rising order: 0 is what the embeddings give, i the output of the i-th layer, and
        the last one the last hidden states, after the final norm.
    pooling : {"mean", "cls", "last"}
        How the states of an item's tokens become one vector.
    """

    def __init__(self, model: Any, layers: Sequence[int], pooling: str):
        self.prefix = Prefix(model, layers[-1])
        self._pool = POOLINGS[pooling]
        # what goes into the next layer is what came out of this one
        self._next = [layer_list(model)[1][at] for at in layers[:-1]]

    @torch.inference_mode()
    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return pooled states (U, m, H), the lowest layer first, of ids (U, L) under a mask."""
        pooled: list[torch.Tensor] = []  # m of (U, H)

        def read(_: nn.Module, args: tuple, kwargs: dict) -> None:
            pooled.append(self._pool(_hidden(args, kwargs), mask))

        hooks = [layer.register_forward_pre_hook(read, with_kwargs=True) for layer in self._next]
        try:
            highest = self.prefix.states(ids, mask)  # (U, L, H)
        finally:
            for hook in hooks:
                hook.remove()
        if pooled and highest.shape[2] != pooled[0].shape[1]:
            raise ValueError(
                f"the last hidden states of {type(self.prefix.model).__name__} have "
                f"{highest.shape[2]} numbers, those of its layers {pooled[0].shape[1]}, so they "
                "can't be read together; leave the last layer out of `layers`"
            )
        return torch.stack([*pooled, self._pool(highest, mask)], dim=1)


class SideTower(nn.Module):
    """Standardised pooled states, through side blocks and a linear layer to item vectors.

    Parameters
    ----------
    mean, scale : tensors of shape (m, H)
        Subtracted from the states of m layers, then divided by.
    bottleneck : int
        Inner size of each block.
    width : int
        D, the size of item vectors.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor, bottleneck: int, width: int):
        super().__init__()
        n_states, hidden_size = mean.shape
        # whoever builds the module knows them, so a state_dict need not
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.side = SideBlocks(n_states, hidden_size, bottleneck)
        self.project = nn.Linear(hidden_size, width)

    def forward(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return the item vectors (U, D)."""
        [(values, _)] = columns.values()  # (U, 1, m * H)
        states = values.to(self.mean.dtype).reshape(len(values), *self.mean.shape)  # (U, m, H)
        return self.project(self.side((states - self.mean) / self.scale))
