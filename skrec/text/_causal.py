"""Batched generation with a causal language model of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import xxhash

from skrec._common.files import add_to_digest
from skrec._common.locks import ForkSafeLock
from skrec._common.random import TorchGenerator
from skrec.content._lm import load_tokenizer, max_tokens, quiet, tokenizer_hash
from skrec.content._lm.loading import fingerprint_of, load_causal
from skrec.content._lm.sources import Source, find_source
from skrec.content._texts import beginning

CHARACTERS_PER_TOKEN = 16  # a longer text is cut before it is tokenized
HASHED = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")


class CausalWriter:
    """Writes texts with a causal language model. The model is loaded when the first text is needed.

    Prompts are padded on the left and sorted by length. Each batch is generated with a key-value
    cache, and by default without sampling.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Name on the hub, folder, GGUF file, or a model with a head for generation, which is used as
        it is and not modified.
    tokenizer : str, tokenizer or None
        None takes the tokenizer of the model.
    max_new_tokens, max_length, batch_size : int
        Largest number of tokens of a text and of the value of a column, and prompts per batch.
    chat : {"auto"} or bool
        Whether prompts are messages of a user, in the form of the tokenizer's chat template.
    options : dict
        Further options of ``generate``.
    dtype, revision, subfolder, trust_remote_code
        How the model is loaded.
    device : torch.device
        Where a model runs that is loaded here.

    Attributes
    ----------
    n_calls, n_tokens : int
        Number of batches and of tokens that were generated.
    fingerprint : str
        Hash of everything that a text depends on, besides its prompt.
    """

    def __init__(
        self,
        model: Any,
        *,
        tokenizer: Any,
        max_new_tokens: int,
        max_length: int,
        batch_size: int,
        chat: Any,
        options: dict[str, Any],
        dtype: str,
        revision: str | None,
        subfolder: str | None,
        trust_remote_code: bool,
        device: torch.device,
    ) -> None:
        self._given, self._dtype, self._device = model, dtype, device
        self._revision, self._subfolder, self._trust = revision, subfolder, trust_remote_code
        self.max_new_tokens, self.max_length = max_new_tokens, max_length
        self.batch_size = batch_size
        self._options = options
        self._model: Any = None
        self._lock = ForkSafeLock()
        self.n_calls = self.n_tokens = 0
        place = None
        if isinstance(model, str | Path):
            with quiet():
                place = find_source(model, "model", revision, subfolder)
        revision = place.commit if place else None
        self.tokenizer = load_tokenizer(tokenizer, model, trust_remote_code, revision, subfolder)
        self._chat = bool(self.tokenizer.chat_template) if chat == "auto" else chat
        if self._chat and not self.tokenizer.chat_template:
            raise ValueError("chat=True needs a tokenizer with a chat template, and this has none")
        self.fingerprint = self._fingerprint(place)

    def _fingerprint(self, place: Source | None) -> str:
        parts = {
            "model": hash_of_files(place) if place else fingerprint_of(self._given),
            "tokenizer": tokenizer_hash(self.tokenizer),
            "chat": self.tokenizer.chat_template if self._chat else None,
            "max_new_tokens": self.max_new_tokens,
            "dtype": self._dtype if place else str(self._given.dtype),
            "options": self._options,
        }
        text = json.dumps(parts, sort_keys=True, default=str)
        return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))

    def cut(self, values: list[str]) -> list[str]:
        """Return the beginnings of values, of at most `max_length` tokens each."""
        return [self._cut(value) for value in values]

    def _cut(self, value: str) -> str:
        if len(value) <= self.max_length:  # a token has at least one character
            return value
        value = beginning(value, CHARACTERS_PER_TOKEN * self.max_length)
        options = {"add_special_tokens": False, "truncation": False}
        if self.tokenizer.is_fast:
            places = self.tokenizer(value, return_offsets_mapping=True, **options)
            places = places["offset_mapping"]
            long = len(places) > self.max_length
            return value[: places[self.max_length - 1][1]] if long else value
        ids = self.tokenizer(value, **options)["input_ids"]
        return (
            self.tokenizer.decode(ids[: self.max_length]) if len(ids) > self.max_length else value
        )

    def write(self, prompts: list[str]) -> list[str | Exception]:
        """Return the text of each prompt, or an error where there is none."""
        with self._lock.held(), quiet():
            return self._write(prompts)

    def _load(self) -> Any:
        if self._model is None and isinstance(self._given, str | Path):
            self._model = load_causal(
                self._given, self._dtype, self._trust, self._revision, self._subfolder
            ).to(self._device)
        return self._given if self._model is None else self._model

    def _write(self, prompts: list[str]) -> list[str | Exception]:
        model = self._load()
        ids = [self._ids(prompt) for prompt in prompts]
        longest = max_tokens(model)
        answers: list[str | Exception] = [""] * len(prompts)
        fits = []
        for at, row in enumerate(ids):
            if not row:
                answers[at] = ValueError("the prompt has no tokens")
            elif longest is not None and len(row) + self.max_new_tokens > longest:
                answers[at] = ValueError(
                    f"the prompt has {len(row)} tokens, and with max_new_tokens="
                    f"{self.max_new_tokens} that is more than the {longest} of the model; take a "
                    "smaller max_length"
                )
            else:
                fits.append(at)
        if fits:
            for at, text in zip(fits, self._generate(model, [ids[i] for i in fits]), strict=True):
                answers[at] = text
        return answers

    def _ids(self, prompt: str) -> list[int]:
        """Return the token ids of a prompt, with the special tokens that it needs."""
        if self._chat:
            message = [{"role": "user", "content": prompt}]
            prompt = self.tokenizer.apply_chat_template(
                message, add_generation_prompt=True, tokenize=False
            )
        ids = self.tokenizer(prompt, add_special_tokens=not self._chat)["input_ids"]
        if not self._chat and len(ids) > 1 and ids[-1] in self._ends():
            ids = ids[:-1]  # a text that has ended would not be continued
        return ids

    def _ends(self) -> set[int]:
        """Return the tokens that end a text."""
        found = (self.tokenizer.eos_token_id, self.tokenizer.sep_token_id)
        return {token for token in found if token is not None}

    @torch.inference_mode()
    def _generate(self, model: Any, ids: list[list[int]]) -> list[str]:
        """Return the texts that continue rows of token ids."""
        width = max(map(len, ids))
        pad = self.tokenizer.pad_token_id
        if pad is None:
            pad = self.tokenizer.eos_token_id or 0
        inputs = torch.tensor([[pad] * (width - len(row)) + row for row in ids])  # (B, L)
        lengths = torch.tensor([[len(row)] for row in ids])
        mask = (torch.arange(width) >= width - lengths).long()
        training = model.training
        model.eval()
        try:
            with TorchGenerator().lent():
                torch.manual_seed(0)  # sampling, if asked for, is repeatable
                found = model.generate(
                    input_ids=inputs.to(model.device),
                    attention_mask=mask.to(model.device),
                    generation_config=self._config(model, pad),
                )
        finally:
            model.train(training)
        new = found[:, width:].cpu()
        ends = torch.tensor(sorted(self._stops(model)), dtype=torch.long)
        # tokens after the first end are padding
        ended = torch.isin(new, ends).long().cumsum(dim=1)
        self.n_calls += 1
        self.n_tokens += int(((ended - torch.isin(new, ends).long()) == 0).sum())
        rows = [row[~done].tolist() for row, done in zip(new, ended > 0, strict=True)]
        texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _stops(self, model: Any) -> set[int]:
        """Return the tokens at which generation ends."""
        stops = getattr(model, "generation_config", None)
        found = getattr(stops, "eos_token_id", None)
        if found is None:
            found = self.tokenizer.eos_token_id
        return set(found if isinstance(found, list) else [found]) - {None}

    def _config(self, model: Any, pad: int) -> Any:
        """Return the settings of ``generate``, without those of the model, which sample."""
        from transformers import GenerationConfig

        settings = {
            "max_new_tokens": self.max_new_tokens,
            "do_sample": False,
            "use_cache": True,
            "pad_token_id": pad,
            "eos_token_id": sorted(self._stops(model)) or None,
        }
        return GenerationConfig(**(settings | self._options))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}  # loaded again when needed


def hash_of_files(place: Source) -> str:
    """Return the commit of a model on the hub, or a hash of the files of a model on disk."""
    if place.commit is not None:
        return f"{place.location}@{place.commit}/{place.subfolder}"
    whole = xxhash.xxh3_128()
    folder = Path(place.location)
    paths = [Path(place.gguf)] if place.gguf else [p for end in HASHED for p in folder.glob(end)]
    for path in sorted(paths):
        whole.update(f"{path.name}:{path.stat().st_size}:".encode())
        with open(path, "rb") as file:
            add_to_digest(whole, file)
    return whole.hexdigest()


def check_causal(model: Any) -> None:
    """Raise a TypeError for a model object without a head that writes."""
    if not (hasattr(model, "generate") and getattr(model, "can_generate", lambda: False)()):
        raise TypeError(
            f"model must write texts: a causal language model (AutoModelForCausalLM) or a function "
            f"of texts, got {type(model).__name__}"
        )
