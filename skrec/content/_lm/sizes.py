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
    try:
        return model(input_ids=ids, attention_mask=ids + 1).last_hidden_state.shape[-1]
    except Exception as error:  # the code of an architecture may raise anything
        raise ValueError(
            f"{type(model).__name__} can't read a text of one token, which some items may have; "
            f"take another model: {error}"
        ) from error


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


@torch.inference_mode()
def check_first_token(model: Any) -> None:
    """Raise a ValueError for a model whose first state is the same for all texts.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model.

    Raises
    ------
    ValueError
        If the last hidden state of the first token does not depend on the tokens after it, as in
        decoders.
    """
    ids = torch.arange(5, device=model.device).unsqueeze(0)  # (1, L)
    others = torch.cat([ids[:, :1], ids[:, 1:].flip(1) + 1], dim=1)
    one, other = (
        model(input_ids=given, attention_mask=torch.ones_like(given)).last_hidden_state[:, 0]
        for given in (ids, others)
    )
    tolerance = 8 * torch.finfo(one.dtype).eps * float(one.abs().max())
    if torch.allclose(one, other, rtol=0, atol=tolerance):
        raise ValueError(
            f"pooling='cls' reads the first token, which in {type(model).__name__} knows nothing "
            "of the tokens after it, so all items would have the same vector; take 'last', 'mean' "
            "or, for a LanguageModel, 'attention'"
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
    if longest is not None and longest < 1:  # XLNet states -1, because it has no maximum
        longest = None
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            used_up = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - used_up  # RoBERTa counts from padding_idx + 1
    return longest
