"""Modules of `SideNetwork`: pooled states of a frozen model, and blocks that read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from skrec.content._lm.network import POOLINGS
from skrec.content._lm.prefix import Prefix
from skrec.content._lm.split import hidden_states_of, layer_list
from skrec.content._lm.windows import mean_of_windows
from skrec.nn import SideBlocks


class PooledLayers:
    """States of several layers from one forward pass, each pooled to one vector.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, which is modified in place: layers above the highest chosen layer are dropped.
    layers : sequence of int
        Layers to read, in ascending order. 0 is the output of the embeddings, i the output of the
        i-th layer, and the number of the top layer the last hidden states after the final norm.
    pooling : {"mean", "cls", "last"}
        How the states of the tokens of an item are reduced to one vector.
    """

    def __init__(self, model: Any, layers: Sequence[int], pooling: str) -> None:
        self.prefix = Prefix(model, layers[-1])
        self._pool = POOLINGS[pooling]
        self._is_inner = layers[-1] < model.config.num_hidden_layers
        # the output of a layer is read as the input of the next layer
        self._next = [layer_list(model)[1][at] for at in layers[:-1]]

    @torch.inference_mode()
    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return pooled states (U, m, H) of ids (U, L) with mask (U, L), lowest layer first."""
        pooled: list[torch.Tensor] = []  # m of (U, H)

        def pool(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            pooled.append(self._pool(self._of_tokens(hidden_states_of(args, kwargs), mask), mask))

        hooks = [layer.register_forward_pre_hook(pool, with_kwargs=True) for layer in self._next]
        try:
            highest = self.prefix.states(ids, mask)  # (U, L, H)
        finally:
            for hook in hooks:
                hook.remove()
        if self._is_inner:
            highest = self._of_tokens(highest, mask)
        if len(pooled) < len(self._next):
            raise ValueError(self._refusal("the model calls them in a way of its own"))
        if pooled and highest.shape[2] != pooled[0].shape[1]:
            raise ValueError(
                f"the last hidden states of {type(self.prefix.model).__name__} have "
                f"{highest.shape[2]} numbers, those of its layers {pooled[0].shape[1]}, so they "
                "can't be read together; leave the last layer out of `layers`"
            )
        return torch.stack([*pooled, self._pool(highest, mask)], dim=1)

    def _of_tokens(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return states (U, L, H) of a layer without padding that the model added.

        Raises
        ------
        ValueError
            If the states are not one vector per token.
        """
        (U, L), H = mask.shape, self.prefix.model.config.hidden_size
        found = tuple(states.shape)
        if len(found) != 3 or (found[0], found[2]) != (U, H) or found[1] < L:
            raise ValueError(
                self._refusal(f"the states between them have the shape {found}, not {(U, L, H)}")
            )
        return states[:, :L]  # Longformer pads texts to a multiple of its window

    def _refusal(self, why: str) -> str:
        """Return the error message for a model whose layers can't be read."""
        model = self.prefix.model
        return (
            f"the layers of {type(model).__name__} can't be read: {why}; read the last one alone "
            f"(layers=[{model.config.num_hidden_layers}]), or take another model"
        )


class SideTower(nn.Module):
    """Module that maps pooled states to item vectors: standardization, side blocks, linear layer.

    Parameters
    ----------
    mean, scale : tensors of shape (m, H)
        Mean and scale of the states of m layers.
    bottleneck : int
        Inner size of each block.
    width : int
        Size D of item vectors.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, mean: torch.Tensor, scale: torch.Tensor, bottleneck: int, width: int
    ) -> None:
        super().__init__()
        n_states, hidden_size = mean.shape
        # not persistent, because both are in the schema that the module is built from
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.side = SideBlocks(n_states, hidden_size, bottleneck)
        self.project = nn.Linear(hidden_size, width)

    def forward(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        values = mean_of_windows(columns)  # (U, m * H)
        states = values.to(self.mean.dtype).reshape(len(values), *self.mean.shape)  # (U, m, H)
        return self.project(self.side((states - self.mean) / self.scale))
