"""The frozen prefix of a language model, which computes the states that are kept."""

from __future__ import annotations

from typing import Any

import torch

from skrec.content._lm.split import Reached, Stop, layer_list


class Prefix:
    """Embeddings and lowest layers of a language model, in evaluation mode and without autograd.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Changed in place: the layers above are dropped, to free their memory.
    n_frozen : int
        Layers that are run; all of them give the last hidden states, after the final norm.
    """

    def __init__(self, model: Any, n_frozen: int):
        layers = layer_list(model)[1]
        for at in range(n_frozen, len(layers)):
            layers[at] = Stop(layers[at])
        self.model = model.eval().requires_grad_(False)

    @torch.inference_mode()
    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the states (U, L, H) of token ids (U, L) under mask (U, L)."""
        try:
            return self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        except Reached as reached:
            return reached.args[0]
