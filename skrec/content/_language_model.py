"""Pretrained language model that is trained with the clicks, in whole or in part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_choice, check_int
from skrec._common.random import TorchGenerator
from skrec._data.items import Items
from skrec.content._lm import (
    POOLINGS,
    LanguageModelNetwork,
    Prefix,
    add_adapters,
    check_lora,
    checkpoint_activations,
    finished,
    in_float32,
    layer_list,
    read_saved,
    split_top,
    whole_model,
)
from skrec.content._lm.pretrained import (
    PretrainedSchema,
    PretrainedText,
    RowEncoder,
    StoredRows,
)
from skrec.content._lm.saved_adapters import SavedAdapters, fitted_to, read_adapters, start_at
from skrec.content._lm.text import text_columns
from skrec.content._lm.windows import WindowsNetwork
from skrec.content._lm.words import FromEmbeddings, read_tokens
from skrec.content._words import ReadWords


class LanguageModel(PretrainedText):
    r"""Pretrained language model, trained with the clicks as a whole, in part or not at all.

    Any encoder or decoder of the transformers library can be used. With ``trainable_layers=k``,
    only the top k layers are trained (**split mode**). The inputs of these layers, the *prefix
    states*, are computed once per item, stored on disk, and read from there in every step, as in
    [1]_ and [2]_. With `lora`, small adapters [3]_ are trained instead of the weights of the
    layers. Use it if items have informative texts, and above all if many items have few clicks.

    Do not use it if texts say little, such as names, or clicks per item are many: `WithID` and
    `MeanPooling` are much faster.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Name on the Hugging Face Hub, path of a folder or of a GGUF file, or a model. A model that
        is passed as an object is copied and never modified; if it was created in memory, it
        requires a `tokenizer`.
    trainable_layers : int, default=None
        Number of layers to train, counted from the top. The norm above them is trained, too. With
        0, no layer is trained, and the model is a fixed encoder. None trains all layers and the
        embeddings.
    lora : int, peft.LoraConfig, str or Path, default=None
        Rank of the adapters that are trained instead of the weights of the layers, their
        configuration, or a folder or a name on the hub of adapters that peft saved, which are
        trained further. An int sets ``lora_alpha = 2 * rank`` and adapts the layers that peft
        adapts by default. Adapters are trained with the recommender's `learning_rate`, pretrained
        weights with its `pretrained_learning_rate`. A configuration may also name modules that are
        trained as a whole (``modules_to_save``) and, if all layers are trained, tokens whose
        embeddings are (``trainable_token_indices``).
    pooling : {"attention", "mean", "cls", "last", "saved"}, default="attention"
        How the last hidden states are reduced to one vector: by additive attention [2]_, to their
        mean, to the first token (which encoders such as BERT are trained for), or to the last
        token (the only token of a decoder that has read the whole text). "saved" is what
        sentence-transformers saved with the model: its pooling, its normalization and its prompts.
        A linear layer then maps the vector to `width`.
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
        texts are cut. Each window is encoded as a text of its own, and windows are pooled to one
        vector: by attention over the tokens of all windows, or by the mean of their vectors,
        weighted by their numbers of tokens. None reads the first window only.
    dtype : {"float32", "bfloat16", "float16", "float64"}, default="float32"
        Number type of the frozen weights. Weights that are trained, and those between them, are
        at least float32, because 16-bit types would round small updates away; `precision` of the
        recommender computes with them in 16 bits.
    cache_dtype : {"bfloat16", "float32", "float16", "float64"}, default="bfloat16"
        Number type of the stored states. Ignored if no states are stored.
    gradient_checkpointing : bool, default=False
        Whether to recompute the activations inside the layers in the backward pass. This saves
        memory and takes about a third more time.
    trust_remote_code : bool, default=False
        Whether code that comes with the model may be executed.
    revision : str, default=None
        Branch, tag or commit of a model on the hub. None means the main branch.
    subfolder : str, default=None
        Folder that contains the model, inside the folder or the name on the hub.
    prompt : str, default=None
        Text that comes before the text of each item, such as ``"passage: "`` for E5. With
        ``pooling="saved"``, it may be the name of a prompt that was saved with the model, and None
        is the default prompt of the model, if it has one.
    truncate_dim : int, default=None
        How many numbers of the pooled states are read, for models whose first numbers say most
        (Matryoshka embeddings). None reads all.

    Attributes
    ----------
    n_layers_ : int
        Number of layers of the model.
    tokenizer_ : transformers tokenizer
        The tokenizer.
    schema_ : object
        Sizes, revision and fingerprint of the model.
    lora_ : int, peft.LoraConfig or None
        Rank or configuration of the adapters.

    See Also
    --------
    SideNetwork : Trains small blocks on stored states of a frozen language model.
    skrec.cache : Lists and deletes stored states.

    Notes
    -----
    .. math::

       v = W \frac{p}{\lVert p \rVert} + b, \quad
       p = \operatorname{pool}\left(\operatorname{layers}_{n-k+1 \ldots n}(\text{stored
       states})\right)

    Pooled states have length 1 when they are projected, because pretrained models are compared by
    cosines. The matrix W starts as a projection to the principal directions of the items, at a
    scale at which scores are about 20 times the cosine of user and item.

    **Cost.** The weights of the top k layers, and D per number of a state; a step runs k layers on
    the distinct items of a batch. The guide has measurements.

    References
    ----------
    .. [1] Liu et al., "Legommenders: A Comprehensive Content-Based Recommendation Library with
       LLM Support", arXiv 2412.15973.
    .. [2] Wu et al., "Empowering News Recommendation with Pre-trained Language Models" (PLM-NR),
       arXiv 2104.07413.
    .. [3] Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(
    ...     content=content.LanguageModel(
    ...         "sentence-transformers/all-MiniLM-L6-v2", trainable_layers=2, template="{title}"
    ...     ),
    ...     memory="~/.cache/skrec",
    ... )
    """

    _saved_adapters: SavedAdapters | None = None  # where training starts

    def __init__(
        self,
        model: Any,
        *,
        trainable_layers: int | None = None,
        lora: Any = None,
        pooling: str = "attention",
        template: str | None = None,
        tokenizer: Any = None,
        max_length: int = 64,
        stride: int | None = None,
        dtype: str = "float32",
        cache_dtype: str = "bfloat16",
        gradient_checkpointing: bool = False,
        trust_remote_code: bool = False,
        revision: str | None = None,
        subfolder: str | None = None,
        prompt: str | None = None,
        truncate_dim: int | None = None,
    ) -> None:
        self.model = model
        self.trainable_layers = trainable_layers
        self.lora = lora
        self.pooling = pooling
        self.template = template
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.stride = stride
        self.dtype = dtype
        self.cache_dtype = cache_dtype
        self.gradient_checkpointing = gradient_checkpointing
        self.trust_remote_code = trust_remote_code
        self.revision = revision
        self.subfolder = subfolder
        self.prompt = prompt
        self.truncate_dim = truncate_dim

    def check(self, width: int) -> None:
        super().check(width)
        if self.trainable_layers is not None:
            check_int("trainable_layers", self.trainable_layers, minimum=0)
        check_lora(self.lora)
        if isinstance(getattr(self, "lora_", None), str | Path):
            raise ValueError(f"lora_ must be a rank, a configuration or None, got {self.lora_!r}")
        check_lora(getattr(self, "lora_", None))
        if self.lora is not None and self.trainable_layers == 0:
            raise ValueError(
                "lora adapts the layers that are trained, and trainable_layers=0 trains none; "
                "take trainable_layers=None or at least 1"
            )
        rows = getattr(self.lora, "trainable_token_indices", None)
        if rows is not None and self.trainable_layers is not None:
            raise ValueError(
                "lora.trainable_token_indices trains rows of the token embeddings, which are "
                f"frozen with trainable_layers={self.trainable_layers}; take trainable_layers=None"
            )
        check_choice("pooling", self.pooling, ("attention", *POOLINGS, "saved"))
        if self.prompt is not None and not isinstance(self.prompt, str):
            raise ValueError(f"prompt must be a str or None, got {self.prompt!r}")
        if self.truncate_dim is not None:
            check_int("truncate_dim", self.truncate_dim)
        check_choice("gradient_checkpointing", self.gradient_checkpointing, (True, False))

    def fit(self, items: Items, y: Any = None) -> LanguageModel:
        super().fit(items)
        size = self.schema_.output_size
        if self.truncate_dim is not None and self.truncate_dim > size:
            raise ValueError(
                f"truncate_dim must be at most {size}, the size of the last hidden states, got "
                f"{self.truncate_dim}"
            )
        self.lora_, self._saved_adapters = self.lora, None
        if isinstance(self.lora, str | Path):
            base, frozen = self._base or self._load(self.schema_), self._n_frozen(self.n_layers_)
            adapters = fitted_to(read_adapters(self.lora), base.model, base.name, frozen)
            self.lora_, self._saved_adapters = adapters.config, adapters
        self.pooling_, self.normalize_, self.prompt_ = self.pooling, False, self.prompt or ""
        self.unit_ = True
        if self.pooling == "saved":
            saved = read_saved(self.model, self.schema_.revision, self.subfolder)
            self.pooling_, self.normalize_ = saved.pooling, saved.normalize
            self.prompt_ = saved.prompt(self.prompt)
        return self

    def _prompt(self) -> str:
        return getattr(self, "prompt_", "")  # folders of earlier versions lack it

    def _reading(self) -> tuple[str, bool]:
        """Return the pooling, and whether its vectors have length 1."""
        return getattr(self, "pooling_", self.pooling), getattr(self, "normalize_", False)

    def _check_layers(self, n_layers: int) -> None:
        if self.trainable_layers is not None and self.trainable_layers > n_layers:
            raise ValueError(
                f"trainable_layers must be at most {n_layers}, the layers of this model, "
                f"got {self.trainable_layers}"
            )

    def _n_frozen(self, n_layers: int) -> int | None:
        """Return the number of frozen layers, or None if the embeddings are trained, too."""
        return None if self.trainable_layers is None else n_layers - self.trainable_layers

    @property
    def is_fast(self) -> bool:  # type: ignore[override]
        """Whether thousands of items per step cost little, because no layer is trained."""
        return self.trainable_layers == 0

    @property
    def keeps_states(self) -> bool:
        """Whether `prepare` computes and stores states, which takes a while the first time."""
        return self.trainable_layers is not None

    def _stored_rows(self, schema: PretrainedSchema) -> StoredRows | None:
        n_frozen = self._n_frozen(schema.n_layers)
        if not n_frozen:
            return None
        pooling, normalize = self._reading()
        if self.trainable_layers == 0 and pooling != "attention":
            if self.stride is not None:  # vectors of windows are joined before they are finished
                return StoredRows(pooling, (n_frozen,), schema.output_size, one_row=True)
            size = self.truncate_dim or schema.output_size
            kind = pooling + ", normalized" * normalize
            if self.truncate_dim is not None:
                kind += f", {size} of {schema.output_size}"
            return StoredRows(kind, (n_frozen,), size, one_row=True)
        width = schema.hidden_size if self.trainable_layers else schema.output_size
        return StoredRows("tokens", (n_frozen,), width, one_row=False)

    def _row_encoder(self, model: Any, stored: StoredRows) -> RowEncoder:
        prefix = Prefix(model, stored.layers[0])
        pooling, normalize = self._reading()
        pool = None if self.trainable_layers else POOLINGS.get(pooling)
        # `encode` does not refer to the operator that keeps it
        truncate_dim, has_windows = self.truncate_dim, self.stride is not None

        def encode(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            states = prefix.states(ids, mask)  # (U, L, H)
            if pool is None:
                return states[mask]
            pooled = pool(states, mask)
            return pooled if has_windows else finished(pooled, normalize, truncate_dim)

        return encode

    def build(self, schema: PretrainedSchema, width: int) -> nn.Module:
        pooling, normalize = self._reading()
        unit = getattr(self, "unit_", False)  # folders of earlier versions lack it
        given = pooling, schema.output_size, width, normalize, self.truncate_dim, unit
        network = LanguageModelNetwork if self.stride is None else WindowsNetwork
        if self.trainable_layers == 0:
            return network(None, *given)
        base = self._base or self._load(schema)
        top = split_top(base.model, self._n_frozen(schema.n_layers))
        self._adapters = None
        lora = getattr(self, "lora_", self.lora)  # folders of earlier versions lack it
        if lora is not None:
            trained = layer_list(top.model)[1][top.n_frozen or 0 :]
            self._adapters = add_adapters(top.model, trained, lora)
            if self._saved_adapters is not None:
                start_at(top.model, self._saved_adapters)
            top.pretrained = False  # only new weights are trained
        else:
            in_float32(top.model)
        if self.gradient_checkpointing:
            checkpoint_activations(top.model)
        self._top = top
        return network(top, *given)

    def read_words(self, items: Items, module: Any) -> ReadWords | None:
        windows = self._token_ids(items)[2]
        if windows is not None and windows[-1] > 1:
            raise ValueError(
                f"the text of this item has {windows[-1]} windows of max_length={self.max_length} "
                "tokens, and only texts of one window can be explained; take a larger max_length"
            )
        top, device = module.top, next(module.parameters()).device
        if top is not None and not top.n_frozen:
            model = top.model
        else:  # the network reads states in place of tokens
            with TorchGenerator().lent():  # a missing pooler is initialized at random
                model = self._load(self.schema_).model.to(device)
            if top is not None:
                model = whole_model(model, top.model, self._adapters, True)
        column = ", ".join(text_columns(items.roles, self.template))
        [text] = self._texts(items)
        name = "ids" if self._stored_rows(self.schema_) is None else "states"
        found = read_tokens(model, self.tokenizer_, text, self.max_length, column, name)
        module.top = FromEmbeddings(model, found.given)
        return found

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_top", None)  # part of the network, which a recommender builds again
        state.pop("_adapters", None)
        state.pop("_saved_adapters", None)  # where training started
        return state

    def language_model(self, merge_lora: bool = False) -> Any:
        """Return the trained language model, to save it or to use it elsewhere.

        Parameters
        ----------
        merge_lora : bool, default=False
            Whether to add the adapters to the weights. Ignored without `lora`.

        Returns
        -------
        transformers.PreTrainedModel or peft.PeftModel
            A copy on the CPU: the whole model with its trained weights. With adapters that are not
            merged, a ``PeftModel``.

        Raises
        ------
        AttributeError
            If the operator has not been trained by a recommender.
        """
        if self.trainable_layers == 0 and hasattr(self, "schema_"):
            return self._load(self.schema_).model
        if not hasattr(self, "_top"):
            raise AttributeError(
                "the language model is trained by ContentRecommender.fit; call it on the fitted "
                "operator, rec.content_.language_model()"
            )
        base = self._load(self.schema_)
        return whole_model(base.model, self._top.model, self._adapters, merge_lora)
