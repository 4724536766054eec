"""Small trained blocks on stored states of a frozen language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

from skrec._common.checks import check_choice, check_int
from skrec._data.items import Items
from skrec._data.packed import Packed
from skrec.content._lm import DTYPES, POOLINGS, PooledLayers, SideTower
from skrec.content._lm.pretrained import (
    PretrainedSchema,
    PretrainedText,
    RowEncoder,
    StoredRows,
)
from skrec.content._lm.windows import mean_of_windows

PART = 1 << 12  # number of items whose states are in memory at once while they are measured
MIN_SPREAD = 1e-3  # smallest scale of an entry, relative to the median scale of its layer


@dataclass(frozen=True, eq=False)
class SideSchema(PretrainedSchema):
    """Schema of the language model, with mean and scale of the states, both of shape (m, H)."""

    mean: np.ndarray
    scale: np.ndarray


class SideNetwork(PretrainedText):
    r"""Small trained blocks on stored states of a frozen language model.

    The language model reads the text of each item once. Its states after several layers are each
    pooled to one vector and stored on disk. A narrow network is trained on these vectors: block i
    reads the i-th vector and the output of block i - 1, mixed by a learned gate. Training costs
    about as little as training on fixed vectors, ``LanguageModel(trainable_layers=0)``, but also
    uses the information in lower layers. Use it first: with many clicks, it ranks as well as a
    model whose layers are trained.

    For the standardized states h of m layers, lowest layer first, with one gate g per layer::

        s[1] = f[1](h[1])
        s[i] = f[i](g[i] h[i] + (1 - g[i]) s[i - 1])
        item vector = W s[m] + b

    Each block f is a bottleneck with a residual connection, ``f(x) = x + U gelu(V x)``. This is the
    text side of IISAN [1]_, except that states are standardized. IISAN reads the states of BERT,
    which are already normalized. In decoders, a few entries of the states are thousands of times
    larger than the others and almost equal for all texts. Without standardization, they would hide
    the differences between texts.

    Do not use it if clicks are few: after some hundred impressions,
    ``LanguageModel(trainable_layers=1)`` is more accurate.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Name on the Hugging Face Hub, path of a folder or of a GGUF file, or a model. A model that
        is passed as an object is copied and never modified; if it was created in memory, it
        requires a `tokenizer`.
    layers : sequence of int, default=None
        Layers whose states are read. Layer 0 is the output of the embeddings, and layer i the
        output of the i-th layer from the bottom. For the top layer, the last hidden states after
        the final norm are read. None reads the embeddings and every second layer, counted from the
        top, as in [1]_: 0, 2, 4 and 6 of six layers.
    bottleneck : int, default=64
        Inner size of each block.
    pooling : {"mean", "cls", "last"}, default="mean"
        How the states of a text are reduced to one vector: to their mean, to the first token (for
        encoders such as BERT), or to the last token (the only token of a decoder that has read the
        whole text).
    template : str, default=None
        Text of an item, with names of columns in braces: ``"{title} ({genres})"``. None uses all
        columns except vectors, as ``"title: ..., genres: ..."``; a single column is used without
        its name.
    tokenizer : str or transformers tokenizer, default=None
        Name or path of a tokenizer, or a tokenizer. None uses the tokenizer of the model.
    max_length : int, default=64
        Maximum number of tokens read from each text, including special tokens. With `stride`, the
        length of a window.
    stride : int, default=None
        Number of tokens that overlap between windows of `max_length` tokens, into which longer
        texts are cut. The vectors of the windows of a text are averaged, weighted by their numbers
        of tokens. None reads the first window only.
    dtype : {"float32", "bfloat16", "float16", "float64"}, default="float32"
        Number type of the weights of the language model.
    cache_dtype : {"bfloat16", "float32", "float16", "float64"}, default="bfloat16"
        Number type of the stored states.
    trust_remote_code : bool, default=False
        Whether code that comes with the model may be executed.
    revision : str, default=None
        Branch, tag or commit of a model on the hub. None means the main branch.
    subfolder : str, default=None
        Folder that contains the model, inside the folder or the name on the hub.

    Attributes
    ----------
    layers_ : tuple of int
        Layers that are read, in ascending order.
    n_layers_ : int
        Number of layers of the model.
    tokenizer_ : transformers tokenizer
        The tokenizer.
    schema_ : object
        Sizes, revision and fingerprint of the model, and mean and scale of the states over the
        training catalogue.

    See Also
    --------
    LanguageModel : Trains layers of the language model itself.
    skrec.cache : Lists and deletes stored states.

    Notes
    -----
    .. math::

       s_i = f_i\left(g_i h_i + (1 - g_i) s_{i-1}\right), \quad v = W s_m + b

    **Cost.** Two narrow matrices per layer; a step reads one stored vector per layer and item, and
    runs no layer of the model.

    The authors' code pools each layer to its first token, ``pooling="cls"``. The default is the
    mean, because it also works for models whose first token was not trained to represent the text.

    References
    ----------
    .. [1] Fu et al., "IISAN: Efficiently Adapting Multimodal Representation for Sequential
       Recommendation with Decoupled PEFT", arXiv 2404.02059.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(
    ...     content=content.SideNetwork(
    ...         "sentence-transformers/all-MiniLM-L6-v2", layers=[0, 3, 6], template="{title}"
    ...     ),
    ...     memory="~/.cache/skrec",
    ... )
    """

    is_fast = True

    def __init__(
        self,
        model: Any,
        *,
        layers: Sequence[int] | None = None,
        bottleneck: int = 64,
        pooling: str = "mean",
        template: str | None = None,
        tokenizer: Any = None,
        max_length: int = 64,
        stride: int | None = None,
        dtype: str = "float32",
        cache_dtype: str = "bfloat16",
        trust_remote_code: bool = False,
        revision: str | None = None,
        subfolder: str | None = None,
    ) -> None:
        self.model = model
        self.layers = layers
        self.bottleneck = bottleneck
        self.pooling = pooling
        self.template = template
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.stride = stride
        self.dtype = dtype
        self.cache_dtype = cache_dtype
        self.trust_remote_code = trust_remote_code
        self.revision = revision
        self.subfolder = subfolder

    def check(self, width: int) -> None:
        super().check(width)
        check_int("bottleneck", self.bottleneck)
        check_choice("pooling", self.pooling, tuple(POOLINGS))
        if self.layers is not None and not _are_layers(self.layers):
            raise ValueError(
                "layers must be None or a sequence of different ints from 0, the embeddings, "
                f"up to the number of layers, got {self.layers!r}"
            )

    def _check_layers(self, n_layers: int) -> None:
        if self.layers is not None and max(self.layers) > n_layers:
            raise ValueError(
                f"layers must be at most {n_layers}, the layers of this model, got {self.layers!r}"
            )

    def fit(self, items: Items, y: Any = None) -> SideNetwork:
        """Load the language model, compute the states of the catalogue, and measure them.

        Parameters
        ----------
        items : Items
            The training catalogue.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError, OSError
            If the model cannot be loaded, if the template names a column that the catalogue lacks,
            or if the model has fewer layers than `layers` names.
        """
        super().fit(items)
        self.layers_ = self._chosen(self.n_layers_)
        precision = torch.finfo(DTYPES[self.cache_dtype]).eps
        mean, scale = _measure(self.prepare(items), len(self.layers_), precision)
        self.schema_ = SideSchema(**vars(self.schema_), mean=mean, scale=scale)
        return self

    def _chosen(self, n_layers: int) -> tuple[int, ...]:
        """Return the layers to read, in ascending order."""
        if self.layers is None:
            return (0, *range(n_layers, 0, -2)[::-1])
        return tuple(sorted(int(layer) for layer in self.layers))

    def _stored_rows(self, schema: PretrainedSchema) -> StoredRows:
        layers = self._chosen(schema.n_layers)
        last_alone = layers == (schema.n_layers,)
        size = schema.output_size if last_alone else schema.hidden_size
        return StoredRows(self.pooling, layers, len(layers) * size, one_row=True)

    def _row_encoder(self, model: Any, stored: StoredRows) -> RowEncoder:
        pooled = PooledLayers(model, stored.layers, self.pooling)
        return lambda ids, mask: pooled.states(ids, mask).flatten(1)  # (U, m * H)

    def build(self, schema: SideSchema, width: int) -> nn.Module:
        mean, scale = (torch.from_numpy(given).float() for given in (schema.mean, schema.scale))
        return SideTower(mean, scale, self.bottleneck, width)


def _are_layers(given: Any) -> bool:
    """Return whether a value is a non-empty sequence of different ints that are not negative."""
    if not isinstance(given, (list, tuple, range, np.ndarray)) or not len(given):
        return False
    good = all(isinstance(x, Integral) and not isinstance(x, bool) and int(x) >= 0 for x in given)
    return good and len(set(given)) == len(given)


def _measure(packed: Packed, n_states: int, precision: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale (m, H) of the stored states of all items.

    The scale is the standard deviation, with two lower bounds, so that entries which hardly vary
    are not blown up. Differences below the precision of the stored numbers are rounding errors.
    Entries that the norm of a layer has shut off vary by next to nothing, such as two entries of
    MiniLM, which vary by 1e-32.
    """
    total: Any = 0.0
    squares: Any = 0.0
    for codes in torch.arange(len(packed)).split(PART):
        values = mean_of_windows(packed.take(codes)).to("cpu", torch.float64)  # (n, m * H)
        values = values.reshape(len(codes), n_states, -1)
        total, squares = total + values.sum(dim=0), squares + values.square().sum(dim=0)
    mean = total / len(packed)
    variance = (squares / len(packed) - mean.square()).clamp_min(0)
    scale = (variance + (precision * mean).square()).sqrt()
    scale = scale.maximum(MIN_SPREAD * scale.median(dim=1, keepdim=True).values)
    # the module divides in float32
    scale = torch.where(scale > torch.finfo(torch.float32).tiny, scale, 1.0)
    return mean.numpy(), scale.numpy()
