"""The class of transformers that a model in a folder or on the hub is loaded with."""

from __future__ import annotations

import sys
from typing import Any

from skrec.content._lm.sources import Source

# how transformers names the encoders of models that also have a decoder
ENDINGS = ("Encoder", "EncoderModel", "Stack")


def is_encoder_decoder(config: dict[str, Any]) -> bool:
    """Return whether config.json is that of a type of models with encoder and decoder.

    Parameters
    ----------
    config : dict
        Content of config.json.

    Returns
    -------
    bool
    """
    from transformers import CONFIG_MAPPING

    kind: Any = config.get("model_type")
    default = getattr(CONFIG_MAPPING[kind], "is_encoder_decoder", False) if _is_known(kind) else 0
    return bool(config.get("is_encoder_decoder") or default)


def encoder_class(config: dict[str, Any]) -> Any:
    """Return the class of an encoder that was saved without its decoder.

    ``get_encoder().save_pretrained(folder)`` writes the name of the class, which ``AutoModel``
    ignores. The class is taken from the module of transformers that has the model's type.

    Parameters
    ----------
    config : dict
        Content of config.json.

    Returns
    -------
    type or None
        None if the configuration names no encoder of its type.
    """
    from transformers import CONFIG_MAPPING, MODEL_MAPPING, PreTrainedModel

    names: Any = config.get("architectures")
    kind: Any = config.get("model_type")
    one = isinstance(names, list) and len(names) == 1 and isinstance(names[0], str)
    if not one or not _is_known(kind) or config.get("is_decoder"):
        return None
    try:
        module = sys.modules[MODEL_MAPPING[CONFIG_MAPPING[kind]].__module__]
    except KeyError:  # there is no model without a head of this type
        return None
    found = vars(module).get(names[0])
    if not (names[0].endswith(ENDINGS) and isinstance(found, type)):
        return None
    return found if issubclass(found, PreTrainedModel) else None


def _is_known(kind: Any) -> bool:
    """Return whether transformers knows a type of models."""
    from transformers import CONFIG_MAPPING

    return isinstance(kind, str) and kind in CONFIG_MAPPING


def model_class(source: Source) -> Any:
    """Return the class whose ``from_pretrained`` loads a model without a head.

    Parameters
    ----------
    source : Source
        Where the model is.

    Returns
    -------
    type
        ``AutoModel``, or the class of an encoder that was saved without its decoder.
    """
    from transformers import AutoModel

    found = encoder_class(source.config) if is_encoder_decoder(source.config) else None
    return found or AutoModel


def is_auto(kind: Any) -> bool:
    """Return whether a class of transformers chooses the class of a model by its configuration.

    Parameters
    ----------
    kind : type
        The class.

    Returns
    -------
    bool
    """
    return hasattr(kind, "_model_mapping")
