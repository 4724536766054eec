"""The modules on columns of every role: tokens of one width, encoded and fused, or as one sequence.

::

    text            word pieces  --embed-->  n tokens  --encoder-->  vector  --+
    multi-category  codes        --embed-->  n tokens  --mean----->  vector  --+
    category        a code       --embed-->  1 token                 vector  --+--> fusion
    number          standardised --linear->  1 token                 vector  --+
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

# embeddings start small, so that first scores are near zero and losses near the chance level
INITIAL_SCALE = 0.1


def _embedding(column: ColumnSchema, width: int) -> nn.Module:
    """Make the layer that turns a column's values into vectors of one width."""
    if column.role in ("number", "vector"):
        return nn.Linear(column.size, width)
    if column.vector_size is not None:
        return _word_embedding(column, column.vector_size, width)
    table = nn.Embedding(column.size, width)
    nn.init.normal_(table.weight, std=INITIAL_SCALE)
    if column.role != "text":
        with torch.no_grad():  # an unseen category is neutral until training says otherwise
            table.weight[0].zero_()
    return table


def _word_embedding(column: ColumnSchema, size: int, width: int) -> nn.Module:
    """Make the layer that embeds words, from their pretrained vectors if these are at hand.

    One factor for all brings them to the scale of other embeddings.
    """
    table = nn.Embedding(column.size, size)
    nn.init.normal_(table.weight, std=INITIAL_SCALE)
    if column.vectors is not None:
        vectors = torch.from_numpy(column.vectors)
        scale = INITIAL_SCALE / (vectors.double().square().mean().sqrt().item() or 1.0)
        with torch.no_grad():
            table.weight[1:] = vectors * scale
    if size == width:
        return table
    project = nn.Linear(size, width, bias=False)
    nn.init.normal_(project.weight, std=size**-0.5)  # nearly keeps lengths and angles
    return nn.Sequential(table, project)


def _embed_whole(column: ColumnSchema, embed: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Embed a column that has one token an item: values (U, k) to (U, D)."""
    if column.role == "category":
        return embed(values.squeeze(1))
    return embed(values.to(next(embed.parameters()).dtype))


class TextEncoder(nn.Module):
    """Base of encoders of one text column: states of its tokens, pooled to one vector.

    A subclass defines `pool`, and `states` where tokens are mixed before.
    """

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) under mask (U, L) to states (U, L, D)."""
        return x

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) under mask (U, L) to a vector an item (U, D)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (U, L, D) under mask (U, L) to (U, D)."""
        return self.pool(self.states(x, mask), mask)


class MeanEncoder(TextEncoder):
    """Masked mean of a column's tokens."""

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (U, L, D) under mask (U, L) to (U, D)."""
        return masked_mean(x, mask)


class ColumnEmbeddings(nn.Module):
    """Embeds columns of every role as vectors of one width; base of networks on them.

    Parameters
    ----------
    schema : tuple of ColumnSchema
        Text columns share one table of embeddings.
    width : int
        D.
    """

    def __init__(self, schema: tuple[ColumnSchema, ...], width: int):
        super().__init__()
        self.schema = schema
        self.keys = ["text" if c.role == "text" else str(i) for i, c in enumerate(schema)]
        self.embeddings = nn.ModuleDict()
        for key, column in zip(self.keys, schema, strict=True):
            if key not in self.embeddings:
                self.embeddings[key] = _embedding(column, width)

    def embed_sequence(
        self, columns: dict[str, Column]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embed the n real tokens of all columns once, as one sequence an item.

        A sequence holds an item's tokens in the order of the columns, then padding.
        ``F.embedding(place, x)`` lays all out as (U, T, D), `encode_by_length` in parts.

        Parameters
        ----------
        columns : dict of str to (values, mask)
            What ``Packed.take`` returns of U items.

        Returns
        -------
        x : tensor of shape (n + 1, D)
            Zeros, which stand for padding, then the tokens.
        place : int64 tensor of shape (U, T)
            Rows of x.
        mask : bool tensor of shape (U, T)
            True where a token is real.
        """
        parts, rows = [], []
        for column, key in zip(self.schema, self.keys, strict=True):
            values, real = columns[column.name]
            if column.role in ("text", "multi-category"):
                parts.append(self.embeddings[key](values[real]))
            else:
                parts.append(_embed_whole(column, self.embeddings[key], values))
            rows.append(real.nonzero()[:, 0])
        x = F.pad(torch.cat(parts), (0, 0, 1, 0))  # (n + 1, D): column by column
        item = torch.cat(rows)  # (n,): whose token each is
        lengths = torch.bincount(item, minlength=len(real))  # (U,)
        mask = torch.arange(max(1, int(lengths.max())), device=item.device) < lengths.unsqueeze(1)
        place = torch.zeros_like(mask, dtype=torch.long)  # (U, T)
        place[mask] = torch.argsort(item, stable=True) + 1  # item by item
        return x, place, mask


class ColumnNetwork(ColumnEmbeddings):
    """Embeds columns, encodes each to one vector, and fuses these to the item vector.

    Parameters
    ----------
    schema : tuple of ColumnSchema
        Text columns share one table of embeddings.
    width : int
        D.
    text_encoder : callable
        Makes the `TextEncoder` of a text column; columns of one token need none.
    fusion : callable
        Makes, for a number of columns S, the module ``(columns (U, S, D), mask (U, S)) ->
        (U, D)``; not called where there is one column.
    list_encoder : callable, default=MeanEncoder
        Makes the `TextEncoder` of a multi-category.
    """

    def __init__(
        self,
        schema: tuple[ColumnSchema, ...],
        width: int,
        text_encoder: Callable[[], nn.Module],
        fusion: Callable[[int], nn.Module],
        list_encoder: Callable[[], nn.Module] = MeanEncoder,
    ):
        super().__init__(schema, width)
        encoders = {"text": text_encoder, "multi-category": list_encoder}
        self.encoders = nn.ModuleList(encoders.get(c.role, nn.Identity)() for c in schema)
        self.fusion = fusion(len(schema)) if len(schema) > 1 else None

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return the item vectors (U, D)."""
        vectors = [
            self._encode(column, self.embeddings[key], encoder, *columns[column.name])
            for column, key, encoder in zip(self.schema, self.keys, self.encoders, strict=True)
        ]
        return self._fuse(vectors, columns)

    def _fuse(self, vectors: list[torch.Tensor], columns: dict[str, Column]) -> torch.Tensor:
        """Make item vectors (U, D) of the columns' vectors, (U, D) each."""
        if self.fusion is None:
            return vectors[0]
        masks = [columns[column.name][1] for column in self.schema]
        present = torch.stack([mask.any(dim=1) for mask in masks], dim=1)  # (U, S)
        return self.fusion(torch.stack(vectors, dim=1), present)  # (U, D)

    def tokens(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the item vectors (U, D), and the states (U, T, D) of all columns' tokens.

        Real tokens come first; the mask (U, T) says which are.
        """
        vectors, states, masks = [], [], []
        encoder: Any  # a TextEncoder wherever it is called
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
        """Turn one column of U items into vectors (U, D)."""
        if column.role in ("text", "multi-category"):
            return encode_by_length(embed, encoder, values, mask)
        return _embed_whole(column, embed, values)
