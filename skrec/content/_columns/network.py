"""Modules that read columns of every role and return item vectors.

Each column becomes one or more tokens of size D. `ColumnNetwork` encodes each column to a vector
and fuses the vectors; `ColumnEmbeddings.embed_sequence` returns the tokens of all columns as one
sequence.

::

    text            word pieces  --embed-->  n tokens  --encoder-->  vector  --+
    multi-category  codes        --embed-->  n tokens  --mean----->  vector  --+
    category        one code     --embed-->  1 token                 vector  --+--> fusion
    number          standardized --linear->  1 token                 vector  --+
    vector          floats       --linear->  1 token                 vector  --+
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from skrec._data.packed import Column
from skrec.content._columns.operator import ColumnSchema
from skrec.nn import encode_by_length, masked_mean, real_first

# small initial embeddings give scores near zero, and thus a first loss near the chance level
INITIAL_SCALE = 0.1


def _embedding(column: ColumnSchema, width: int) -> nn.Module:
    """Create the layer that maps the values of a column to vectors (..., width)."""
    if column.role in ("number", "vector"):
        return nn.Linear(column.size, width)
    if column.vector_size is not None:
        return _word_embedding(column, column.vector_size, width)
    table = nn.Embedding(column.size, width)
    nn.init.normal_(table.weight, std=INITIAL_SCALE)
    if column.role != "text":
        with torch.no_grad():  # an unseen category is neutral unless training changes it
            table.weight[0].zero_()
    return table


def _word_embedding(column: ColumnSchema, size: int, width: int) -> nn.Module:
    """Create the layer that embeds words, initialized with pretrained vectors if there are any.

    The pretrained vectors are multiplied by one factor that gives them the scale of other
    embeddings. If they are not trained, unknown words have a vector of zeros.
    """
    table = nn.Embedding(column.size, size)
    nn.init.normal_(table.weight, std=INITIAL_SCALE)
    if not column.trainable:
        nn.init.zeros_(table.weight)
        table.weight.requires_grad_(False)
    if column.vectors is not None:
        vectors = torch.from_numpy(column.vectors)
        scale = INITIAL_SCALE / (vectors.double().square().mean().sqrt().item() or 1.0)
        with torch.no_grad():
            table.weight[column.size - len(vectors) :] = vectors * scale
    if size == width:
        return table
    project = nn.Linear(size, width, bias=False)
    nn.init.normal_(project.weight, std=size**-0.5)  # approximately keeps lengths and angles
    return nn.Sequential(table, project)


def _embed_whole(column: ColumnSchema, embed: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Embed a column with one token per item: map values (U, k) to vectors (U, D)."""
    if column.role == "category":
        return embed(values.squeeze(1))
    return embed(values.to(next(embed.parameters()).dtype))


class TextEncoder(nn.Module):
    """Base class of modules that encode one text column: token states, pooled to one vector.

    A subclass defines `pool`. It overrides `states` if tokens interact before they are pooled.
    """

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) with mask (U, L) to states (U, L, D)."""
        return x

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) with mask (U, L) to one vector per item (U, D)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) with mask (U, L) to vectors (U, D)."""
        return self.pool(self.states(x, mask), mask)


class MeanEncoder(TextEncoder):
    """Masked mean of the tokens of a column."""

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map tokens x (U, L, D) with mask (U, L) to vectors (U, D)."""
        return masked_mean(x, mask)


class ColumnEmbeddings(nn.Module):
    """Base class of modules that embed columns of every role as vectors of one size.

    Parameters
    ----------
    schema : tuple of ColumnSchema
        Columns to embed. All text columns share one embedding table.
    width : int
        Size D of the vectors.
    """

    def __init__(self, schema: tuple[ColumnSchema, ...], width: int) -> None:
        super().__init__()
        self.schema = schema
        self.keys = ["text" if c.role == "text" else str(i) for i, c in enumerate(schema)]
        self.embeddings = nn.ModuleDict()
        for key, column in zip(self.keys, schema, strict=True):
            if key not in self.embeddings:
                self.embeddings[key] = _embedding(column, width)

    def read_texts_from(self, layer: nn.Module) -> nn.Module:
        """Read the embeddings of texts from another layer, and return the one that is replaced."""
        embed = self.embeddings["text"]
        self.embeddings["text"] = layer
        return embed

    def embed_sequence(
        self, columns: dict[str, Column]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embed the real tokens of all columns as one sequence per item.

        A sequence contains the tokens of an item in the order of the columns, followed by padding.
        Each of the n real tokens is embedded once; on a GPU, padding is embedded, too. Use
        ``F.embedding(place, x)`` to get all sequences as (U, T, D), or `encode_by_length` to get
        them in micro-batches.

        Parameters
        ----------
        columns : dict of str to (values, mask)
            Columns of U items, as returned by ``Packed.take``.

        Returns
        -------
        x : tensor of shape (n + 1, D)
            Vectors of the tokens, after a row of zeros for padding.
        place : int64 tensor of shape (U, T)
            Row of x for each position.
        mask : bool tensor of shape (U, T)
            True for real tokens.
        """
        if not all(real.device.type == "cpu" for _, real in columns.values()):
            return self._embed_padded(columns)
        parts, rows = [], []
        for column, key in zip(self.schema, self.keys, strict=True):
            values, real = columns[column.name]
            if column.role in ("text", "multi-category"):
                parts.append(self.embeddings[key](values[real]))
            else:
                parts.append(_embed_whole(column, self.embeddings[key], values))
            rows.append(real.nonzero()[:, 0])
        x = F.pad(torch.cat(parts), (0, 0, 1, 0))  # (n + 1, D), ordered by column
        item = torch.cat(rows)  # (n,), the item of each token
        lengths = torch.bincount(item, minlength=len(real))  # (U,)
        mask = torch.arange(max(1, int(lengths.max())), device=item.device) < lengths.unsqueeze(1)
        place = torch.zeros_like(mask, dtype=torch.long)  # (U, T)
        place[mask] = torch.argsort(item, stable=True) + 1  # ordered by item, then by column
        return x, place, mask

    def _embed_padded(
        self, columns: dict[str, Column]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what `embed_sequence` returns, without waiting for numbers of tokens."""
        parts, masks = [], []
        for column, key in zip(self.schema, self.keys, strict=True):
            values, real = columns[column.name]
            if column.role in ("text", "multi-category"):
                parts.append(self.embeddings[key](values))  # (U, L, D)
            else:
                parts.append(_embed_whole(column, self.embeddings[key], values).unsqueeze(1))
            masks.append(real)
        x, mask = real_first(torch.cat(parts, dim=1), torch.cat(masks, dim=1))
        place = torch.arange(1, mask.numel() + 1, device=mask.device).view_as(mask)
        x = F.pad(x.flatten(0, 1), (0, 0, 1, 0))
        return x, place.masked_fill(~mask, 0), mask


class ColumnNetwork(ColumnEmbeddings):
    """Module that embeds columns, encodes each to one vector, and fuses these to the item vector.

    Parameters
    ----------
    schema : tuple of ColumnSchema
        Columns to read. All text columns share one embedding table.
    width : int
        Size D of item vectors.
    text_encoder : callable
        Function that creates the `TextEncoder` of a text column.
    fusion : callable
        Function that takes the number of columns S and creates the module that maps column vectors
        (U, S, D) with a mask (U, S) to (U, D). Not called if there is only one column.
    list_encoder : callable, default=MeanEncoder
        Function that creates the `TextEncoder` of a multi-category column.
    """

    def __init__(
        self,
        schema: tuple[ColumnSchema, ...],
        width: int,
        text_encoder: Callable[[], nn.Module],
        fusion: Callable[[int], nn.Module],
        list_encoder: Callable[[], nn.Module] = MeanEncoder,
    ) -> None:
        super().__init__(schema, width)
        encoders = {"text": text_encoder, "multi-category": list_encoder}
        self.encoders = nn.ModuleList(encoders.get(c.role, nn.Identity)() for c in schema)
        self.fusion = fusion(len(schema)) if len(schema) > 1 else None

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        return self._fuse(self.encode_columns(columns), columns)

    def encode_columns(self, columns: dict[str, Column]) -> list[torch.Tensor]:
        """Return the vectors of the columns, (U, D) each."""
        return [
            self._encode(column, self.embeddings[key], encoder, *columns[column.name])
            for column, key, encoder in zip(self.schema, self.keys, self.encoders, strict=True)
        ]

    def present(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return which items have a value in which column (U, S)."""
        masks = [columns[column.name][1] for column in self.schema]
        return torch.stack([mask.any(dim=1) for mask in masks], dim=1)

    def _fuse(self, vectors: list[torch.Tensor], columns: dict[str, Column]) -> torch.Tensor:
        """Combine the vectors of the columns, (U, D) each, to item vectors (U, D)."""
        if self.fusion is None:
            return vectors[0]
        return self.fusion(torch.stack(vectors, dim=1), self.present(columns))  # (U, D)

    def tokens(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), the token states (U, T, D) and their mask (U, T).

        Real tokens come before padding.
        """
        vectors, states, masks = [], [], []
        encoder: Any  # a TextEncoder for columns with several tokens
        for column, key, encoder in zip(self.schema, self.keys, self.encoders, strict=True):
            values, mask = columns[column.name]
            if column.role in ("text", "multi-category"):
                x = encoder.states(self.embeddings[key](values), mask)  # (U, L, D)
                vectors.append(encoder.pool(x, mask))
            else:
                vectors.append(_embed_whole(column, self.embeddings[key], values))
                x = vectors[-1].unsqueeze(1)  # (U, 1, D)
            states.append(x)
            masks.append(mask)
        x, mask = real_first(torch.cat(states, dim=1), torch.cat(masks, dim=1))
        return self._fuse(vectors, columns), x, mask

    @staticmethod
    def _encode(
        column: ColumnSchema,
        embed: nn.Module,
        encoder: nn.Module,
        values: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        """Encode one column of U items to vectors (U, D)."""
        if column.role in ("text", "multi-category"):
            return encode_by_length(embed, encoder, values, mask)
        return _embed_whole(column, embed, values)
