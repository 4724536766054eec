"""The frozen prefix of a language model, which computes prefix states."""

from __future__ import annotations

from typing import Any

import torch

from skrec.content._lm.split import PrefixComputed, Stop, layer_list


class Prefix:
    """Embeddings and lowest layers of a language model, in evaluation mode and without autograd.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, which is modified in place: layers above the prefix are dropped to free memory.
    n_frozen : int
        Number of layers in the prefix. If it equals the number of layers, the states are the last
        hidden states after the final norm.
    """

    def __init__(self, model: Any, n_frozen: int) -> None:
        if n_frozen < model.config.num_hidden_layers:
            layers = layer_list(model)[1]
            for at in range(n_frozen, len(layers)):
                layers[at] = Stop(layers[at])
        self.model = model.eval().requires_grad_(False)

    @torch.inference_mode()
    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the states (U, L, H) of token ids (U, L) with mask (U, L)."""
        try:
            return self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        except PrefixComputed as computed:
            return computed.args[0]
