"""Intents of texts, guided by the categories of the item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from skrec._common.checks import check_heads, check_int, check_real
from skrec._data.packed import Column
from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator, ColumnSchema
from skrec.nn import AdditiveAttention, LayerStack, Positions, TransformerLayer, masked_mean, unit


class Intents(ColumnOperator):
    r"""Several intents per text, which the categories of the item separate.

    This is the news encoder of CROWN [1]_. A Transformer layer and a mean encode each text. From
    this vector and the category of the item, `n_intents` layers compute one vector per intent, and
    additive attention combines them. The first text is the title. The other texts count in so far
    as they agree with it: their vectors are multiplied by their cosine with that of the title,
    scaled to the range from 0 to 1. Use it for items with categories and at least two texts, such
    as a title and an abstract, if titles promise more than the texts keep.

    The category of the item is also predicted from the intents of the title, and the cross-entropy
    of this prediction is added to the loss.

    Do not use it if items have one short text or no category.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. None reads all columns. The first text column is the title.
        The embeddings of all columns that are not texts together are the category of the item.
    n_intents : int, default=3
        Number of intents per text.
    n_heads : int, default=4
        Number of attention heads of the Transformer layer. Must divide the recommender's `width`.
        The paper has 10 heads of size 30.
    hidden : int, default=None
        Size of the hidden layer of the Transformer layer's feed-forward part. None uses the
        recommender's `width`. The paper has 512.
    category_weight : float, default=0.3
        Weight of the cross-entropy of the first category column in the loss. Its mean is over the
        distinct items of a batch. With 0, and without a category column or a second column, no
        category is predicted.
    dropout : float, default=0.2
        Dropout rate of the word embeddings and of the outputs of the Transformer layer's parts
        during training.
    max_length : int, default=32
        Maximum number of word pieces read from each text. With `word_vectors`, the maximum
        number of words.
    tokenizer : str, default=None
        Name or path of a pretrained tokenizer. None trains a word-piece tokenizer on the
        catalogue.
    word_vectors : str, Path or pair of these, default=None
        File of pretrained word vectors that initialize the embeddings, or with `tokenizer` the
        name or path of a language model; see `CNN`. Ignored if no text column is read.
    trainable : bool, default=True
        Whether `word_vectors` are trained further. If False, they stay as they are, words without
        a vector are read as zeros, and the layers after them are trained. Requires `word_vectors`.
    vocab_size : int, default=10000
        Size of the vocabulary of the trained tokenizer. Ignored if `tokenizer` is given. With
        `word_vectors`, the number of words from the top of the file that are kept for future
        items, in addition to the words of the catalogue.

    Attributes
    ----------
    schema_ : tuple
        Name, role and size of each column that is read.

    See Also
    --------
    Transformer : No intents; attention combines the columns.
    CNN : Faster, for short texts.

    Notes
    -----
    .. math::

       z_j = \operatorname{layer}_j([x; c]), \quad v = \sum_j \alpha_j z_j

    **Cost.** D weights per word piece and O(K D²) more for K intents; O(T² D + T D²) time per item
    with T word pieces.

    The item vector is a linear layer of the concatenation of the title, the other texts and the
    columns that are not texts, so that it has `width` entries. In the paper, item vectors are the
    concatenation itself. Positions are learned, where the authors' code has sine waves, and padding
    has no part in the means. If only one column is read, its vector is the item vector.

    References
    ----------
    .. [1] Ko et al., "CROWN: A Novel Approach to Comprehending Users' Preferences for Accurate
       Personalized News Recommendation", arXiv 2310.09401.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec import ContentRecommender, content
    >>> items = pd.DataFrame({"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "red sun"]})
    >>> items["abstract"] = ["a fox in the snow", "waves", "evening light"]
    >>> items["topic"] = pd.Categorical(["animals", "nature", "nature"])
    >>> rec = ContentRecommender(content=content.Intents(["title", "abstract", "topic"]))
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        n_intents: int = 3,
        n_heads: int = 4,
        hidden: int | None = None,
        category_weight: float = 0.3,
        dropout: float = 0.2,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        trainable: bool = True,
        vocab_size: int = 10000,
    ) -> None:
        self.columns = columns
        self.n_intents = n_intents
        self.n_heads = n_heads
        self.hidden = hidden
        self.category_weight = category_weight
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.trainable = trainable
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        check_int("n_intents", self.n_intents)
        check_heads(self.n_heads, width)
        if self.hidden is not None:
            check_int("hidden", self.hidden)
        check_real("category_weight", self.category_weight)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, schema: Any, width: int) -> nn.Module:
        def encoder() -> nn.Module:
            layer = TransformerLayer(
                width, self.n_heads, self.hidden or width, self.dropout, norm_first=False
            )
            layers = LayerStack([layer], width, self.dropout, norm=False)
            return MeanOfLayers(layers, Positions(self.max_length, width))

        def fusion(n_columns: int) -> nn.Module:
            return AgreeingTexts([c.role == "text" for c in schema], width, self.n_intents)

        roles = [column.role for column in schema]
        if self.category_weight and "text" in roles and "category" in roles:
            category = schema[roles.index("category")]
            return IntentsOfCategory(schema, width, encoder, fusion, category, self.category_weight)
        return ColumnNetwork(schema, width, encoder, fusion)


class IntentsOfCategory(ColumnNetwork):
    """Item vectors, and the cross-entropy of a category that the title's intents predict."""

    def __init__(
        self,
        schema: tuple[ColumnSchema, ...],
        width: int,
        text_encoder: Callable[[], nn.Module],
        fusion: Callable[[int], nn.Module],
        category: ColumnSchema,
        weight: float,
    ) -> None:
        super().__init__(schema, width, text_encoder, fusion)
        self.category = category
        self.weight = weight
        self.classify = nn.Linear(width, category.size)

    def penalized(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), and the weighted cross-entropy of the categories (U,)."""
        vectors = self.encode_columns(columns)
        codes = columns[self.category.name][0].squeeze(1)  # (U,), 0 if unknown
        fusion: Any = self.fusion
        title = fusion.title_of(torch.stack(vectors, dim=1), self.present(columns))  # (U, D)
        entropy = F.cross_entropy(self.classify(title), codes, reduction="none")
        return self._fuse(vectors, columns), self.weight * entropy * (codes > 0)


class MeanOfLayers(TextEncoder):
    """Layers and a mean over one text column."""

    def __init__(self, layers: LayerStack, positions: Positions) -> None:
        super().__init__()
        self.positions = positions
        self.layers = layers

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) with mask (U, L) to states (U, L, D)."""
        x = self.positions(x, torch.arange(x.shape[1], device=x.device))
        return self.layers(x, mask)

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) with mask (U, L) to vectors (U, D)."""
        return masked_mean(x, mask)


class AgreeingTexts(nn.Module):
    """Fusion of the vectors of columns: texts become intents, and weigh what they agree.

    Parameters
    ----------
    is_text : list of bool, length S
        Whether each column is a text.
    width : int
        Size D of the vectors.
    n_intents : int
        Number of intents per text, K.
    """

    text_places: torch.Tensor
    other_places: torch.Tensor

    def __init__(self, is_text: list[bool], width: int, n_intents: int) -> None:
        super().__init__()
        self.texts = [place for place, text in enumerate(is_text) if text]
        others = [place for place, text in enumerate(is_text) if not text]
        n_others = len(others)
        # on the device of the weights, because a list would be copied there in each step
        for name, places in ("text_places", self.texts), ("other_places", others):
            self.register_buffer(name, torch.tensor(places, dtype=torch.long), persistent=False)
        self.n_intents = n_intents
        if self.texts:
            self.guide = nn.Linear(n_others * width, width) if n_others else None
            size = 2 * width if n_others else width
            self.intents = nn.Linear(size, n_intents * width)
            self.title = AdditiveAttention(width, width)
        if len(self.texts) > 1:
            self.body = AdditiveAttention(width, width)
        self.project = nn.Linear(len(is_text) * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map column vectors x (U, S, D) with mask (U, S) to vectors (U, D)."""
        x = x * mask.unsqueeze(-1)  # missing columns are zeros
        others = x.index_select(1, self.other_places).flatten(1)  # (U, (S - T) D)
        if not self.texts:
            return self.project(others)
        intents = self._intents(x.index_select(1, self.text_places), others)  # (U, T, K, D)
        every = torch.ones(intents.shape[::2], dtype=torch.bool, device=x.device)  # (U, K)
        title = self.title(intents[:, 0], every)  # (U, D)
        parts = [title]
        for place, column in enumerate(self.texts[1:], start=1):
            body = self.body(intents[:, place], every)
            alike = (1 + (unit(title) * unit(body)).sum(dim=1, keepdim=True)) / 2  # (U, 1)
            parts.append(alike * body * mask[:, column].unsqueeze(1))
        return self.project(torch.cat([*parts, others], dim=1))

    def title_of(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map column vectors x (U, S, D) with mask (U, S) to the title's intents (U, D)."""
        x = x * mask.unsqueeze(-1)
        others = x.index_select(1, self.other_places).flatten(1)
        intents = self._intents(x[:, self.texts[0]].unsqueeze(1), others).squeeze(1)
        return self.title(intents, torch.ones_like(intents[..., 0], dtype=torch.bool))

    def _intents(self, texts: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Map text vectors (U, T, D) and the other columns (U, (S - T) D) to (U, T, K, D)."""
        if self.guide is not None:
            guide = self.guide(others).unsqueeze(1).expand_as(texts)  # (U, T, D)
            texts = torch.cat([texts, guide], dim=-1)
        return torch.relu(self.intents(texts)).unflatten(-1, (self.n_intents, -1))
