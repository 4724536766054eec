"""Base class of operators that read the text of items with a pretrained language model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skrec._common.checks import check_choice, check_int
from skrec._data.items import Items
from skrec._data.packed import Grouped, Packed, Ragged
from skrec._data.states import States
from skrec.content._base import ContentOperator, Resources
from skrec.content._lm.gguf_copies import plain_copy
from skrec.content._lm.loading import Base, load_base
from skrec.content._lm.moved import where_now
from skrec.content._lm.network import part_size
from skrec.content._lm.pages import item_keys
from skrec.content._lm.sizes import (
    DTYPES,
    check_first_token,
    check_padding,
    max_tokens,
    output_size,
)
from skrec.content._lm.store import PrefixStore
from skrec.content._lm.temporary_store import TemporaryStore, open_store
from skrec.content._lm.text import check_template, describe_texts, render, token_ids
from skrec.content._lm.tokenizers import load_tokenizer, tokenizer_hash
from skrec.content._lm.windows import (
    WINDOWS,
    check_stride,
    cut_into_windows,
    n_prompt_tokens,
    special_tokens_around,
)
from skrec.nn import micro_batches

# function that maps ids (U, L) and mask (U, L) to the rows (n, H') to store, ordered by item
RowEncoder = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class PretrainedSchema:
    """Sizes of a language model, and the fingerprint that identifies it."""

    hidden_size: int  # size of the states between layers
    output_size: int  # size of the last hidden states
    n_layers: int
    vocab_size: int
    revision: str | None
    fingerprint: str


@dataclass(frozen=True)
class StoredRows:
    """Which rows are computed once per item and stored.

    Parameters
    ----------
    kind : str
        "tokens" to store the states of all tokens, or the name of a pooling.
    layers : tuple of int
        Layers whose states are stored.
    width : int
        Size of a row.
    one_row : bool
        Whether there is one row per item instead of one row per token.
    """

    kind: str
    layers: tuple[int, ...]
    width: int
    one_row: bool


def _is_name(model: Any) -> bool:
    """Return whether a model is given by name or path, and not as an object."""
    return isinstance(model, (str, Path))


class PretrainedText(ContentOperator):
    """Base class of operators that read the text of items with a pretrained language model.

    A subclass has the parameters below. It defines `_stored_rows`, `_row_encoder` and
    `_check_layers`.
    """

    model: Any
    pooling: str
    template: str | None
    tokenizer: Any
    max_length: int
    dtype: str
    cache_dtype: str
    trust_remote_code: bool
    revision: str | None
    subfolder: str | None
    stride: int | None = None  # pickles of earlier versions lack it

    # created when needed, and left out of pickles
    _base: Base | None = None  # the loaded model, until its first user modifies it
    _store: PrefixStore | TemporaryStore | None = None
    _encode: RowEncoder | None = None

    def _stored_rows(self, schema: PretrainedSchema) -> StoredRows | None:
        """Return which rows are stored, or None if the network reads token ids in each step."""
        raise NotImplementedError

    def _row_encoder(self, model: Any, stored: StoredRows) -> RowEncoder:
        """Return the function that computes the rows to store. It may modify the model in place."""
        raise NotImplementedError

    def _check_layers(self, n_layers: int) -> None:
        """Raise a ValueError for parameters that do not fit a model with `n_layers` layers."""
        raise NotImplementedError

    def __sklearn_clone__(self) -> Any:
        """Clone the operator. Models and tokenizers are shared because they are never modified."""
        shared = {"model", "tokenizer"}
        return type(self)(
            **{
                name: value if name in shared else clone(value, safe=False)
                for name, value in self.get_params(deep=False).items()
            }
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("_base", "_store", "_encode"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "model": where_now(state["model"])})

    def use(self, resources: Resources) -> None:
        before = self._resources.memory, self._resources.device
        super().use(resources)
        if before != (resources.memory, resources.device):
            self._store = self._encode = None

    @property
    def keeps_states(self) -> bool:
        """Whether `prepare` computes and stores states, which takes a while the first time."""
        return True

    def check(self, width: int) -> None:
        if not (_is_name(self.model) or isinstance(self.model, torch.nn.Module)):
            raise TypeError(
                "model must be the name of a language model on the hub, a folder, a GGUF file, or "
                f"a model of transformers, got {self.model!r}"
            )
        check_int("max_length", self.max_length)
        if self.stride is not None:
            check_int("stride", self.stride, minimum=0)
        check_choice("dtype", self.dtype, tuple(DTYPES))
        check_choice("cache_dtype", self.cache_dtype, tuple(DTYPES))
        check_choice("trust_remote_code", self.trust_remote_code, (True, False))
        for name in ("template", "revision", "subfolder"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ValueError(f"{name} must be a str or None, got {value!r}")

    def fit(self, items: Items, y: Any = None) -> PretrainedText:
        """Load the tokenizer and the language model.

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
            or if the model has fewer layers than the parameters require.
        """
        check_template(self.template, items.roles)
        base = self._read(self.revision)
        self.tokenizer_ = load_tokenizer(
            self.tokenizer, self._plain(), self.trust_remote_code, base.revision, self.subfolder
        )
        output = output_size(base.model)
        check_padding(base.model)
        if self.pooling == "cls":
            check_first_token(base.model)
        config = base.model.config
        longest = max_tokens(base.model)
        if longest is not None and self.max_length > longest:
            raise ValueError(
                f"max_length must be at most {longest}, the tokens that {base.name} can read, "
                f"got {self.max_length}"
            )
        self.n_layers_ = config.num_hidden_layers
        self._check_layers(self.n_layers_)
        self.schema_ = PretrainedSchema(
            config.hidden_size,
            output,
            self.n_layers_,
            base.model.get_input_embeddings().num_embeddings,
            base.revision,
            base.fingerprint,
        )
        self._base, self._store, self._encode = base, None, None
        return self

    def prepare(self, items: Items) -> Packed:
        """Convert items to token ids or to stored states. Missing states are computed.

        Parameters
        ----------
        items : Items
            A catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        offsets, ids, windows = self._token_ids(items)
        if ids.max() >= self.schema_.vocab_size:
            raise ValueError(
                f"the tokenizer gave the id {ids.max()}, but the language model knows "
                f"{self.schema_.vocab_size} tokens; give the tokenizer that belongs to it"
            )
        tokens = Ragged(torch.from_numpy(offsets), torch.from_numpy(ids))
        stored = self._stored_rows(self.schema_)
        if stored is None:
            self._base = None  # the network has its own copy
            return _packed("ids", tokens, windows, tokens.lengths)
        keys = item_keys(offsets, ids)
        lengths = np.ones(len(keys), np.int64) if stored.one_row else np.diff(offsets)
        if self._store is None:
            self._store = open_store(
                self._resources.memory,
                self._description(stored),
                stored.width,
                DTYPES[self.cache_dtype],
            )
        self._store.fill(
            keys,
            lengths,
            lambda codes: self._compute_rows(tokens, codes, lengths, stored),
            self._resources.progress,
        )
        self._base = None
        if self._resources.device.type != "cpu":
            self._encode = None  # free the memory of the GPU for training
        return _packed("states", self._store.take_layout(keys), windows, tokens.lengths)

    def _token_ids(self, items: Items) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return offsets and ids of texts, or of windows and the offsets of items in them."""
        texts, what = self._texts(items), describe_texts(items.roles, self.template)
        if self.stride is None:
            return *token_ids(self.tokenizer_, texts, self.max_length, what), None
        offsets, ids = token_ids(self.tokenizer_, texts, None, what)
        before, after = special_tokens_around(self.tokenizer_)
        around = (
            before + n_prompt_tokens(self.tokenizer_, self._prompt(), offsets, ids, before),
            after,
        )
        check_stride(self.stride, self.max_length, around)
        room = self.max_length - sum(around)
        windows, offsets, ids = cut_into_windows(offsets, ids, room, self.stride, around)
        return offsets, ids, windows

    def _texts(self, items: Items) -> list[str]:
        """Return the text of each item."""
        return [self._prompt() + text for text in render(items, self.template)]

    def _prompt(self) -> str:
        """Return the text that comes before the text of each item."""
        return ""

    def _description(self, stored: StoredRows) -> dict[str, Any]:
        """Return everything that the stored rows of an item depend on, except its token ids."""
        return {
            "model": str(self.model) if _is_name(self.model) else type(self.model).__name__,
            "fingerprint": self.schema_.fingerprint,
            "kind": stored.kind,
            "layer": list(stored.layers),
            "tokenizer": tokenizer_hash(self.tokenizer_),
            "template": self.template,
            "max_length": self.max_length,
            "dtype": self.dtype,
        }

    @torch.inference_mode()
    def _compute_rows(
        self, tokens: Ragged, codes: np.ndarray, lengths: np.ndarray, stored: StoredRows
    ) -> torch.Tensor:
        """Return the concatenated rows (n, H') of some items, computed in length-sorted batches."""
        if self._encode is None:
            base = self._take_base()
            self._encode = self._row_encoder(base.model.to(self._resources.device), stored)
        device = self._resources.device
        tokens = tokens.to(device)
        n_tokens = tokens.lengths.numpy()[codes]
        stops = np.cumsum(lengths[codes])
        starts = stops - lengths[codes]
        rows = torch.empty((int(stops[-1]), stored.width), dtype=DTYPES[self.cache_dtype])
        order = np.argsort(n_tokens, kind="stable")
        for cut in micro_batches(n_tokens[order], part_size(device)):
            part = order[cut]
            ids, mask = tokens.take(torch.from_numpy(codes[part]))
            place = [np.arange(starts[at], stops[at]) for at in part]
            encoded = self._encode(ids, mask)
            rows[torch.from_numpy(np.concatenate(place))] = encoded.to("cpu", rows.dtype)
        if not torch.isfinite(rows).all():
            raise ValueError(
                f"the language model gave values that are not finite in {self.cache_dtype}; "
                "take dtype='float32' and cache_dtype='bfloat16' or 'float32'"
            )
        return rows

    def _take_base(self) -> Base:
        """Return the loaded model and forget it, because the caller modifies it."""
        base, self._base = self._base, None
        return base or self._load(self.schema_)

    def _plain(self) -> Any:
        """Return the model, or the folder of its plain copy if it is a GGUF file."""
        return plain_copy(self.model, self._resources.memory, self.dtype)

    def _read(self, revision: str | None) -> Base:
        """Load the language model."""
        plain = self._plain()
        base = load_base(plain, self.dtype, self.trust_remote_code, revision, self.subfolder)
        return base if plain is self.model else replace(base, name=os.fspath(self.model))

    def _load(self, schema: PretrainedSchema) -> Base:
        """Load the model again. Raise a ValueError if it is not the model of `schema`."""
        base = self._read(schema.revision)
        if base.fingerprint != schema.fingerprint:
            raise ValueError(
                f"the language model {base.name} is not the one that this was trained with: its "
                "weights or its configuration have changed; bring the old one back, or fit again"
            )
        return base


def _packed(
    name: str, values: Ragged | States, windows: np.ndarray | None, n_tokens: torch.Tensor
) -> Packed:
    """Return values of items, or of windows with their numbers of tokens."""
    if windows is None:
        return Packed({name: values})
    counts = Ragged(torch.from_numpy(windows), n_tokens)
    return Packed({name: Grouped(windows, values), WINDOWS: counts})
