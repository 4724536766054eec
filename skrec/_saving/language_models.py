"""Pretrained language models in a saved folder: references to them, or their weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from skrec._saving.codec import Codec, Damaged
from skrec.content._lm import check_lora, load_base, quiet, read_saved, write_saved
from skrec.content._lm.lora import SUPPORTED
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


def model_reference(codec: Codec, operator: PretrainedText, at: str) -> dict[str, Any]:
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
    dict of str to object
        Parameters of the operator that say where its model is: a name or path, or the folder with
        its weights.

    Raises
    ------
    ValueError
        If the model was passed as an object and `codec.include_base` is false.
    """
    model = operator.model
    named = isinstance(model, (str, Path))
    if not codec.include_base:
        if named:
            return {"model": model}
        raise ValueError(
            f"{at} was given as an object, so it has no name to load it by: "
            "save(path, include_base=True) writes its weights, too"
        )
    key = (str(model), operator.revision, operator.subfolder) if named else id(model)
    if key not in codec.bases:
        codec.bases[key] = codec.new_file("base")
        _write_base(operator, codec.folder / codec.bases[key])
    return {"model": BaseFolder(codec.bases[key]), "revision": None, "subfolder": None}


def _write_base(operator: PretrainedText, folder: Path) -> None:
    """Write the language model and tokenizer of an operator to a folder, and read it again.

    Raises
    ------
    ValueError
        If the folder does not give the same model.
    """
    schema = getattr(operator, "schema_", None)
    revision = operator.revision if schema is None else schema.revision
    base = load_base(
        operator.model, operator.dtype, operator.trust_remote_code, revision, operator.subfolder
    )
    with quiet():
        base.model.save_pretrained(folder)
        if hasattr(operator, "tokenizer_"):  # needed to fit the loaded recommender again
            operator.tokenizer_.save_pretrained(folder)
    if operator.pooling == "saved":
        write_saved(folder, read_saved(operator.model, revision, operator.subfolder))
    wanted, name = base.fingerprint, type(base.model).__name__
    del base  # two models need twice the memory
    reason: Exception | None = None
    try:
        found = load_base(folder, operator.dtype, operator.trust_remote_code).fingerprint
    except (ValueError, OSError) as error:
        found, reason = "", error
    if found != wanted:
        raise ValueError(
            f"the weights of this {name} can't be saved: transformers writes them, and reads "
            "another model; save(path) alone if it has a name, or pickle the recommender"
            + (f": {reason}" if reason else "")
        ) from reason


def write_lora(codec: Codec, value: Any, at: str) -> dict[str, Any]:
    """Write a configuration of adapters: its settings that differ from the defaults."""
    check_lora(value)
    plain = type(value)()
    settings = {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if field.name in SUPPORTED - {"runtime_config"}
        and getattr(value, field.name) != getattr(plain, field.name)
    }
    for name, setting in settings.items():
        if isinstance(setting, set):
            settings[name] = sorted(setting)
    return {"settings": codec.encode(settings, at)}


def read_lora(codec: Codec, value: dict[str, Any]) -> Any:
    """Return a configuration of adapters, which is checked as `fit` checks it."""
    from peft import LoraConfig

    settings = codec.decode(value["settings"])
    unknown = sorted(settings.keys() - SUPPORTED) if isinstance(settings, dict) else ["settings"]
    if unknown:
        raise Damaged(f"recommender.json has a LoraConfig with the unknown setting {unknown[0]!r}")
    config = LoraConfig(**settings)
    check_lora(config)
    return config
