"""Number types and sizes of language models."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


@torch.inference_mode()
def output_size(model: Any) -> int:
    """Return the size of the last hidden states of a model.

    It may differ from the size of the states between layers: some OPT models project the last ones.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model.

    Returns
    -------
    int
    """
    ids = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    return model(input_ids=ids, attention_mask=ids + 1).last_hidden_state.shape[-1]


@torch.inference_mode()
def check_padding(model: Any) -> None:
    """Raise a ValueError for a model in which padding changes the states of the tokens before it.

    With such a model, the vector of an item would depend on the items in the same batch.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model.

    Raises
    ------
    ValueError
        If padding changes the states. An example is ConvBERT, which convolves over the padding.
    """
    ids = torch.arange(5, device=model.device).unsqueeze(0)  # (1, L)
    mask = (ids < 3).long()
    alone = model(input_ids=ids[:, :3], attention_mask=mask[:, :3]).last_hidden_state
    padded = model(input_ids=ids * mask, attention_mask=mask).last_hidden_state[:, :3]
    # leaking padding changes states much more than kernels that sum in another order
    tolerance = 0.1 if model.dtype.itemsize < 4 else 1e-3
    difference = (padded - alone).abs().max() / alone.abs().max()
    if difference > tolerance:
        raise ValueError(
            f"{type(model).__name__} lets padding change what it reads, so an item's vector would "
            "depend on its neighbours; take another model"
        )


def max_tokens(model: Any) -> int | None:
    """Return the maximum number of tokens for which a model has positions.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model.

    Returns
    -------
    int or None
        None if the model has no learned positions and its configuration states no maximum.
    """
    longest = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            used_up = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - used_up  # RoBERTa counts from padding_idx + 1
    return longest
