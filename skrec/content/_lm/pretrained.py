"""What operators share that read an item's text with a pretrained language model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skrec._common.checks import check_choice, check_int
from skrec._data.items import Items
from skrec._data.packed import Packed, Ragged
from skrec.content._base import ContentOperator, Resources
from skrec.content._lm import (
    DTYPES,
    Base,
    check_padding,
    check_template,
    load_base,
    load_tokenizer,
    most_tokens,
    output_size,
    part_size,
    render,
    token_ids,
    tokenizer_hash,
)
from skrec.content._lm.pages import item_keys
from skrec.content._lm.store import PrefixStore
from skrec.nn import micro_batches

# maps ids (U, L) and mask (U, L) to rows (n, H'), item by item, as many as are kept of each
Reader = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class PretrainedSchema:
    """The language model that was read: its sizes, and what tells it from any other."""

    hidden_size: int  # of states between layers
    output_size: int  # of the last ones
    n_layers: int
    vocab_size: int
    revision: str | None
    fingerprint: str


@dataclass(frozen=True)
class Kept:
    """What is computed once of each item: its kind, its layers, and the size of a row."""

    kind: str
    layers: tuple[int, ...]
    width: int
    one_row: bool


def _is_name(model: Any) -> bool:
    return isinstance(model, (str, Path))


class PretrainedText(ContentOperator):
    """Base of operators that read an item's text with a pretrained language model.

    A subclass has the parameters below; it says in `_kept` what is computed once of each item,
    and in `_reader` how.
    """

    model: Any
    template: str | None
    tokenizer: Any
    max_length: int
    dtype: str
    cache_dtype: str
    trust_remote_code: bool

    # made where they are needed, and left out of pickles
    _base: Base | None = None  # the model as it was loaded, until one of its users takes it
    _store: PrefixStore | None = None
    _read: Reader | None = None

    def _kept(self, schema: PretrainedSchema) -> Kept | None:
        """Return what is computed once; None where token ids are read in each step."""
        raise NotImplementedError

    def _reader(self, model: Any, kept: Kept) -> Reader:
        """Return what computes it; the model may be changed in place."""
        raise NotImplementedError

    def _check_layers(self, n_layers: int) -> None:
        """Raise a ValueError for parameters that a model of so many layers can't serve."""
        raise NotImplementedError

    def __sklearn_clone__(self) -> Any:
        """Share a model or tokenizer that was given as an object: none is ever changed."""
        shared = {"model", "tokenizer"}
        return type(self)(
            **{
                name: value if name in shared else clone(value, safe=False)
                for name, value in self.get_params(deep=False).items()
            }
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("_base", "_store", "_read"):
            state.pop(name, None)
        return state

    def use(self, resources: Resources) -> None:
        before = self._resources.memory, self._resources.device
        super().use(resources)
        if before != (resources.memory, resources.device):
            self._store = self._read = None

    @property
    def keeps_states(self) -> bool:
        """Whether `prepare` computes something to keep, which takes a while the first time."""
        return True

    def check(self, width: int) -> None:
        if not (_is_name(self.model) or isinstance(self.model, torch.nn.Module)):
            raise TypeError(
                "model must be the name of a language model on the hub, a folder, a GGUF file, or "
                f"a model of transformers, got {self.model!r}"
            )
        check_int("max_length", self.max_length)
        check_choice("dtype", self.dtype, tuple(DTYPES))
        check_choice("cache_dtype", self.cache_dtype, tuple(DTYPES))
        check_choice("trust_remote_code", self.trust_remote_code, (True, False))
        if self.template is not None and not isinstance(self.template, str):
            raise ValueError(f"template must be a str or None, got {self.template!r}")

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
            Where the model can't be loaded, where the template names a column that the
            catalogue lacks, or where the model has fewer layers than parameters ask for.
        """
        check_template(self.template, items.roles)
        base = load_base(self.model, self.dtype, self.trust_remote_code)
        self.tokenizer_ = load_tokenizer(
            self.tokenizer, self.model, self.trust_remote_code, base.revision
        )
        check_padding(base.model)
        config = base.model.config
        longest = most_tokens(base.model)
        if longest is not None and self.max_length > longest:
            raise ValueError(
                f"max_length must be at most {longest}, the tokens that {base.name} can read, "
                f"got {self.max_length}"
            )
        self.n_layers_ = config.num_hidden_layers
        self._check_layers(self.n_layers_)
        self.schema_ = PretrainedSchema(
            config.hidden_size,
            output_size(base.model),
            self.n_layers_,
            base.model.get_input_embeddings().num_embeddings,
            base.revision,
            base.fingerprint,
        )
        self._base, self._store, self._read = base, None, None
        return self

    def prepare(self, items: Items) -> Packed:
        """Turn items into token ids, or into what is kept of them, computing what is missing.

        Parameters
        ----------
        items : Items
            Any catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        texts = render(items, self.template)
        offsets, ids = token_ids(self.tokenizer_, texts, self.max_length)
        if ids.max() >= self.schema_.vocab_size:
            raise ValueError(
                f"the tokenizer gave the id {ids.max()}, but the language model knows "
                f"{self.schema_.vocab_size} tokens; give the tokenizer that belongs to it"
            )
        tokens = Ragged(torch.from_numpy(offsets), torch.from_numpy(ids))
        kept = self._kept(self.schema_)
        if kept is None:
            self._base = None  # the network has its copy
            return Packed({"ids": tokens})
        keys = item_keys(offsets, ids)
        lengths = np.ones(len(keys), np.int64) if kept.one_row else np.diff(offsets)
        if self._store is None:
            self._store = PrefixStore(
                self._resources.memory,
                self._description(kept),
                kept.width,
                DTYPES[self.cache_dtype],
            )
        self._store.fill(
            keys,
            lengths,
            lambda items: self._compute(tokens, items, lengths, kept),
            self._resources.progress,
        )
        self._base = None
        if self._resources.device.type != "cpu":
            self._read = None  # a GPU's memory is for training
        return Packed({"states": self._store.take_layout(keys)})

    def _description(self, kept: Kept) -> dict[str, Any]:
        """Return all that the kept rows depend on besides an item's token ids."""
        return {
            "model": str(self.model) if _is_name(self.model) else type(self.model).__name__,
            "fingerprint": self.schema_.fingerprint,
            "kind": kept.kind,
            "layer": list(kept.layers),
            "tokenizer": tokenizer_hash(self.tokenizer_),
            "template": self.template,
            "max_length": self.max_length,
            "dtype": self.dtype,
        }

    @torch.inference_mode()
    def _compute(
        self, tokens: Ragged, items: np.ndarray, lengths: np.ndarray, kept: Kept
    ) -> torch.Tensor:
        """Return the rows (n, H') of some items, end to end, from parts of like lengths."""
        if self._read is None:
            base = self._take_base()
            self._read = self._reader(base.model.to(self._resources.device), kept)
        device = self._resources.device
        tokens = tokens.to(device)
        n_tokens = tokens.lengths.cpu().numpy()[items]
        stops = np.cumsum(lengths[items])
        starts = stops - lengths[items]
        rows = torch.empty((int(stops[-1]), kept.width), dtype=DTYPES[self.cache_dtype])
        order = np.argsort(n_tokens, kind="stable")
        for cut in micro_batches(n_tokens[order], part_size(device)):
            part = order[cut]
            ids, mask = tokens.take(torch.from_numpy(items[part]).to(device))
            place = [np.arange(starts[at], stops[at]) for at in part]
            answer = self._read(ids, mask)
            rows[torch.from_numpy(np.concatenate(place))] = answer.to("cpu", rows.dtype)
        if not torch.isfinite(rows).all():
            raise ValueError(
                f"the language model gave values that are not finite in {self.cache_dtype}; "
                "take dtype='float32' and cache_dtype='bfloat16' or 'float32'"
            )
        return rows

    def _take_base(self) -> Base:
        """Hand over the loaded model, which is then changed."""
        base, self._base = self._base, None
        return base or self._load(self.schema_)

    def _load(self, schema: PretrainedSchema) -> Base:
        """Load the model again, and make sure that it is the same."""
        base = load_base(self.model, self.dtype, self.trust_remote_code, schema.revision)
        if base.fingerprint != schema.fingerprint:
            raise ValueError(
                f"the language model {base.name} is not the one that this was trained with: its "
                "weights or its configuration have changed; bring the old one back, or fit again"
            )
        return base
