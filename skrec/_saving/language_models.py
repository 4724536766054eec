"""Pretrained language models in a saved folder: references to them, or their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skrec._saving.codec import Codec
from skrec.content._lm import load_base, quiet
from skrec.content._lm.pretrained import PretrainedText


class BaseFolder:
    """Reference to a language model whose weights are in the saved folder.

    Parameters
    ----------
    name : str
        Name of the folder of the language model, inside the saved folder.
    """

    def __init__(self, name: str):
        self.name = name


def model_reference(codec: Codec, operator: PretrainedText, at: str) -> Any:
    """Return a reference to the language model of an operator.

    With `codec.include_base`, the weights are written to a folder, once for all operators with the
    same model.

    Parameters
    ----------
    codec : Codec
        Codec of the saved folder.
    operator : PretrainedText
        The operator.
    at : str
        Name of the operator's `model` in error messages.

    Returns
    -------
    str, Path or BaseFolder
        Name or path of the model, or the folder with its weights.

    Raises
    ------
    ValueError
        If the model was passed as an object and `codec.include_base` is false.
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
    """Write the language model and tokenizer of an operator to a folder."""
    schema = getattr(operator, "schema_", None)
    revision = None if schema is None else schema.revision
    base = load_base(operator.model, operator.dtype, operator.trust_remote_code, revision)
    with quiet():
        base.model.save_pretrained(folder)
        if hasattr(operator, "tokenizer_"):  # needed to fit the loaded recommender again
            operator.tokenizer_.save_pretrained(folder)
