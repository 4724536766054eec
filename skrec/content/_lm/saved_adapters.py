"""Adapters that peft saved in a folder, from which training starts."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from skrec._common.messages import preview, warn
from skrec.content._lm.full_weights import HEADS
from skrec.content._lm.lora import IGNORED, check_lora
from skrec.content._lm.sources import ADAPTER_CONFIG as CONFIG
from skrec.content._lm.sources import ADAPTER_WEIGHTS as WEIGHTS
from skrec.content._lm.sources import find_adapters
from skrec.content._lm.split import layer_list

PICKLE = "adapter_model.bin"
MAX_CONFIG = 1 << 20  # bytes
_PREFIX = "base_model.model."
_OF_LORA = re.compile(r"(.+)\.lora_(A|B|magnitude_vector)(\.weight|\.bias)?")
UNREAD = HEADS | {"pooler"}  # parts of models whose output is not read
_OF_TOKENS = re.compile(r"(.+)\.token_adapter\.trainable_tokens_delta")


@dataclass
class SavedAdapters:
    """Adapters of a folder.

    Parameters
    ----------
    folder : str
        Path or name given by the user, for messages.
    config : peft.LoraConfig
        Their configuration.
    weights : dict of str to Tensor
        Their weights, by the names in the file without the prefix of peft.
    base : str
        Name or path of the model that they were trained on; empty if it is unknown.
    """

    folder: str
    config: Any
    weights: dict[str, torch.Tensor]
    base: str


def read_adapters(folder: str | Path) -> SavedAdapters:
    """Read adapters that peft saved. Nothing is unpickled.

    Parameters
    ----------
    folder : str or Path
        Folder with adapter_config.json and adapter_model.safetensors, or its name on the hub.

    Returns
    -------
    SavedAdapters

    Raises
    ------
    OSError
        If the folder, the name or one of its files does not exist, or if the hub cannot be reached.
    ValueError
        If the files are damaged, or if the adapters are of a kind that is not supported.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = find_adapters(folder)
    config, base = _read_config(path / CONFIG)
    if not (path / WEIGHTS).is_file():
        hint = (
            f"; its {PICKLE} is a pickle, which can run any code and is not opened here. If you "
            "trust it, convert it once: PeftModel.from_pretrained(model, old).save_pretrained(new)"
        )
        given = hint if (path / PICKLE).exists() else ""
        raise FileNotFoundError(f"lora={str(folder)!r} has no {WEIGHTS}{given}")
    try:
        weights = load_file(path / WEIGHTS)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path / WEIGHTS} can't be read: {error}") from error
    ranks = [len(w) for name, w in weights.items() if ".lora_A." in name]
    if max([config.r, *config.rank_pattern.values()]) > max(ranks, default=0):
        raise ValueError(
            f"{path / CONFIG} has rank {max([config.r, *config.rank_pattern.values()])}, but the "
            f"largest adapter of {WEIGHTS} has rank {max(ranks, default=0)}"
        )
    weights = {name.removeprefix(_PREFIX): weight for name, weight in weights.items()}
    return SavedAdapters(str(folder), config, weights, base)


def _read_config(path: Path) -> tuple[Any, str]:
    """Return the configuration in a file, and the name of the model that was adapted."""
    from peft import LoraConfig

    if not path.is_file():
        raise FileNotFoundError(f"lora={str(path.parent)!r} has no {CONFIG}")
    if path.stat().st_size > MAX_CONFIG:
        raise ValueError(f"{path} has more than {MAX_CONFIG:,} bytes")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA":
        kind = settings.get("peft_type") if isinstance(settings, dict) else settings
        raise ValueError(f"{path} must describe adapters of the type 'LORA', got {kind!r}")
    known = {field.name for field in dataclasses.fields(LoraConfig)}
    unknown = sorted(name for name, value in settings.items() if value and name not in known)
    if unknown:
        raise ValueError(
            f"{path} has the setting {unknown[0]!r}, which this release of peft does not know; a "
            "newer one may"
        )
    base = settings.get("base_model_name_or_path")
    left_out = IGNORED | {"runtime_config"}
    given = {name: settings[name] for name in known & settings.keys() - left_out}
    modules = given.get("modules_to_save")
    if isinstance(modules, list):
        given["modules_to_save"] = [name for name in modules if name not in UNREAD] or None
    try:
        config = LoraConfig(**given)
        check_lora(config)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} describes adapters that can't be trained here: {error}"
        ) from error
    patterns = (config.rank_pattern, config.alpha_pattern)
    if not all(isinstance(p, dict) and all(map(_is_number, p.values())) for p in patterns):
        raise ValueError(f"{path} has patterns of ranks or scales that are no numbers")
    return config, base if isinstance(base, str) else ""


def _is_number(value: Any) -> bool:
    """Return whether a value of a file is a positive number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def fitted_to(saved: SavedAdapters, model: Any, name: str, n_frozen: int | None) -> SavedAdapters:
    """Return adapters with the names that their modules have in a model.

    Parameters
    ----------
    saved : SavedAdapters
        Adapters of a folder.
    model : transformers.PreTrainedModel
        The whole model.
    name : str
        Its name or path, for messages.
    n_frozen : int or None
        Number of frozen layers, or None if the embeddings are trained, too.

    Returns
    -------
    SavedAdapters
        Its configuration lists the modules that have adapters in the file.

    Raises
    ------
    ValueError
        If the model lacks adapted modules, or has them with other sizes, or if they are frozen.

    Warns
    -----
    UserWarning
        If the adapters were trained on a model with another name.
    """
    own = f"{getattr(model, 'base_model_prefix', '')}."  # adapters of models with a head have it
    modules = dict(model.named_modules())
    weights = {}
    for key, weight in saved.weights.items():
        inner = key if _owner(key) in modules else key.removeprefix(own)
        if inner.split(".")[0] not in UNREAD:
            weights[inner] = weight
    of_lora = {found[1]: found for key in weights if (found := _OF_LORA.fullmatch(key))}
    lacking = sorted({_owner(key) for key in weights} - modules.keys())
    based = f", which was trained on {saved.base!r}" if saved.base else ""
    if lacking or not of_lora:
        raise ValueError(
            f"lora={saved.folder!r}{based}, does not belong to model={name!r}: it adapts "
            f"{preview(lacking or sorted(weights))}, which this {type(model).__name__} lacks"
        )
    _check_shapes(saved, weights, modules, name, based)
    frozen = sorted(each for each in of_lora if _is_frozen(each, model, n_frozen))
    if frozen:
        layers = len(layer_list(model)[1]) - (n_frozen or 0)
        raise ValueError(
            f"lora={saved.folder!r} has adapters in frozen layers, such as {frozen[0]!r}, and only "
            f"the top {layers} layers are trained; take trainable_layers=None, or merge the "
            "adapters into the model first (merge_and_unload) and give lora a rank"
        )
    place = str(getattr(model, "name_or_path", ""))  # models that were made in memory have none
    if saved.base and place and Path(saved.base).name != Path(place).name:
        warn(
            f"lora={saved.folder!r} was trained on {saved.base!r}, and the model is {place!r}; "
            "adapters are only useful for the model that they were trained on"
        )
    config = copy.deepcopy(saved.config)
    config.target_modules, config.exclude_modules = sorted(of_lora), None
    config.layers_to_transform = config.layers_pattern = None
    if config.modules_to_save is not None:
        config.modules_to_save = [each.removeprefix(own) for each in config.modules_to_save]
    if isinstance(config.trainable_token_indices, dict):
        tables = config.trainable_token_indices.items()
        config.trainable_token_indices = {each.removeprefix(own): ids for each, ids in tables}
    return dataclasses.replace(saved, config=config, weights=weights)


def _owner(key: str) -> str:
    """Return the module that a weight of a file belongs to."""
    for pattern in (_OF_LORA, _OF_TOKENS):
        found = pattern.fullmatch(key)
        if found:
            return found[1]
    return key.rpartition(".")[0]


def _check_shapes(
    saved: SavedAdapters, weights: dict[str, Any], modules: dict[str, Any], name: str, based: str
) -> None:
    """Raise a ValueError if adapters have other sizes than the modules of a model."""
    for key, weight in weights.items():
        found = _OF_LORA.fullmatch(key)
        if found is None or found[2] not in "AB" or found[3] != ".weight":
            continue
        sizes = tuple(modules[found[1]].weight.shape)
        size = weight.shape[1] if found[2] == "A" else weight.shape[0]
        if weight.ndim != 2 or size not in sizes:
            raise ValueError(
                f"lora={saved.folder!r}{based}, does not belong to model={name!r}: {key} has the "
                f"shape {tuple(weight.shape)}, and {found[1]} has the shape {sizes}"
            )


def _is_frozen(module: str, model: Any, n_frozen: int | None) -> bool:
    """Return whether a module is in a frozen layer."""
    if not n_frozen:
        return False
    prefix = f"{layer_list(model)[0]}."
    number = module.removeprefix(prefix).split(".")[0]
    return module.startswith(prefix) and number.isdigit() and int(number) < n_frozen


def start_at(model: Any, saved: SavedAdapters) -> None:
    """Copy the weights of saved adapters to those of a model that was adapted in the same way.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, with adapters from ``saved.config``. It is modified in place.
    saved : SavedAdapters
        Adapters, as returned by `fitted_to`.

    Raises
    ------
    ValueError
        If the file lacks weights, or has others.
    """
    trained = {_name_in_file(n): p for n, p in model.named_parameters() if p.requires_grad}
    shapes = {name: tuple(p.shape) for name, p in trained.items()}
    given = {name: tuple(weight.shape) for name, weight in saved.weights.items()}
    if shapes != given:
        different = {n for n in shapes.keys() | given.keys() if shapes.get(n) != given.get(n)}
        [first, *_] = sorted(different)
        raise ValueError(
            f"lora={saved.folder!r} has weights that its {CONFIG} does not describe: {first} has "
            f"the shape {given.get(first)} in {WEIGHTS}, and must have {shapes.get(first)}"
        )
    with torch.no_grad():
        for name, weight in saved.weights.items():
            trained[name].copy_(weight)


def _name_in_file(name: str) -> str:
    """Return the name under which peft saves a trained weight of a model."""
    name = re.sub(r"\.lora_magnitude_vector\.default\.weight$", ".lora_magnitude_vector", name)
    name = re.sub(r"(\.lora_[AB])\.default\.", r"\1.", name)
    return name.replace(".trainable_tokens_delta.default", ".trainable_tokens_delta")
