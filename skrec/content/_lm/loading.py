"""Loading of pretrained language models, and fingerprints that identify them."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash

from skrec._common.checks import check_choice
from skrec.content._lm.classes import (
    encoder_class,
    is_auto,
    is_encoder_decoder,
    model_class,
)
from skrec.content._lm.safety import attention_options, check_files
from skrec.content._lm.shapes import check_size
from skrec.content._lm.sizes import DTYPES
from skrec.content._lm.sources import (
    ADAPTER_CONFIG,
    Source,
    download_weights,
    find_source,
    quiet,
)

# Settings that do not change what a model computes. Those that start with "_" do not, either.
VOLATILE = {
    *("transformers_version", "architectures", "auto_map", "dtype", "torch_dtype"),
    *("quantization_config", "use_cache", "tie_word_embeddings"),
    *("output_hidden_states", "output_attentions", "return_dict", "initializer_range"),
    *("id2label", "label2id", "problem_type", "finetuning_task", "task_specific_params"),
}
# The forward pass returns the last hidden states by name, and nothing that only generation needs.
PLAIN_OUTPUT = {"return_dict": True, "use_cache": False}


@dataclass
class Base:
    """A pretrained model as it was loaded.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, in evaluation mode and on the CPU.
    name : str
        Name or path given by the user, or the class name of a model that was given as an object.
    revision : str or None
        Commit on the hub. None for models from other sources.
    fingerprint : str
        Hash of everything that determines what the model computes.
    """

    model: Any
    name: str
    revision: str | None
    fingerprint: str


def load_base(
    model: Any,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
) -> Base:
    """Load a pretrained language model without a task head.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Path of a folder or GGUF file, name on the hub, or a model. A model is copied.
    dtype : {"float32", "bfloat16", "float16", "float64"}, default="float32"
        Number type of the weights.
    trust_remote_code : bool, default=False
        Whether code that comes with the model may be executed.
    revision : str, default=None
        Branch, tag or commit on the hub. Ignored for models from other sources.
    subfolder : str, default=None
        Folder inside the folder or the name on the hub. Ignored for other models.

    Returns
    -------
    Base

    Raises
    ------
    ValueError, OSError
        If the model does not exist or cannot be reached, if its weights are incomplete or only
        available as pickles, or if it is of a kind that cannot be trained here.
    TypeError
        If `model` is not a str, a path or a model.
    """
    check_choice("dtype", dtype, tuple(DTYPES))
    if isinstance(model, str | os.PathLike):
        source, found = _find_and_read(model, revision, subfolder, dtype, trust_remote_code)
        name, commit = source.name, source.commit
    else:
        found = _copy(model, DTYPES[dtype])
        name, commit = type(model).__name__, None
    for setting, value in PLAIN_OUTPUT.items():
        setattr(found.config, setting, value)
    found = found.eval().requires_grad_(True)
    return Base(found, name, commit, fingerprint_of(found))


def load_causal(
    model: str | os.PathLike[str],
    dtype: str = "float32",
    trust_remote_code: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
) -> Any:
    """Load a language model with the head that writes texts; see `load_base`.

    Parameters
    ----------
    model : str or Path
        Path of a folder or GGUF file, or name on the hub.
    dtype, trust_remote_code, revision, subfolder
        As in `load_base`.

    Returns
    -------
    transformers.PreTrainedModel
        The model, in evaluation mode and on the CPU.
    """
    from transformers import AutoModelForCausalLM

    kind = AutoModelForCausalLM
    _, found = _find_and_read(model, revision, subfolder, dtype, trust_remote_code, kind)
    return found.eval().requires_grad_(False)


def _find_and_read(
    model: str | os.PathLike[str],
    revision: str | None,
    subfolder: str | None,
    dtype: str,
    trust_remote_code: bool,
    kind: Any = None,
) -> tuple[Source, Any]:
    """Return where a model is, and the model; only a download shows its progress."""
    with quiet():
        source = find_source(model, "model", revision, subfolder)
        if not source.gguf:
            _check_config(source, trust_remote_code)
            check_files(source)
    download_weights(source)
    with quiet():
        return source, _read(source, DTYPES[dtype], trust_remote_code, kind)


def _read(source: Source, dtype: torch.dtype, trust_remote_code: bool, kind: Any) -> Any:
    """Load the model from a source that was found, by a class or one that fits a base model."""
    plain = not (source.gguf or trust_remote_code)
    options: dict[str, Any] = attention_options(source) if plain else {}
    # a pooler that the weights lack is initialized at random; make it the same in each call
    torch.default_generator.manual_seed(0)
    try:
        if not trust_remote_code:
            check_size(source, options, kind)
        kind, code = kind or model_class(source), {"trust_remote_code": trust_remote_code}
        model, report = kind.from_pretrained(
            source.location,
            **source.load_options,
            **options,
            **(code if is_auto(kind) else {}),
            dtype=dtype,
            use_safetensors=None if source.gguf else True,
            output_loading_info=True,
        )
    except MemoryError:
        raise
    except Exception as error:  # several libraries raise errors of many classes
        raise _loading_error(source, error) from error
    missing = sorted(name for name in report["missing_keys"] if not _is_pooler(name))
    if missing:
        raise ValueError(
            f"model={source.name!r} lacks {len(missing)} of its trained weights, the first "
            f"{missing[0]!r}: its file of weights is incomplete, or of another model than its "
            "config.json"
        )
    if source.gguf:  # the weights are dequantized now; save and train them as plain weights
        for owner in (model.config, model):
            for name in [name for name in vars(owner) if "quanti" in name]:
                delattr(owner, name)
    _check_kind(model, source.name)
    return model


def _check_config(source: Source, trust_remote_code: bool) -> None:
    """Raise for models that config.json shows to be unsuitable, before any weights are read."""
    from transformers import CONFIG_MAPPING

    name, config = source.name, source.config
    adapters = os.path.exists(os.path.join(source.location, ADAPTER_CONFIG))
    if not config:
        hint = "adapters alone; give it as lora, and their model" if adapters else "no model"
        raise FileNotFoundError(f"model={name!r} has no config.json, so it holds {hint}")
    if adapters:
        raise ValueError(f"model={name!r} holds adapters; merge them into its weights first")
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING and not trust_remote_code:
        if config.get("auto_map"):
            raise ValueError(
                f"model={name!r} comes with code of its own, which is not run unless you trust it; "
                "read that code, then set trust_remote_code=True"
            )
        raise ValueError(
            f"model={name!r} is of the type {kind!r}, which this release of transformers does "
            "not know; a newer one may"
        )
    if is_encoder_decoder(config) and encoder_class(config) is None:
        raise ValueError(_encoder_decoder_message(name))
    if config.get("quantization_config"):
        raise ValueError(
            f"model={name!r} has quantised weights, which can't be trained; take the plain ones, "
            "or a GGUF file, which is turned into plain ones"
        )


def _encoder_decoder_message(name: str) -> str:
    """Return the error message for a model with both encoder and decoder."""
    return (
        f"model={name!r} is an encoder with a decoder, and items are read by one of them; load it "
        "with transformers and give its encoder: model=whole.get_encoder(), with a tokenizer"
    )


def _loading_error(source: Source, error: Exception) -> Exception:
    """Return the error to raise if transformers cannot load a model."""
    called = f"model={source.name!r}"
    if isinstance(error, PermissionError):
        return error
    if isinstance(error, OSError) and "safetensors" in str(error):
        if list(Path(source.location).glob("*.safetensors.index.json")):
            return OSError(f"{called} lacks a file of its weights: {error}")
        if os.path.isdir(source.location) and not list(Path(source.location).glob("*.bin")):
            return FileNotFoundError(f"{called} has no weights (model.safetensors)")
        return OSError(
            f"{called} has no weights in the safetensors format (model.safetensors). Files such "
            "as pytorch_model.bin are pickles, which can run any code, and are not opened here; "
            "if you trust yours, convert it once: AutoModel.from_pretrained(old)"
            ".save_pretrained(new), and give the new folder"
        )
    if isinstance(error, OSError):
        return OSError(f"{called} can't be read: {error}")
    if "ignore_mismatched_sizes" in str(error):
        return ValueError(f"{called} has weights of other shapes than its config.json says")
    return ValueError(f"{called} can't be read: {error}")


def _copy(model: Any, dtype: torch.dtype) -> Any:
    """Copy a model without its head. The weights are equal to those loaded in the number type."""
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel):
        hint = "; merge its adapters first: merge_and_unload()" if _has_adapters(model) else ""
        raise TypeError(
            "model must be a name on the hub, a folder, a GGUF file or a transformers model, got "
            f"{type(model).__name__}{hint}"
        )
    name = type(model).__name__
    if getattr(model, "is_quantized", False):
        raise ValueError(f"the weights of this {name} are quantised and can't be trained")
    model = model.base_model
    if any(tensor.is_meta for tensor in model.state_dict().values()):
        raise ValueError(f"this {name} has no weights in memory (it was made on the meta device)")
    _check_kind(model, name)
    copied = copy.deepcopy(model).cpu()
    # buffers outside of state_dict, such as rotary frequencies, must not be rounded
    for tensor in copied.state_dict(keep_vars=True).values():
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)
    copied.config.dtype = dtype
    return copied


def _check_kind(model: Any, name: str) -> None:
    """Raise a ValueError for a model whose input is not a single text."""
    config = model.config
    if getattr(config, "is_encoder_decoder", False) and hasattr(model, "decoder"):
        raise ValueError(_encoder_decoder_message(name))
    if _has_adapters(model):
        raise ValueError(
            f"model={name!r} has adapters; merge them into its weights first (merge_and_unload)"
        )
    text = config.get_text_config() is config and model.main_input_name == "input_ids"
    if not (text and hasattr(config, "hidden_size") and hasattr(config, "num_hidden_layers")):
        raise ValueError(
            f"model={name!r} is no model of texts alone ({type(model).__name__}); of one that "
            "reads images too, give the part that reads text, as a model"
        )


def _has_adapters(model: Any) -> bool:
    """Return whether peft has added adapters to a model."""
    return bool(getattr(model, "peft_config", None))


def _is_pooler(name: str) -> bool:
    """Return whether a weight belongs to a pooler, which follows the last hidden states."""
    return name.split(".")[0] == "pooler"


def fingerprint_of(model: Any) -> str:
    """Hash what determines the last hidden states of a model: weights and configuration."""
    whole = xxhash.xxh3_128()
    lasting = model.state_dict()
    # Buffers that follow from the configuration are hashed by type and shape only: the last bit of
    # rotary frequencies may differ between machines, but their type matters. Scalars are skipped
    # because they are cast whenever they are used.
    derived = {n: b for n, b in model.named_buffers() if n not in lasting and b.ndim}
    for name, tensor in sorted({**lasting, **derived}.items()):
        if _is_pooler(name):
            continue
        whole.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        if name in lasting:
            flat = tensor.detach().contiguous().reshape(-1)
            whole.update(flat.view(torch.uint8).numpy())
    whole.update(_config_text(model.config).encode())
    return whole.hexdigest()


def _config_text(config: Any) -> str:
    """Return the settings that matter and differ from their defaults, as JSON.

    Defaults are left out, so that a release of transformers with new settings does not change the
    fingerprint of a model that does not use them.
    """
    try:
        defaults = _lasting(type(config)().to_dict())
    except Exception:  # a configuration class that comes with the model may need arguments
        defaults = {}
    settings = {
        name: value
        for name, value in _lasting(config.to_dict()).items()
        if not (name in defaults and defaults[name] == value)
    }
    settings["model_type"] = config.model_type
    return json.dumps(settings, sort_keys=True, default=str)


def _lasting(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that change what a model computes, of nested configurations too."""
    return {
        name: _lasting(value) if isinstance(value, dict) else value
        for name, value in settings.items()
        if name not in VOLATILE and not (isinstance(name, str) and name.startswith("_"))
    }
