"""A side network: small blocks beside a language model that is never run in training."""

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
from skrec.content._lm.pretrained import Kept, PretrainedSchema, PretrainedText, Reader

PART = 1 << 12  # items whose states are in memory at once, when they are measured
SHUT_OFF = 1e-3  # least spread of a number that says something, next to its layer's median


@dataclass(frozen=True, eq=False)
class SideSchema(PretrainedSchema):
    """The language model that was read, and how the states of its layers lie.

    `mean` and `scale` have the shape (m, H).
    """

    mean: np.ndarray
    scale: np.ndarray


class SideNetwork(PretrainedText):
    """Small blocks beside a pretrained language model that is itself never run in training.

    The model reads the text of each item once. Its states after some layers are pooled to one
    vector each and kept on disk, and a narrow network beside it is trained on them: block i reads
    the i-th of these vectors and what block i - 1 made, mixed by a learned gate. This costs about
    as little as training on fixed vectors, ``LanguageModel(trainable_layers=0)``, but uses what
    lower layers know.

    For the standardised states h of m layers, the lowest first, with one gate g a layer::

        s[1] = f[1](h[1])
        s[i] = f[i](g[i] h[i] + (1 - g[i]) s[i - 1])
        item vector = W s[m] + b

    where each block f is a bottleneck with a residual, ``f(x) = x + U gelu(V x)``. It is the
    text side of IISAN [1]_; standardising is new here. There, BERT's normalised states come in as
    they are. In decoders, a few numbers are thousands of times as large as the others and alike
    for all texts, and would drown what tells texts apart.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        A name on the hub, a folder, a GGUF file, or a model. A model that is given as an object is
        copied, never changed; it needs a `tokenizer`.
    layers : sequence of int, default=None
        Layers whose states are read, counted from 1 at the bottom; 0 stands for the embeddings, and
        the number of the top layer for the last hidden states, after the final norm. None takes
        the embeddings and every second layer from the top down, as [1]_ does: 0, 2, 4 and 6 of six
        layers.
    bottleneck : int, default=64
        Inner size of each block.
    pooling : {"mean", "cls", "last"}, default="mean"
        How the states of a text become one vector: their mean, the first token (for encoders
        such as BERT), or the last token (for decoders, where it alone has read the whole text).
    template : str, default=None
        The text of an item, with names of columns in braces: ``"{title} ({genres})"``. None takes
        all columns but vectors, as ``"title: ..., genres: ..."``; a single column, its text.
    tokenizer : str or transformers tokenizer, default=None
        None takes the model's own.
    max_length : int, default=64
        Tokens that are read of each text, with the special ones.
    dtype : {"float32", "bfloat16", "float16", "float64"}, default="float32"
        Number type of the language model's weights.
    cache_dtype : {"bfloat16", "float32", "float16", "float64"}, default="bfloat16"
        Number type of the states that are kept.
    trust_remote_code : bool, default=False
        Whether code that comes with the model may be run.

    Attributes
    ----------
    layers_ : tuple of int
        The layers that are read.
    n_layers_ : int
        Layers of the model.
    tokenizer_ : transformers tokenizer
        The tokenizer.
    schema_ : object
        Sizes, revision and fingerprint of the model; mean and scale of the states over the
        training catalogue.

    See Also
    --------
    LanguageModel : Trains layers of the language model itself.
    skrec.cache : What is kept, and how to delete it.

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
        dtype: str = "float32",
        cache_dtype: str = "bfloat16",
        trust_remote_code: bool = False,
    ):
        self.model = model
        self.layers = layers
        self.bottleneck = bottleneck
        self.pooling = pooling
        self.template = template
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.dtype = dtype
        self.cache_dtype = cache_dtype
        self.trust_remote_code = trust_remote_code

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
        """Load the language model, let it read the catalogue, and measure its states.

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
            Where the model can't be loaded, where the template names a column that the
            catalogue lacks, or where the model has fewer layers than `layers` names.
        """
        super().fit(items)
        self.layers_ = self._chosen(self.n_layers_)
        precision = torch.finfo(DTYPES[self.cache_dtype]).eps
        mean, scale = _measure(self.prepare(items), len(self.layers_), precision)
        self.schema_ = SideSchema(**vars(self.schema_), mean=mean, scale=scale)
        return self

    def _chosen(self, n_layers: int) -> tuple[int, ...]:
        if self.layers is None:
            return (0, *range(n_layers, 0, -2)[::-1])
        return tuple(sorted(int(layer) for layer in self.layers))

    def _kept(self, schema: PretrainedSchema) -> Kept:
        layers = self._chosen(schema.n_layers)
        last_alone = layers == (schema.n_layers,)
        size = schema.output_size if last_alone else schema.hidden_size
        return Kept(self.pooling, layers, len(layers) * size, one_row=True)

    def _reader(self, model: Any, kept: Kept) -> Reader:
        pooled = PooledLayers(model, kept.layers, self.pooling)
        return lambda ids, mask: pooled.states(ids, mask).flatten(1)  # (U, m * H)

    def build(self, schema: SideSchema, width: int) -> nn.Module:
        mean, scale = (torch.from_numpy(given).float() for given in (schema.mean, schema.scale))
        return SideTower(mean, scale, self.bottleneck, width)


def _are_layers(given: Any) -> bool:
    if not isinstance(given, (list, tuple, range, np.ndarray)) or not len(given):
        return False
    good = all(isinstance(x, Integral) and not isinstance(x, bool) and int(x) >= 0 for x in given)
    return good and len(set(given)) == len(given)


def _measure(packed: Packed, n_states: int, precision: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread (m, H) of the kept states of all items.

    What hardly differs is not blown up: differences below the precision of the kept numbers are
    rounding, and numbers that a layer's norm has shut off differ by next to nothing, as two of
    MiniLM's do by 1e-32.
    """
    total: Any = 0.0
    squares: Any = 0.0
    for codes in torch.arange(len(packed)).split(PART):
        values = packed.take(codes)["states"][0].to("cpu", torch.float64)  # (n, 1, m * H)
        values = values.reshape(len(codes), n_states, -1)
        total, squares = total + values.sum(dim=0), squares + values.square().sum(dim=0)
    mean = total / len(packed)
    variance = (squares / len(packed) - mean.square()).clamp_min(0)
    scale = (variance + (precision * mean).square()).sqrt()
    scale = scale.maximum(SHUT_OFF * scale.median(dim=1, keepdim=True).values)
    # the module divides in float32
    scale = torch.where(scale > torch.finfo(torch.float32).tiny, scale, 1.0)
    return mean.numpy(), scale.numpy()
