"""Pretrained language models inside of a saved folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skrec._saving.codec import Codec
from skrec.content._lm import load_base, quiet
from skrec.content._lm.pretrained import PretrainedText


class BaseFolder:
    """Stands for a language model whose weights are in a folder beside the JSON."""

    def __init__(self, name: str):
        self.name = name


def model_of(codec: Codec, operator: PretrainedText, at: str) -> Any:
    """Return what says where an operator's language model is: its name, or its folder.

    Raises
    ------
    ValueError
        For a model without a name, whose weights are not to be written.
    """
    model = operator.model
    named = isinstance(model, (str, Path))
    if not codec.include_base:
        if named:
            return model
        raise ValueError(
            f"{at} was given as an object, so it has no name to load it by: "
            "save(path, include_base=True) writes its weights, too"
        )
    key = str(model) if named else id(model)
    if key not in codec.bases:
        codec.bases[key] = codec.new_file("base")
        _write_base(operator, codec.folder / codec.bases[key])
    return BaseFolder(codec.bases[key])


def _write_base(operator: PretrainedText, folder: Path) -> None:
    schema = getattr(operator, "schema_", None)
    revision = None if schema is None else schema.revision
    base = load_base(operator.model, operator.dtype, operator.trust_remote_code, revision)
    with quiet():
        base.model.save_pretrained(folder)
        if hasattr(operator, "tokenizer_"):  # for another fit
            operator.tokenizer_.save_pretrained(folder)
