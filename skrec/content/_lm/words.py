"""The words that a language model reads of an item, to explain the score of the item."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from skrec.content._lm.text import token_ids
from skrec.content._words import GivenTokens, ReadWords
from skrec.content._words_of_tokens import words_of_tokens

SAMPLE = 4096  # embeddings of which the mean is taken


class FromEmbeddings(nn.Module):
    """Whole language model that reads the embeddings of tokens.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model.
    given : GivenTokens
        Layer that returns the embeddings of codes.
    """

    def __init__(self, model: Any, given: GivenTokens) -> None:
        super().__init__()
        self.model, self.given = model, given

    def forward(self, codes: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return last hidden states (U, L, H) of codes (U, L)."""
        embeddings = self.given(codes)
        return self.model(inputs_embeds=embeddings, attention_mask=mask.long()).last_hidden_state


def read_tokens(
    model: Any, tokenizer: Any, text: str, max_length: int, column: str, name: str
) -> ReadWords:
    """Prepare the text of an item for an explanation of its score.

    The embedding of the padding token says nothing, or the mean embedding if there is no such
    token. Special tokens are no part of the text and stay as they are.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The whole model.
    tokenizer : transformers tokenizer
        Its tokenizer.
    text : str
        The text.
    max_length : int
        Maximum number of tokens, including special tokens.
    column : str
        Name of the column of the catalogue that contains the text.
    name : str
        Name of the packed column.

    Returns
    -------
    ReadWords
    """
    _, ids = token_ids(tokenizer, [text], max_length)
    words, word_of_token = _words(tokenizer, text, ids, max_length)
    embed = model.get_input_embeddings()
    with torch.no_grad():
        x = embed(torch.from_numpy(ids).to(embed.weight.device))
        nothing = _embedding_of_nothing(embed, tokenizer.pad_token_id)
    is_text = torch.from_numpy(word_of_token >= 0).to(x.device)
    base = torch.where(is_text.unsqueeze(1), nothing, x)
    spans = {name: slice(0, len(ids))}
    columns = [column] * len(words)
    return ReadWords(columns, words, word_of_token, spans, x, base, GivenTokens())


def _words(
    tokenizer: Any, text: str, ids: np.ndarray, max_length: int
) -> tuple[list[str], np.ndarray]:
    """Return the words of a text, and the word of each token; -1 for special tokens."""
    word_of_token = np.full(len(ids), -1)
    if not getattr(tokenizer, "is_fast", False):  # places of tokens are unknown
        is_text = np.flatnonzero(~np.isin(ids, tokenizer.all_special_ids))
        word_of_token[is_text] = np.arange(len(is_text))
        return tokenizer.convert_ids_to_tokens(ids[is_text].tolist()), word_of_token
    encoded = tokenizer(
        text,
        truncation=True,
        max_length=max_length,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    is_text = np.flatnonzero(np.array(encoded["special_tokens_mask"], dtype=int) == 0)
    places = [encoded["offset_mapping"][at] for at in is_text]
    words, word_of_token[is_text] = words_of_tokens(text, places)
    return words, word_of_token


def _embedding_of_nothing(embed: nn.Embedding, pad: int | None) -> torch.Tensor:
    """Return the embedding (E,) of the padding token, or the mean embedding."""
    n_tokens, device = len(embed.weight), embed.weight.device
    if pad is not None and pad < n_tokens:
        found = embed(torch.tensor(pad, device=device))
        if found.any():  # zeros are no input that models without biases can read
            return found
    step = max(1, n_tokens // SAMPLE)
    return embed(torch.arange(0, n_tokens, step, device=device)).mean(dim=0)
