"""Loading of transformers tokenizers, and hashes that identify them."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import xxhash

from skrec.content._lm.sources import find_source, quiet
from skrec.content._texts import is_failure

SETTINGS = "tokenizer_config.json"
# Settings that do not change how a tokenizer splits a text.
VOLATILE = {
    *("name_or_path", "is_local", "local_files_only", "model_max_length", "max_length", "stride"),
    *("padding_side", "pad_to_multiple_of", "truncation_strategy", "vocab_file", "tokenizer_file"),
    *("clean_up_tokenization_spaces", "chat_template", "model_input_names"),
}


def load_tokenizer(
    tokenizer: Any,
    model: Any,
    trust_remote_code: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
) -> Any:
    """Load a transformers tokenizer.

    Parameters
    ----------
    tokenizer : str, Path, transformers tokenizer or None
        Path of a folder or GGUF file, name on the hub, or a tokenizer, which is copied. None loads
        the tokenizer of the model.
    model : str, Path or transformers.PreTrainedModel
        The model that uses the tokenizer. A model that was created in memory has no tokenizer.
    trust_remote_code : bool, default=False
        Whether code that comes with the tokenizer may be executed.
    revision : str, default=None
        Branch, tag or commit on the hub. Ignored if `tokenizer` is given.
    subfolder : str, default=None
        Folder of the model inside the folder or the name. Ignored if `tokenizer` is given.

    Returns
    -------
    transformers.PreTrainedTokenizerBase

    Raises
    ------
    ValueError, OSError
        If there is no tokenizer, or if it cannot be loaded.
    TypeError
        If `tokenizer` is not a str, a path, a tokenizer or None.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerBase

    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return copy.deepcopy(tokenizer)
    own = tokenizer is None
    given = model if own else tokenizer
    if own and not isinstance(model, str | os.PathLike):
        given = getattr(model, "name_or_path", "")
        if not given:
            raise ValueError(
                f"tokenizer must be given with a model that was made in memory, as this "
                f"{type(model).__name__} was: tokenizer='...' or a tokenizer of transformers"
            )
    if not isinstance(given, str | os.PathLike):
        raise TypeError(
            "tokenizer must be a name on the hub, a folder, a tokenizer of transformers or None, "
            f"got {type(given).__name__}; a plain one of the tokenizers package goes into "
            "transformers.PreTrainedTokenizerFast(tokenizer_object=...)"
        )
    what = "model" if own and given is model else "tokenizer"
    with quiet():
        source = find_source(given, what, *((revision, subfolder) if own else ()))
        try:
            found = AutoTokenizer.from_pretrained(
                source.location, **source.load_options, trust_remote_code=trust_remote_code
            )
        except BaseException as error:
            if not is_failure(error):
                raise
            trust = "trust_remote_code" in str(error)
            hint = ": it comes with code of its own; read it, then set trust_remote_code=True"
            raise ValueError(
                f"{what}={source.name!r} has no tokenizer that can be read"
                + (hint if trust else f", give tokenizer=...: {error}")
            ) from error
    if len(set(found.get_vocab()) - set(found.all_special_tokens)) < 2:
        # transformers returns an empty tokenizer if its files are missing
        raise ValueError(f"{what}={source.name!r} has no files of a tokenizer; give tokenizer=...")
    return found


def tokenizer_hash(tokenizer: Any) -> str:
    """Return a hash that changes whenever the tokens of some text may change.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        The tokenizer. Its padding and its truncation length do not change the hash.

    Returns
    -------
    str
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        state = json.loads(backend.to_str())
        state["truncation"] = state["padding"] = None
    else:
        state = _saved_state(tokenizer)
    state["skrec"] = {
        "special": tokenizer.special_tokens_map,
        "side": tokenizer.truncation_side,
        "split": getattr(tokenizer, "split_special_tokens", False),
    }
    text = json.dumps(state, sort_keys=True, default=str)
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def _saved_state(tokenizer: Any) -> dict[str, Any]:
    """Return everything that a tokenizer written in Python saves."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        tokenizer.save_pretrained(folder)
        files = {
            path.name: xxhash.xxh3_128_hexdigest(path.read_bytes())
            for path in Path(folder).iterdir()
            if path.name != SETTINGS
        }
        settings = json.loads((Path(folder) / SETTINGS).read_text(encoding="utf-8"))
    return {
        "files": files,
        "vocabulary": tokenizer.get_vocab(),
        "settings": {
            name: value
            for name, value in settings.items()
            if name not in VOLATILE and value is not None
        },
    }
