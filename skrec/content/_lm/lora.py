"""LoRA adapters in the trained layers of a language model, implemented by peft."""

from __future__ import annotations

import copy
import dataclasses
import re
import warnings
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_int
from skrec.content._lm.full_weights import (
    check_apart,
    check_full_weights,
    merged_rows,
    name_in_peft,
    token_rows,
    train_modules,
    trained_modules,
)

# Supported settings of a LoraConfig. All others change weights that must stay frozen, or require
# data, a quantized model or a PeftModel around the language model.
SUPPORTED = {
    *("r", "lora_alpha", "lora_dropout", "lora_bias", "use_rslora", "use_dora"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("rank_pattern", "alpha_pattern", "init_lora_weights", "runtime_config"),
    *("modules_to_save", "trainable_token_indices"),
}
# Settings that this module sets, or that have no effect without an unsupported one.
IGNORED = {
    *("fan_in_fan_out", "task_type", "inference_mode", "base_model_name_or_path", "auto_mapping"),
    *("peft_type", "peft_version", "revision", "loftq_config", "eva_config", "corda_config"),
    *("lora_ga_config", "megatron_core", "qalora_group_size"),
}
# Linear layers of models whose layers read the weights of the module without calling it, by type.
WITHOUT_ADAPTERS = dict.fromkeys(
    ("mamba", "mamba2", "falcon_mamba", "falcon_h1", "nemotron_h"), {"out_proj", "conv1d"}
)
# Linear layers whose names peft takes for fused experts, in models that have such experts.
EXPERT_PARTS = {"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}
INITS = (True, False, "gaussian", "orthogonal")


def check_lora(lora: Any) -> None:
    """Raise unless `lora` is a rank, a supported configuration, a path or None.

    Parameters
    ----------
    lora : int, peft.LoraConfig, str, Path or None
        Value of the parameter `lora`.
    """
    if lora is None or isinstance(lora, str | Path):  # a folder, which `fit` reads
        return
    if isinstance(lora, Integral):
        check_int("lora", lora)
        return
    from peft import LoraConfig

    # subclasses, such as the configuration of AdaLoRA, have another type
    if not isinstance(lora, LoraConfig) or lora.peft_type != "LORA":
        raise TypeError(f"lora must be a rank, a peft.LoraConfig, a folder or None, got {lora!r}")
    check_int("lora.r", lora.r)
    if lora.init_lora_weights not in INITS:
        raise ValueError(
            f"lora.init_lora_weights must be one of {INITS}, which leave the model's weights as "
            f"they are, got {lora.init_lora_weights!r}"
        )
    plain = LoraConfig()
    for field in dataclasses.fields(lora):
        value, default = getattr(lora, field.name), getattr(plain, field.name, None)
        if field.name not in SUPPORTED | IGNORED and value != default:
            raise ValueError(
                f"lora.{field.name} must be {default!r}: adapters go into the trained layers only, "
                f"and nothing else is changed; got {value!r}"
            )
    for name in ("target_modules", "exclude_modules"):
        _check_pattern(f"lora.{name}", getattr(lora, name))
    check_full_weights(lora)


def _check_pattern(name: str, pattern: Any) -> None:
    """Raise a ValueError if a pattern is a str but not a regular expression."""
    if isinstance(pattern, str):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"{name} must be a regular expression or a list of names, got {pattern!r}: {error}"
            ) from None


def add_adapters(model: Any, layers: Iterable[nn.Module], lora: Any) -> Any:
    """Add adapters to some layers of a model, and freeze all other weights.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, which is modified in place.
    layers : iterable of torch.nn.Module
        Layers of the model.
    lora : int or peft.LoraConfig
        A rank, or a configuration, which is copied. Without ``target_modules``, adapters are added
        to the modules that peft adapts by default in this architecture, or else to all linear
        layers.

    Returns
    -------
    peft.LoraConfig
        Configuration with the full names of all modules that have adapters or are trained as a
        whole. It therefore means the same for any model of this architecture, even if other layers
        have been replaced.

    Raises
    ------
    ValueError
        If no module matches, if the model already has adapters, or if weights are to be trained
        next to them that are frozen.

    References
    ----------
    .. [1] Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.
    """
    from peft import inject_adapter_in_model

    if getattr(model, "peft_config", None):
        raise ValueError(
            f"this {type(model).__name__} has adapters already; merge them into its weights "
            "first (merge_and_unload), or train it with lora=None"
        )
    layers = list(layers)
    unfit = WITHOUT_ADAPTERS.get(model.config.model_type, set())
    if _has_fused_experts(layers):
        unfit = unfit | EXPERT_PARTS
    config = _resolve_config(lora, model.config.model_type, _linear_layers(model, layers), unfit)
    config.modules_to_save = trained_modules(model, config.modules_to_save)
    config.trainable_token_indices = token_rows(model, config.trainable_token_indices)
    check_apart(config.target_modules, config.modules_to_save, config.trainable_token_indices)
    # Pass a copy: peft shortens long lists of names to suffixes that are unique in this model,
    # which may lack the frozen layers. The call also freezes all other weights. Modules that are
    # trained as a whole need no copy of what they were, which can be loaded again.
    injected = copy.deepcopy(config)
    injected.modules_to_save = None
    inject_adapter_in_model(injected, model)
    train_modules(model, config.modules_to_save)
    model.train(model.training)  # peft creates adapters in training mode
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype.itemsize < 4:
            parameter.data = parameter.data.float()  # 16-bit types would round small updates away
    return config


def _has_fused_experts(layers: Iterable[nn.Module]) -> bool:
    """Return whether the weights of several experts are in one array."""
    return any(
        parameter.ndim == 3 and name.rsplit(".", 1)[-1] in EXPERT_PARTS | {"gate_up_proj"}
        for layer in layers
        for name, parameter in layer.named_parameters()
    )


def _linear_layers(model: nn.Module, layers: Iterable[nn.Module]) -> dict[str, nn.Module]:
    """Return the linear modules inside some layers, by their full names."""
    names = {id(module): name for name, module in model.named_modules()}
    return {
        names[id(module)]: module
        for layer in layers
        for module in layer.modules()
        if _is_product(module) or type(module).__name__ == "Conv1D"
    }


def _is_product(module: nn.Module) -> bool:
    """Return whether a module is linear and returns a tensor, unlike the routers of Llama 4."""
    if not isinstance(module, nn.Linear):
        return False
    if type(module).forward is nn.Linear.forward:
        return True
    with torch.no_grad():
        return isinstance(module(module.weight.new_zeros(1, module.in_features)), torch.Tensor)


def _resolve_config(
    lora: Any, model_type: str, linear: dict[str, nn.Module], unfit: set[str]
) -> Any:
    """Return a configuration that lists the modules to adapt by their full names.

    Modules whose last name is in `unfit` get no adapters unless they are named, which is an error.
    """
    from peft import LoraConfig
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    if isinstance(lora, Integral):
        config = LoraConfig(r=int(lora), lora_alpha=2 * int(lora))
    else:
        config = copy.deepcopy(lora)
    asked = config.target_modules
    named = asked is not None and asked != "all-linear"
    if not named:
        linear = {name: m for name, m in linear.items() if name.rsplit(".", 1)[1] not in unfit}
    every = {name.rsplit(".", 1)[1] for name in linear}
    if named:
        names = _matching(config, asked, linear)
        _check_fit(names, unfit, every)
    else:
        names = _matching(config, KNOWN.get(model_type, every) if asked is None else every, linear)
        names = names or _matching(config, every, linear)
    if not names:
        given = {
            name: sorted(value) if isinstance(value, set) else value
            for name in ("target_modules", "exclude_modules", "layers_to_transform")
            if (value := getattr(config, name)) is not None
        }
        raise ValueError(
            f"lora fits no linear layer of the trained layers, with {given}; they are named "
            f"{sorted(every)}, in full {min(linear, default=None)!r} and so on (a str is a regular "
            "expression over full names)"
        )
    resolved = {
        "target_modules": names,
        "exclude_modules": None,
        "layers_to_transform": None,
        "layers_pattern": None,
        "fan_in_fan_out": any(type(linear[name]).__name__ == "Conv1D" for name in names),
        # configurations that were loaded with saved adapters have True, which freezes adapters
        "inference_mode": False,
        "base_model_name_or_path": None,
        # the task classes of peft expect a head, which a base model does not have
        "task_type": None,
    }
    for name, value in resolved.items():
        setattr(config, name, value)
    return config


def _check_fit(names: list[str], unfit: set[str], every: set[str]) -> None:
    """Raise a ValueError if modules are named that can't have adapters in this model."""
    wrong = sorted({name.rsplit(".", 1)[1] for name in names} & unfit)
    if wrong:
        raise ValueError(
            f"lora.target_modules names {wrong}, which can't have adapters in this model, because "
            "its layers use the weights without the module, or its experts have all their weights "
            f"in one array; take some of {sorted(every - unfit)}"
        )


def _matching(config: Any, target_modules: Any, linear: dict[str, nn.Module]) -> list[str]:
    """Return the names of the linear modules that peft would adapt for some target modules."""
    from peft.tuners.tuners_utils import check_target_module_exists

    config = copy.copy(config)
    config.target_modules = target_modules
    return [name for name in linear if check_target_module_exists(config, name)]


def whole_model(base: Any, trained: Any, config: Any, merge_lora: bool) -> Any:
    """Copy the trained weights into the whole model.

    Parameters
    ----------
    base : transformers.PreTrainedModel
        The whole model as it was loaded. It is modified in place.
    trained : transformers.PreTrainedModel
        The trained part. Its weights have the same names as in the whole model.
    config : peft.LoraConfig or None
        Return value of `add_adapters`, or None if there are no adapters.
    merge_lora : bool
        Whether to add the adapters to the weights. Ignored without adapters.

    Returns
    -------
    transformers.PreTrainedModel or peft.PeftModel
        The whole model, in evaluation mode.
    """
    base = base.to(trained.dtype)
    weights = {name: p for name, p in trained.named_parameters() if p.requires_grad}
    if config is not None and merge_lora:
        weights = {name: p for name, p in weights.items() if name in dict(base.named_parameters())}
        weights |= _merged_weights(trained) | merged_rows(trained)
    elif config is not None:
        from peft import get_peft_model

        with warnings.catch_warnings():
            # peft calls transformers by a deprecated name
            warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
            base = get_peft_model(base, copy.deepcopy(config))
        weights = {
            f"base_model.model.{name_in_peft(name, config.modules_to_save)}": weight
            for name, weight in weights.items()
        }
    own = dict(base.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            own[name].copy_(weight)
    return base.eval()


def _merged_weights(trained: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of adapted modules with merged adapters, by their original names."""
    from peft.tuners.lora import LoraLayer

    weights: dict[str, torch.Tensor] = {}
    for name, module in trained.named_modules():
        if isinstance(module, LoraLayer):
            module = copy.deepcopy(module)  # one module at a time, to save memory
            module.merge()
            for own, weight in module.get_base_layer().named_parameters():
                weights[f"{name}.{own}"] = weight
    return weights
